"""`dead`: the workload exists, but none of its pods does: nothing can answer."""

from __future__ import annotations

from kaiki.graph.enrich.badges import Members, with_badges
from kaiki.graph.model import TrafficGraph
from kaiki.graph.registry import Registry


def mark_dead(graph: TrafficGraph, registry: Registry, members: Members) -> TrafficGraph:
    """Badge nodes all of whose workloads have no available replica."""
    dead = {
        node_id
        for node_id, workloads in members.items()
        if workloads and not any(workload.available_replicas for workload in workloads)
    }
    return with_badges(graph, lambda node: ["dead"] if node.id in dead else [])
