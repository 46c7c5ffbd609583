"""`missingSidecar`: the workload runs without a proxy, so what it calls is not seen and not secured."""

from __future__ import annotations

from kaiki.graph.enrich.badges import Members, with_badges
from kaiki.graph.model import NodeType, TrafficGraph
from kaiki.graph.registry import Registry, RegistryWorkload


def mark_missing_sidecar(graph: TrafficGraph, registry: Registry, members: Members) -> TrafficGraph:
    """Badge pod, workload and app nodes with a running workload that has no sidecar."""
    bare = {node_id for node_id, workloads in members.items() if any(map(_lacks_sidecar, workloads))}
    shown = (NodeType.POD, NodeType.WORKLOAD, NodeType.APP)
    return with_badges(graph, lambda node: ["missingSidecar"] if node.id in bare and node.type in shown else [])


def _lacks_sidecar(workload: RegistryWorkload) -> bool:
    needs_none = workload.sidecar or workload.gateway or workload.infrastructure
    return bool(workload.available_replicas) and not needs_none
