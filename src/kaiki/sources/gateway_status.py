"""Writes the status of the Gateway API's objects (and of Ingresses), where it differs from what is there.

Entries of other controllers are kept. A condition keeps the time of its last change as long as it says the same.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from kaiki.interpret.gateway_api.objects import CONTROLLER, KUBERNETES_GATEWAY, ROUTE_KINDS, Key, Status
from kaiki.interpret.gateway_api.statuses import with_refusal
from kaiki.interpret.interpretation import Interpretation
from kaiki.kube.cache import Cache
from kaiki.kube.errors import KubeError, NotFound
from kaiki.kube.resource import ResourceType
from kaiki.model.finding import Finding
from kaiki.sources.status import StatusClient

logger = logging.getLogger(__name__)

QUIET_SECONDS = 0.1
RETRY_SECONDS = 3.0
FIELD_MANAGER = "kaiki-gateway-status"
_LISTS = {**dict.fromkeys(ROUTE_KINDS, "parents"), "BackendTLSPolicy": "ancestors"}


class GatewayStatusWriter:
    """Brings the status of objects in line with the newest interpretation, shortly after the last change."""

    def __init__(
        self,
        client: StatusClient,
        caches: Mapping[str, Cache],
        *,
        may_write: Callable[[], bool] = lambda: True,
        quiet_seconds: float = QUIET_SECONDS,
    ) -> None:
        self._client = client
        self._caches = caches
        self._may_write = may_write
        self._quiet_seconds = quiet_seconds
        self._statuses: Mapping[Key, Status] = {}
        self._refused: Mapping[Key, Finding] = {}
        self._kinds: set[str] = set(_LISTS)
        self._changed = asyncio.Event()

    async def take(self, interpretation: Interpretation, _changed_at: float = 0.0) -> None:
        """Subscriber of a SnapshotSource."""
        self._statuses = interpretation.gateway_api.statuses
        self._changed.set()

    def report(self, findings: Iterable[Finding]) -> None:
        """What proxies made known, besides what interpretation finds."""
        refused = {(one.resource.kind, one.resource.namespace, one.resource.name): one for one in findings}
        if refused != self._refused:
            self._refused = refused
            self._changed.set()

    async def run(self) -> None:
        """Write until cancelled. What cannot be written now is tried again."""
        while True:
            await self._changed.wait()
            await asyncio.sleep(self._quiet_seconds)
            self._changed.clear()
            if not self._may_write() or not await self._write_all():
                await asyncio.sleep(RETRY_SECONDS)
                self._changed.set()

    async def _write_all(self) -> bool:
        complete = True
        wanted = dict(self._statuses)
        for key in self._refused:
            if key[0] in (*_LISTS, KUBERNETES_GATEWAY, "ListenerSet"):
                wanted.setdefault(key, {})
        for kind, field in _LISTS.items():
            for obj in list(self._caches[kind].items()) if kind in self._caches else ():
                wanted.setdefault(
                    (kind, str(obj["metadata"].get("namespace") or ""), obj["metadata"]["name"]), {field: []}
                )
        for (kind, namespace, name), status in wanted.items():
            cache = self._caches.get(kind)
            known = cache.get(namespace or None, name) if cache is not None else None
            if cache is None or known is None:
                continue
            if (kind, namespace, name) in self._refused:
                status = with_refusal(kind, known, status, str(self._refused[kind, namespace, name]))
            patch = status_patch(kind, known.get("status") or {}, status, datetime.now(UTC))
            if patch:
                complete &= await self._write(cache.resource, namespace, name, patch)
        return complete

    async def _write(self, resource: ResourceType, namespace: str, name: str, patch: Status) -> bool:
        try:
            await self._client.patch(
                resource, name, namespace or None, {"status": patch}, subresource="status", field_manager=FIELD_MANAGER
            )
        except NotFound:
            return True
        except KubeError as error:
            logger.info("the status of %s %s/%s could not be written: %s", resource.kind, namespace, name, error)
            return False
        return True


def status_patch(kind: str, current: Mapping[str, Any], wanted: Status, now: datetime) -> Status:
    """The fields of a status that have to be replaced; empty if it says all this already."""
    merged = _merged(kind, current, wanted, now.strftime("%Y-%m-%dT%H:%M:%SZ"))
    gone = {"addresses": None} if kind == "KubernetesGateway" and "addresses" not in wanted else {}
    return {
        field: value for field, value in {**gone, **merged}.items() if (current.get(field) or None) != (value or None)
    }


def _merged(kind: str, current: Mapping[str, Any], wanted: Status, now: str) -> Status:
    if (field := _LISTS.get(kind)) is not None:
        have = list(current.get(field) or ())
        others = [one for one in have if one.get("controllerName") != CONTROLLER]
        mine = [one for one in have if one.get("controllerName") == CONTROLLER]
        return {field: [*others, *(_timed_entry(one, mine, now) for one in wanted[field])]}
    merged = dict(wanted)
    if "conditions" in wanted:
        merged["conditions"] = _timed(wanted["conditions"], current.get("conditions") or (), now, keep_others=True)
    if "listeners" in wanted:
        by_name = {one.get("name"): one for one in current.get("listeners") or ()}
        merged["listeners"] = [
            {**one, "conditions": _timed(one["conditions"], by_name.get(one["name"], {}).get("conditions") or (), now)}
            for one in wanted["listeners"]
        ]
    return merged


def _timed_entry(entry: Status, have: list[Status], now: str) -> Status:
    name = "parentRef" if "parentRef" in entry else "ancestorRef"
    old = next((one for one in have if one.get(name) == entry[name]), {})
    return {**entry, "conditions": _timed(entry["conditions"], old.get("conditions") or (), now)}


def _timed(wanted: list[Status], have: Any, now: str, keep_others: bool = False) -> list[Status]:
    by_type = {one.get("type"): one for one in have}
    found = []
    for one in wanted:
        old = by_type.get(one["type"], {})
        time = old.get("lastTransitionTime") if old.get("status") == one["status"] else None
        found.append({**one, "lastTransitionTime": time or now})
    types = {one["type"] for one in wanted}
    return [*found, *(one for one in have if keep_others and one.get("type") not in types)]
