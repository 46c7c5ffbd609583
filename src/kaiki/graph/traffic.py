"""From sums to the numbers people read: rates, shares, quantiles. One request an hour is never rounded to zero."""

from __future__ import annotations

from collections.abc import Mapping

from kaiki.graph.health import classify
from kaiki.graph.histogram import observation_count, quantile
from kaiki.graph.model import Traffic
from kaiki.graph.records import Flow


def outcome_counts(flows: Mapping[str, Flow]) -> dict[tuple[str, str], float]:
    """Request counts by (protocol, response code), from flows by protocol."""
    counts: dict[tuple[str, str], float] = {}
    for protocol, flow in flows.items():
        for (code, _), count in flow.codes.items():
            counts[protocol, code] = counts.get((protocol, code), 0.0) + count
    return counts


def measure_flow(flows: Mapping[str, Flow], duration_seconds: int) -> Traffic:
    """The numbers of flows (by protocol) taken together."""
    total = Flow()
    for protocol in sorted(flows):
        total.add(flows[protocol])
    requests = total.requests
    errors = sum(count for (protocol, code), count in outcome_counts(flows).items() if classify(protocol, code))
    observed = observation_count(total.buckets)
    secured = total.mutual_tls + total.plaintext
    return Traffic(
        requests_per_second=_tidy(requests / duration_seconds),
        request_count=_tidy(requests),
        error_count=_tidy(errors),
        error_ratio=_share(errors, requests),
        response_codes=_response_codes(total),
        average_milliseconds=_share(total.duration_milliseconds, observed),
        p50_milliseconds=_quantile(total, 0.5),
        p90_milliseconds=_quantile(total, 0.9),
        p95_milliseconds=_quantile(total, 0.95),
        p99_milliseconds=_quantile(total, 0.99),
        bytes_sent_per_second=_tidy(total.bytes_sent / duration_seconds),
        bytes_received_per_second=_tidy(total.bytes_received / duration_seconds),
        connections_opened=_tidy(total.connections),
        mtls_ratio=_share(total.mutual_tls, secured),
    )


def _response_codes(flow: Flow) -> dict[str, dict[str, float]]:
    codes: dict[str, dict[str, float]] = {}
    for (code, flags), count in sorted(flow.codes.items()):
        codes.setdefault(code, {})[flags] = _tidy(count)
    return codes


def count_hosts(flow: Flow) -> dict[str, dict[str, float]]:
    """Requests by response code and host."""
    hosts: dict[str, dict[str, float]] = {}
    for (code, host), count in sorted(flow.hosts.items()):
        hosts.setdefault(code, {})[host] = _tidy(count)
    return hosts


def _quantile(flow: Flow, share: float) -> float | None:
    value = quantile(flow.buckets, share)
    return None if value is None else _tidy(value)


def _share(part: float, whole: float) -> float | None:
    return _tidy(part / whole) if whole > 0 else None


def _tidy(value: float) -> float:
    """Nine significant digits: hides the noise of adding floats in another order, never a small value."""
    return float(f"{value:.9g}")
