"""What Kiali's clients judge health by: requests a second by protocol and code, and replicas."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kaiki.graph.model import Edge, GraphType, Node, NodeType, TrafficGraph
from kaiki.graph.registry import Registry, RegistryWorkload

Object = dict[str, Any]
_NOT_KNOWN = -1


class EdgeIndex:
    """A graph's edges by the node they lead to, and by the one they come from."""

    def __init__(self, edges: Iterable[Edge]) -> None:
        self.incoming: dict[str, list[Edge]] = {}
        self.outgoing: dict[str, list[Edge]] = {}
        for edge in edges:
            self.incoming.setdefault(edge.target, []).append(edge)
            self.outgoing.setdefault(edge.source, []).append(edge)


def describe_health(node: Node, edges: EdgeIndex, duration_seconds: int, members: Iterable[RegistryWorkload]) -> Object:
    """`requests`, and for what has pods their numbers. Proxies are not counted here (`syncedProxies` is -1)."""
    requests: Object = {
        "inbound": _codes(edges.incoming.get(node.id, ()), duration_seconds),
        "outbound": _codes(edges.outgoing.get(node.id, ()), duration_seconds),
        "healthAnnotations": {},
    }
    health: Object = {"requests": requests}
    statuses = [_workload_status(one) for one in members]
    if node.type is NodeType.SERVICE:
        return health
    if node.type is NodeType.APP:
        return {"workloadStatuses": statuses, **health}
    return {"workloadStatus": statuses[0] if statuses else None, **health}


def _workload_status(workload: RegistryWorkload) -> Object:
    return {
        "name": workload.name,
        "desiredReplicas": workload.desired_replicas,
        "currentReplicas": workload.desired_replicas,
        "availableReplicas": workload.available_replicas,
        "syncedProxies": _NOT_KNOWN,
    }


def _codes(edges: Iterable[Edge], duration_seconds: int) -> dict[str, dict[str, float]]:
    """Requests a second by protocol and code."""
    protocols: dict[str, dict[str, float]] = {}
    for edge in edges:
        if edge.protocol != "tcp":
            codes = protocols.setdefault(edge.protocol, {})
            for code, flags in edge.response_codes.items():
                codes[code] = codes.get(code, 0.0) + sum(flags.values()) / duration_seconds
    return protocols


def render_health(graph: TrafficGraph, registry: Registry) -> dict[str, dict[str, Object]]:
    """Health by namespace and name, of all apps, workloads or services: what the graph's type says."""
    found: dict[str, dict[str, Object]] = {}
    edges, members = EdgeIndex(graph.edges), Members(registry)
    for node in graph.nodes:
        if name := _name_of(node, graph.graph_type):
            health = describe_health(node, edges, graph.duration_seconds, members.of(node))
            found.setdefault(node.namespace, {})[name] = health
    return found


def _name_of(node: Node, graph_type: GraphType) -> str:
    if not node.namespace or node.type is NodeType.UNKNOWN:
        return ""
    return {GraphType.APP: node.app, GraphType.SERVICE: node.service}.get(graph_type, node.workload)


class Members:
    """The registry's workloads that a node stands for."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._by_app: dict[tuple[str, str], list[RegistryWorkload]] = {}
        for one in registry.workloads:
            self._by_app.setdefault((one.namespace, one.app), []).append(one)

    def of(self, node: Node) -> list[RegistryWorkload]:
        """One for a workload; those of the version for an app, where it has one; those behind a service."""
        if node.workload:
            found = self._registry.workload_index.get((node.namespace, node.workload))
            return [found] if found else []
        if node.service:
            return list(self._registry.workloads_of_service.get((node.namespace, node.service), ()))
        everyone = self._by_app.get((node.namespace, node.app), ())
        return [one for one in everyone if node.version in ("", one.version)]
