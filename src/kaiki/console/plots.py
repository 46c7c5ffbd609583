"""The history of one node or edge: rates by outcome, latency quantiles and bytes, over time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from kaiki.console.metrics import MetricsClient, Range
from kaiki.console.selectors import Matchers, write_selector
from kaiki.graph.histogram import quantile
from kaiki.graph.tolerances import classify

_QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
_REQUESTS = ("istio_requests_total",)
_BUCKETS = ("istio_request_duration_milliseconds_bucket",)
# Seen from the server. TCP's series and those of requests differ in `request_protocol`, so `or` keeps both.
_SENT = ("istio_tcp_sent_bytes_total", "istio_response_bytes_sum")
_RECEIVED = ("istio_tcp_received_bytes_total", "istio_request_bytes_sum")
_OUTCOMES = {None: "success", "http4xx": "clientError"}

Line = list[float | None]


async def plot(client: MetricsClient, selections: Sequence[Matchers], span: Range, window: int) -> dict[str, object]:
    """Lines over common times; null where nothing was measured. Four range queries. Raises MetricsUnavailable."""
    times = [span.start + index * span.step for index in range(int((span.end - span.start) // span.step) + 1)]
    outcome_labels = "request_protocol, response_code, grpc_response_status"
    outcomes = await client.matrix(_summed(_REQUESTS, outcome_labels, selections, window), span)
    buckets = await client.matrix(_summed(_BUCKETS, "le", selections, window), span)
    sent = await client.matrix(_summed(_SENT, "", selections, window), span)
    received = await client.matrix(_summed(_RECEIVED, "", selections, window), span)
    return {
        "times": times,
        "step": span.step,
        "requestsPerSecond": _outcome_lines(outcomes, times),
        "latencyMilliseconds": _latency_lines(buckets, times),
        "bytesPerSecond": {"sent": _total(sent, times), "received": _total(received, times)},
    }


async def heat(client: MetricsClient, selections: Sequence[Matchers], span: Range, window: int) -> dict[str, object]:
    """Requests per second by latency bucket over time, of the histograms of all series added up. One range query.

    `bounds` are the upper bounds in milliseconds, null for the last one (+Inf); `rates` has a line for each, of what
    fell between the bound before it and it. Raises MetricsUnavailable.
    """
    times = [span.start + index * span.step for index in range(int((span.end - span.start) // span.step) + 1)]
    rows = await client.matrix(_summed(_BUCKETS, "le", selections, window), span)
    cumulative = {_bound(labels): values for labels, values in rows}
    bounds = sorted(cumulative)
    rates: list[Line] = []
    below: dict[float, float] = {}
    for bound in bounds:
        values = cumulative[bound]
        rates.append([_between(below.get(at, 0.0), values.get(at)) for at in times])
        # Scrapes are not atomic: keep the counts monotonic.
        below = {at: max(value, below.get(at, 0.0)) for at, value in values.items()}
    return {
        "times": times,
        "step": span.step,
        "bounds": [bound if math.isfinite(bound) else None for bound in bounds],
        "rates": rates,
    }


def _between(below: float, value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else max(0.0, value - below)


def _bound(labels: dict[str, str]) -> float:
    return math.inf if labels.get("le") == "+Inf" else float(labels.get("le", "inf"))


def _summed(metrics: Sequence[str], labels: str, selections: Sequence[Matchers], window: int) -> str:
    rates = (f"rate({write_selector(metric, matchers)}[{window}s])" for metric in metrics for matchers in selections)
    grouping = f" by ({labels})" if labels else ""
    return f"sum{grouping} ({' or '.join(rates)})"


def _outcome_lines(rows: Iterable[tuple[dict[str, str], dict[float, float]]], times: list[float]) -> dict[str, Line]:
    lines: dict[str, dict[float, float]] = {"success": {}, "clientError": {}, "serverError": {}}
    for labels, values in rows:
        protocol = labels.get("request_protocol", "http")
        status = labels.get("grpc_response_status", "") if protocol == "grpc" else ""
        kind = classify(protocol, status or labels.get("response_code", "0"))
        line = lines[_OUTCOMES.get(kind, "serverError")]
        for time, value in values.items():
            line[time] = line.get(time, 0.0) + value
    measured = set().union(*(line.keys() for line in lines.values()))
    return {
        name: [_finite(line.get(time, 0.0)) if time in measured else None for time in times]
        for name, line in lines.items()
    }


def _latency_lines(rows: Iterable[tuple[dict[str, str], dict[float, float]]], times: list[float]) -> dict[str, Line]:
    buckets: dict[float, dict[float, float]] = {}
    for labels, values in rows:
        bound = _bound(labels)
        for time, value in values.items():
            buckets.setdefault(time, {})[bound] = value
    return {
        name: [_finite(quantile(buckets.get(time, {}), share)) for time in times] for name, share in _QUANTILES.items()
    }


def _total(rows: Iterable[tuple[dict[str, str], dict[float, float]]], times: list[float]) -> Line:
    for _, values in rows:
        return [_finite(values.get(time)) for time in times]
    return [None] * len(times)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
