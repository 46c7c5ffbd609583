"""What a plan may ask for. Plans only name actions; `Effects` carries them out."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from kaiki.controllers.stores import Stores
from kaiki.kube.client import KubeClient, PropagationPolicy
from kaiki.kube.errors import NotFound
from kaiki.kube.events import EventRecorder
from kaiki.kube.resource import Object, ResourceType, resource_for

WAITING_REPORTS = 1000
CLOSING_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Create:
    """Create an object; AlreadyExists is left to the controller."""

    obj: Object


@dataclass(frozen=True, slots=True)
class Patch:
    """Merge-patch an object or its status."""

    target: Object
    patch: Object
    subresource: str | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete this very object (by uid); one that is gone already is no error."""

    target: Object
    propagation: PropagationPolicy | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """Record an Event about an object."""

    about: Object
    reason: str
    message: str
    kind: Literal["Normal", "Warning"] = "Normal"


Action = Create | Patch | Delete | Report


class Effects:
    """Carries out actions one after another, and lets the caches see the results at once.

    Events are written in the background: nothing waits for them, and they never fail a plan.
    """

    def __init__(self, client: KubeClient, stores: Stores, recorder: EventRecorder) -> None:
        self._client = client
        self._stores = stores
        self._recorder = recorder
        self._reports: deque[Report] = deque(maxlen=WAITING_REPORTS)
        self._reporting: asyncio.Task[None] | None = None

    async def run(self, actions: Sequence[Action]) -> None:
        """Carries out the actions in order; raises the first KubeError."""
        for action in actions:
            await self.run_one(action)

    async def run_one(self, action: Action) -> Object | None:
        """Carries out one action and answers the object as stored, where there is one."""
        match action:
            case Create(obj):
                return self._observe(resource_for(obj), await self._client.create(obj))
            case Patch(target, patch, subresource):
                return await self._patch(target, patch, subresource)
            case Delete(target, propagation):
                await self._delete(target, propagation)
            case Report():
                self.report(action)
        return None

    async def close(self) -> None:
        """Writes the Events still waiting, for a moment."""
        if self._reporting is not None:
            await asyncio.wait([self._reporting], timeout=CLOSING_SECONDS)
            self._reporting.cancel()

    def _observe(self, resource: ResourceType, obj: Object) -> Object:
        if cache := self._stores.by_type.get(resource):
            cache.observe(obj)
        return obj

    async def _patch(self, target: Object, patch: Object, subresource: str | None) -> Object | None:
        resource, metadata = resource_for(target), target["metadata"]
        stored = await self._client.patch(
            resource, metadata["name"], metadata.get("namespace"), patch, subresource=subresource
        )
        if stored["metadata"].get("deletionTimestamp") and not stored["metadata"].get("finalizers"):
            return stored
        return self._observe(resource, stored)

    async def _delete(self, target: Object, propagation: PropagationPolicy | None) -> None:
        metadata = target["metadata"]
        try:
            await self._client.delete(
                resource_for(target),
                metadata["name"],
                metadata.get("namespace"),
                uid=metadata.get("uid"),
                propagation=propagation,
            )
        except NotFound:
            return

    def report(self, report: Report) -> None:
        """Records an Event in the background, one after another: a burst shall not open a burst of connections."""
        self._reports.append(report)
        if self._reporting is None or self._reporting.done():
            self._reporting = asyncio.create_task(self._write_reports())

    async def _write_reports(self) -> None:
        while self._reports:
            report = self._reports.popleft()
            await self._recorder.record(report.about, report.reason, report.message, report.kind)
