"""Finished graphs, shared: who asks for the same graph at the same moment waits for one and the same work.

A graph is built in a thread, so that nobody else waits for a mesh of thousands. Those of the event streams (`events`)
are kept for a while: a browser that comes back is told what has changed since the one it has.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TypeVar

import msgspec

from kaiki.console.inventory import Inventory
from kaiki.console.metrics import MetricsClient
from kaiki.graph import Edge, GraphOptions, Node, Registry, TrafficGraph, build_graph

MOST_KEPT, KEPT_SECONDS = 64, 12.0
"""Graphs of streams. A browser comes back within a second; one of a large mesh has some ten megabytes here."""
Key = tuple[GraphOptions, int]
Part = TypeVar("Part", Node, Edge)


class GraphChange(msgspec.Struct, frozen=True, rename="camel"):
    """What makes a later graph of an earlier one: nodes and edges that are new or differ, ids of those that went."""

    timestamp: float
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    gone_nodes: tuple[str, ...]
    gone_edges: tuple[str, ...]

    @property
    def empty(self) -> bool:
        """Whether nothing differs but the time."""
        return not (self.nodes or self.edges or self.gone_nodes or self.gone_edges)


class Graphs:
    """Builds graphs of one metrics store and one inventory."""

    def __init__(self, metrics: MetricsClient, inventory: Inventory) -> None:
        self._metrics = metrics
        self._inventory = inventory
        self._running: dict[tuple[GraphOptions, int, int], tuple[Registry, asyncio.Task[TrafficGraph]]] = {}
        self._kept: OrderedDict[Key, TrafficGraph] = OrderedDict()
        self._encoded: dict[Hashable, bytes] = {}

    async def graph(self, options: GraphOptions, most: int = 0) -> TrafficGraph:
        """The graph of these options, at their time. Raises MetricsUnavailable."""
        registry = self._inventory.registry()
        key = options, most, id(registry)
        if key not in self._running:
            task = asyncio.create_task(self._build(options, most, registry))
            self._running[key] = registry, task  # The registry is kept so that its id is nobody else's.
            task.add_done_callback(lambda done: self._forget(key, done))
        return await asyncio.shield(self._running[key][1])

    async def kept(self, options: GraphOptions, most: int) -> TrafficGraph:
        """The same, for all who ask for it within the next seconds too."""
        found = self._kept.get((options, most))
        if found is None:
            found = self._kept[options, most] = await self.graph(options, most)
            self._forget_old(options.timestamp)
        return found

    def known(self, options: GraphOptions, most: int) -> TrafficGraph | None:
        """A kept graph, if it still is."""
        return self._kept.get((options, most))

    def encoded(self, key: Hashable, make: Callable[[], bytes]) -> bytes:
        """What `make` gives, made once for everybody who is to be told the same."""
        found = self._encoded.get(key)
        if found is None:
            found = self._encoded[key] = make()
        return found

    def _forget_old(self, now: float) -> None:
        for key in [key for key in self._kept if key[0].timestamp < now - KEPT_SECONDS]:
            del self._kept[key]
        while len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        self._encoded.clear()  # Of an earlier moment, or soon made again.

    async def _build(self, options: GraphOptions, most: int, registry: Registry) -> TrafficGraph:
        series = await self._metrics.traffic(options.duration_seconds, options.timestamp, by_pod=options.by_pod)
        return await asyncio.to_thread(build_graph, series, registry, options, most)

    def _forget(self, key: tuple[GraphOptions, int, int], done: asyncio.Task[TrafficGraph]) -> None:
        self._running.pop(key, None)
        if not done.cancelled():
            done.exception()  # Looked at, should everybody who waited be gone.


def change_between(before: TrafficGraph, after: TrafficGraph) -> GraphChange | None:
    """What differs; None where the graphs are of different types, so that nothing of one is in the other."""
    if before.graph_type is not after.graph_type:
        return None
    nodes, gone_nodes = _differing(before.nodes, after.nodes)
    edges, gone_edges = _differing(before.edges, after.edges)
    return GraphChange(after.timestamp, nodes, edges, gone_nodes, gone_edges)


def _differing(before: tuple[Part, ...], after: tuple[Part, ...]) -> tuple[tuple[Part, ...], tuple[str, ...]]:
    earlier = {one.id: one for one in before}
    later = {one.id for one in after}
    changed = tuple(one for one in after if earlier.get(one.id) != one)
    return changed, tuple(one for one in earlier if one not in later)
