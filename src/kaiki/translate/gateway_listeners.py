"""The listeners of a gateway: plain HTTP, TLS ended here or passed through by name, and TCP."""

from __future__ import annotations

from collections.abc import Sequence

from envoy.config.core.v3 import base_pb2
from envoy.config.listener.v3 import listener_components_pb2, listener_pb2

from kaiki.model.finding import ObjectRef
from kaiki.model.gateway import ServerTlsMode
from kaiki.model.proxy import Resource
from kaiki.model.sidecar import UNIX_PREFIX
from kaiki.translate import transport_sockets
from kaiki.translate.connection_routes import RoutedChain, routed_chains
from kaiki.translate.connections import Role, routed_http, tcp
from kaiki.translate.encode import resource
from kaiki.translate.features.dynamic_names import by_server_name
from kaiki.translate.features.metric_labels import Reporter
from kaiki.translate.features.passed_by_name import by_name_filters
from kaiki.translate.gateway_routes import BoundServer, connection_routes, plain_table_name
from kaiki.translate.listeners import (
    MESH_HTTP_PROTOCOLS,
    MESH_TCP_PROTOCOLS,
    inspect,
    listener,
    remove_overlaps,
    tls_inspector,
)
from kaiki.translate.origins import mark_origin
from kaiki.translate.scope import Scope

_ALPN = ("h2", "http/1.1")


def _listener(place: tuple[str, int]) -> listener_pb2.Listener:
    address, port = place[0] or "0.0.0.0", place[1]
    return listener(listener_name(place), address, port, base_pb2.OUTBOUND, bind=True)


def listener_name(place: tuple[str, int]) -> str:
    """The name of the listener at an address (empty: every one) and port."""
    address, port = place[0] or "0.0.0.0", place[1]
    return address if address.startswith(UNIX_PREFIX) else f"{address}_{port}"


def plain_listener(place: tuple[str, int], statistics: str, sessions: bool = False) -> Resource:
    """Plain HTTP by the routes of the port."""
    message, table = _listener(place), plain_table_name(place)
    message.filter_chains.add(name=table).filters.append(routed_http(Role.GATEWAY, statistics, table, sessions))
    return resource(message.name, message)


def connection_listener(scope: Scope, servers: Sequence[BoundServer]) -> list[Resource]:
    """TCP by address; none without routes, because an open port that closes everything says less than a closed one."""
    message = _listener(servers[0].place)
    for bound in servers:
        for routed in routed_chains(connection_routes(scope, bound), bound.gateway.key, scope, bound.server.port):
            message.filter_chains.append(_passing_chain(bound, routed))
            if routed.reads_hello and not message.listener_filters:
                inspect(message, tls_inspector())
    return _finished(message)


def encrypted_listener(scope: Scope, servers: Sequence[BoundServer]) -> list[Resource]:
    """TLS: chains by server name, each ending TLS or passing it through."""
    message = _listener(servers[0].place)
    inspect(message, tls_inspector())
    for bound in servers:
        if bound.ends_tls:
            message.filter_chains.append(_ending_chain(bound, scope.snapshot.keeps_sessions))
        elif bound.server.has_certificate:
            message.filter_chains.extend(_ending_connections(scope, bound))
        elif bound.server.tls_mode is ServerTlsMode.PASSTHROUGH:
            chains = routed_chains(connection_routes(scope, bound), bound.gateway.key, scope, bound.server.port)
            message.filter_chains.extend(_passing_chain(bound, routed) for routed in chains)
        elif bound.server.tls_mode is ServerTlsMode.AUTO_PASSTHROUGH:
            chain = _named(bound, f"{bound.statistics}-automatic")
            chain.filter_chain_match.application_protocols.extend(MESH_TCP_PROTOCOLS + MESH_HTTP_PROTOCOLS)
            chain.filters.extend(by_name_filters(bound.statistics))
            message.filter_chains.append(chain)
    return _finished(message)


def _passing_chain(bound: BoundServer, routed: RoutedChain) -> listener_components_pb2.FilterChain:
    """Bytes as they come."""
    chain = listener_components_pb2.FilterChain()
    routed.start(chain)
    chain.filters.append(tcp(bound.statistics, routed.clusters, Reporter.SOURCE, settings=routed.tcp))
    return chain


def _finished(message: listener_pb2.Listener) -> list[Resource]:
    """The listener, if it has a chain."""
    remove_overlaps(message)
    return [resource(message.name, message)] if message.filter_chains else []


def _named(bound: BoundServer, name: str, route: ObjectRef | None = None) -> listener_components_pb2.FilterChain:
    chain = listener_components_pb2.FilterChain(name=name)
    # Envoy takes a wildcard only for whole first parts of a server name.
    names = sorted({mine.host for mine in bound.server.hosts if mine.host == "*" or "*" not in mine.host[1:]})
    names = [name for name in names if not name.startswith("*") or name == "*" or name.startswith("*.")]
    if "*" not in names:
        chain.filter_chain_match.server_names.extend(names)
    chain.filter_chain_match.transport_protocol = "tls"
    mark_origin(chain.metadata, bound.gateway.source, f"servers[{bound.position}]", route)
    return chain


def _socket(bound: BoundServer, alpn: tuple[str, ...]) -> base_pb2.TransportSocket:
    tls = bound.server.tls
    if tls is None or tls.mode is ServerTlsMode.ISTIO_MUTUAL:
        return transport_sockets.mesh_server(alpn)
    return transport_sockets.plain_server(tls, alpn)


def _ending_chain(bound: BoundServer, sessions: bool) -> listener_components_pb2.FilterChain:
    chain = _named(bound, bound.encrypted_table_name)
    chain.transport_socket.CopyFrom(_socket(bound, _ALPN))
    chain.filters.append(routed_http(Role.GATEWAY, bound.statistics, bound.encrypted_table_name, sessions))
    return chain


def _ending_connections(scope: Scope, bound: BoundServer) -> list[listener_components_pb2.FilterChain]:
    """TLS ended here with plain bytes inside: to where the first TCP route sends them."""
    routed = routed_chains(connection_routes(scope, bound), bound.gateway.key, scope, bound.server.port)
    if not routed:
        return []
    chain = _named(bound, routed[0].name, routed[0].source)
    chain.transport_socket.CopyFrom(_socket(bound, ()))
    first, name = routed[0], bound.statistics
    chain.filters.extend(by_server_name(first.looked_up_port))
    chain.filters.append(tcp(name, first.clusters, Reporter.SOURCE, settings=first.tcp))
    return [chain]
