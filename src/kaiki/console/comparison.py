"""What changed between two graphs of equal options: pure, so that every rule can be tested with two values.

The answer draws both: what is gone keeps its place in the drawing with the numbers it had.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import msgspec

from kaiki.console.beside import Beside, Touch
from kaiki.graph import Edge, Node, Registry, TrafficGraph
from kaiki.graph.model import Health, HealthStatus, Traffic
from kaiki.model.journal import ChangeEntry

# Less is within what the buckets of a histogram, or one request more in a short window, change by themselves.
SLOWER_RATIO = 1.5
SLOWER_MILLISECONDS = 10.0
FAILING_SHARE = 0.02

_BAD = (HealthStatus.DEGRADED, HealthStatus.FAILURE)


class Figures(msgspec.Struct, frozen=True, rename="camel"):
    """The numbers that are compared; None where nothing was measured."""

    requests_per_second: float
    error_ratio: float | None
    p95_milliseconds: float | None
    bytes_per_second: float


class Change(msgspec.Struct, frozen=True, rename="camel"):
    """`kinds`, sorted: new, gone, failing, recovered, slower, faster; what is new may be failing. `before` is None of
    what is new, `after` of what is gone."""

    kinds: tuple[str, ...]
    before: Figures | None
    after: Figures | None


class Comparison(msgspec.Struct, frozen=True, rename="camel"):
    """The changed nodes and edges by id, and the time they are compared with (Unix seconds).

    `beside` has, by the id of a changed edge, the changes of the configuration made meanwhile that touch it.
    """

    baseline: float
    nodes: dict[str, Change]
    edges: dict[str, Change]
    beside: dict[str, tuple[Touch, ...]] = {}


class ComparedGraph(TrafficGraph, frozen=True, rename="camel", kw_only=True):
    """The later graph, together with what only the earlier one has."""

    comparison: Comparison


def compare_graphs(
    before: TrafficGraph, after: TrafficGraph, made: Sequence[ChangeEntry] = (), registry: Registry | None = None
) -> ComparedGraph:
    """The two graphs as one, what differs, and which of the changes `made` between them touch what differs."""
    old_nodes, new_nodes = _by_id(before.nodes), _by_id(after.nodes)
    old_edges, new_edges = _by_id(before.edges), _by_id(after.edges)
    all_nodes, all_edges = old_nodes | new_nodes, old_edges | new_edges
    nodes = {name: change_of_nodes(old_nodes.get(name), new_nodes.get(name)) for name in all_nodes}
    edges = _changed({name: change_of_edges(old_edges.get(name), new_edges.get(name)) for name in all_edges})
    touching = Beside(made, all_nodes.values(), registry or Registry())
    beside = {name: touching.of(all_edges[name]) for name in edges}
    return ComparedGraph(
        timestamp=after.timestamp,
        duration_seconds=after.duration_seconds,
        graph_type=after.graph_type,
        nodes=tuple(node for _, node in sorted(all_nodes.items())),
        edges=tuple(edge for _, edge in sorted(all_edges.items())),
        comparison=Comparison(
            before.timestamp, _changed(nodes), edges, {name: found for name, found in beside.items() if found}
        ),
    )


def change_of_nodes(before: Node | None, after: Node | None) -> Change:
    """What differs between two nodes; without kinds where nothing does."""
    return _change(_node_side(before), _node_side(after))


def change_of_edges(before: Edge | None, after: Edge | None) -> Change:
    """The same of two edges."""
    return _change(_edge_side(before), _edge_side(after))


_Side = tuple[Health, Traffic] | None
_Item = TypeVar("_Item", Node, Edge)


def _by_id(items: tuple[_Item, ...]) -> dict[str, _Item]:
    return {item.id: item for item in items}


def _node_side(node: Node | None) -> _Side:
    if node is None:
        return None
    inbound, outbound = node.traffic.inbound, node.traffic.outbound
    return node.health, inbound if _flows(inbound) else outbound


def _edge_side(edge: Edge | None) -> _Side:
    return None if edge is None else (edge.health, edge)


def _flows(traffic: Traffic) -> bool:
    return traffic.request_count > 0 or traffic.bytes_sent_per_second + traffic.bytes_received_per_second > 0


def _change(before: _Side, after: _Side) -> Change:
    old, new = (_figures(side[1]) if side else None for side in (before, after))
    if after is None:
        return Change(("gone",) if before is not None else (), old, new)
    if before is None:
        return Change(("failing", "new") if after[0].status in _BAD else ("new",), old, new)
    kinds = {_judge_health(before, after), _judge_latency(before[1].p95_milliseconds, after[1].p95_milliseconds)}
    return Change(tuple(sorted(kind for kind in kinds if kind)), old, new)


def _judge_health(before: tuple[Health, Traffic], after: tuple[Health, Traffic]) -> str:
    rise = (after[1].error_ratio or 0.0) - (before[1].error_ratio or 0.0)
    was_bad, is_bad = before[0].status in _BAD, after[0].status in _BAD
    if is_bad and (not was_bad or rise >= FAILING_SHARE):
        return "failing"
    return "recovered" if was_bad and not is_bad else ""


def _judge_latency(before: float | None, after: float | None) -> str:
    if before is None or after is None or abs(after - before) < SLOWER_MILLISECONDS:
        return ""
    if after >= before * SLOWER_RATIO:
        return "slower"
    return "faster" if before >= after * SLOWER_RATIO else ""


def _figures(traffic: Traffic) -> Figures:
    return Figures(
        traffic.requests_per_second,
        traffic.error_ratio,
        traffic.p95_milliseconds,
        traffic.bytes_sent_per_second + traffic.bytes_received_per_second,
    )


def _changed(changes: dict[str, Change]) -> dict[str, Change]:
    return {name: change for name, change in sorted(changes.items()) if change.kinds}
