"""Messages of gRPC calls: `istio_request_messages_total` and `istio_response_messages_total`.

Envoy's `grpc_stats` filter counts them into filter state as the text `<requests>,<responses>`. The stats logger wants a
number, and none of its operators can cut that text in two. So a call with one message each way, which nearly all are,
adds two ones; of any other call the text goes to the metrics process (`tcp_access_log.COLLECTOR_CLUSTER`, log name
`LOG_NAME`), whose entry has Istio's labels as `common_properties.custom_tags`, and the text under `MESSAGES_TAG`.

A call is counted when it ends. The filter costs every request that passes it, whatever it is: so clients' sidecars and
gateways have it on routes to ports that may speak HTTP/2, servers' at all ports but those declared HTTP/1.1.
"""

from __future__ import annotations

from functools import cache

from envoy.config.accesslog.v3 import accesslog_pb2
from envoy.config.route.v3 import route_components_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as http
from google.protobuf import any_pb2

from kaiki.translate.encode import duration, pack, pack_struct
from kaiki.translate.features.metric_labels import Reporter
from kaiki.translate.features.tcp_access_log import COLLECTOR_CLUSTER
from kaiki.translate.features.telemetry import counting_logger, is_grpc, request_labels

LOG_NAME = "kaiki.grpc"
MESSAGES_TAG = "messages"
_STATE = "envoy.filters.http.grpc_stats"
_FILTER_TYPE = "envoy.extensions.filters.http.grpc_stats.v3.FilterConfig"
_FLUSH_SECONDS = 0.5
_ONE_EACH = f"filter_state['{_STATE}'] == b'1,1'"


@cache
def message_counter(by_route: bool) -> http.HttpFilter:
    """The filter that counts messages; it does nothing to what is not gRPC. `by_route`: off unless a route says so."""
    config = pack_struct(_FILTER_TYPE, {"emit_filter_state": True})
    return http.HttpFilter(name=_STATE, typed_config=config, disabled=by_route)


def count_messages(route: route_components_pb2.Route) -> None:
    """Switch the filter on for a route."""
    route.typed_per_filter_config[_STATE].CopyFrom(_switched_on())


@cache
def _switched_on() -> any_pb2.Any:
    # The filter knows no configuration by route; one that is optional is passed over, and still switches it on.
    config = pack_struct(_FILTER_TYPE, {})
    return pack(route_components_pb2.FilterConfig(is_optional=True, config=config))


@cache
def message_loggers(reporter: Reporter) -> tuple[accesslog_pb2.AccessLog, ...]:
    """The loggers of an HTTP connection manager that has `message_counter`."""
    usual = counting_logger(
        ("istio_request_messages_total", "istio_response_messages_total"), request_labels(reporter, "grpc")
    )
    _choose(usual, _ONE_EACH)
    other = _collected(reporter)
    _choose(other, f"!({_ONE_EACH})")
    return usual, other


def _choose(log: accesslog_pb2.AccessLog, expression: str) -> None:
    both = log.filter.and_filter
    is_grpc(both.filters.add())
    chosen = both.filters.add().extension_filter
    chosen.name = "envoy.access_loggers.extension_filters.cel"
    chosen.typed_config.CopyFrom(
        pack_struct("envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter", {"expression": expression})
    )


def _collected(reporter: Reporter) -> accesslog_pb2.AccessLog:
    from envoy.config.core.v3 import config_source_pb2
    from envoy.extensions.access_loggers.grpc.v3 import als_pb2

    config = als_pb2.HttpGrpcAccessLogConfig()
    common = config.common_config
    common.log_name = LOG_NAME
    common.transport_api_version = config_source_pb2.V3
    common.grpc_service.envoy_grpc.cluster_name = COLLECTOR_CLUSTER
    common.buffer_flush_interval.CopyFrom(duration(_FLUSH_SECONDS))
    for name, value in (*request_labels(reporter, "grpc"), (MESSAGES_TAG, f"%FILTER_STATE({_STATE}:PLAIN)%")):
        common.custom_tags.add(tag=name, value=value)
    return accesslog_pb2.AccessLog(name="envoy.access_loggers.http_grpc", typed_config=pack(config))
