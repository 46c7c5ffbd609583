"""AuthorizationPolicies put into finished listeners: of sidecars where the application is called, of gateways all.

As with what is observed, it depends on nothing else of a listener, so it is added last and kept while neither changes.
"""

from __future__ import annotations

from collections.abc import Mapping

from envoy.config.core.v3 import base_pb2
from envoy.config.listener.v3 import listener_components_pb2, listener_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as http

from kaiki.model.memo import Memo
from kaiki.model.policy.access import AccessPolicy, access_policies
from kaiki.model.proxy import LISTENER_TYPE, Proxy, Resource
from kaiki.model.snapshot import MeshSnapshot
from kaiki.model.workload import ProxyKind
from kaiki.translate.encode import pack, resource
from kaiki.translate.features.access import access_filters, network_access_filters
from kaiki.translate.features.cors import CORS_FILTER
from kaiki.translate.origins import mark_policies

_HTTP = "envoy.filters.network.http_connection_manager"
_TCP = "envoy.filters.network.tcp_proxy"
Resources = dict[str, dict[str, Resource]]


def guarded(resources: Resources, snapshot: MeshSnapshot, proxy: Proxy, memo: Memo) -> Resources:
    """The same resources, with listeners that refuse what the proxy's policies refuse."""
    policies = memo.get(access_policies, snapshot.access_policies, proxy.namespace, proxy.labels)
    if not policies:
        return resources
    policies = memo.keep(("access", policies), policies)
    everything = proxy.kind is ProxyKind.GATEWAY
    listeners = memo.get(_guarded_listeners, resources[LISTENER_TYPE], policies, everything, memo)
    return {**resources, LISTENER_TYPE: listeners}


def _guarded_listeners(
    listeners: Mapping[str, Resource], policies: tuple[AccessPolicy, ...], everything: bool, memo: Memo
) -> dict[str, Resource]:
    return {name: memo.shared(_guarded, item, policies, everything) for name, item in listeners.items()}


def _guarded(item: Resource, policies: tuple[AccessPolicy, ...], everything: bool) -> Resource:
    message = listener_pb2.Listener.FromString(item.body)
    if not everything and message.traffic_direction != base_pb2.INBOUND:
        return item
    mark_policies(message.metadata, [one.source for one in policies])
    for chain in (*message.filter_chains, message.default_filter_chain):
        _guard(chain, policies)
    return resource(message.name, message)


def _guard(chain: listener_components_pb2.FilterChain, policies: tuple[AccessPolicy, ...]) -> None:
    filters = list(chain.filters)
    for position, one in enumerate(filters):
        if one.name == _HTTP:
            manager = http.HttpConnectionManager.FromString(one.typed_config.value)
            _insert(manager, policies)
            one.typed_config.CopyFrom(pack(manager))
        elif one.name == _TCP:
            made = network_access_filters(policies)
            del chain.filters[:]
            chain.filters.extend([*filters[:position], *made, *filters[position:]])


def _insert(manager: http.HttpConnectionManager, policies: tuple[AccessPolicy, ...]) -> None:
    """After the cross-origin answers, which a browser asks for without credentials."""
    filters = list(manager.http_filters)
    names = [one.name for one in filters]
    position = names.index(CORS_FILTER) + 1 if CORS_FILTER in names else 0
    del manager.http_filters[:]
    manager.http_filters.extend([*filters[:position], *access_filters(policies), *filters[position:]])
