"""PodDisruptionBudgets, asked before a pod is evicted: `kubectl drain` waits until enough others are ready.

A budget is measured when it is asked, from what is stored now, and not read from its status: that one is written a
moment later by a controller, and two evictions at once would both find it as it was.
"""

from __future__ import annotations

from typing import Any

from kaiki.apiserver.errors import ApiError, internal
from kaiki.apiserver.selectors import matches_label_selector
from kaiki.apiserver.store import Store
from kaiki.resources.core import is_finished, is_ready
from kaiki.resources.disruption import SCALED, Disruption, UnknownScale, measure

Object = dict[str, Any]
BUDGETS = "policy/poddisruptionbudgets"


def check_budgets(store: Store, pod: Object) -> None:
    """ApiError 429 when evicting the pod would leave fewer ready than its budget wants; 500 when it has several."""
    if is_finished(pod) or "deletionTimestamp" in pod["metadata"] or _phase(pod) == "Pending":
        return
    namespace, labels = pod["metadata"]["namespace"], pod["metadata"].get("labels") or {}
    budgets = [record.load() for record in store.list(BUDGETS, namespace)]
    matching = [each for each in budgets if _selects(each, labels)]
    if len(matching) > 1:
        raise internal(
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
        )
    for budget in matching:
        _check(store, budget, pod)


def _check(store: Store, budget: Object, pod: Object) -> None:
    namespace, name = budget["metadata"]["namespace"], budget["metadata"]["name"]
    policy = (budget.get("spec") or {}).get("unhealthyPodEvictionPolicy")
    if not is_ready(pod) and policy == "AlwaysAllow":
        return
    try:
        found = _measured(store, budget, namespace)
    except UnknownScale as error:
        raise _refused(
            f"The disruption budget {name} does not allow evicting pods currently because it failed sync: {error}"
        ) from error
    if not is_ready(pod) and found.desired > 0 and found.healthy >= found.desired:
        return
    if found.allowed == 0:
        raise _refused(
            f"The disruption budget {name} needs {found.desired} healthy pods and has {found.healthy} currently"
        )


def _measured(store: Store, budget: Object, namespace: str) -> Disruption:
    pods = [
        one for one in (record.load() for record in store.list("/pods", namespace)) if _selects(budget, _labels(one))
    ]

    def find(kind: str, name: str) -> Object | None:
        assert kind in SCALED
        record = store.get(f"apps/{kind.lower()}s", namespace, name)
        return record.load() if record else None

    return measure(budget, pods, find)


def _refused(told: str) -> ApiError:
    cause = {"reason": "DisruptionBudget", "message": told}
    message = "Cannot evict pod as it would violate the pod's disruption budget."
    return ApiError(429, "TooManyRequests", message, details={"causes": [cause]})


def _selects(budget: Object, labels: Object) -> bool:
    """Without a selector a budget is about no pods, with an empty one about all."""
    selector = (budget.get("spec") or {}).get("selector")
    return selector is not None and matches_label_selector(selector, labels)


def _labels(pod: Object) -> Object:
    return pod["metadata"].get("labels") or {}


def _phase(pod: Object) -> str:
    return str((pod.get("status") or {}).get("phase") or "")
