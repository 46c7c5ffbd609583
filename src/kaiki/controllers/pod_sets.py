"""Runs the plans of StatefulSets, DaemonSets and Jobs: one runner, three plans."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from kaiki.controllers.action import Create, Delete, Effects, Patch, Report
from kaiki.controllers.pod_set import Step
from kaiki.controllers.queue import WorkQueue
from kaiki.controllers.replica_set import status_patch
from kaiki.controllers.stores import Stores
from kaiki.controllers.workloads import key_of, wake_owners_by_reference
from kaiki.kube.cache import Key
from kaiki.kube.errors import KubeError
from kaiki.kube.resource import PODS, Object, ResourceType

Plan = Callable[[Object, Sequence[Object], datetime], Step]


class PodSetController:
    """Keeps the pods and the status of one kind of owner, by its plan."""

    def __init__(self, resource: ResourceType, plan: Plan, stores: Stores, effects: Effects) -> None:
        self._resource = resource
        self._plan = plan
        self._stores = stores
        self._effects = effects
        self.queue: WorkQueue[Key] = WorkQueue(resource.plural, self.sync)

    def start(self) -> None:
        """Follows the owners and their pods."""
        self._stores[self._resource].subscribe(lambda event: self.queue.add(key_of(event.object)))
        self._stores[PODS].subscribe(lambda event: wake_owners_by_reference(self.queue, self._resource.kind, event))

    async def sync(self, key: Key) -> float | None:
        """One step of one owner; its own changes lead to the next."""
        owner = self._stores[self._resource].get(*key)
        if owner is None or owner["metadata"].get("deletionTimestamp"):
            return None
        step = self._plan(owner, self._stores.controlled_by(PODS, owner), datetime.now(UTC))
        if patch := status_patch(owner.get("status"), step.status):
            await self._effects.run_one(Patch(owner, patch, "status"))
        for action in step.actions:
            try:
                made = await self._effects.run_one(action)
            except KubeError as error:
                self._effects.report(Report(owner, "FailedCreate", f"Error creating: {error}", "Warning"))
                raise
            if isinstance(action, Create) and made is not None:
                name = made["metadata"]["name"]
                self._effects.report(Report(owner, "SuccessfulCreate", f"Created pod: {name}"))
            elif isinstance(action, Delete) and action.target is not owner:
                name = action.target["metadata"]["name"]
                self._effects.report(Report(owner, "SuccessfulDelete", f"Deleted pod: {name}"))
        return step.again_seconds
