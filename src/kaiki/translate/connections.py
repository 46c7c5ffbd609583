"""Network filters: the HTTP connection manager and the TCP proxy, as sidecars and gateways use them.

The order of HTTP filters is decided here and nowhere else: the protocol of the upstream is chosen first, because a
retry must not choose again; faults come before cross-origin answers, so that a fault hits preflights too; the router
ends it.
"""

from __future__ import annotations

from enum import StrEnum

from envoy.config.listener.v3 import listener_components_pb2
from envoy.config.route.v3 import route_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as http,
)
from envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2

from kaiki.model.route import WeightedDestination
from kaiki.translate import transport_sockets
from kaiki.translate.encode import duration, pack, pack_empty
from kaiki.translate.endpoints import ADDRESS_KEY
from kaiki.translate.features.cors import CORS_FILTER
from kaiki.translate.features.faults import FAULT_FILTER
from kaiki.translate.features.grpc_messages import message_counter, message_loggers
from kaiki.translate.features.metric_labels import Reporter
from kaiki.translate.features.protocol_selection import protocol_filter
from kaiki.translate.features.session_persistence import SESSION_FILTER, SESSION_FILTER_TYPE
from kaiki.translate.features.tcp_access_log import INTERVAL_SECONDS, tcp_access_log
from kaiki.translate.features.tcp_settings import NO_TCP_SETTINGS, TcpSettings, set_tcp_settings
from kaiki.translate.features.telemetry import http_loggers, tcp_loggers

_HTTP_FILTER = "envoy.filters.network.http_connection_manager"
_TCP_FILTER = "envoy.filters.network.tcp_proxy"
_EARLY_DATA_BYTES = 65536


class Role(StrEnum):
    """Where a connection manager stands."""

    OUTBOUND = "outbound"
    INBOUND = "inbound"
    GATEWAY = "gateway"


def _manager(
    role: Role, reporter: Reporter, statistics: str, sessions: bool = False, counts_messages: bool = True
) -> http.HttpConnectionManager:
    manager = http.HttpConnectionManager(stat_prefix=statistics, codec_type=http.HttpConnectionManager.AUTO)
    manager.access_log.extend((*http_loggers(reporter), *(message_loggers(reporter) if counts_messages else ())))
    manager.generate_request_id.value = True
    manager.normalize_path.value = True
    manager.use_remote_address.value = role is Role.GATEWAY
    manager.stream_idle_timeout.SetInParent()
    manager.upgrade_configs.add(upgrade_type="websocket")
    if role is not Role.OUTBOUND:  # a caller is answered by its own proxy, which calls itself `envoy`, as in Istio
        manager.server_name = "istio-envoy"
    if role is Role.INBOUND:
        manager.server_header_transformation = http.HttpConnectionManager.PASS_THROUGH
        # HTTP/1.0 clients exist, and the application decides what it thinks of them.
        manager.http_protocol_options.accept_http_10 = True
    _set_filters(manager, role, sessions, counts_messages)
    return manager


def _set_filters(manager: http.HttpConnectionManager, role: Role, sessions: bool, counts_messages: bool) -> None:
    """The filters in their order. What acts on some routes only is off until a route has a configuration for it: every
    filter costs every request some microseconds. Inbound routes never have one.
    """
    if role is not Role.INBOUND:
        manager.http_filters.append(protocol_filter())
        fault = manager.http_filters.add(name=FAULT_FILTER, disabled=True)
        cors = manager.http_filters.add(name=CORS_FILTER, disabled=True)
        fault.typed_config.CopyFrom(pack_empty("envoy.extensions.filters.http.fault.v3.HTTPFault"))
        cors.typed_config.CopyFrom(pack_empty("envoy.extensions.filters.http.cors.v3.Cors"))
    if sessions:
        session = manager.http_filters.add(name=SESSION_FILTER, disabled=True)
        session.typed_config.CopyFrom(pack_empty(SESSION_FILTER_TYPE))
    if counts_messages:
        manager.http_filters.append(message_counter(by_route=role is not Role.INBOUND))
    router = manager.http_filters.add(name="envoy.filters.http.router")
    router.typed_config.CopyFrom(pack_empty("envoy.extensions.filters.http.router.v3.Router"))


