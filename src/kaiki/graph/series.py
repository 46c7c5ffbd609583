"""What the metrics store answers, as values: the increase of each of Istio's series over the asked window."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import msgspec


class Sample(msgspec.Struct, frozen=True):
    """One series and the increase of its counter over the window (a count, or bytes, or milliseconds)."""

    labels: Mapping[str, str]
    value: float


class Histogram(msgspec.Struct, frozen=True):
    """The buckets of one histogram, which differ in the label `le` alone: cumulative counts by upper bound."""

    labels: Mapping[str, str]
    buckets: Mapping[float, float]


class TrafficSeries(msgspec.Struct, frozen=True):
    """The six instant vectors a graph is made of; the names are those of `queries.traffic_queries`.

    `duration_buckets` are histograms in milliseconds: a mesh has twenty times as many series of them as of anything
    else, so they are gathered before anything is done per series. `durations` are sums of
    milliseconds. TCP bytes are seen from the server: sent is towards the client.
    """

    requests: tuple[Sample, ...] = ()
    duration_buckets: tuple[Histogram, ...] = ()
    durations: tuple[Sample, ...] = ()
    tcp_sent: tuple[Sample, ...] = ()
    tcp_received: tuple[Sample, ...] = ()
    tcp_opened: tuple[Sample, ...] = ()


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
