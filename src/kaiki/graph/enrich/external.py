"""`external`: a host outside of the cluster, known by a ServiceEntry or only by its name."""

from __future__ import annotations

from kaiki.graph.enrich.badges import Members, with_badges
from kaiki.graph.model import NodeType, TrafficGraph
from kaiki.graph.registry import Registry


def mark_external(graph: TrafficGraph, registry: Registry, members: Members) -> TrafficGraph:
    """Badge service nodes that are no service of the cluster."""
    return with_badges(graph, lambda node: ["external"] if node.type is NodeType.SERVICE and not node.namespace else [])
