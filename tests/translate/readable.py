"""Generated resources as YAML that a person can review.

Access logs are the same wherever they stand and long: they are reduced to what they are, and tested on their own.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import yaml
from google.protobuf import json_format, symbol_database

from kaiki.model.proxy import Resource

_MODULES = (
    "envoy.config.cluster.v3.cluster_pb2",
    "envoy.config.endpoint.v3.endpoint_pb2",
    "envoy.config.listener.v3.listener_pb2",
    "envoy.config.route.v3.route_pb2",
    "envoy.extensions.access_loggers.grpc.v3.als_pb2",
    "envoy.extensions.filters.http.buffer.v3.buffer_pb2",
    "envoy.extensions.filters.http.lua.v3.lua_pb2",
    "envoy.extensions.filters.listener.proxy_protocol.v3.proxy_protocol_pb2",
    "envoy.extensions.filters.common.set_filter_state.v3.value_pb2",
    "envoy.extensions.filters.http.cors.v3.cors_pb2",
    "envoy.extensions.filters.http.fault.v3.fault_pb2",
    "envoy.extensions.filters.http.router.v3.router_pb2",
    "envoy.extensions.filters.http.set_filter_state.v3.set_filter_state_pb2",
    "envoy.extensions.filters.listener.http_inspector.v3.http_inspector_pb2",
    "envoy.extensions.filters.listener.original_dst.v3.original_dst_pb2",
    "envoy.extensions.filters.listener.tls_inspector.v3.tls_inspector_pb2",
    "envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2",
    "envoy.extensions.filters.network.sni_cluster.v3.sni_cluster_pb2",
    "envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2",
    "envoy.extensions.filters.http.stateful_session.v3.stateful_session_pb2",
    "envoy.extensions.http.stateful_session.cookie.v3.cookie_pb2",
    "envoy.extensions.http.stateful_session.header.v3.header_pb2",
    "envoy.extensions.retry.host.previous_hosts.v3.previous_hosts_pb2",
    "envoy.extensions.transport_sockets.proxy_protocol.v3.upstream_proxy_protocol_pb2",
    "envoy.extensions.transport_sockets.raw_buffer.v3.raw_buffer_pb2",
    "envoy.extensions.transport_sockets.tls.v3.tls_pb2",
    "envoy.extensions.tracers.opentelemetry.resource_detectors.v3.environment_resource_detector_pb2",
    "envoy.extensions.upstreams.http.v3.http_protocol_options_pb2",
    "xds.type.v3.typed_struct_pb2",
)


def load_types() -> None:
    """Import every type that may stand inside an Any."""
    for name in _MODULES:
        importlib.import_module(name)


def as_document(item: Resource) -> dict[str, Any]:
    """One resource as JSON, in full."""
    kind = symbol_database.Default().GetSymbol(item.type_url.rpartition("/")[2])
    return json_format.MessageToDict(kind.FromString(item.body), preserving_proto_field_name=True)


def as_yaml(resources: Mapping[str, Resource]) -> str:
    """Resources of one type as a YAML list, in the order of their names."""
    load_types()
    documents = [_shortened(as_document(item)) for item in resources.values()]
    return yaml.safe_dump(documents, sort_keys=True, width=120, default_flow_style=False)


def _shortened(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: [log["name"] for log in item] if key == "access_log" else _shortened(item)
            for key, item in value.items()
        }
    return [_shortened(item) for item in value] if isinstance(value, list) else value
