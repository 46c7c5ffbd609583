"""What the metrics store answers, as values: the increase of each of Istio's series over the asked window."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class Sample(msgspec.Struct, frozen=True):
    """One series and the increase of its counter over the window (a count, or bytes, or milliseconds)."""

    labels: Mapping[str, str]
    value: float


class TrafficSeries(msgspec.Struct, frozen=True):
    """The six instant vectors a graph is made of; the names are those of `queries.traffic_queries`.

    `duration_buckets` are cumulative histogram buckets (label `le`, milliseconds); `durations` are sums of
    milliseconds. TCP bytes are seen from the server: sent is towards the client.
    """

    requests: tuple[Sample, ...] = ()
    duration_buckets: tuple[Sample, ...] = ()
    durations: tuple[Sample, ...] = ()
    tcp_sent: tuple[Sample, ...] = ()
    tcp_received: tuple[Sample, ...] = ()
    tcp_opened: tuple[Sample, ...] = ()
