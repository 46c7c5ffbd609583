"""Series as columns give the graph that the same series give one by one."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from kaiki.graph import (
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
BOUNDS = [10.0, float("inf")]
CHOICES = (("source", "destination"), ("http", "grpc"), *([("", "unknown", "a", "b")] * 5), ("200", "503"))
label_sets = st.tuples(*map(st.sampled_from, CHOICES)).map(lambda values: dict(zip(NAMES, values, strict=True)))
values = st.floats(0, 1000, allow_nan=False)
samples = st.lists(st.builds(Sample, label_sets, values), max_size=12)
histograms = st.lists(
    st.builds(Histogram, label_sets, st.fixed_dictionaries(dict.fromkeys(BOUNDS, values))), max_size=8
)


def _table(found: list[Sample]) -> Table:
    return Table({name: [one.labels[name] for one in found] for name in NAMES}, [one.value for one in found])


def _histogram_table(found: list[Histogram]) -> HistogramTable:
    labels = {name: [one.labels[name] for one in found] for name in NAMES}
    return HistogramTable(labels, BOUNDS, [[one.buckets[bound] for bound in BOUNDS] for one in found])


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
