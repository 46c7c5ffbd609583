"""Patches within one listener: the listener itself, its filters, chains, network filters and HTTP filters."""

from __future__ import annotations

from collections.abc import Iterator

from envoy.config.core.v3 import base_pb2
from envoy.config.listener.v3 import listener_components_pb2, listener_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as http

from kaiki.model.envoy_filter import EnvoyPatch, PatchMatch, PatchOperation, PatchTarget
from kaiki.translate.encode import pack
from kaiki.translate.patches.lists import change_list
from kaiki.translate.patches.routes import patch_table
from kaiki.translate.patches.values import merge, parse

_MANAGER = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"


def listener_fits(message: listener_pb2.Listener, match: PatchMatch) -> bool:
    """Whether a listener is meant. An inbound listener is one for all ports, which its chains tell apart."""
    if match.listener and match.listener != message.name:
        return False
    if match.port and message.traffic_direction != base_pb2.INBOUND:
        return bool(match.port == message.address.socket_address.port_value)
    return True


def patch_listener(message: listener_pb2.Listener, patch: EnvoyPatch) -> int:
    """Apply one patch to a listener that fits; returns how many places it changed. Raises BadValue."""
    match, target = patch.match, patch.target
    if target is PatchTarget.LISTENER:
        merge(message, parse(patch.value, listener_pb2.Listener))
        return 1
    if target is PatchTarget.LISTENER_FILTER:
        return change_list(
            message.listener_filters,
            listener_components_pb2.ListenerFilter,
            patch,
            lambda item: not match.listener_filter or item.name == match.listener_filter,
            bool(match.listener_filter),
        )
    if target is PatchTarget.FILTER_CHAIN:
        if patch.operation is PatchOperation.ADD:
            message.filter_chains.append(parse(patch.value, listener_components_pb2.FilterChain))
            return 1
        return change_list(
            message.filter_chains,
            listener_components_pb2.FilterChain,
            patch,
            lambda chain: _chain_fits(chain, match, message),
            True,
        )
    return sum(_patch_chain(chain, patch) for chain in _chains(message) if _chain_fits(chain, match, message))


def _chains(message: listener_pb2.Listener) -> Iterator[listener_components_pb2.FilterChain]:
    yield from message.filter_chains
    if message.HasField("default_filter_chain"):
        yield message.default_filter_chain


def _chain_fits(chain: listener_components_pb2.FilterChain, match: PatchMatch, message: listener_pb2.Listener) -> bool:
    conditions = chain.filter_chain_match
    if match.chain and match.chain != chain.name:
        return False
    if match.server_name and match.server_name not in conditions.server_names:
        return False
    if match.transport_protocol and match.transport_protocol != conditions.transport_protocol:
        return False
    if match.application_protocols and not set(match.application_protocols) & set(conditions.application_protocols):
        return False
    if match.destination_port and match.destination_port != conditions.destination_port.value:
        return False
    inbound = message.traffic_direction == base_pb2.INBOUND
    return not (inbound and match.port) or match.port == conditions.destination_port.value


def _patch_chain(chain: listener_components_pb2.FilterChain, patch: EnvoyPatch) -> int:
    match = patch.match
    if patch.target is PatchTarget.NETWORK_FILTER:
        return change_list(
            chain.filters,
            listener_components_pb2.Filter,
            patch,
            lambda item: not match.filter or item.name == match.filter,
            bool(match.filter),
            last=1,
        )
    changed = 0
    for item in chain.filters:
        is_manager = item.typed_config.type_url.endswith("/" + _MANAGER)
        if not is_manager or (match.filter and match.filter != item.name):
            continue
        manager = http.HttpConnectionManager.FromString(item.typed_config.value)
        done = _patch_manager(manager, patch)
        if done:
            item.typed_config.CopyFrom(pack(manager))
        changed += done
    return changed


def _patch_manager(manager: http.HttpConnectionManager, patch: EnvoyPatch) -> int:
    match = patch.match
    if patch.target is PatchTarget.HTTP_FILTER:
        return change_list(
            manager.http_filters,
            http.HttpFilter,
            patch,
            lambda item: not match.sub_filter or item.name == match.sub_filter,
            bool(match.sub_filter),
            last=1,
        )
    # Routes of inbound traffic stand in the connection manager itself.
    return patch_table(manager.route_config, patch) if manager.HasField("route_config") else 0
