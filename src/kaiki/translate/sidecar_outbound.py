"""What a sidecar does with calls of its application: `virtualOutbound` on 15001 and the listeners it hands over to.

    declared HTTP   0.0.0.0_<port>   by Host header, routes `<port>`; anything unknown goes where it was meant to go
    undeclared      <VIP>_<port>     sniffed: HTTP by routes `<host>:<port>`, the rest as TCP
    TCP, TLS        <VIP>_<port>     by address; VirtualServices may choose by server name
    TLS, no VIP     0.0.0.0_<port>   by server name (hosts of ServiceEntries)
    headless TCP    <pod>_<port>     one listener per endpoint, because the address is the choice
    everything else                  PassthroughCluster, or nowhere (REGISTRY_ONLY)

All of it is the same for every sidecar of a scope, and is built once for it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import partial
from typing import NamedTuple

from envoy.config.core.v3 import base_pb2
from envoy.config.listener.v3 import listener_components_pb2, listener_pb2

from kaiki.model.memo import Memo
from kaiki.model.proxy import CLUSTER_TYPE, ENDPOINT_TYPE, LISTENER_TYPE, ROUTE_TYPE, Resource
from kaiki.model.route import MESH_GATEWAY, ConnectionRoute, VirtualService
from kaiki.model.service import Endpoint, Protocol, Resolution, Service, ServicePort
from kaiki.translate import cluster_names
from kaiki.translate.connection_routes import RoutedChain, routed_chains
from kaiki.translate.connections import Role, routed_http, tcp
from kaiki.translate.encode import by_name, resource
from kaiki.translate.features.metric_labels import Reporter
from kaiki.translate.features.tcp_settings import TcpSettings
from kaiki.translate.listeners import (
    HTTP_PROTOCOLS,
    RESERVED_PORTS,
    drop_own_port,
    http_inspector,
    inspect,
    listener,
    remove_overlaps,
    tls_inspector,
)
from kaiki.translate.pod_hosts import Named, held_by_names, pod_hosts
from kaiki.translate.scope import Scope
from kaiki.translate.service_clusters import service_clusters
from kaiki.translate.virtual_hosts import (
    HostBlock,
    host_block,
    passthrough_host,
    plain_host,
    refusing_host,
    route_table,
    routed_host,
    service_domains,
    table_of_blocks,
)

_HTTP_PORT = 80
Resources = dict[str, dict[str, Resource]]


def outbound(scope: Scope) -> Resources:
    """Everything outbound of one scope, by type and name."""
    found, memo, snapshot = service_clusters(scope), scope.memo, scope.snapshot
    called = memo.depends("called ports", lambda: _called_ports(scope), *scope.view)
    connections = memo.depends("connections", lambda: _connections(scope), called.plain, snapshot.virtual_services)
    held = tuple(scope.snapshot.endpoints.get((service.hostname, port.number)) for service, port in called.headless)
    listeners = memo.depends("listeners", lambda: _listeners(scope, called), called.plain, *held, *connections)
    named = held_by_names(scope, called.named)
    routes = memo.depends(
        "route tables", lambda: _route_tables(scope, called), called.plain, snapshot.virtual_services, *named
    )
    return {
        CLUSTER_TYPE: found.clusters,
        ENDPOINT_TYPE: found.assignments,
        LISTENER_TYPE: listeners,
        ROUTE_TYPE: routes,
    }


def _connections(scope: Scope) -> tuple[object, ...]:
    """What of the routes listeners depend on."""
    by_host = scope.mesh_routes_by_host
    foreign = any(True for _ in _foreign_hosts(scope))
    if any(host.startswith("*") and (item.tls or item.tcp) for host, item in by_host.items()):
        return foreign, scope.fallback, scope.snapshot.keeps_sessions, scope.mesh_routes
    routed = tuple((host, item) for host, item in by_host.items() if item.tls or item.tcp)
    return foreign, scope.fallback, scope.snapshot.keeps_sessions, routed


def _listeners(scope: Scope, called: _CalledPorts) -> dict[str, Resource]:
    return by_name([scope.memo.shared(_virtual_outbound, scope.fallback), *_service_listeners(scope, called)])


def _virtual_outbound(fallback: str) -> Resource:
    name, own = cluster_names.VIRTUAL_OUTBOUND, cluster_names.OUTBOUND_PORT
    message = listener(name, "0.0.0.0", own, base_pb2.OUTBOUND, bind=True)
    message.use_original_dst.value = True
    drop_own_port(message, own)
    _add_everything_else(message, fallback)
    return resource(name, message)


def _add_everything_else(message: listener_pb2.Listener, cluster: str) -> None:
    """What the mesh does not know goes where it was meant to, or nowhere, or to a proxy for it."""
    message.default_filter_chain.name = cluster
    message.default_filter_chain.filters.append(tcp(cluster, ((cluster, 1),), Reporter.SOURCE))


def _http_ports(scope: Scope) -> dict[int, list[Service]]:
    """Ports at which some service declares HTTP, with those services."""
    found: dict[int, list[Service]] = defaultdict(list)
    for service in scope.services:
        for port in scope.captured_ports_of(service):
            if port.protocol.is_http and port.number not in RESERVED_PORTS:
                found[port.number].append(service)
    return found


def _foreign_hosts(scope: Scope) -> Iterator[tuple[str, VirtualService]]:
    """Hosts that VirtualServices route at port 80 in sidecars and that are no service of the registry there."""
    seen: set[str] = set()
    for item in scope.mesh_routes:
        for host in item.hosts if item.http else ():
            if host not in seen and host != "*" and _is_foreign(scope, host, item):
                seen.add(host)
                yield host, item


def _is_foreign(scope: Scope, host: str, item: VirtualService) -> bool:
    """A service without port 80 is called there when a route says so: on the way to a gateway that calls another."""
    if not scope.sees(host):
        return True
    if any(port.number == _HTTP_PORT for port in scope.snapshot.services[host].ports):
        return False
    return any(match.port == _HTTP_PORT for route in item.http for match in route.matches)


def _service_listeners(scope: Scope, called: _CalledPorts) -> Iterator[Resource]:
    http, tls = set(called.http), _chains_by_server_name(scope, called.special)
    if any(True for _ in _foreign_hosts(scope)):
        http.add(_HTTP_PORT)
    catching = _catch_all_ports(scope, called.special)
    sessions = scope.snapshot.keeps_sessions
    for number in sorted(http | tls.keys() | catching.keys()):
        chains, fallback = tuple(tls.get(number, ())), catching.get(number, scope.fallback)
        yield scope.memo.shared(_listener_of_names, number, number in http, chains, fallback, sessions)
    taken: set[str] = set()
    for service, port in called.by_address:
        for made in _address_listeners(scope, service, port):
            # Two ServiceEntries may name one address; the first has it.
            if made.name not in taken:
                taken.add(made.name)
                yield made


class _CalledPorts(NamedTuple):
    """The ports at which HTTP is declared, and what is called by address, in the order of services.

    `headless` are those of the latter whose endpoints have listeners, `special` what is told apart otherwise, `named`
    the HTTP ports of headless services, whose pods have names.
    """

    http: frozenset[int]
    by_address: tuple[tuple[Service, ServicePort], ...]
    headless: tuple[tuple[Service, ServicePort], ...]
    special: tuple[Service, ...]
    plain: dict[int, _PlainHosts]
    named: Named


def _called_ports(scope: Scope) -> _CalledPorts:
    pairs = [(service, port) for service in scope.services for port in scope.captured_ports_of(service)]
    by_address = tuple((service, port) for service, port in pairs if not port.protocol.is_http)
    return _CalledPorts(
        http=frozenset(_http_ports(scope)),
        by_address=by_address,
        headless=tuple((service, port) for service, port in by_address if service.headless),
        special=tuple(service for service in scope.services if service.subnets or not service.addresses),
        plain=_plain_hosts(scope.seldom("plain hosts")),
        named=tuple((service, port.number) for service, port in pairs if service.headless and port.protocol.is_http),
    )


def _chains_by_server_name(scope: Scope, services: Iterable[Service]) -> dict[int, list[RoutedChain]]:
    """Port → chains for services that have no address: a TLS hello says who is meant."""
    found: dict[int, list[RoutedChain]] = defaultdict(list)
    for service in services:
        if service.subnets:
            _add_subnets(scope, service, found)
        if service.addresses or service.headless:
            continue
        for port in scope.captured_ports_of(service):
            if port.protocol not in (Protocol.TLS, Protocol.HTTPS) or port.number in RESERVED_PORTS:
                continue
            names = (service.hostname,)
            chains = routed_chains(_connection_routes(scope, service), MESH_GATEWAY, scope, port.number)
            # A route that names no server is for the service's own name: there is no address to tell it by.
            named = [chain if chain.server_names else chain._replace(server_names=names) for chain in chains]
            target = scope.port_target(service, port.number)
            clusters = ((target.cluster, 1),)
            plain = RoutedChain(service.hostname, names, (), clusters, target.tcp)
            plain = plain._replace(looked_up_port=target.looked_up_port)
            found[port.number] += named or [plain]
    return found


def _add_subnets(scope: Scope, service: Service, found: dict[int, list[RoutedChain]]) -> None:
    """Bytes for any address of a service's subnets are for that service; HTTP there is told apart by name."""
    for port in scope.captured_ports_of(service):
        if port.protocol.is_http or port.number in RESERVED_PORTS:
            continue
        routed = routed_chains(_connection_routes(scope, service), MESH_GATEWAY, scope, port.number)
        for chain in routed:
            found[port.number].append(chain._replace(subnets=chain.subnets or service.subnets))
        if not any(chain.matches_everything for chain in routed):
            target = scope.port_target(service, port.number)
            name, clusters = f"{service.hostname}-subnets", ((target.cluster, 1),)
            found[port.number].append(RoutedChain(name, (), service.subnets, clusters, target.tcp))


