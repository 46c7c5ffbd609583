"""Copies of requests for another destination; their answers are dropped."""

from __future__ import annotations

from collections.abc import Callable

from envoy.config.route.v3 import route_components_pb2

from kaiki.model.route import Destination, Mirror
from kaiki.translate.features.faults import fraction


def set_mirrors(
    action: route_components_pb2.RouteAction, mirrors: tuple[Mirror, ...], cluster_of: Callable[[Destination], str]
) -> None:
    """Add a mirror policy for each; a share of nothing is left out."""
    for mirror in mirrors:
        if mirror.percent <= 0:
            continue
        policy = action.request_mirror_policies.add(cluster=cluster_of(mirror.destination))
        policy.runtime_fraction.default_value.CopyFrom(fraction(mirror.percent))
