"""Kubernetes Events: what `kubectl describe` shows about an object.

Equal events are counted up in one Event object instead of piling up.
"""

import logging
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from kaiki.kube.client import KubeClient
from kaiki.kube.errors import KubeError, NotFound
from kaiki.kube.resource import EVENTS, Object

logger = logging.getLogger(__name__)

REMEMBERED_EVENTS = 2048


@dataclass(slots=True)
class _Recorded:
    name: str
    count: int


class EventRecorder:
    """Writes Events in the name of one component. Never raises: an Event that cannot be written is only logged."""

    def __init__(self, client: KubeClient, component: str) -> None:
        self._client = client
        self._component = component
        self._recorded: dict[tuple[str, ...], _Recorded] = {}

    async def record(
        self, about: Object, reason: str, message: str, kind: Literal["Normal", "Warning"] = "Normal"
    ) -> None:
        """Adds an Event about an object, or counts up the one that says the same already."""
        key = (about["kind"], str(about["metadata"].get("uid")), reason, message)
        namespace = about["metadata"].get("namespace") or "default"
        try:
            recorded = self._recorded.get(key)
            if recorded is not None and await self._count_up(namespace, recorded):
                return
            name = f"{about['metadata']['name']}.{uuid.uuid4().hex[:16]}"
            await self._client.create(self._event(about, namespace, name, reason, message, kind))
            if len(self._recorded) >= REMEMBERED_EVENTS:
                self._recorded.pop(next(iter(self._recorded)))
            self._recorded[key] = _Recorded(name, 1)
        except KubeError as error:
            logger.debug("event %s about %s not recorded: %s", reason, about["metadata"].get("name"), error)

    async def _count_up(self, namespace: str, recorded: _Recorded) -> bool:
        """False when the Event has been removed meanwhile, as Kubernetes does after an hour."""
        recorded.count += 1
        try:
            patch = {"count": recorded.count, "lastTimestamp": now_text()}
            await self._client.patch(EVENTS, recorded.name, namespace, patch)
        except NotFound:
            return False
        return True

    def _event(self, about: Object, namespace: str, name: str, reason: str, message: str, kind: str) -> Object:
        now = now_text()
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": namespace},
            "involvedObject": {
                "apiVersion": about["apiVersion"],
                "kind": about["kind"],
                "name": about["metadata"]["name"],
                "namespace": about["metadata"].get("namespace"),
                "uid": about["metadata"].get("uid"),
                "resourceVersion": about["metadata"].get("resourceVersion"),
            },
            "reason": reason,
            "message": message,
            "type": kind,
            "count": 1,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "source": {"component": self._component},
            "reportingComponent": self._component,
            "reportingInstance": "",
        }


def now_text() -> str:
    """The time as Kubernetes writes it: `2030-01-31T12:00:00Z`."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