def _catch_all_ports(scope: Scope, services: Iterable[Service]) -> dict[int, str]:
    """Ports at which all bytes are for one service: without an address nothing tells its connections from others."""
    found: dict[int, str] = {}
    for service in services:
        if service.resolution is not Resolution.NONE or service.called_at or service.subnets:
            continue
        for port in scope.captured_ports_of(service):
            if port.protocol in (Protocol.TCP, Protocol.AUTO) and port.number not in RESERVED_PORTS:
                found.setdefault(port.number, scope.port_target(service, port.number).cluster)
    return found


def _listener_of_names(
    port: int, http: bool, chains: tuple[RoutedChain, ...], fallback: str, sessions: bool
) -> Resource:
    """What is called by name, not by address: HTTP by its Host header, TLS by its server name."""
    name = f"0.0.0.0_{port}"
    message = listener(name, "0.0.0.0", port, base_pb2.OUTBOUND, bind=False)
    if any(chain.server_names for chain in chains):
        inspect(message, tls_inspector())
    if http:
        inspect(message, http_inspector())
        add_http_chain(message, f"outbound_{name}", str(port), sessions)
    for chain in chains:
        message.filter_chains.append(_chain(chain, chain.name))
    remove_overlaps(message)
    _add_everything_else(message, fallback)
    return resource(name, message)


