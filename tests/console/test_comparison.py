"""Two graphs as one: what is new, gone, failing, recovered, slower, faster, and what is only noise."""

from __future__ import annotations

import pytest

from kaiki.console.comparison import ComparedGraph, compare_graphs
from kaiki.graph import Edge, GraphType, Node, TrafficGraph
from kaiki.graph.model import Health, HealthStatus, NodeType


def edge(target: str, p95: float | None = 10.0, errors: float = 0.0) -> Edge:
    status = HealthStatus.FAILURE if errors >= 0.1 else HealthStatus.DEGRADED if errors else HealthStatus.HEALTHY
    return Edge(
        id=f"a>{target}|http",
        source="a",
        target=target,
        protocol="http",
        requests_per_second=1,
        request_count=60,
        error_ratio=errors,
        p95_milliseconds=p95,
        health=Health(status),
    )


def graph(timestamp: float, *edges: Edge) -> TrafficGraph:
    nodes = tuple(Node(name, NodeType.WORKLOAD) for name in sorted({"a", *(item.target for item in edges)}))
    return TrafficGraph(timestamp, 60, GraphType.WORKLOAD, nodes, edges)


def compare(before: list[Edge], after: list[Edge]) -> ComparedGraph:
    return compare_graphs(graph(100.0, *before), graph(200.0, *after))


def test_draws_both_and_names_what_came_and_went() -> None:
    compared = compare([edge("b"), edge("c")], [edge("b"), edge("d")])
    assert [node.id for node in compared.nodes] == ["a", "b", "c", "d"]
    assert [item.target for item in compared.edges] == ["b", "c", "d"]
    assert (compared.timestamp, compared.comparison.baseline) == (200.0, 100.0)
    assert {name: change.kinds for name, change in compared.comparison.edges.items()} == {
        "a>c|http": ("gone",),
        "a>d|http": ("new",),
    }
    assert {name: change.kinds for name, change in compared.comparison.nodes.items()} == {
        "c": ("gone",),
        "d": ("new",),
    }
    gone, new = compared.comparison.edges.values()
    assert gone.after is None
    assert new.before is None
    failing = compare([], [edge("d", errors=0.5)]).comparison.edges["a>d|http"]
    assert failing.kinds == ("failing", "new")


@pytest.mark.parametrize(
    ("before", "after", "kinds"),
    [
        (edge("b", p95=10), edge("b", p95=2400), ("slower",)),
        (edge("b", p95=2400), edge("b", p95=10), ("faster",)),
        (edge("b", p95=2), edge("b", p95=9), ()),  # A few milliseconds are noise.
        (edge("b", p95=1000), edge("b", p95=1200), ()),
        (edge("b", p95=None), edge("b", p95=2400), ()),
        (edge("b"), edge("b", errors=0.5), ("failing",)),
        (edge("b", errors=0.5), edge("b"), ("recovered",)),
        (edge("b", errors=0.5), edge("b", errors=0.51), ()),
        (edge("b", errors=0.05), edge("b", errors=0.9, p95=500), ("failing", "slower")),
        (edge("b", errors=0.01), edge("b", errors=0.0), ("recovered",)),
    ],
)
def test_judges_what_stayed(before: Edge, after: Edge, kinds: tuple[str, ...]) -> None:
    changes = compare([before], [after]).comparison.edges
    assert (changes["a>b|http"].kinds if changes else ()) == kinds
