"""What holds for every graph."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kaiki.graph import (
    GraphOptions,
    GraphType,
    Registry,
    Sample,
    TrafficSeries,
    build_graph,
    read_traffic,
    traffic_queries,
)
from kaiki.graph.histogram import quantile
from kaiki.graph.traffic import tidy

NAMES = st.sampled_from(["a", "b", "c", "unknown"])
REQUESTS = st.builds(
    lambda reporter, source, target, service, code, count: Sample(
        {
            "reporter": reporter,
            "source_workload": source,
            "source_workload_namespace": "x",
            "source_canonical_service": source,
            "destination_workload": target,
            "destination_workload_namespace": "y",
            "destination_canonical_service": target,
            "destination_service_name": service,
            "destination_service_namespace": "y",
            "request_protocol": "http",
            "response_code": code,
        },
        count,
    ),
    st.sampled_from(["source", "destination"]),
    NAMES,
    NAMES,
    st.sampled_from(["a", "b", "PassthroughCluster", "unknown"]),
    st.sampled_from(["200", "404", "503", "0"]),
    st.integers(0, 1000).map(float),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(REQUESTS, max_size=12), st.sampled_from(GraphType), st.booleans(), st.randoms())
def test_order_does_not_matter_and_every_end_exists(
    samples: list[Sample], graph_type: GraphType, services: bool, random: object
) -> None:
    options = GraphOptions(graph_type=graph_type, services=services)
    graph = build_graph(TrafficSeries(requests=tuple(samples)), Registry(), options)
    shuffled = list(samples)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert build_graph(TrafficSeries(requests=tuple(shuffled)), Registry(), options) == graph
    ids = [node.id for node in graph.nodes]
    assert len(ids) == len(set(ids))
    ends = {end for edge in graph.edges for end in (edge.source, edge.target)}
    assert ends | ({"cluster"} & set(ids)) == set(ids)  # What stays inside of the cluster is no edge.


@settings(max_examples=40, deadline=None)
@given(st.lists(REQUESTS, max_size=12))
def test_every_zoom_shows_the_same_number_of_requests(samples: list[Sample]) -> None:
    series = TrafficSeries(requests=tuple(samples))
    totals = {
        sum(edge.request_count for edge in build_graph(series, Registry(), GraphOptions(graph_type=kind)).edges)
        for kind in GraphType
        if kind is not GraphType.CLUSTER  # What stays inside of it is no edge.
    }
    assert len(totals) == 1


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 100), min_size=3, max_size=6), st.floats(0.01, 0.99))
def test_quantiles_lie_within_the_bounds(counts: list[float], share: float) -> None:
    buckets = dict(zip([*(2.0**power for power in range(len(counts) - 1)), math.inf], sorted(counts), strict=True))
    found = quantile(buckets, share)
    assert found is None or 0 <= found <= max(bound for bound in buckets if bound < math.inf)


def test_quantile_interpolates_inside_a_bucket() -> None:
    assert quantile({10.0: 0.0, 20.0: 100.0, math.inf: 100.0}, 0.5) == pytest.approx(15)
    assert quantile({10.0: 0.0, math.inf: 5.0}, 0.5) == 10
    assert quantile({}, 0.5) is None
    assert quantile({10.0: 0.0, math.inf: 0.0}, 0.5) is None


def test_a_store_may_answer_numbers_that_are_none() -> None:
    assert tidy(math.inf) == math.inf and math.isnan(tidy(math.nan))
    assert [tidy(value) for value in (3.0, 0.1 + 0.2, 1e-12, -2e12)] == [3.0, 0.3, 1e-12, -2e12]


def test_the_number_of_queries_is_constant() -> None:
    assert len(traffic_queries(60)) == 6
    answers = {name: () for name in traffic_queries(60) if name != "duration_buckets"}
    opened = (Sample({"measure": "tcp_opened", "reporter": "source"}, 7.0),)
    assert read_traffic((), {**answers, "tcp": opened}) == TrafficSeries(tcp_opened=opened)
