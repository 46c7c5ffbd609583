"""Istio's standard metrics, written by Envoy itself through `envoy.access_loggers.stats`.

    who        own side: environment of the proxy (KAIKI_…)      so that a listener is the same bytes for many proxies
               other side, at the source: endpoint metadata `istio`      at the destination: the client's certificate
    what       `destination_service*`: cluster metadata `istio`
    how much   wire bytes, duration, response code and flags

Requests carry all their labels in one tag, see `compact_labels`; connections and messages have a tag for each.
The injector sets all of `ENVIRONMENT_NAMES` in every proxy's container (Envoy writes `-` for one that is missing).
A tag's value is never text from a request, so the number of series is bounded by the configuration; the limits of the
scope are a second fence. Names, labels: Istio, "Standard metrics".
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from envoy.config.accesslog.v3 import accesslog_pb2

from kaiki.model.identity import UNKNOWN
from kaiki.translate.encode import pack_struct
from kaiki.translate.features.compact_labels import TAG, compact_format
from kaiki.translate.features.metric_labels import (
    METADATA_NAMESPACE,
    SERVICE_LABELS,
    WORKLOAD_FIELDS,
    Reporter,
    security_policy,
    service_of_route,
)

ENVIRONMENT_NAMES = {field: f"KAIKI_{field.upper()}" for field in WORKLOAD_FIELDS}
"""Label suffix → environment variable of the proxy's container."""

STATISTICS_SCOPE = "wasmcustom"
_LOGGER = "envoy.access_loggers.stats"
_LOGGER_TYPE = "envoy.extensions.access_loggers.stats.v3.Config"
_MAXIMUM_COUNTERS = 20_000
_MAXIMUM_HISTOGRAMS = 10_000


def or_unknown(command: str, parameter: str = "") -> str:
    """A formatter that gives `unknown` where the operator has nothing to say."""
    operator = {"command": command, "param": parameter} if parameter else {"command": command}
    fallback = {"command": "CEL", "param": f"'{UNKNOWN}'"}
    return f"%COALESCE({json.dumps({'operators': [operator, fallback]}, separators=(',', ':'))})%"


def _own(side: str) -> list[tuple[str, str]]:
    return [(f"{side}_{field}", f"%ENVIRONMENT({ENVIRONMENT_NAMES[field]})%") for field in WORKLOAD_FIELDS]


def _peer(reporter: Reporter) -> list[tuple[str, str]]:
    if reporter is Reporter.SOURCE:
        return [
            (f"destination_{field}", or_unknown("UPSTREAM_METADATA", f"{METADATA_NAMESPACE}:{field}"))
            for field in WORKLOAD_FIELDS
        ]
    if reporter is Reporter.DESTINATION_MTLS:
        return [(f"source_{field}", f"%FILTER_STATE(peer.{field}:PLAIN)%") for field in WORKLOAD_FIELDS]
    return [(f"source_{field}", UNKNOWN) for field in WORKLOAD_FIELDS]


def _principals(reporter: Reporter) -> list[tuple[str, str]]:
    if reporter is Reporter.SOURCE:
        source, destination = or_unknown("UPSTREAM_LOCAL_URI_SAN"), or_unknown("UPSTREAM_PEER_URI_SAN")
    elif reporter is Reporter.DESTINATION_MTLS:
        source, destination = or_unknown("DOWNSTREAM_PEER_URI_SAN"), or_unknown("DOWNSTREAM_LOCAL_URI_SAN")
    else:
        source = destination = UNKNOWN
    return [("source_principal", source), ("destination_principal", destination)]


def _service(name: str, at_source: bool) -> str:
    if at_source:
        return service_of_route(name, UNKNOWN)
    return or_unknown("CLUSTER_METADATA", f"{METADATA_NAMESPACE}:{name}")


