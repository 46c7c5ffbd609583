"""`plaintext`: some of a node's inbound traffic came without mutual TLS (the edges carry the exact share)."""

from __future__ import annotations

from kaiki.graph.enrich.badges import Members, with_badges
from kaiki.graph.model import Node, TrafficGraph
from kaiki.graph.registry import Registry


def mark_plaintext(graph: TrafficGraph, registry: Registry, members: Members) -> TrafficGraph:
    """Badge nodes whose measured share of mutual TLS is below one."""
    return with_badges(graph, lambda node: ["plaintext"] if _partly_plain(node) else [])


def _partly_plain(node: Node) -> bool:
    ratio = node.traffic.inbound.mtls_ratio
    return ratio is not None and ratio < 1.0
