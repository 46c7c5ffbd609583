"""Listeners and their filter chains: what each takes, and what happens there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from envoy.config.core.v3 import base_pb2
from envoy.config.listener.v3 import listener_components_pb2, listener_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as http
from envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2

from kaiki.console.effective.origins import Origins, first
from kaiki.console.effective.resources import ToldResource
from kaiki.console.effective.rows import ChainRow, Condition, ListenerRow, Origin, Target
from kaiki.console.effective.tls import of_chain

_DIRECTIONS = {base_pb2.INBOUND: "inbound", base_pb2.OUTBOUND: "outbound"}
OriginsOfTable = Mapping[str, tuple[Origin, ...]]


def read_listener(told: ToldResource, origins: Origins, tables: OriginsOfTable) -> ListenerRow:
    """One listener. `tables` maps route tables to the objects they were made from."""
    listener = listener_pb2.Listener.FromString(told.body)
    chains = list(listener.filter_chains)
    if listener.HasField("default_filter_chain"):
        chains.append(listener.default_filter_chain)
    read = [_read_chain(chain, origins, tables) for chain in chains]
    socket = listener.address.socket_address
    found, count = first(
        [
            *origins.marked(listener.metadata),
            *origins.gateways_at(int(socket.port_value)),
            *(one for _, made in read for one in made),
            *origins.changed_by(told.touched),
        ]
    )
    return ListenerRow(
        name=told.name,
        address=str(socket.address or listener.address.pipe.path),
        port=int(socket.port_value),
        direction=_DIRECTIONS.get(listener.traffic_direction, ""),
        chains=tuple(row for row, _ in read),
        filters=tuple(_short(item.name) for item in listener.listener_filters),
        origins=found,
        origin_count=count,
        state=told.state,
    )


def _read_chain(
    chain: listener_components_pb2.FilterChain, origins: Origins, tables: OriginsOfTable
) -> tuple[ChainRow, list[Origin]]:
    """A chain, and all the objects behind it."""
    leads, targets, table, filters = "nothing", tuple[Target, ...](), "", []
    made: Iterable[Origin] = ()
    for item in chain.filters:
        filters.append(_short(item.name))
        kind = item.typed_config.type_url.rpartition(".")[2]
        if kind == "HttpConnectionManager":
            manager = http.HttpConnectionManager.FromString(item.typed_config.value)
            filters += [_short(one.name) for one in manager.http_filters if not one.disabled]
            leads, table = "routes", manager.rds.route_config_name or manager.route_config.name
            made = tables.get(table, ()) or _inline(manager, origins)
            targets = _inline_targets(manager)
        elif kind == "TcpProxy":
            proxy = tcp_proxy_pb2.TcpProxy.FromString(item.typed_config.value)
            leads, targets = "cluster", _shares(proxy)
            made = origins.of_clusters(one.cluster for one in targets)
    everything = [*origins.marked(chain.metadata), *made]
    found, _ = first(everything)
    row = ChainRow(
        name=chain.name,
        matches=tuple(_conditions(chain.filter_chain_match)),
        tls=of_chain(chain.transport_socket),
        filters=tuple(filters),
        leads=leads,
        targets=targets,
        table=table,
        origins=found,
    )
    return row, everything


def _inline_targets(manager: http.HttpConnectionManager) -> tuple[Target, ...]:
    """Of a route table within the listener, as inbound ones are, the clusters it leads to."""
    names = (route.route.cluster for host in manager.route_config.virtual_hosts for route in host.routes)
    return tuple(Target(name) for name in dict.fromkeys(names) if name)


def _inline(manager: http.HttpConnectionManager, origins: Origins) -> Iterable[Origin]:
    for host in manager.route_config.virtual_hosts:
        for route in host.routes:
            yield from origins.marked(route.metadata)
    yield from origins.of_clusters(one.cluster for one in _inline_targets(manager))


def _shares(proxy: tcp_proxy_pb2.TcpProxy) -> tuple[Target, ...]:
    if proxy.cluster:
        return (Target(proxy.cluster),)
    clusters = proxy.weighted_clusters.clusters
    total = sum(item.weight for item in clusters) or 1
    return tuple(Target(item.name, 100 * item.weight / total) for item in clusters)


def _conditions(match: listener_components_pb2.FilterChainMatch) -> Iterable[Condition]:
    if match.HasField("destination_port"):
        yield Condition("port", str(match.destination_port.value))
    for kind, ranges in (("address", match.prefix_ranges), ("source", match.source_prefix_ranges)):
        for item in ranges:
            yield Condition(kind, f"{item.address_prefix}/{item.prefix_len.value}")
    for name in match.server_names:
        yield Condition("serverName", name)
    if match.transport_protocol:
        yield Condition("transport", match.transport_protocol)
    if match.application_protocols:
        yield Condition("protocol", ", ".join(match.application_protocols))


def _short(name: str) -> str:
    return name.removeprefix("envoy.filters.").removeprefix("network.").removeprefix("http.").removeprefix("listener.")
