"""Which localities get a cluster's traffic: shares, or the nearest first and others when it fails (Istio's rules).

    distribute            weights between localities, for clients from one
    failoverPriority      endpoints that share more labels with the client, in that order, come first
    failover, or nothing  same subzone, zone, region, the region that stands in, everything else

Priorities need outlier detection: without it nothing would ever be found unhealthy.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from kaiki.model.locality import fits, parts_of
from kaiki.model.policy.destination import NEAREST_FIRST, LocalityBalancing, TrafficPolicy
from kaiki.model.service import Endpoint


class Place(NamedTuple):
    """Where a client is, how its cluster treats localities, and those labels of the client's that count."""

    locality: str
    settings: LocalityBalancing
    labels: tuple[tuple[str, str], ...] = ()


class Group(NamedTuple):
    """Endpoints of one locality and priority; weight 0 means that their number decides."""

    locality: str
    priority: int
    weight: int
    endpoints: tuple[Endpoint, ...]


def place_of(
    policy: TrafficPolicy, locality: str, labels: tuple[tuple[str, str], ...], mesh: LocalityBalancing | None
) -> Place | None:
    """How a client's place matters for a cluster; None if it does not."""
    mine = policy.load_balancer.locality if policy.load_balancer else None
    settings = mine or mesh or NEAREST_FIRST
    if not settings.enabled:
        return None
    if settings.distribute:
        return Place(locality, settings) if locality else None
    if policy.outlier_detection is None:
        return None
    if settings.failover_priority:
        names = {item.partition("=")[0] for item in settings.failover_priority}
        return Place(locality, settings, tuple(pair for pair in labels if pair[0] in names))
    return Place(locality, settings) if locality else None


def has_shares(policy: TrafficPolicy, mesh: LocalityBalancing | None) -> bool:
    """Whether localities get shares, for which Envoy must look at their weights."""
    mine = policy.load_balancer.locality if policy.load_balancer else None
    settings = mine or mesh or NEAREST_FIRST
    return settings.enabled and bool(settings.distribute)


def group(endpoints: Iterable[Endpoint], place: Place | None) -> list[Group]:
    """Endpoints by priority and locality; one group where no locality is known and none counts."""
    by_locality: dict[tuple[int, str], list[Endpoint]] = defaultdict(list)
    known = list(endpoints)
    for item in known:
        by_locality[_priority(item, place) if place else 0, item.locality].append(item)
    dense = {value: number for number, value in enumerate(sorted({priority for priority, _ in by_locality}))}
    groups = [
        Group(locality, dense[priority], 0, tuple(items)) for (priority, locality), items in sorted(by_locality.items())
    ]
    return _weighted(groups, place) if place and place.settings.distribute else groups


def _priority(item: Endpoint, place: Place) -> int:
    settings = place.settings
    if settings.distribute:
        return 0
    if settings.failover_priority:
        return _label_priority(dict(item.subset_labels), dict(place.labels), settings.failover_priority)
    mine, theirs = parts_of(place.locality), parts_of(item.locality)
    shared = next((length for length in (3, 2, 1) if mine[:length] == theirs[:length]), 0)
    if shared:
        return 3 - shared
    stand_ins = [to for source, to in settings.failover if source == mine[0]]
    return 3 if not stand_ins or theirs[0] in stand_ins else 4


def _label_priority(theirs: Mapping[str, str], mine: Mapping[str, str], names: tuple[str, ...]) -> int:
    """How many of the labels are left from the first that differs."""
    for number, name in enumerate(names):
        key, has_value, value = name.partition("=")
        if theirs.get(key) != (value if has_value else mine.get(key)):
            return len(names) - number
    return 0


def _weighted(groups: list[Group], place: Place) -> list[Group]:
    """Shares for clients from this place: a locality no share is for gets nothing."""
    shares = next((to for source, to in place.settings.distribute if fits(source, place.locality)), None)
    if shares is None:
        return groups
    left, found = list(groups), []
    for pattern, weight in sorted(shares, key=lambda share: (-len(share[0]), share[0])):
        matched = [item for item in left if fits(pattern, item.locality)]
        left = [item for item in left if item not in matched]
        total = sum(_size(item) for item in matched)
        found += [item._replace(weight=max(1, round(weight * _size(item) / total))) for item in matched if weight]
    return sorted(found, key=lambda item: item.locality)


def _size(part: Group) -> int:
    return sum(item.weight for item in part.endpoints)
