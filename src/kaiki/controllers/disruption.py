"""PodDisruptionBudget → its status: how many pods there are, should be, and may be disrupted (`kubectl get pdb`).

The API server measures again when a pod is evicted; here it is written down for people, dashboards and tools that wait.
"""

from datetime import UTC, datetime

from kaiki.controllers.action import Action, Effects, Patch, Report
from kaiki.controllers.claims import is_matching
from kaiki.controllers.conditions import set_condition
from kaiki.controllers.queue import WorkQueue
from kaiki.controllers.stores import Stores
from kaiki.controllers.workloads import key_of
from kaiki.kube.cache import CacheEvent, Key
from kaiki.kube.resource import DEPLOYMENTS, POD_DISRUPTION_BUDGETS, PODS, REPLICA_SETS, STATEFUL_SETS, Object
from kaiki.resources.disruption import Disruption, UnknownScale, measure

CONDITION = "DisruptionAllowed"
_SCALED = {"Deployment": DEPLOYMENTS, "ReplicaSet": REPLICA_SETS, "StatefulSet": STATEFUL_SETS}


def budget_status(budget: Object, found: Disruption, now: datetime) -> Object:
    """The status as Kubernetes writes it."""
    enough = found.allowed > 0
    return {
        "currentHealthy": found.healthy,
        "desiredHealthy": found.desired,
        "disruptionsAllowed": found.allowed,
        "expectedPods": found.expected,
        **_observed(budget, str(enough), "SufficientPods" if enough else "InsufficientPods", "", now),
    }


def failed_status(budget: Object, error: UnknownScale, now: datetime) -> Object:
    """The status when it cannot be told how many pods there should be: nothing may go."""
    before = budget.get("status") or {}
    counts = {name: before.get(name, 0) for name in ("currentHealthy", "desiredHealthy", "expectedPods")}
    return {**counts, "disruptionsAllowed": 0, **_observed(budget, "False", "SyncFailed", str(error), now)}


def _observed(budget: Object, status: str, reason: str, message: str, now: datetime) -> Object:
    generation = budget["metadata"].get("generation", 1)
    before = (budget.get("status") or {}).get("conditions") or ()
    conditions = set_condition(before, CONDITION, status, reason, message, now)
    for condition in conditions:
        if condition["type"] == CONDITION:
            condition["observedGeneration"] = generation
    return {"observedGeneration": generation, "conditions": conditions}


def selects(budget: Object, pod: Object) -> bool:
    """Whether a budget is about a pod: an empty selector selects all of the namespace, none selects none."""
    selector = (budget.get("spec") or {}).get("selector")
    if selector is None:
        return False
    return not (selector.get("matchLabels") or selector.get("matchExpressions")) or is_matching(selector, pod)


class DisruptionController:
    """Keeps the status of PodDisruptionBudgets."""

    def __init__(self, stores: Stores, effects: Effects) -> None:
        self._stores = stores
        self._effects = effects
        self.queue: WorkQueue[Key] = WorkQueue("disruption", self.sync)

    def start(self) -> None:
        """Follows budgets, pods, and what says how many pods there should be."""
        self._stores[POD_DISRUPTION_BUDGETS].subscribe(lambda event: self.queue.add(key_of(event.object)))
        self._stores[PODS].subscribe(self._pod_changed)
        for resource in _SCALED.values():
            self._stores[resource].subscribe(self._scale_changed)

    def _pod_changed(self, event: CacheEvent) -> None:
        states = [state for state in (event.old, event.new) if state is not None]
        for budget in self._stores.in_namespace(POD_DISRUPTION_BUDGETS, key_of(event.object)[0]):
            if any(selects(budget, state) for state in states):
                self.queue.add(key_of(budget))

    def _scale_changed(self, event: CacheEvent) -> None:
        before, after = ((state or {}).get("spec", {}).get("replicas") for state in (event.old, event.new))
        if before != after or event.kind != "updated":
            for budget in self._stores.in_namespace(POD_DISRUPTION_BUDGETS, key_of(event.object)[0]):
                self.queue.add(key_of(budget))

    async def sync(self, key: Key) -> None:
        """Writes the status of one budget where it differs."""
        budget = self._stores[POD_DISRUPTION_BUDGETS].get(*key)
        if budget is not None and not budget["metadata"].get("deletionTimestamp"):
            await self._effects.run(self._plan(budget, key[0]))

    def _plan(self, budget: Object, namespace: str) -> list[Action]:
        pods = [pod for pod in self._stores.in_namespace(PODS, namespace) if selects(budget, pod)]
        reports: list[Action] = []
        try:
            found = measure(budget, pods, lambda kind, name: self._stores[_SCALED[kind]].get(namespace, name))
            status = budget_status(budget, found, datetime.now(UTC))
            if not pods:
                reports.append(Report(budget, "NoPods", "No matching pods found"))
        except UnknownScale as error:
            status = failed_status(budget, error, datetime.now(UTC))
            message = f"Failed to calculate the number of expected pods: {error}"
            reports.append(Report(budget, "CalculateExpectedPodCountFailed", message, "Warning"))
        before = budget.get("status") or {}
        if all(before.get(name) == value for name, value in status.items()):
            return []
        return [Patch(budget, {"status": status}, "status"), *reports]
