"""Envoy's access log, a line per request or connection, where the mesh config names a file for it.

    accessLogFile      /dev/stdout: `kubectl logs <pod> -c istio-proxy`; empty: none
    accessLogFormat    the line (TEXT) or an object of names and values (JSON); empty: Istio's
    accessLogEncoding  TEXT or JSON

It is added to finished listeners, since it is the same for all of them and nothing else depends on it. Rules and the
default format: Istio, "Envoy Access Logs".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from envoy.config.accesslog.v3 import accesslog_pb2
from envoy.config.listener.v3 import listener_components_pb2, listener_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as http
from envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2 as tcp

from kaiki.model.memo import Memo
from kaiki.model.proxy import LISTENER_TYPE, ProxyConfig, Resource
from kaiki.translate.encode import pack, resource

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
_HTTP_TYPE, _TCP_TYPE = http.HttpConnectionManager.DESCRIPTOR.full_name, tcp.TcpProxy.DESCRIPTOR.full_name


@dataclass(frozen=True, slots=True)
class AccessLogFile:
    """Where the log goes (no path: nowhere) and what is in it; no format: Istio's."""

    path: str = ""
    format: str = ""
    json: bool = False


def access_log_file(config_map: Mapping[str, Any] | None) -> AccessLogFile:
    """What the ConfigMap `istio` says of access logs; what cannot be read says nothing."""
    text = ((config_map or {}).get("data") or {}).get("mesh") or ""
    try:
        mesh = yaml.safe_load(text)
    except yaml.YAMLError:
        return AccessLogFile()
    if not isinstance(mesh, dict):
        return AccessLogFile()
    path, line, encoding = (mesh.get(f"accessLog{name}") or "" for name in ("File", "Format", "Encoding"))
    return AccessLogFile(str(path), str(line), str(encoding).upper() == "JSON")


def add_access_log(config: ProxyConfig, file: AccessLogFile, memo: Memo) -> ProxyConfig:
    """The same configuration with the log on every connection manager and TCP proxy that counts for metrics."""
    if not file.path:
        return config
    listeners = config.resources.get(LISTENER_TYPE, {})
    logged = {name: memo.get(_with_log, item, file.path, file.format, file.json) for name, item in listeners.items()}
    return ProxyConfig(resources={**config.resources, LISTENER_TYPE: logged})


def _with_log(item: Resource, path: str, line: str, as_json: bool) -> Resource:
    message = listener_pb2.Listener.FromString(item.body)
    log = _log(AccessLogFile(path, line, as_json))
    for chain in (*message.filter_chains, message.default_filter_chain):
        for one in chain.filters:
            _add(one, log)
    return resource(message.name, message)


def _add(one: listener_components_pb2.Filter, log: accesslog_pb2.AccessLog) -> None:
    kind = one.typed_config.type_url.rpartition("/")[2]
    if kind == _HTTP_TYPE:
        manager = http.HttpConnectionManager.FromString(one.typed_config.value)
        manager.access_log.append(log)
        one.typed_config.CopyFrom(pack(manager))
    elif kind == _TCP_TYPE:
        proxy = tcp.TcpProxy.FromString(one.typed_config.value)
        if proxy.access_log:  # What is dropped on purpose is in no metric and in no log.
            ended = proxy.access_log.add()
            ended.CopyFrom(log)
            ended.filter.log_type_filter.types.append("TcpConnectionEnd")
            one.typed_config.CopyFrom(pack(proxy))


def _log(file: AccessLogFile) -> accesslog_pb2.AccessLog:
    from envoy.extensions.access_loggers.file.v3 import file_pb2

    config = file_pb2.FileAccessLog(path=file.path)
    if file.json:
        config.log_format.json_format.update(_json_fields(file.format))
    else:
        line = file.format or _LINE.format(**_FIELDS)
        config.log_format.text_format_source.inline_string = line
    return accesslog_pb2.AccessLog(name="envoy.access_loggers.file", typed_config=pack(config))


def _json_fields(text: str) -> dict[str, Any]:
    try:
        fields = json.loads(text) if text else None
    except ValueError:
        fields = None
    return fields if isinstance(fields, dict) else dict(_FIELDS)
