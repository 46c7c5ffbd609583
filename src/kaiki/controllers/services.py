"""Runs the EndpointSlice plan: follows Services and pods, writes slices and Endpoints."""

from kaiki.controllers.action import Action, Create, Delete, Effects, Patch
from kaiki.controllers.endpoint_slice import (
    MANAGED_BY_LABEL,
    MANAGER,
    MIRROR_MANAGER,
    SERVICE_NAME_LABEL,
    desired_endpoints,
    desired_slices,
    has_managed_endpoints,
    is_selected,
    merge_needed,
    mirrored_slices,
)
from kaiki.controllers.queue import WorkQueue
from kaiki.controllers.stores import Stores
from kaiki.controllers.workloads import key_of
from kaiki.kube.cache import CacheEvent, Key
from kaiki.kube.resource import ENDPOINT_SLICES, ENDPOINTS, PODS, SERVICES, Object

SLICE_FIELDS = ("endpoints", "ports")


class EndpointController:
    """Keeps the EndpointSlices and Endpoints of Services; of those without a selector the slices only."""

    def __init__(self, stores: Stores, effects: Effects) -> None:
        self._stores = stores
        self._effects = effects
        self.queue: WorkQueue[Key] = WorkQueue("endpoints", self.sync)

    def start(self) -> None:
        """Follows Services, pods, and the slices themselves, so that what others change is put right."""
        self._stores[SERVICES].subscribe(lambda event: self.queue.add(key_of(event.object)))
        self._stores[PODS].subscribe(self._pod_changed)
        self._stores[ENDPOINTS].subscribe(lambda event: self.queue.add(key_of(event.object)))
        self._stores[ENDPOINT_SLICES].subscribe(self._slice_changed)

    def _pod_changed(self, event: CacheEvent) -> None:
        states = [state for state in (event.old, event.new) if state is not None]
        for service in self._stores.in_namespace(SERVICES, key_of(event.object)[0]):
            if any(is_selected(service, state) for state in states):
                self.queue.add(key_of(service))

    def _slice_changed(self, event: CacheEvent) -> None:
        labels = event.object["metadata"].get("labels") or {}
        if labels.get(MANAGED_BY_LABEL) in (MANAGER, MIRROR_MANAGER) and event.kind != "added":
            self.queue.add((key_of(event.object)[0], labels.get(SERVICE_NAME_LABEL, "")))

    async def sync(self, key: Key) -> None:
        """Brings the slices of one Service to what its pods are now."""
        service = self._stores[SERVICES].get(*key)
        if service is None or service["metadata"].get("deletionTimestamp"):
            return
        endpoints = self._stores[ENDPOINTS].get(*key)
        if not has_managed_endpoints(service):
            want = mirrored_slices(service, endpoints) if endpoints is not None else []
            await self._effects.run(plan_slices(self._slices(service, MIRROR_MANAGER), want))
            return
        pods = self._stores.in_namespace(PODS, key[0])
        await self._effects.run(plan_slices(self._slices(service, MANAGER), desired_slices(service, pods)))
        await self._effects.run(plan_endpoints(endpoints, desired_endpoints(service, pods)))

    def _slices(self, service: Object, manager: str) -> list[Object]:
        namespace, name = key_of(service)
        wanted = {SERVICE_NAME_LABEL: name, MANAGED_BY_LABEL: manager}.items()
        slices = self._stores.in_namespace(ENDPOINT_SLICES, namespace)
        return [item for item in slices if wanted <= (item["metadata"].get("labels") or {}).items()]


def plan_slices(have: list[Object], want: list[Object]) -> list[Action]:
    """Creates, changes and deletes slices, by name. Deletions come last, so that no endpoint is missing between."""
    present = {item["metadata"]["name"]: item for item in have}
    actions: list[Action] = []
    for item in want:
        existing = present.pop(item["metadata"]["name"], None)
        if existing is None:
            actions.append(Create(item))
        elif patch := merge_needed(existing, item, SLICE_FIELDS):
            actions.append(Patch(existing, patch))
    return actions + [Delete(item) for item in present.values()]


def plan_endpoints(have: Object | None, want: Object) -> list[Action]:
    """Creates or changes the legacy object."""
    if have is None:
        return [Create(want)]
    patch = merge_needed(have, want, ("subsets",))
    return [Patch(have, patch)] if patch else []