def add_http_chain(message: listener_pb2.Listener, statistics: str, table: str, sessions: bool) -> None:
    """Plain HTTP, routed by a table."""
    chain = message.filter_chains.add(name="http")
    chain.filter_chain_match.transport_protocol = "raw_buffer"
    chain.filter_chain_match.application_protocols.extend(HTTP_PROTOCOLS)
    chain.filters.append(routed_http(Role.OUTBOUND, statistics, table, sessions))


class _Place(NamedTuple):
    """One address a service is called at; `endpoint` is set where the address is one pod's."""

    address: str
    port: int
    endpoint: str = ""


def _places(service: Service, port: ServicePort, endpoints: Iterable[Endpoint]) -> Iterator[_Place]:
    # A ServiceEntry's addresses are many; a Service's are one per family.
    for address in service.called_at if service.is_entry else service.addresses[:1]:
        yield _Place(address, port.number)
    if service.headless:
        for item in endpoints:
            if item.healthy:
                yield _Place(item.address, item.port, f"{item.address}:{item.port}")


def _address_listeners(scope: Scope, service: Service, port: ServicePort) -> Iterator[Resource]:
    endpoints = scope.snapshot.endpoints.get((service.hostname, port.number), ())
    routes = _connection_routes(scope, service)
    chains = routed_chains(routes, MESH_GATEWAY, scope, port.number)
    target = scope.port_target(service, port.number)
    table = f"{service.hostname}:{port.number}" if port.protocol is Protocol.AUTO and service.called_at else ""
    for place in _places(service, port, endpoints):
        yield scope.memo.shared(
            _address_listener,
            place,
            chains,
            table,
            service.hostname,
            target.cluster,
            target.tcp,
            scope.snapshot.keeps_sessions,
        )


