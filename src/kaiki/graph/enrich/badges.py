"""How a decoration adds badges without touching anything else of a node."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import msgspec

from kaiki.graph.model import Node, TrafficGraph
from kaiki.graph.registry import Registry, RegistryWorkload

Members = Mapping[str, tuple[RegistryWorkload, ...]]
Decoration = Callable[[TrafficGraph, Registry, Members], TrafficGraph]


def with_badges(graph: TrafficGraph, badges_of: Callable[[Node], Iterable[str]]) -> TrafficGraph:
    """The graph with every node's badges extended; badges stay sorted and without repetition."""
    return msgspec.structs.replace(graph, nodes=tuple(_extend(node, badges_of(node)) for node in graph.nodes))


def _extend(node: Node, badges: Iterable[str]) -> Node:
    joined = tuple(sorted({*node.badges, *badges}))
    return node if joined == node.badges else msgspec.structs.replace(node, badges=joined)
