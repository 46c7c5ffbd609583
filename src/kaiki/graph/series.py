"""What the metrics store answers, as values: the increase of each of Istio's series over the asked window."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import cast, overload

import msgspec

from kaiki.graph.queries import MEASURE, TCP_MEASURES


class Sample(msgspec.Struct, frozen=True):
    """One series and the increase of its counter over the window (a count, or bytes, or milliseconds)."""

    labels: Mapping[str, str]
    value: float


class Histogram(msgspec.Struct, frozen=True):
    """The buckets of one histogram, which differ in the label `le` alone: cumulative counts by upper bound."""

    labels: Mapping[str, str]
    buckets: Mapping[float, float]


class Table(Sequence[Sample]):
    """Many samples as columns: `labels` has each label's values, one for each sample ("" where it is missing)."""

    def __init__(self, labels: Mapping[str, Sequence[str]], values: Sequence[float]) -> None:
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
        return Sample(_labels_at(self.labels, row), self.values[row])


class HistogramTable(Sequence[Histogram]):
    """Many histograms as columns: `counts` has a list for each, by `bounds`; None where it lacks a bucket."""

    def __init__(
        self,
        labels: Mapping[str, Sequence[str]],
        bounds: Sequence[float],
        counts: Sequence[Sequence[float | None]],
    ) -> None:
        self.labels = labels
        self.bounds = bounds
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
        return Histogram(_labels_at(self.labels, row), self.buckets(row))

    def buckets(self, row: int) -> dict[float, float]:
        """The buckets of one histogram."""
        counts = self.counts[row]
        if None not in counts:
            return dict(zip(self.bounds, cast("Sequence[float]", counts), strict=True))
        return {bound: count for bound, count in zip(self.bounds, counts, strict=True) if count is not None}


def _labels_at(labels: Mapping[str, Sequence[str]], row: int) -> dict[str, str]:
    return {name: value for name, values in labels.items() if (value := values[row])}


def label_rows(samples: Sequence[Sample] | Sequence[Histogram], names: Sequence[str]) -> Iterable[tuple[str, ...]]:
    """The values of some labels, a tuple for each sample; "" where one is missing."""
    if isinstance(samples, Table | HistogramTable):
        missing = [""] * len(samples)
        return zip(*(samples.labels.get(name, missing) for name in names), strict=True)
    return (tuple([sample.labels.get(name, "") for name in names]) for sample in samples)


def values_of(samples: Sequence[Sample]) -> Iterable[float]:
    """The values of samples."""
    return samples.values if isinstance(samples, Table) else (sample.value for sample in samples)


def buckets_of(histograms: Sequence[Histogram]) -> Iterable[Mapping[float, float]]:
    """The buckets of histograms."""
    if isinstance(histograms, HistogramTable):
        return map(histograms.buckets, range(len(histograms)))
    return (histogram.buckets for histogram in histograms)


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
    tcp: dict[str, list[Sample]] = {name: [] for name in TCP_MEASURES}
    for sample in known.pop("tcp"):
        tcp[sample.labels[MEASURE]].append(sample)
    return TrafficSeries(duration_buckets=buckets, **known, **{name: tuple(found) for name, found in tcp.items()})


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
