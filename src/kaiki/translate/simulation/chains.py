"""Which listener and which of its filter chains take a connection: Envoy's rules, criterion by criterion.

For each criterion in Envoy's order, the chains that name it most specifically win over those that do not name it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from typing import TypeAlias

from envoy.config.listener.v3 import listener_components_pb2, listener_pb2

from kaiki.translate.simulation.values import Request

Match: TypeAlias = listener_components_pb2.FilterChainMatch
Chain: TypeAlias = listener_components_pb2.FilterChain
_MISS, _UNSAID = -1, 0


def find_listener(listeners: Iterable[listener_pb2.Listener], request: Request) -> listener_pb2.Listener | None:
    """The listener a connection ends at, handed over by original destination where it is not bound itself."""
    known = list(listeners)
    original = [item for item in known if item.use_original_dst.value and item.traffic_direction == 2]
    by_address = {(_address(item), _port(item)): item for item in known if not item.use_original_dst.value}
    for address in (request.address, "0.0.0.0"):
        found = by_address.get((address, request.port))
        if found is not None:
            return found
    return original[0] if original else None


def _address(item: listener_pb2.Listener) -> str:
    return str(item.address.socket_address.address)


def _port(item: listener_pb2.Listener) -> int:
    return int(item.address.socket_address.port_value)


def find_chain(listener: listener_pb2.Listener, request: Request) -> Chain | None:
    """The filter chain for a connection; None if Envoy would close it."""
    inspected = {item.name.rpartition(".")[2] for item in listener.listener_filters}
    sees_tls, sees_http = "tls_inspector" in inspected, "http_inspector" in inspected
    is_tls = request.is_tls and sees_tls
    protocol = "http/1.1" if request.http and sees_http and not is_tls else ""
    criteria: tuple[Callable[[Match], int], ...] = (
        lambda match: _equal(match.destination_port.value, request.port),
        lambda match: _subnet(match.prefix_ranges, request.address),
        lambda match: _server_name(match.server_names, request.server_name if is_tls else ""),
        lambda match: _equal(match.transport_protocol, "tls" if is_tls else "raw_buffer"),
        lambda match: _among(
            match.application_protocols,
            (request.application_protocols or ("h2", "http/1.1")) if is_tls else (protocol,),
        ),
        lambda match: _subnet(match.source_prefix_ranges, request.source_address),
    )
    chains = list(listener.filter_chains)
    for criterion in criteria:
        scores = [(criterion(chain.filter_chain_match), chain) for chain in chains]
        best = max((score for score, _ in scores), default=_MISS)
        chains = [chain for score, chain in scores if score == best and best > _MISS]
    if chains:
        return chains[0]
    return listener.default_filter_chain if listener.HasField("default_filter_chain") else None


def _equal(wanted: int | str, given: int | str) -> int:
    if not wanted:
        return _UNSAID
    return 1 if wanted == given else _MISS


def _among(wanted: Iterable[str], given: Iterable[str]) -> int:
    wanted = list(wanted)
    if not wanted:
        return _UNSAID
    return 1 if set(wanted) & set(given) else _MISS


def _subnet(ranges: Iterable[object], address: str) -> int:
    known = [(item.address_prefix, item.prefix_len.value) for item in ranges]  # type: ignore[attr-defined]
    if not known:
        return _UNSAID
    if not address:
        return _MISS
    given = ipaddress.ip_address(address)
    fitting = [
        length + 1 for prefix, length in known if given in ipaddress.ip_network(f"{prefix}/{length}", strict=False)
    ]
    return max(fitting, default=_MISS)


def _server_name(names: Iterable[str], given: str) -> int:
    known = list(names)
    if not known:
        return _UNSAID
    if given in known:
        return 10_000
    wider = [name for name in known if name.startswith("*.") and given.endswith(name[1:])]
    return max(map(len, wider), default=_MISS)
