"""The common parts of listeners: addresses, inspectors, and what must be dropped."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from envoy.config.core.v3 import base_pb2
from envoy.config.listener.v3 import listener_components_pb2, listener_pb2

from kaiki.model.sidecar import UNIX_PREFIX, unix_path
from kaiki.translate import cluster_names
from kaiki.translate.connections import dropped
from kaiki.translate.encode import duration, pack_empty, serialize

INSPECTION_SECONDS = 5.0
"""How long a listener waits for bytes to look at. Short waits turn a late TLS hello into plaintext."""
RESERVED_PORTS = frozenset((15000, 15001, 15006, 15020, 15021, 15090))
"""Ports at which every proxy listens for itself."""
HTTP_PROTOCOLS = ("http/1.0", "http/1.1", "h2c")
MESH_HTTP_PROTOCOLS = ("istio-http/1.0", "istio-http/1.1", "istio-h2")
"""What a proxy of the mesh offers in its TLS hello for HTTP."""
MESH_TCP_PROTOCOLS = ("istio", "istio-peer-exchange")
"""What it offers for plain TCP."""
_LISTENER_FILTERS = "envoy.extensions.filters.listener"


def listener(
    name: str, address: str, port: int, direction: base_pb2.TrafficDirection.ValueType, bind: bool
) -> listener_pb2.Listener:
    """A listener without chains. One that does not bind is reached through a listener with original destinations."""
    message = listener_pb2.Listener(name=name, traffic_direction=direction)
    if address.startswith(UNIX_PREFIX):
        message.address.pipe.path = unix_path(address)
    else:
        message.address.socket_address.address = address
        message.address.socket_address.port_value = port
    if not bind:
        message.bind_to_port.value = False
    return message


def inspect(message: listener_pb2.Listener, *filters: listener_components_pb2.ListenerFilter) -> None:
    """Add listener filters, with the patience they need; who stays silent gets the chain for plain TCP."""
    message.listener_filters.extend(filters)
    message.listener_filters_timeout.CopyFrom(duration(INSPECTION_SECONDS))
    message.continue_on_listener_filters_timeout = True


@cache
def listener_filter(name: str, type_name: str) -> listener_components_pb2.ListenerFilter:
    """A listener filter without settings."""
    return listener_components_pb2.ListenerFilter(
        name=f"envoy.filters.listener.{name}", typed_config=pack_empty(f"{_LISTENER_FILTERS}.{name}.v3.{type_name}")
    )


def tls_inspector() -> listener_components_pb2.ListenerFilter:
    """Looks for a TLS hello, its server name and protocols."""
    return listener_filter("tls_inspector", "TlsInspector")


def original_destination() -> listener_components_pb2.ListenerFilter:
    """Restores the address a redirected connection was meant for."""
    return listener_filter("original_dst", "OriginalDst")


def http_inspector(except_ports: Iterable[int] = ()) -> listener_components_pb2.ListenerFilter:
    """Looks for HTTP; ports whose protocol is declared need no look."""
    message = listener_components_pb2.ListenerFilter()
    message.CopyFrom(listener_filter("http_inspector", "HttpInspector"))
    ports = sorted(set(except_ports))
    if len(ports) == 1:
        _set_port(message.filter_disabled, ports[0])
    elif ports:
        for port in ports:
            _set_port(message.filter_disabled.or_match.rules.add(), port)
    return message


def _set_port(predicate: listener_components_pb2.ListenerFilterChainMatchPredicate, port: int) -> None:
    predicate.destination_port_range.start = port
    predicate.destination_port_range.end = port + 1


def remove_overlaps(message: listener_pb2.Listener) -> None:
    """Take from each chain the server names (or subnets) an earlier chain has: Envoy refuses overlapping conditions."""
    claimed: set[tuple[str, str, bytes]] = set()
    kept = []
    for chain in message.filter_chains:
        match = chain.filter_chain_match
        subnets = [f"{item.address_prefix}/{item.prefix_len.value}" for item in match.prefix_ranges] or [""]
        other = _other_conditions(match)
        taken = {name for name, subnet, conditions in claimed if subnet in subnets and conditions == other}
        free = [name for name in list(match.server_names) or [""] if name not in taken]
        claimed |= {(name, subnet, other) for name in free for subnet in subnets}
        if free:
            match.ClearField("server_names")
            match.server_names.extend(name for name in free if name)
            kept.append(chain)
    del message.filter_chains[:]
    message.filter_chains.extend(kept)


def _other_conditions(match: listener_components_pb2.FilterChainMatch) -> bytes:
    rest = listener_components_pb2.FilterChainMatch()
    rest.CopyFrom(match)
    rest.ClearField("server_names")
    rest.ClearField("prefix_ranges")
    return serialize(rest)


def drop_own_port(message: listener_pb2.Listener, port: int) -> None:
    """Drop what was really addressed to the listener's own port: sent on, it would come back for ever."""
    chain = message.filter_chains.add(name=f"{message.name}-dropped")
    chain.filter_chain_match.destination_port.value = port
    chain.filters.append(dropped(cluster_names.BLACK_HOLE))
