"""Runs the Deployment and ReplicaSet plans: from cache changes to keys, from keys to actions."""

import asyncio
from datetime import UTC, datetime

from kaiki.controllers.action import Create, Delete, Effects, Patch, Report
from kaiki.controllers.claims import is_matching, plan_claims
from kaiki.controllers.deployment import Rollout, plan_deployment, sort_out
from kaiki.controllers.deployment_status import deployment_status, seconds_until_deadline
from kaiki.controllers.queue import WorkQueue
from kaiki.controllers.replica_set import (
    active_pods,
    build_pod,
    next_availability_seconds,
    plan_pods,
    replica_set_status,
    status_patch,
)
from kaiki.controllers.stores import Stores, controller_of
from kaiki.kube.cache import Cache, CacheEvent, Key
from kaiki.kube.errors import AlreadyExists, KubeError
from kaiki.kube.resource import DEPLOYMENTS, PODS, REPLICA_SETS, Object


class DeploymentController:
    """Keeps each Deployment's ReplicaSets and status."""

    def __init__(self, stores: Stores, effects: Effects) -> None:
        self._stores = stores
        self._effects = effects
        self.queue: WorkQueue[Key] = WorkQueue("deployment", self.sync)

    def start(self) -> None:
        """Follows Deployments and what they own."""
        self._stores[DEPLOYMENTS].subscribe(lambda event: self.queue.add(key_of(event.object)))
        self._stores[REPLICA_SETS].subscribe(self._owned_changed)
        self._stores[PODS].subscribe(self._pod_gone)

    def _owned_changed(self, event: CacheEvent) -> None:
        wake_owners(self.queue, self._stores[DEPLOYMENTS], event)

    def _pod_gone(self, event: CacheEvent) -> None:
        """Recreate waits until the last old pod has really ended."""
        owner = controller_of(event.object) if event.kind == "deleted" else None
        if owner and (replica_set := self._stores[REPLICA_SETS].get(key_of(event.object)[0], owner["name"])):
            self._owned_changed(CacheEvent("updated", replica_set, replica_set))

    async def sync(self, key: Key) -> float | None:
        """One step of one Deployment; its own changes lead to the next."""
        deployment = self._stores[DEPLOYMENTS].get(*key)
        if deployment is None or deployment["metadata"].get("deletionTimestamp"):
            return None
        claims = plan_claims(deployment, self._stores.in_namespace(REPLICA_SETS, key[0]))
        await self._effects.run(claims.actions)
        rollout = self._sorted_out(deployment)
        for action in plan_deployment(rollout, self._old_pods(rollout)):
            try:
                await self._effects.run_one(action)
            except AlreadyExists:
                await self._settle_collision(deployment, action)
        deployment = self._stores[DEPLOYMENTS].get(*key) or deployment
        rollout = self._sorted_out(deployment)
        status = deployment_status(rollout, datetime.now(UTC))
        if patch := status_patch(deployment.get("status"), status):
            await self._effects.run_one(Patch(deployment, patch, "status"))
        return seconds_until_deadline(rollout, status, datetime.now(UTC))

    def _sorted_out(self, deployment: Object) -> Rollout:
        return sort_out(deployment, self._stores.controlled_by(REPLICA_SETS, deployment))

    def _old_pods(self, rollout: Rollout) -> int:
        return sum(len(self._stores.controlled_by(PODS, old)) for old in rollout.old)

    async def _settle_collision(self, deployment: Object, action: object) -> None:
        """The name is taken: by our own ReplicaSet not seen yet (wait), or by another (another hash, then)."""
        assert isinstance(action, Create)
        taken = self._stores[REPLICA_SETS].get(*key_of(action.obj))
        owner = controller_of(taken) if taken else None
        if taken is None or (owner and owner["uid"] == deployment["metadata"]["uid"] and _same(taken, action.obj)):
            self.queue.add_after(key_of(deployment), 0.05)
            return
        count = int((deployment.get("status") or {}).get("collisionCount") or 0) + 1
        await self._effects.run_one(Patch(deployment, {"status": {"collisionCount": count}}, "status"))


def _same(one: Object, other: Object) -> bool:
    return bool(one["spec"]["template"] == other["spec"]["template"])


