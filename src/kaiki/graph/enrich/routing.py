"""Badges of what VirtualServices and DestinationRules do to a service, shown on it and on the workloads behind it."""

from __future__ import annotations

from kaiki.graph.enrich.badges import Members, with_badges
from kaiki.graph.model import Node, NodeType, TrafficGraph
from kaiki.graph.registry import Registry

_BADGE_OF_FEATURE = {
    "fault": "faultInjection",
    "mirror": "mirroring",
    "timeout": "timeout",
    "retries": "retries",
    "weights": "trafficSplit",
    "circuitBreaker": "circuitBreaker",
}


def mark_routing(graph: TrafficGraph, registry: Registry, members: Members) -> TrafficGraph:
    """Badge every node that stands for, or belongs to, a service some Istio object configures."""
    badges = _badges_by_service(registry)
    return with_badges(
        graph,
        lambda node: sorted(
            badge for service in _services_of(node, registry, members) for badge in badges.get(service, ())
        ),
    )


def _badges_by_service(registry: Registry) -> dict[tuple[str, str], set[str]]:
    found: dict[tuple[str, str], set[str]] = {}
    for config in registry.configs:
        badges = {_BADGE_OF_FEATURE[feature] for feature in config.features if feature in _BADGE_OF_FEATURE}
        if config.kind == "VirtualService":
            badges.add("virtualService")
        for host in config.hosts:
            found.setdefault(host, set()).update(badges)
    return found


def _services_of(node: Node, registry: Registry, members: Members) -> set[tuple[str, str]]:
    if node.type in (NodeType.NAMESPACE, NodeType.CLUSTER):
        return set()  # Something is configured in every namespace.
    if node.type is NodeType.SERVICE:
        return {(node.namespace, node.service)}
    places = {(workload.namespace, workload.name) for workload in members.get(node.id, ())}
    return {
        (namespace, service)
        for namespace, name in places
        if (service := registry.service_of_workload.get((namespace, name)))
    }
