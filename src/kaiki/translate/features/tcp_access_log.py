"""Bytes of TCP connections, told to the metrics process while a connection lives: the `tcp_grpc` access log.

Envoy's stats logger can only write a connection's bytes when it ends. So every TCP proxy also sends entries to the
static cluster `kaiki-telemetry` (gRPC `envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs`). What a collector
reads:

- `identifier` is only in a stream's first message: `log_name` is `kaiki.tcp`, `node.id` the proxy;
- every `tcp_logs.log_entry[]` is one `TCPAccessLogEntry`:
  - `common_properties.stream_id`: a UUID, the key of the connection (unique across proxies);
  - `common_properties.access_log_type`: `TcpUpstreamConnected`, `TcpPeriodic` (every `INTERVAL_SECONDS`) or
    `TcpConnectionEnd`;
  - `connection_properties.received_bytes` / `sent_bytes`: **cumulative** since the connection began, from the proxy's
    downstream side: add the difference to the last entry of this `stream_id` to `istio_tcp_received_bytes_total` and
    `istio_tcp_sent_bytes_total`, and forget the connection at `TcpConnectionEnd`;
  - `common_properties.custom_tags`: a map that is exactly the metric's labels: each of Istio's TCP labels by its own
    name (`reporter`, `source_workload`, … `connection_security_policy`), values ready to use, `unknown` included.
    `response_flags` may change between entries of one connection (it is `-` until something goes wrong).

Opened and closed connections are counters of Envoy itself (`telemetry.tcp_loggers`): the collector does not count them.
"""

from __future__ import annotations

from functools import cache

from envoy.config.accesslog.v3 import accesslog_pb2

from kaiki.translate.encode import duration, pack
from kaiki.translate.features.metric_labels import Reporter
from kaiki.translate.features.telemetry import labels

LOG_NAME = "kaiki.tcp"
COLLECTOR_CLUSTER = "kaiki-telemetry"
INTERVAL_SECONDS = 2.0
_BUFFER_FLUSH_SECONDS = 0.5
_LOGGER = "envoy.access_loggers.tcp_grpc"


@cache
def tcp_access_log(reporter: Reporter) -> accesslog_pb2.AccessLog:
    """The access log of a TCP proxy, with Istio's labels as custom tags."""
    from envoy.config.core.v3 import config_source_pb2
    from envoy.extensions.access_loggers.grpc.v3 import als_pb2

    config = als_pb2.TcpGrpcAccessLogConfig()
    common = config.common_config
    common.log_name = LOG_NAME
    common.transport_api_version = config_source_pb2.V3
    common.grpc_service.envoy_grpc.cluster_name = COLLECTOR_CLUSTER
    common.buffer_flush_interval.CopyFrom(duration(_BUFFER_FLUSH_SECONDS))
    for name, value in (*labels(reporter), ("request_protocol", "tcp")):
        common.custom_tags.add(tag=name, value=value)
    return accesslog_pb2.AccessLog(name=_LOGGER, typed_config=pack(config))
