"""Series as columns give the graph that the same series give one by one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kaiki.graph import (
    Column,
    GraphOptions,
    GraphType,
    Histogram,
    HistogramTable,
    Registry,
    Sample,
    Table,
    TrafficSeries,
    build_graph,
)

NAMES = (
    "reporter",
    "request_protocol",
    "source_workload",
    "source_workload_namespace",
    "destination_workload",
    "destination_workload_namespace",
    "destination_service_name",
    "response_code",
)
BOUNDS = [math.inf, 10.0, 5.0]
CHOICES = (("source", "destination"), ("http", "grpc"), *([("", "unknown", "a", "b")] * 5), ("200", "503"))
label_sets = st.tuples(*map(st.sampled_from, CHOICES)).map(lambda values: dict(zip(NAMES, values, strict=True)))
values = st.floats(0, 1000, allow_nan=False)
samples = st.lists(st.builds(Sample, label_sets, values), max_size=12)
histograms = st.lists(
    st.builds(Histogram, label_sets, st.fixed_dictionaries({math.inf: values}, optional={10.0: values, 5.0: values})),
    max_size=8,
)


def _columns(rows: Sequence[Mapping[str, str]]) -> dict[str, Column]:
    """Each text for every row anew, which is legal too."""
    return {name: Column([labels[name] for labels in rows], np.arange(len(rows))) for name in NAMES}


def _table(found: list[Sample]) -> Table:
    return Table(_columns([one.labels for one in found]), np.array([one.value for one in found], float))


def _histogram_table(found: list[Histogram]) -> HistogramTable:
    counts = [[one.buckets.get(bound, math.nan) for bound in BOUNDS] for one in found]
    return HistogramTable(
        _columns([one.labels for one in found]), BOUNDS, np.array(counts, float).reshape(len(found), len(BOUNDS))
    )


@given(samples, samples, histograms, st.sampled_from(GraphType))
def test_the_same_graph(
    requests: list[Sample], durations: list[Sample], buckets: list[Histogram], graph_type: GraphType
) -> None:
    one_by_one = TrafficSeries(requests=requests, durations=durations, duration_buckets=buckets)
    columns = TrafficSeries(
        requests=_table(requests), durations=_table(durations), duration_buckets=_histogram_table(buckets)
    )
    options = GraphOptions(graph_type=graph_type, duration_seconds=60, timestamp=1.0)
    graphs = [msgspec.to_builtins(build_graph(one, Registry(), options)) for one in (one_by_one, columns)]
    assert graphs[0] == graphs[1]
    assert list(_table(requests)) == [Sample({k: v for k, v in one.labels.items() if v}, one.value) for one in requests]