class ReplicaSetController:
    """Keeps each ReplicaSet's pods and status."""

    def __init__(self, stores: Stores, effects: Effects) -> None:
        self._stores = stores
        self._effects = effects
        self._deleting: set[str] = set()
        self.queue: WorkQueue[Key] = WorkQueue("replicaset", self.sync)

    def start(self) -> None:
        """Follows ReplicaSets and their pods."""
        self._stores[REPLICA_SETS].subscribe(lambda event: self.queue.add(key_of(event.object)))
        self._stores[PODS].subscribe(self._pod_changed)

    def _pod_changed(self, event: CacheEvent) -> None:
        if event.kind == "deleted":
            self._deleting.discard(event.object["metadata"]["uid"])
        wake_owners(self.queue, self._stores[REPLICA_SETS], event)

    async def sync(self, key: Key) -> float | None:
        """Creates or deletes what is missing or too many, then writes the status; raises what went wrong."""
        replica_set = self._stores[REPLICA_SETS].get(*key)
        if replica_set is None:
            return None
        failure: KubeError | None = None
        if not replica_set["metadata"].get("deletionTimestamp"):
            try:
                await self._effects.run(plan_claims(replica_set, self._stores.in_namespace(PODS, key[0])).actions)
                await self._manage(replica_set)
            except KubeError as error:
                failure = error
        active = self._active(replica_set)
        now = datetime.now(UTC)
        current = self._stores[REPLICA_SETS].get(*key) or replica_set
        status = replica_set_status(current, active, str(failure) if failure else None, now)
        if patch := status_patch(current.get("status"), status):
            await self._effects.run_one(Patch(current, patch, "status"))
        if failure is not None:
            raise failure
        return next_availability_seconds(replica_set, active, now)

    def _active(self, replica_set: Object) -> list[Object]:
        return active_pods(self._stores.controlled_by(PODS, replica_set), self._deleting)

    async def _manage(self, replica_set: Object) -> None:
        plan = plan_pods(replica_set, self._active(replica_set), datetime.now(UTC))
        for pod in plan.delete:
            self._deleting.add(pod["metadata"]["uid"])
            try:
                await self._effects.run_one(Delete(pod))
            except KubeError:
                self._deleting.discard(pod["metadata"]["uid"])
                raise
            self._report(replica_set, "SuccessfulDelete", f"Deleted pod: {pod['metadata']['name']}")
        await self._create(replica_set, plan.create)

    async def _create(self, replica_set: Object, count: int) -> None:
        """In batches of 1, 2, 4, …: what fails for one pod (a webhook, a quota) is not tried a hundred times."""
        batch = 1
        while count > 0:
            size = min(batch, count)
            await asyncio.gather(*(self._create_one(replica_set) for _ in range(size)))
            count -= size
            batch *= 2

    async def _create_one(self, replica_set: Object) -> None:
        try:
            pod = await self._effects.run_one(Create(build_pod(replica_set)))
        except KubeError as error:
            self._effects.report(Report(replica_set, "FailedCreate", f"Error creating: {error}", "Warning"))
            raise
        assert pod is not None
        self._report(replica_set, "SuccessfulCreate", f"Created pod: {pod['metadata']['name']}")

    def _report(self, replica_set: Object, reason: str, message: str) -> None:
        self._effects.report(Report(replica_set, reason, message))


def wake_owners(queue: WorkQueue[Key], owners: Cache, event: CacheEvent) -> None:
    """Adds the owner of what changed; for an orphan all that would adopt it."""
    namespace = key_of(event.object)[0]
    wake_owners_by_reference(queue, owners.resource.kind, event)
    if event.new is not None and controller_of(event.new) is None:
        for candidate in owners.by_index("namespace", namespace):
            if is_matching(candidate["spec"]["selector"], event.new):
                queue.add(key_of(candidate))


def wake_owners_by_reference(queue: WorkQueue[Key], kind: str, event: CacheEvent) -> None:
    """Adds the controller of what changed, before and after."""
    for state in (event.old, event.new):
        owner = controller_of(state) if state is not None else None
        if owner is not None and owner["kind"] == kind:
            queue.add((key_of(event.object)[0], str(owner["name"])))


def key_of(obj: Object) -> Key:
    """(namespace, name)."""
    return str(obj["metadata"].get("namespace") or ""), str(obj["metadata"]["name"])