def routed_http(role: Role, statistics: str, table: str, sessions: bool = False) -> listener_components_pb2.Filter:
    """An HTTP connection manager whose routes come by RDS: outbound traffic of a sidecar, or a gateway.

    `sessions` lets routes keep sessions at one endpoint.
    """
    manager = _manager(role, Reporter.SOURCE, statistics, sessions)
    manager.rds.route_config_name = table
    manager.rds.config_source.CopyFrom(transport_sockets.ads_source())
    if role is Role.GATEWAY:
        manager.forward_client_cert_details = http.HttpConnectionManager.SANITIZE_SET
        manager.set_current_client_cert_details.uri = True
    return listener_components_pb2.Filter(name=_HTTP_FILTER, typed_config=pack(manager))


def inbound_http(
    statistics: str, cluster: str, reporter: Reporter, counts_messages: bool
) -> listener_components_pb2.Filter:
    """An HTTP connection manager in front of the sidecar's own application: everything goes to one cluster."""
    manager = _manager(Role.INBOUND, reporter, statistics, counts_messages=counts_messages)
    if reporter is Reporter.DESTINATION_MTLS:
        manager.forward_client_cert_details = http.HttpConnectionManager.SANITIZE_SET
        manager.set_current_client_cert_details.uri = True
    table = route_pb2.RouteConfiguration(name=cluster)
    table.validate_clusters.value = False
    route = table.virtual_hosts.add(name=cluster, domains=["*"]).routes.add(name="default")
    route.match.prefix = "/"
    route.route.cluster = cluster
    route.route.timeout.SetInParent()
    manager.route_config.CopyFrom(table)
    return listener_components_pb2.Filter(name=_HTTP_FILTER, typed_config=pack(manager))


def tcp(
    statistics: str,
    clusters: tuple[tuple[str, int], ...],
    reporter: Reporter,
    endpoint: str = "",
    settings: TcpSettings = NO_TCP_SETTINGS,
) -> listener_components_pb2.Filter:
    """A TCP proxy to clusters by weight; `endpoint` (`address:port`) asks for that one of a headless service.

    Without settings a silent connection ends after Envoy's hour.
    """
    proxy = tcp_proxy_pb2.TcpProxy(stat_prefix=statistics)
    if len(clusters) == 1:
        proxy.cluster = clusters[0][0]
    for name, weight in clusters if len(clusters) > 1 else ():
        proxy.weighted_clusters.clusters.add(name=name, weight=weight)
    if endpoint:
        proxy.metadata_match.filter_metadata["envoy.lb"].fields[ADDRESS_KEY].string_value = endpoint
    set_tcp_settings(proxy, settings)
    proxy.access_log.extend(tcp_loggers(reporter))
    proxy.access_log.append(tcp_access_log(reporter))
    proxy.access_log_options.flush_access_log_on_connected = True
    proxy.access_log_options.access_log_flush_interval.CopyFrom(duration(INTERVAL_SECONDS))
    if reporter is Reporter.DESTINATION_MTLS:
        # Who the client is must be known before the connection is reported as opened.
        proxy.upstream_connect_mode = tcp_proxy_pb2.ON_DOWNSTREAM_TLS_HANDSHAKE
        proxy.max_early_data_bytes.value = _EARLY_DATA_BYTES
    return listener_components_pb2.Filter(name=_TCP_FILTER, typed_config=pack(proxy))


def dropped(cluster: str) -> listener_components_pb2.Filter:
    """A TCP proxy to nowhere, of which no metric speaks."""
    proxy = tcp_proxy_pb2.TcpProxy(stat_prefix=cluster, cluster=cluster)
    return listener_components_pb2.Filter(name=_TCP_FILTER, typed_config=pack(proxy))


def weights(shares: tuple[WeightedDestination, ...], clusters: tuple[str, ...]) -> tuple[tuple[str, int], ...]:
    """Clusters with their weights; those of weight zero get nothing, a single one gets all."""
    if len(shares) == 1:
        return ((clusters[0], 1),)
    pairs = tuple((name, share.weight) for share, name in zip(shares, clusters, strict=True) if share.weight > 0)
    return pairs or ((clusters[0], 1),)
