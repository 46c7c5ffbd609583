"""Routes of TLS and TCP connections: filter chains chosen by server name and by destination address."""

from __future__ import annotations

from typing import NamedTuple

from envoy.config.listener.v3 import listener_components_pb2

from kaiki.model.finding import ObjectRef
from kaiki.model.route import ConnectionMatch, ConnectionRoute
from kaiki.translate.connections import weights
from kaiki.translate.features.dynamic_names import by_server_name
from kaiki.translate.features.tcp_settings import NO_TCP_SETTINGS, TcpSettings
from kaiki.translate.origins import mark_origin
from kaiki.translate.scope import Scope

_ANY = ConnectionMatch()


class RoutedChain(NamedTuple):
    """One filter chain: what it takes, and the clusters it sends to by weight; the first one's settings count."""

    name: str
    server_names: tuple[str, ...]
    subnets: tuple[str, ...]
    clusters: tuple[tuple[str, int], ...]
    tcp: TcpSettings = NO_TCP_SETTINGS
    source_subnets: tuple[str, ...] = ()
    source: ObjectRef | None = None
    rule: str = ""
    looked_up_port: int = 0

    @property
    def matches_everything(self) -> bool:
        return not self.server_names and not self.subnets and not self.source_subnets

    @property
    def reads_hello(self) -> bool:
        """Whether the name in a TLS hello matters: to choose the chain, or to be looked up."""
        return bool(self.server_names or self.looked_up_port)

    def start(self, chain: listener_components_pb2.FilterChain) -> None:
        """Write name, conditions, origin, and what stands before the proxy into a filter chain."""
        chain.name = self.name
        self.set_match(chain.filter_chain_match)
        if self.source is not None:
            mark_origin(chain.metadata, self.source, self.rule)
        chain.filters.extend(by_server_name(self.looked_up_port))

    def set_match(self, match: listener_components_pb2.FilterChainMatch) -> None:
        """Write the conditions into a filter chain match."""
        match.server_names.extend(dict.fromkeys(name for name in self.server_names if name != "*"))
        if self.server_names:
            match.transport_protocol = "tls"
        for subnets, ranges in ((self.subnets, match.prefix_ranges), (self.source_subnets, match.source_prefix_ranges)):
            for subnet in subnets:
                address, _, length = subnet.partition("/")
                ranges.add(address_prefix=address).prefix_len.value = int(length or (128 if ":" in address else 32))


def routed_chains(
    routes: tuple[ConnectionRoute, ...], gateway: str, scope: Scope, port: int
) -> tuple[RoutedChain, ...]:
    """The chains for one port. Two with the same conditions cannot stand side by side: the first wins."""
    found: dict[tuple[tuple[str, ...], tuple[str, ...], str], RoutedChain] = {}
    for route in routes:
        targets = tuple(scope.target(share.destination, port) for share in route.destinations)
        if not targets:
            continue
        clusters = weights(route.destinations, tuple(target.cluster for target in targets))
        tcp, called = targets[0].tcp, max(target.looked_up_port for target in targets)
        for match in route.matches or (_ANY,):
            if _applies(match, gateway, scope, port):
                conditions = (match.sni_hosts, match.destination_subnets, match.source_subnet)
                name = f"{route.source.namespace}/{route.source.name}-{len(found)}"
                rule = f"{'tls' if match.sni_hosts else 'tcp'}[{route.index}]"
                sources = (match.source_subnet,) if match.source_subnet else ()
                found.setdefault(
                    conditions, RoutedChain(name, *conditions[:2], clusters, tcp, sources, route.source, rule, called)
                )
    return tuple(found.values())


def _applies(match: ConnectionMatch, gateway: str, scope: Scope, port: int) -> bool:
    if match.gateways and gateway not in match.gateways:
        return False
    if match.port and match.port != port:
        return False
    if match.source_namespace and match.source_namespace != scope.namespace:
        return False
    return set(match.source_labels) <= set(scope.labels)
