"""What the metrics store answers, as values: the increase of each of Istio's series over the asked window."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, overload

import msgspec
import numpy as np

from kaiki.graph.numbers import BoolArray, FloatArray, IntArray, added_rows
from kaiki.graph.queries import MEASURE, TCP_MEASURES


class Sample(msgspec.Struct, frozen=True):
    """One series and the increase of its counter over the window (a count, or bytes, or milliseconds)."""

    labels: Mapping[str, str]
    value: float


class Histogram(msgspec.Struct, frozen=True):
    """The buckets of one histogram, which differ in the label `le` alone: cumulative counts by upper bound."""

    labels: Mapping[str, str]
    buckets: Mapping[float, float]


class Column(NamedTuple):
    """One label: its texts, each once, and which of them each row has ("" where the label is missing)."""

    texts: Sequence[str]
    of: IntArray


class Table(Sequence[Sample]):
    """Many samples as columns: `values` has one number for each."""

    def __init__(self, labels: Mapping[str, Column], values: FloatArray) -> None:
        self.labels = labels
        self.values = values

    def __len__(self) -> int:
        return len(self.values)

    @overload
    def __getitem__(self, place: int) -> Sample: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Sample, ...]: ...
    def __getitem__(self, place: int | slice) -> Sample | tuple[Sample, ...]:
        if isinstance(place, slice):
            return tuple(self[row] for row in range(len(self))[place])
        row = range(len(self))[place]
        return Sample(_labels_at(self.labels, row), float(self.values[row]))

    def where(self, kept: BoolArray) -> Table:
        """Some of the samples."""
        labels = {name: Column(column.texts, column.of[kept]) for name, column in self.labels.items()}
        return Table(labels, self.values[kept])


class HistogramTable(Sequence[Histogram]):
    """Many histograms as columns: `counts` has a row for each, by `bounds`; NaN where it lacks a bucket.

    Bounds may be given in any order, and twice (of `5` and `5.0`, a series has one); they are kept ascending.
    """

    def __init__(self, labels: Mapping[str, Column], bounds: Sequence[float], counts: FloatArray) -> None:
        self.labels = labels
        distinct, place = np.unique(np.asarray(bounds, np.float64), return_inverse=True)
        self.bounds: list[float] = distinct.tolist()
        if self.bounds != list(bounds):
            counts = added_rows(place, counts.T, len(distinct)).T
        self.counts = counts

    def __len__(self) -> int:
        return len(self.counts)

    @overload
    def __getitem__(self, place: int) -> Histogram: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Histogram, ...]: ...
    def __getitem__(self, place: int | slice) -> Histogram | tuple[Histogram, ...]:
        if isinstance(place, slice):
            return tuple(self[row] for row in range(len(self))[place])
        row = range(len(self))[place]
        counts = zip(self.bounds, self.counts[row].tolist(), strict=True)
        return Histogram(
            _labels_at(self.labels, row), {bound: count for bound, count in counts if not math.isnan(count)}
        )


def _labels_at(labels: Mapping[str, Column], row: int) -> dict[str, str]:
    return {name: text for name, column in labels.items() if (text := column.texts[column.of[row]])}


def table_of(samples: Sequence[Sample]) -> Table:
    """Samples as columns."""
    if isinstance(samples, Table):
        return samples
    values: FloatArray = np.array([sample.value for sample in samples], np.float64)
    return Table(_columns([sample.labels for sample in samples]), values)


def histogram_table_of(histograms: Sequence[Histogram]) -> HistogramTable:
    """Histograms as columns."""
    if isinstance(histograms, HistogramTable):
        return histograms
    bounds = sorted({bound for one in histograms for bound in one.buckets})
    counts = [[one.buckets.get(bound, math.nan) for bound in bounds] for one in histograms]
    labels = _columns([one.labels for one in histograms])
    return HistogramTable(labels, bounds, np.array(counts, np.float64).reshape(len(histograms), len(bounds)))


def _columns(rows: Sequence[Mapping[str, str]]) -> dict[str, Column]:
    found = {}
    for name in sorted({name for labels in rows for name in labels}):
        places: dict[str, int] = {}
        of = [places.setdefault(labels.get(name, ""), len(places)) for labels in rows]
        found[name] = Column(list(places), np.array(of, np.int64))
    return found


class TrafficSeries(msgspec.Struct, frozen=True):
    """What a graph is made of; `read_traffic` makes it of the answers to `queries.traffic_queries`.

    `duration_buckets` are histograms in milliseconds: a mesh has twenty times as many series of them as of anything
    else, so they are gathered before anything is done per series. `durations` are sums of milliseconds,
    `request_bytes` and `response_bytes` those of HTTP and gRPC, headers included. TCP bytes are seen from the
    server: sent is towards the client.
    """

    requests: Sequence[Sample] = ()
    duration_buckets: Sequence[Histogram] = ()
    durations: Sequence[Sample] = ()
    request_bytes: Sequence[Sample] = ()
    response_bytes: Sequence[Sample] = ()
    tcp_sent: Sequence[Sample] = ()
    tcp_received: Sequence[Sample] = ()
    tcp_opened: Sequence[Sample] = ()


def read_traffic(buckets: Sequence[Histogram], answers: Mapping[str, Sequence[Sample]]) -> TrafficSeries:
    """The answers to the queries by their names, with the one for buckets as histograms."""
    known = dict(answers)
    together = known.pop("tcp")
    tcp = {name: _measured(together, name) for name in TCP_MEASURES}
    return TrafficSeries(duration_buckets=buckets, **known, **tcp)


def _measured(samples: Sequence[Sample], name: str) -> Sequence[Sample]:
    """Those whose label `measure` has this name."""
    if not isinstance(samples, Table):
        return tuple(sample for sample in samples if sample.labels[MEASURE] == name)
    if not samples:
        return ()
    column = samples.labels[MEASURE]
    return samples.where(np.array([text == name for text in column.texts], np.bool_)[column.of])


def gather_histograms(samples: Iterable[Sample]) -> tuple[Histogram, ...]:
    """Buckets (label `le`) as histograms."""
    found: dict[tuple[tuple[str, str], ...], dict[float, float]] = {}
    for sample in samples:
        key = tuple(sorted((name, value) for name, value in sample.labels.items() if name != "le"))
        buckets, bound = found.setdefault(key, {}), upper_bound(sample.labels.get("le", ""))
        buckets[bound] = buckets.get(bound, 0.0) + sample.value
    return tuple(Histogram(dict(key), buckets) for key, buckets in found.items())


def upper_bound(text: str) -> float:
    """The label `le` as a number."""
    return math.inf if text in ("+Inf", "inf", "") else float(text)