def _connection_routes(scope: Scope, service: Service) -> tuple[ConnectionRoute, ...]:
    routes = scope.mesh_routes_of(service.hostname)
    return routes.tls + routes.tcp if routes else ()


def _address_listener(
    place: _Place,
    chains: tuple[RoutedChain, ...],
    table: str,
    host: str,
    cluster: str,
    settings: TcpSettings,
    sessions: bool,
) -> Resource:
    address, port, endpoint = place
    name = f"{address}_{port}"
    message = listener(name, address, port, base_pb2.OUTBOUND, bind=False)
    if table:
        inspect(message, http_inspector())
        add_http_chain(message, f"outbound_{name}", table, sessions)
    if any(chain.reads_hello for chain in chains):
        inspect(message, tls_inspector())
    for chain in chains:
        message.filter_chains.append(_chain(chain, host))
    remove_overlaps(message)
    if not any(chain.matches_everything for chain in chains):
        message.default_filter_chain.name = "tcp"
        message.default_filter_chain.filters.append(tcp(cluster, ((cluster, 1),), Reporter.SOURCE, endpoint, settings))
    return resource(name, message)


def _chain(routed: RoutedChain, statistics: str) -> listener_components_pb2.FilterChain:
    chain = listener_components_pb2.FilterChain()
    routed.start(chain)
    chain.filters.append(tcp(statistics, routed.clusters, Reporter.SOURCE, settings=routed.tcp))
    return chain


def _route_tables(scope: Scope, called: _CalledPorts) -> dict[str, Resource]:
    return by_name(_each_table(scope.seldom("routed hosts", scope.snapshot.virtual_services), called))


def _each_table(scope: Scope, called: _CalledPorts) -> Iterator[Resource]:
    memo: Memo = scope.memo
    unknown = everything_else(scope)
    foreign = list(_foreign_hosts(scope))
    for number in sorted({*called.plain, _HTTP_PORT} if foreign else called.plain):
        plain = called.plain.get(number, _NO_HOSTS)
        hosts = []
        if number == _HTTP_PORT:
            hosts += [
                routed_host(f"{host}:{number}", (host,), item.http, MESH_GATEWAY, scope, number)
                for host, item in foreign
                if host not in plain.taken
            ]
        if named := [one for one in called.named if one[1] == number]:
            others = {host for host, _ in foreign} if number == _HTTP_PORT else set()
            hosts += pod_hosts(scope, named, (plain.taken, others))
        blocks = (*_blocks_now(scope, plain, number), memo.get(host_block, (*hosts, unknown)))
        yield memo.get(table_of_blocks, str(number), blocks)
    for service, port in called.by_address:
        if port.protocol is Protocol.AUTO and service.called_at:
            hosts = [service_host(scope, service, port.number, set())]
            yield route_table(f"{service.hostname}:{port.number}", (*hosts, unknown), memo)


class _PlainHost(NamedTuple):
    """The virtual host of a service as it is without routes, and the names left for it."""

    service: Service
    domains: tuple[str, ...]
    body: bytes


class _PlainHosts(NamedTuple):
    """The services at a port as nobody routes them, in blocks of some, and all names they have."""

    entries: tuple[_PlainHost, ...]
    blocks: tuple[HostBlock, ...]
    positions: dict[str, int]
    taken: frozenset[str]


