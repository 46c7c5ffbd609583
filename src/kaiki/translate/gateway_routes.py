"""The route tables of a gateway: which hosts a port answers for, and the routes of all VirtualServices for each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from kaiki.model.gateway import Gateway, GatewayServer, ServerHost, ServerTlsMode
from kaiki.model.proxy import Resource
from kaiki.model.route import ConnectionRoute, HttpMatch, HttpRoute, VirtualService
from kaiki.translate.features.route_matching import takes_everything
from kaiki.translate.scope import Scope, covers, is_visible
from kaiki.translate.virtual_hosts import misdirected_host, redirecting_host, route_table, routed_host


class BoundServer(NamedTuple):
    """One server of a Gateway (its place there) and the port its pod binds for it."""

    gateway: Gateway
    server: GatewayServer
    port: int
    position: int

    @property
    def place(self) -> tuple[str, int]:
        """The address (empty: every one) and the port its pod binds."""
        return self.server.bind, self.port

    @property
    def statistics(self) -> str:
        """What Envoy's own statistics of the server begin with."""
        return f"gateway_{self.port}" + (f"_{self.server.name}" if self.server.name else "")

    @property
    def ends_tls(self) -> bool:
        """Whether TLS is ended here and HTTP is spoken inside."""
        return self.server.is_http and self.server.has_certificate

    @property
    def redirects(self) -> bool:
        """Whether plaintext is answered with a redirect to HTTPS."""
        return self.server.tls is not None and self.server.tls.https_redirect

    @property
    def encrypted_table_name(self) -> str:
        source = self.gateway.source
        name = self.server.port_name or str(self.position)
        return f"https.{self.server.port}.{name}.{source.name}.{source.namespace}"


def plain_table_name(place: tuple[str, int]) -> str:
    """The name of the routes of a port (and an address of its own, if it has one) that speaks plain HTTP."""
    address, port = place
    return f"http.{port}.{address}" if address else f"http.{port}"


def plain_table(scope: Scope, place: tuple[str, int], servers: Iterable[BoundServer]) -> Resource:
    """The routes of a port that speaks plain HTTP, for all its servers."""
    return _table(scope, plain_table_name(place), tuple(servers))


def encrypted_table(scope: Scope, bound: BoundServer) -> Resource:
    """The routes behind the TLS of one server."""
    return _table(scope, bound.encrypted_table_name, (bound,))


def _table(scope: Scope, name: str, servers: tuple[BoundServer, ...]) -> Resource:
    number = servers[0].server.port
    redirected = {mine.host for bound in servers if bound.redirects for mine in bound.server.hosts}
    known = _hosts(scope, servers)
    hosts = []
    for host, (first, routes) in sorted(known.items()):
        key, secure_only = first.gateway.key, first.redirects
        hosts.append(routed_host(f"{host}:{number}", (host,), routes, key, scope, number, secure_only))
    for host in sorted(redirected - set(known)):
        hosts.append(scope.memo.get(redirecting_host, f"{host}:{number}", (host,)))
    misdirected = {host for bound in servers for host in bound.server.misdirected}
    for host in sorted(misdirected - set(known) - redirected):
        hosts.append(scope.memo.get(misdirected_host, f"{host}:{number}", (host,)))
    return route_table(name, tuple(hosts), scope.memo)


def _hosts(scope: Scope, servers: Iterable[BoundServer]) -> dict[str, tuple[BoundServer, tuple[HttpRoute, ...]]]:
    """Host → the first server that answers for it, and the routes of all VirtualServices, the oldest first.

    Routes of one host add up at a gateway.
    """
    found: dict[str, tuple[BoundServer, list[HttpRoute]]] = {}
    for bound in servers:
        for item in routes_at(scope, bound.gateway):
            for host in answered_hosts(bound.server.hosts, item):
                _, routes = found.setdefault(host, (bound, []))
                routes += [route for route in item.http if not any(route is known for known in routes)]
    memo = scope.memo
    return {host: (bound, memo.get(_general_last, tuple(routes))) for host, (bound, routes) in found.items() if routes}


def _general_last(routes: tuple[HttpRoute, ...]) -> tuple[HttpRoute, ...]:
    """Where several objects add up, what takes everything goes last, so that an older one hides no younger one."""
    if len({route.source for route in routes}) < 2:
        return routes
    each = [replace(route, matches=(match,)) for route in routes for match in route.matches or (HttpMatch(),)]
    return tuple(sorted(each, key=lambda route: takes_everything(route.matches[0])))


def routes_at(scope: Scope, gateway: Gateway) -> tuple[VirtualService, ...]:
    """The VirtualServices for a gateway that it can see, the oldest first."""
    items = scope.snapshot.virtual_services.get(gateway.key, ())
    return tuple(item for item in items if is_visible(item.export_to, gateway.source.namespace))


def answered_hosts(hosts: Iterable[ServerHost], item: VirtualService) -> list[str]:
    """The hosts of a VirtualService that a server answers for: the narrower of each overlapping pair."""
    found: dict[str, None] = {}
    for mine in hosts:
        if mine.namespace not in ("*", item.source.namespace):
            continue
        for theirs in item.hosts:
            if covers(mine.host, theirs):
                found[theirs] = None
            elif covers(theirs, mine.host):
                found[mine.host] = None
    return list(found)


def connection_routes(scope: Scope, bound: BoundServer) -> tuple[ConnectionRoute, ...]:
    """The routes of connections at one server: by server name where TLS passes through, else TCP's."""
    passes = bound.server.tls_mode in (ServerTlsMode.PASSTHROUGH, ServerTlsMode.AUTO_PASSTHROUGH)
    return tuple(
        route
        for item in routes_at(scope, bound.gateway)
        if answered_hosts(bound.server.hosts, item)
        for route in (item.tls if passes else item.tcp)
    )
