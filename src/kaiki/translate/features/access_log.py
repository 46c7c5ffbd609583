"""Envoy's access log, an entry per request or connection, to where providers say.

    file             /dev/stdout: `kubectl logs <pod> -c istio-proxy`; text or JSON, by default Istio's line
    http, tcp grpc   Envoy's access log service          opentelemetry   OTLP's logs service

Rules and the default format: Istio, "Envoy Access Logs".
"""

from __future__ import annotations

import json
from typing import Any

from envoy.config.accesslog.v3 import accesslog_pb2
from envoy.config.core.v3 import config_source_pb2
from google.protobuf.message import Message

from kaiki.model.policy.telemetry import LogKind, LogProvider
from kaiki.translate.encode import pack, pack_struct

_FIELDS = {
    "start_time": "%START_TIME%",
    "method": "%REQ(:METHOD)%",
    "path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
    "protocol": "%PROTOCOL%",
    "response_code": "%RESPONSE_CODE%",
    "response_flags": "%RESPONSE_FLAGS%",
    "response_code_details": "%RESPONSE_CODE_DETAILS%",
    "connection_termination_details": "%CONNECTION_TERMINATION_DETAILS%",
    "upstream_transport_failure_reason": "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
    "bytes_received": "%BYTES_RECEIVED%",
    "bytes_sent": "%BYTES_SENT%",
    "duration": "%DURATION%",
    "upstream_service_time": "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%",
    "x_forwarded_for": "%REQ(X-FORWARDED-FOR)%",
    "user_agent": "%REQ(USER-AGENT)%",
    "request_id": "%REQ(X-REQUEST-ID)%",
    "authority": "%REQ(:AUTHORITY)%",
    "upstream_host": "%UPSTREAM_HOST%",
    "upstream_cluster": "%UPSTREAM_CLUSTER_RAW%",
    "upstream_local_address": "%UPSTREAM_LOCAL_ADDRESS%",
    "downstream_local_address": "%DOWNSTREAM_LOCAL_ADDRESS%",
    "downstream_remote_address": "%DOWNSTREAM_REMOTE_ADDRESS%",
    "requested_server_name": "%REQUESTED_SERVER_NAME%",
    "route_name": "%ROUTE_NAME%",
}
_LINE = (
    '[{start_time}] "{method} {path} {protocol}" {response_code} {response_flags} {response_code_details} '
    '{connection_termination_details} "{upstream_transport_failure_reason}" {bytes_received} {bytes_sent} {duration} '
    '{upstream_service_time} "{x_forwarded_for}" "{user_agent}" "{request_id}" "{authority}" "{upstream_host}" '
    "{upstream_cluster} {upstream_local_address} {downstream_local_address} {downstream_remote_address} "
    "{requested_server_name} {route_name}\n"
)
_LOG_NAMES = {
    LogKind.HTTP_GRPC: "http_envoy_accesslog",
    LogKind.TCP_GRPC: "tcp_envoy_accesslog",
    LogKind.OPENTELEMETRY: "otel_envoy_accesslog",
}
_CEL = "envoy.access_loggers.extension_filters.cel"
_CEL_TYPE = "envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter"


def access_log(
    provider: LogProvider, expression: str, cluster: str, of_requests: bool
) -> accesslog_pb2.AccessLog | None:
    """One access log of requests or of connections; `cluster` is who takes it, unless it is a file.

    None where the provider takes only the other ones.
    """
    if provider.kind is (LogKind.TCP_GRPC if of_requests else LogKind.HTTP_GRPC):
        return None
    name, config = _config(provider, cluster)
    log = accesslog_pb2.AccessLog(name=name, typed_config=pack(config))
    _choose(log, expression, of_requests)
    return log


def _choose(log: accesslog_pb2.AccessLog, expression: str, of_requests: bool) -> None:
    """Of connections only the end is logged, not that they were opened or still live."""
    conditions = []
    if not of_requests:
        ended = accesslog_pb2.AccessLogFilter()
        ended.log_type_filter.types.append("TcpConnectionEnd")
        conditions.append(ended)
    if expression:
        chosen = accesslog_pb2.AccessLogFilter()
        chosen.extension_filter.name = _CEL
        chosen.extension_filter.typed_config.CopyFrom(pack_struct(_CEL_TYPE, {"expression": expression}))
        conditions.append(chosen)
    if len(conditions) > 1:
        log.filter.and_filter.filters.extend(conditions)
    elif conditions:
        log.filter.CopyFrom(conditions[0])


def _config(provider: LogProvider, cluster: str) -> tuple[str, Message]:
    match provider.kind:
        case LogKind.FILE:
            return "envoy.access_loggers.file", _file(provider)
        case LogKind.OPENTELEMETRY:
            return "envoy.access_loggers.open_telemetry", _opentelemetry(provider, cluster)
        case kind:
            return f"envoy.access_loggers.{kind}", _grpc(provider, cluster)


def _file(provider: LogProvider) -> Message:
    from envoy.extensions.access_loggers.file.v3 import file_pb2

    config = file_pb2.FileAccessLog(path=provider.path)
    if provider.json:
        config.log_format.json_format.update(_json_format(provider))
    else:
        line = provider.text or _LINE.format(**_FIELDS)
        # Envoy adds no end of line to a format of the user's own.
        config.log_format.text_format_source.inline_string = line if line.endswith("\n") else f"{line}\n"
    return config  # type: ignore[no-any-return]


def _json_format(provider: LogProvider) -> dict[str, Any]:
    """Members as they were written; a nested object came as its JSON."""
    return {name: _nested(value) for name, value in provider.fields} or dict(_FIELDS)


def _nested(value: str) -> Any:
    if not value.startswith(("{", "[")):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _grpc(provider: LogProvider, cluster: str) -> Any:
    from envoy.extensions.access_loggers.grpc.v3 import als_pb2

    if provider.kind is LogKind.TCP_GRPC:
        config: Any = als_pb2.TcpGrpcAccessLogConfig()
    else:
        config = als_pb2.HttpGrpcAccessLogConfig()
        config.additional_request_headers_to_log.extend(provider.request_headers)
        config.additional_response_headers_to_log.extend(provider.response_headers)
        config.additional_response_trailers_to_log.extend(provider.response_trailers)
    _set_common(config.common_config, provider, cluster)
    return config


def _set_common(common: Any, provider: LogProvider, cluster: str) -> None:
    common.log_name = provider.log_name or _LOG_NAMES[provider.kind]
    common.transport_api_version = config_source_pb2.V3
    common.grpc_service.envoy_grpc.cluster_name = cluster
    common.grpc_service.envoy_grpc.authority = provider.service
    common.filter_state_objects_to_log.extend(provider.filter_state)


def _opentelemetry(provider: LogProvider, cluster: str) -> Any:
    from envoy.extensions.access_loggers.open_telemetry.v3 import logs_service_pb2

    config = logs_service_pb2.OpenTelemetryAccessLogConfig()
    _set_common(config.common_config, provider, cluster)
    config.disable_builtin_labels = True
    config.body.string_value = (provider.text or _LINE.format(**_FIELDS)).rstrip("\n")
    for name, value in provider.fields:
        config.attributes.values.add(key=name).value.string_value = value
    return config
