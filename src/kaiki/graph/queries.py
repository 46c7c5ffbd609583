"""The PromQL behind a graph: six queries, whatever the number of namespaces.

A query per namespace and decoration would make a hundred namespaces cost hundreds of round trips; asking for everything
at once, summed by the labels a graph needs, costs the same six for one namespace and for a thousand.
"""

from __future__ import annotations

from collections.abc import Mapping

_SIDES = (
    "reporter",
    "source_workload",
    "source_workload_namespace",
    "source_canonical_service",
    "source_canonical_revision",
    "destination_workload",
    "destination_workload_namespace",
    "destination_canonical_service",
    "destination_canonical_revision",
    "destination_service_name",
    "destination_service_namespace",
)
_HTTP_SIDES = (*_SIDES, "request_protocol")
_HOST = ("destination_service",)
_IDENTITY = ("source_principal", "destination_principal", "connection_security_policy")
_OUTCOME = ("response_code", "grpc_response_status", "response_flags")


def _summed_increase(metric: str, labels: tuple[str, ...], duration_seconds: int) -> str:
    return f"sum by ({', '.join(labels)}) (increase({metric}[{duration_seconds}s]))"


MEASURE = "measure"
"""The label that tells apart what is asked together; no series of Istio's has it."""

POD = "pod"
"""The label of whose proxy reports: the store adds it to what it scrapes."""

TCP_MEASURES = {
    "tcp_sent": ("istio_tcp_sent_bytes_total", (*_SIDES, *_HOST, *_IDENTITY)),
    "tcp_received": ("istio_tcp_received_bytes_total", _SIDES),
    "tcp_opened": ("istio_tcp_connections_opened_total", _SIDES),
}


def traffic_queries(duration_seconds: int, by_pod: bool = False) -> dict[str, str]:
    """PromQL by name, for the increase over the last `duration_seconds`; `series.read_traffic` reads the answers.

    `by_pod` keeps the reports of each pod apart, for `GraphType.POD` alone: a workload of a hundred pods has a hundred
    times as many series then. To be asked with the parameter `increase=exact` (docs/decisions, "Counts are counted").
    """
    own = (POD,) if by_pod else ()
    queries = {
        "requests": ("istio_requests_total", (*_HTTP_SIDES, *_HOST, *_IDENTITY, *_OUTCOME)),
        "duration_buckets": ("istio_request_duration_milliseconds_bucket", (*_HTTP_SIDES, "le")),
        "durations": ("istio_request_duration_milliseconds_sum", _HTTP_SIDES),
        "request_bytes": ("istio_request_bytes_sum", _HTTP_SIDES),
        "response_bytes": ("istio_response_bytes_sum", _HTTP_SIDES),
    }
    asked = {
        name: _summed_increase(metric, (*labels, *own), duration_seconds) for name, (metric, labels) in queries.items()
    }
    tcp = {name: (metric, (*labels, *own)) for name, (metric, labels) in TCP_MEASURES.items()}
    return asked | {"tcp": _together(tcp, duration_seconds)}


def _together(measures: Mapping[str, tuple[str, tuple[str, ...]]], duration_seconds: int) -> str:
    """Several metrics in one query: the label `measure` says which of them a sample is.

    A store needs three times as long for a series so asked for, so it is done where a mesh has the fewest: for TCP.
    """
    parts = (
        f'label_replace({_summed_increase(metric, labels, duration_seconds)}, "{MEASURE}", "{name}", "", "")'
        for name, (metric, labels) in measures.items()
    )
    return " or ".join(parts)


def message_query(direction: str, duration_seconds: int) -> str:
    """PromQL for gRPC messages `sent` (in requests) or `received` (in responses), by the labels of requests."""
    metric = f"istio_{'request' if direction == 'sent' else 'response'}_messages_total"
    return _summed_increase(metric, (*_HTTP_SIDES, *_HOST, *_IDENTITY, *_OUTCOME), duration_seconds)