@cache
def labels(reporter: Reporter) -> tuple[tuple[str, str], ...]:
    """Istio's labels that every metric has, each with the format string that gives its value."""
    at_source = reporter is Reporter.SOURCE
    return (
        ("reporter", "source" if at_source else "destination"),
        *_own("source" if at_source else "destination"),
        *_peer(reporter),
        *_principals(reporter),
        *((name, _service(name, at_source)) for name in SERVICE_LABELS),
        ("response_flags", "%RESPONSE_FLAGS%"),
        ("connection_security_policy", security_policy(reporter)),
    )


def _stat(name: str, tags: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    return {"name": name, "tags": [{"name": key, "value_format": value} for key, value in tags]}


def _logger(name: str, counters: list[dict[str, Any]], histograms: list[dict[str, Any]]) -> accesslog_pb2.AccessLog:
    scope = {
        "prefix": STATISTICS_SCOPE,
        "enable_eviction": True,
        "max_counters": _MAXIMUM_COUNTERS,
        "max_histograms": _MAXIMUM_HISTOGRAMS,
        "sharing_name": "istio",
    }
    config: dict[str, Any] = {"stats_scope": scope, "counters": counters}
    if histograms:
        config["histograms"] = histograms
    return accesslog_pb2.AccessLog(name=name, typed_config=pack_struct(_LOGGER_TYPE, config))


def request_labels(reporter: Reporter, protocol: str) -> tuple[tuple[str, str], ...]:
    """The labels of a request's metrics; `protocol` is http or grpc."""
    tags = (*labels(reporter), ("request_protocol", protocol), ("response_code", "%RESPONSE_CODE%"))
    return (*tags, ("grpc_response_status", "%GRPC_STATUS_NUMBER%")) if protocol == "grpc" else tags


def is_grpc(condition: accesslog_pb2.AccessLogFilter) -> None:
    """Makes a logger's condition that of gRPC requests."""
    header = condition.header_filter.header
    header.name = "content-type"
    header.string_match.prefix = "application/grpc"


def counting_logger(names: tuple[str, ...], tags: tuple[tuple[str, str], ...]) -> accesslog_pb2.AccessLog:
    """A logger that adds one to each of the counters."""
    return _logger(_LOGGER, [{"stat": _stat(name, tags), "value_fixed": 1} for name in names], [])


def _request_logger(reporter: Reporter, protocol: str) -> accesslog_pb2.AccessLog:
    tags = ((TAG, compact_format(reporter, protocol)),)
    counters = [{"stat": _stat("istio_requests_total", tags), "value_fixed": 1}]
    histograms = [
        {"stat": _stat(name, tags), "unit": unit, "value_format": value}
        for name, unit, value in (
            ("istio_request_duration_milliseconds", "Milliseconds", "%DURATION%"),
            ("istio_request_bytes", "Bytes", "%DOWNSTREAM_WIRE_BYTES_RECEIVED%"),
            ("istio_response_bytes", "Bytes", "%DOWNSTREAM_WIRE_BYTES_SENT%"),
        )
    ]
    log = _logger(_LOGGER, counters, histograms)
    is_grpc(log.filter)
    if protocol == "http":
        header = log.filter.header_filter.header
        header.treat_missing_header_as_empty = True
        header.invert_match = True
    return log


@cache
def http_loggers(reporter: Reporter) -> tuple[accesslog_pb2.AccessLog, ...]:
    """The loggers of an HTTP connection manager: one for plain HTTP and one for gRPC, told apart by content type."""
    return _request_logger(reporter, "http"), _request_logger(reporter, "grpc")


def _connection_logger(reporter: Reporter, event: str, *names: str) -> accesslog_pb2.AccessLog:
    log = counting_logger(names, (*labels(reporter), ("request_protocol", "tcp")))
    log.filter.log_type_filter.types.append(event)
    return log


@cache
def tcp_loggers(reporter: Reporter) -> tuple[accesslog_pb2.AccessLog, ...]:
    """The loggers of a TCP proxy: opened and closed connections. Bytes are `tcp_access_log`'s, also while they flow."""
    return (
        _connection_logger(reporter, "TcpUpstreamConnected", "istio_tcp_connections_opened_total"),
        _connection_logger(reporter, "TcpConnectionEnd", "istio_tcp_connections_closed_total"),
    )
