"""How many pods a PodDisruptionBudget lets go: what its status says and what an eviction is measured by. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from kaiki.resources.core import is_ready

Object = dict[str, Any]
Find = Callable[[str, str], Object | None]
"""(kind, name) → the object of the budget's namespace, or None."""
SCALED = ("Deployment", "ReplicaSet", "StatefulSet")


class UnknownScale(ValueError):
    """How many pods there should be cannot be told: what makes one of them has no scale."""


@dataclass(frozen=True, slots=True)
class Disruption:
    """`expected` pods should be there, `desired` of them ready, `healthy` are."""

    expected: int
    desired: int
    healthy: int

    @property
    def allowed(self) -> int:
        """How many may be disrupted now."""
        return max(self.healthy - self.desired, 0) if self.expected > 0 else 0


def measure(budget: Object, pods: Sequence[Object], find: Find) -> Disruption:
    """The state of a budget, from the pods its selector matches.

    A number of pods that must be available is taken as it is; for a share, and for what may be unavailable, what counts
    are the replicas that the pods' controllers want, not the pods that happen to be there. UnknownScale when these have
    none.
    """
    spec = budget.get("spec") or {}
    healthy = sum(is_ready(pod) and "deletionTimestamp" not in pod["metadata"] for pod in pods)
    most = spec.get("maxUnavailable")
    if most is not None:
        expected = _expected(pods, find)
        return Disruption(expected, max(expected - _amount(most, expected), 0), healthy)
    least = spec.get("minAvailable", 1)
    if isinstance(least, int):
        return Disruption(len(pods), least, healthy)
    expected = _expected(pods, find)
    return Disruption(expected, _amount(least, expected), healthy)


def _expected(pods: Iterable[Object], find: Find) -> int:
    """The replicas wanted by all controllers of the pods; pods that nobody controls do not count."""
    scales: dict[str, int] = {}
    for pod in pods:
        owner = _controller(pod)
        if owner is None:
            continue
        scaled = _scaled(owner, find)
        if scaled is None:
            raise UnknownScale(f'found no controllers for pod "{pod["metadata"]["name"]}"')
        replicas = (scaled.get("spec") or {}).get("replicas")
        scales[scaled["metadata"]["uid"]] = 1 if replicas is None else int(replicas)
    return sum(scales.values())


def _scaled(owner: Object, find: Find) -> Object | None:
    """The object whose replicas count: of a ReplicaSet that a Deployment made, the Deployment."""
    found = find(owner["kind"], owner["name"]) if owner["kind"] in SCALED else None
    if found is None or found["metadata"]["uid"] != owner["uid"]:
        return None
    above = _controller(found) if owner["kind"] == "ReplicaSet" else None
    return (_scaled(above, find) if above else None) or found


def _controller(obj: Object) -> Object | None:
    return next((each for each in obj["metadata"].get("ownerReferences") or () if each.get("controller")), None)


def _amount(value: int | str, count: int) -> int:
    """A number, or a share of all, rounded up."""
    text = str(value)
    return math.ceil(int(text.removesuffix("%")) * count / 100) if text.endswith("%") else int(text)
