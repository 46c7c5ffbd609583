"""From sums to the numbers people read: rates, shares, quantiles. One request an hour is never rounded to zero."""

from __future__ import annotations

from collections.abc import Mapping

from kaiki.graph.histogram import observation_count, quantiles
from kaiki.graph.model import Traffic
from kaiki.graph.records import Flow
from kaiki.graph.tolerances import classify

QUIET = Traffic(
    requests_per_second=0.0,
    request_count=0.0,
    error_count=0.0,
    bytes_sent_per_second=0.0,
    bytes_received_per_second=0.0,
    connections_opened=0.0,
)


def outcome_counts(flows: Mapping[str, Flow]) -> dict[tuple[str, str], float]:
    """Request counts by (protocol, response code), from flows by protocol."""
    counts: dict[tuple[str, str], float] = {}
    for protocol, flow in flows.items():
        for (code, _), count in flow.codes.items():
            counts[protocol, code] = counts.get((protocol, code), 0.0) + count
    return counts


def flagged_counts(flows: Mapping[str, Flow]) -> dict[tuple[str, str, str], float]:
    """Request counts by (protocol, response code, flags), from flows by protocol."""
    return {
        (protocol, code, flags): count
        for protocol, flow in flows.items()
        for (code, flags), count in flow.codes.items()
    }


def measure_flow(flows: Mapping[str, Flow], duration_seconds: int) -> Traffic:
    """The numbers of flows (by protocol) taken together."""
    total = _together(flows)
    if total.quiet and not total.buckets:
        return QUIET
    requests = total.requests
    errors = sum(count for (protocol, code), count in outcome_counts(flows).items() if classify(protocol, code))
    observed = observation_count(total.buckets)
    p50, p90, p95, p99 = (
        None if value is None else tidy(value) for value in quantiles(total.buckets, (0.5, 0.9, 0.95, 0.99))
    )
    secured = total.mutual_tls + total.plaintext
    return Traffic(
        requests_per_second=tidy(requests / duration_seconds),
        request_count=tidy(requests),
        error_count=tidy(errors),
        error_ratio=_share(errors, requests),
        response_codes=_response_codes(total),
        average_milliseconds=_share(total.duration_milliseconds, observed),
        p50_milliseconds=p50,
        p90_milliseconds=p90,
        p95_milliseconds=p95,
        p99_milliseconds=p99,
        bytes_sent_per_second=tidy((total.bytes_sent + total.response_bytes) / duration_seconds),
        bytes_received_per_second=tidy((total.bytes_received + total.request_bytes) / duration_seconds),
        connections_opened=tidy(total.connections),
        mtls_ratio=_share(total.mutual_tls, secured),
    )


def _together(flows: Mapping[str, Flow]) -> Flow:
    if len(flows) == 1:
        return next(iter(flows.values()))
    total = Flow()
    for protocol in sorted(flows):
        total.add(flows[protocol])
    return total


def _response_codes(flow: Flow) -> dict[str, dict[str, float]]:
    codes: dict[str, dict[str, float]] = {}
    for (code, flags), count in sorted(flow.codes.items()):
        codes.setdefault(code, {})[flags] = tidy(count)
    return codes


def count_hosts(flow: Flow) -> dict[str, dict[str, float]]:
    """Requests by response code and host."""
    hosts: dict[str, dict[str, float]] = {}
    for (code, host), count in sorted(flow.hosts.items()):
        hosts.setdefault(code, {})[host] = tidy(count)
    return hosts


def _share(part: float, whole: float) -> float | None:
    return tidy(part / whole) if whole > 0 else None


def tidy(value: float) -> float:
    """Nine significant digits: hides the noise of adding floats in another order, never a small value."""
    if abs(value) < 1e9 and value == int(value):
        return float(value)
    return float(f"{value:.9g}")
