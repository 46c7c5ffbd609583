"""Writes findings where their authors look: into the status of the objects they are about.

As Istio has it: `status.validationMessages` names each finding by code and level; the text, the field and the way out
are the message of a condition. Both vanish when the findings do.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from kaiki.interpret.interpretation import Interpretation
from kaiki.kube.cache import Cache
from kaiki.kube.errors import KubeError, NotFound
from kaiki.kube.resource import Object, ResourceType
from kaiki.model.finding import Finding, ObjectRef, Severity

logger = logging.getLogger(__name__)

QUIET_SECONDS = 0.5
RETRY_SECONDS = 5.0
CONDITION = "Valid"
FIELD_MANAGER = "kaiki-status"

_LEVELS = {Severity.ERROR: "ERROR", Severity.WARNING: "WARNING", Severity.INFO: "INFO"}


class StatusClient(Protocol):
    """The part of the Kubernetes client that writing status needs."""

    async def patch(
        self,
        resource: ResourceType,
        name: str,
        namespace: str | None,
        patch: Any,
        *,
        subresource: str | None = None,
        field_manager: str | None = None,
    ) -> Object: ...


class StatusWriter:
    """Brings the status of Istio's objects in line with the newest findings, half a second after the last change."""

    def __init__(
        self,
        client: StatusClient,
        caches: Mapping[str, Cache],
        *,
        may_write: Callable[[], bool] = lambda: True,
        quiet_seconds: float = QUIET_SECONDS,
    ) -> None:
        self._client = client
        self._caches = {kind: cache for kind, cache in caches.items() if "istio.io" in cache.resource.group}
        self._may_write = may_write
        self._quiet_seconds = quiet_seconds
        self._findings: tuple[Finding, ...] = ()
        self._reported: tuple[Finding, ...] = ()
        self._changed = asyncio.Event()

    async def take(self, interpretation: Interpretation, _changed_at: float = 0.0) -> None:
        """Subscriber of a SnapshotSource."""
        self._findings = interpretation.findings
        self._changed.set()

    def report(self, findings: tuple[Finding, ...]) -> None:
        """What proxies made known, besides what interpretation finds."""
        if findings != self._reported:
            self._reported = findings
            self._changed.set()

    async def run(self) -> None:
        """Write until cancelled. What cannot be written now is tried again."""
        while True:
            await self._changed.wait()
            await self._wait_for_quiet()
            if not self._may_write() or not await self._write_all():
                await asyncio.sleep(RETRY_SECONDS)
                self._changed.set()

    async def _wait_for_quiet(self) -> None:
        while self._changed.is_set():
            self._changed.clear()
            await asyncio.sleep(self._quiet_seconds)

    async def _write_all(self) -> bool:
        by_object: dict[ObjectRef, list[Finding]] = {}
        for finding in (*self._findings, *self._reported):
            by_object.setdefault(finding.resource, []).append(finding)
        complete = True
        for kind, cache in self._caches.items():
            for obj in list(cache.items()):
                metadata = obj["metadata"]
                reference = ObjectRef(kind, str(metadata.get("namespace") or ""), str(metadata["name"]))
                patch = status_patch(obj, by_object.get(reference, ()), datetime.now(UTC))
                if patch is not None:
                    complete &= await self._write(cache.resource, reference, patch)
        return complete

    async def _write(self, resource: ResourceType, reference: ObjectRef, patch: Object) -> bool:
        try:
            await self._client.patch(
                resource,
                reference.name,
                reference.namespace,
                patch,
                subresource="status",
                field_manager=FIELD_MANAGER,
            )
        except NotFound:
            return True
        except KubeError as error:
            logger.info("the status of %s could not be written: %s", reference, error)
            return False
        return True


def status_patch(obj: Mapping[str, Any], findings: Iterable[Finding], now: datetime) -> Object | None:
    """The merge patch that makes an object's status say these findings; None when it does already.

    Conditions of others are kept.
    """
    status = obj.get("status") or {}
    messages = [_message(finding) for finding in findings]
    others = [one for one in status.get("conditions") or [] if one.get("type") != CONDITION]
    mine = next((one for one in status.get("conditions") or [] if one.get("type") == CONDITION), None)
    condition = _condition(list(findings), mine, now)
    if messages == (status.get("validationMessages") or []) and condition == mine:
        return None
    conditions = [*others, condition] if condition is not None else others
    return {"status": {"validationMessages": messages or None, "conditions": conditions or None}}


def _message(finding: Finding) -> Object:
    return {"type": {"code": finding.code, "name": finding.path or finding.code}, "level": _LEVELS[finding.severity]}


def _condition(findings: list[Finding], mine: Mapping[str, Any] | None, now: datetime) -> Object | None:
    if not findings:
        return None
    worst = any(finding.severity is Severity.ERROR for finding in findings)
    condition: Object = {
        "type": CONDITION,
        "status": "False" if worst else "True",
        "reason": findings[0].code,
        "message": "\n".join(str(finding) for finding in findings),
    }
    same = mine is not None and all(mine.get(key) == value for key, value in condition.items())
    written_at = mine.get("lastTransitionTime") if same and mine is not None else None
    return condition | {"lastTransitionTime": written_at or now.strftime("%Y-%m-%dT%H:%M:%SZ")}