_NO_HOSTS = _PlainHosts((), (), {}, frozenset())
_BLOCK = 32
"""Virtual hosts that are put together, and hashed, at once: of a table of thousands one block changes."""


def _plain_hosts(scope: Scope) -> dict[int, _PlainHosts]:
    """For each port that speaks HTTP, the services as nobody routes them."""
    found = {}
    for number, services in _http_ports(scope).items():
        # Envoy refuses a table that has a name twice. A short name is a Service's, an address the first one's.
        taken: set[str] = set()
        entries = []
        for service in sorted(services, key=lambda service: service.is_entry):
            domains = tuple(name for name in service_domains(service, scope.namespace) if name not in taken)
            taken.update(domains)
            if domains:
                name, target = f"{service.hostname}:{number}", scope.port_target(service, number)
                retries = scope.snapshot.settings.defaults.retries
                body = scope.memo.get(plain_host, name, domains, target, retries)
                entries.append(_PlainHost(service, domains, body))
        positions = {entry.service.hostname: index for index, entry in enumerate(entries)}
        pieces = (entries[start : start + _BLOCK] for start in range(0, len(entries), _BLOCK))
        blocks = tuple(scope.memo.get(host_block, tuple(entry.body for entry in piece)) for piece in pieces)
        found[number] = _PlainHosts(tuple(entries), blocks, positions, frozenset(taken))
    return found


def _blocks_now(scope: Scope, plain: _PlainHosts, number: int) -> list[HostBlock]:
    """The blocks of a table, with what VirtualServices make of the hosts they route."""
    routed: dict[int, dict[int, bytes]] = defaultdict(dict)
    for position in _routed_positions(scope, plain):
        entry = plain.entries[position]
        routes = scope.mesh_routes_of(entry.service.hostname)
        if routes is not None and routes.http:
            body = scope.memo.depends(
                "routed", partial(_routed, scope, entry, routes, number), plain.positions, position, routes
            )
            routed[position // _BLOCK][position] = body
    blocks = list(plain.blocks)
    for index, bodies in routed.items():
        others = tuple(bodies.items())
        blocks[index] = scope.memo.depends(
            "block", partial(_block, plain, index, bodies), plain.positions, index, others
        )
    return blocks


def _block(plain: _PlainHosts, index: int, others: dict[int, bytes]) -> HostBlock:
    positions = range(index * _BLOCK, min((index + 1) * _BLOCK, len(plain.entries)))
    return host_block(tuple(others.get(position) or plain.entries[position].body for position in positions))


def _routed_positions(scope: Scope, plain: _PlainHosts) -> Iterable[int]:
    if scope.has_wildcard_routes:
        return range(len(plain.entries))
    return [plain.positions[host] for host in scope.mesh_routes_by_host if host in plain.positions]


def _routed(scope: Scope, entry: _PlainHost, routes: VirtualService, number: int) -> bytes:
    name = f"{entry.service.hostname}:{number}"
    return routed_host(name, entry.domains, routes.http, MESH_GATEWAY, scope, number)


def everything_else(scope: Scope) -> bytes:
    """The virtual host of names nobody knows."""
    if scope.registry_only:
        return scope.memo.get(refusing_host)
    return scope.memo.get(passthrough_host, scope.fallback)


def service_host(scope: Scope, service: Service, number: int, taken: set[str]) -> bytes:
    """The virtual host of a service, of the names that are not `taken`, which then are; nothing if all are."""
    name = f"{service.hostname}:{number}"
    domains = tuple(domain for domain in service_domains(service, scope.namespace) if domain not in taken)
    taken.update(domains)
    if not domains:
        return b""
    routes = scope.mesh_routes_of(service.hostname)
    if routes is not None and routes.http:
        return routed_host(name, domains, routes.http, MESH_GATEWAY, scope, number)
    target, retries = scope.port_target(service, number), scope.snapshot.settings.defaults.retries
    return scope.memo.get(plain_host, name, domains, target, retries)
