"""PodDisruptionBudgets, asked before a pod is evicted: `kubectl drain` waits until enough others are ready."""

from __future__ import annotations

import math
from typing import Any

from kaiki.apiserver.errors import ApiError
from kaiki.apiserver.selectors import matches_label_selector
from kaiki.apiserver.store import Store
from kaiki.resources.core import is_finished, is_ready

Object = dict[str, Any]
BUDGETS = "policy/poddisruptionbudgets"


def check_budgets(store: Store, pod: Object) -> None:
    """ApiError 429 when evicting the pod would leave fewer ready than a budget of its namespace wants."""
    if not _lives(pod) or (pod.get("status") or {}).get("phase") == "Pending":
        return
    namespace, labels = pod["metadata"]["namespace"], pod["metadata"].get("labels") or {}
    for record in store.list(BUDGETS, namespace):
        budget = record.load()
        spec = budget.get("spec") or {}
        if not matches_label_selector(spec.get("selector"), labels):
            continue
        matching = [
            one
            for one in (found.load() for found in store.list("/pods", namespace))
            if matches_label_selector(spec["selector"], one["metadata"].get("labels") or {}) and _lives(one)
        ]
        ready, wanted = sum(map(is_ready, matching)), _wanted(spec, len(matching))
        if ready - is_ready(pod) < wanted:
            name = budget["metadata"]["name"]
            told = f"The disruption budget {name} needs {wanted} healthy pods and has {ready} currently"
            cause = {"reason": "DisruptionBudget", "message": told}
            message = "Cannot evict pod as it would violate the pod's disruption budget."
            raise ApiError(429, "TooManyRequests", message, details={"causes": [cause]})


def _wanted(spec: Object, count: int) -> int:
    if "maxUnavailable" in spec:
        return max(count - _amount(spec["maxUnavailable"], count), 0)
    return _amount(spec.get("minAvailable", 1), count)


def _amount(value: int | str, count: int) -> int:
    """A number, or a share of all, rounded up."""
    text = str(value)
    return math.ceil(int(text.removesuffix("%")) * count / 100) if text.endswith("%") else int(text)


def _lives(pod: Object) -> bool:
    return not is_finished(pod) and "deletionTimestamp" not in pod["metadata"]
