"""What a gateway pod gets: a listener per port of the Gateways that select it, and routes by host.

The port a Gateway names is the one users see: the gateway pod's Service maps it to the port the pod binds
(80 → 8080), and a port no Service maps is bound as it is. Servers of several Gateways at one port are merged; the
oldest decides what is spoken there, and what speaks otherwise is left out (and found: KAI0402). A server whose Secret
is not there is left out too: Envoy would keep the whole port closed until it came.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace

from kaiki.model.credential import find_roots
from kaiki.model.gateway import GatewayServer, ServerTlsMode
from kaiki.model.proxy import CLUSTER_TYPE, ENDPOINT_TYPE, LISTENER_TYPE, ROUTE_TYPE, Proxy, Resource
from kaiki.model.snapshot import MeshSnapshot
from kaiki.translate.encode import by_name
from kaiki.translate.features.passed_by_name import passed_through
from kaiki.translate.gateway_listeners import (
    connection_listener,
    encrypted_listener,
    plain_listener,
)
from kaiki.translate.gateway_routes import BoundServer, encrypted_table, plain_table
from kaiki.translate.listeners import RESERVED_PORTS
from kaiki.translate.scope import Scope
from kaiki.translate.service_clusters import service_clusters
from kaiki.translate.sidecar_outbound import Resources


def gateway(scope: Scope, proxy: Proxy) -> Resources:
    """Everything for one gateway pod."""
    found, snapshot = service_clusters(scope), scope.snapshot
    listeners, routes, automatic = scope.memo.depends(
        "gateway",
        lambda: _served(scope.seldom("gateways"), proxy),
        proxy.key,
        proxy.labels,
        snapshot.workloads.get(proxy.key),
        snapshot.services_by_workload.get(proxy.key),
        snapshot.gateways,
        snapshot.virtual_services,
        *scope.view,
    )
    named, theirs = passed_through(scope) if automatic else ([], [])
    return {
        CLUSTER_TYPE: by_name([*found.clusters.values(), *named]) if named else found.clusters,
        ENDPOINT_TYPE: by_name([*found.assignments.values(), *theirs]) if theirs else found.assignments,
        LISTENER_TYPE: listeners,
        ROUTE_TYPE: routes,
    }


def _served(scope: Scope, proxy: Proxy) -> tuple[dict[str, Resource], dict[str, Resource], bool]:
    """The listeners and route tables of a gateway pod, and whether connections pass it by their name."""
    listeners, tables = [], []
    automatic = False
    for servers in _by_port(bound_servers(scope.snapshot, proxy)).values():
        servers = [one for bound in servers if (one := _with_secrets(scope.snapshot, proxy.namespace, bound))]
        if not servers:
            continue
        if _kind(servers[0].server) == "http":
            place, sessions = servers[0].place, scope.snapshot.keeps_sessions
            listeners.append(scope.memo.get(plain_listener, place, servers[0].statistics, sessions))
            tables.append(plain_table(scope, place, servers))
        elif _kind(servers[0].server) == "tcp":
            listeners += connection_listener(scope, servers)
        else:
            listeners += encrypted_listener(scope, servers)
            tables += [encrypted_table(scope, bound) for bound in servers if bound.ends_tls]
            automatic |= any(bound.server.tls_mode is ServerTlsMode.AUTO_PASSTHROUGH for bound in servers)
    return by_name(listeners), by_name(tables), automatic


def _with_secrets(snapshot: MeshSnapshot, namespace: str, bound: BoundServer) -> BoundServer | None:
    """A server with those of its Secrets that can be used in a namespace; None if it needs one and has none."""
    tls = bound.server.tls
    if tls is None or not tls.credential or not tls.needs_pair:
        return bound
    known = ((item, snapshot.credentials.get((item[0] or namespace, item[1]))) for item in tls.secrets)
    usable = [item for item, pair in known if pair is not None and not pair.pair_problem]
    roots = find_roots(snapshot.credentials, namespace, tls.roots_from) if tls.roots_from else None
    if not usable or (tls.roots_from and (roots is None or roots.roots_problem)):
        return None
    if len(usable) == len(tls.secrets):
        return bound
    roots_from = tls.roots_credential or (tls.credential if tls.roots_from else "")
    made = replace(
        tls,
        credential_namespace=usable[0][0],
        credential=usable[0][1],
        roots_credential=roots_from,
        other_credentials=tuple(usable[1:]),
    )
    return bound._replace(server=replace(bound.server, tls=made))


def _kind(server: GatewayServer) -> str:
    if server.tls_mode is not None:
        return "tls"
    return "http" if server.is_http else "tcp"


def _by_port(servers: Iterable[BoundServer]) -> dict[tuple[str, int], list[BoundServer]]:
    """Servers by address and port; only those that speak as the first one there. HTTPS without TLS cannot be served."""
    found: dict[tuple[str, int], list[BoundServer]] = defaultdict(list)
    for bound in servers:
        if bound.port in RESERVED_PORTS or (bound.server.protocol == "HTTPS" and bound.server.tls_mode is None):
            continue
        there = found[bound.server.bind, bound.port]
        if not there or _kind(there[0].server) == _kind(bound.server):
            there.append(bound)
    return found


def bound_servers(snapshot: MeshSnapshot, proxy: Proxy) -> Iterator[BoundServer]:
    """The servers of all Gateways that select the pod, with the ports it binds."""
    ports = port_map(snapshot, proxy)
    for item in snapshot.gateways:
        if item.selects(proxy.namespace, proxy.labels):
            for position, server in enumerate(item.servers):
                yield BoundServer(item, server, ports.get(server.port, server.port), position)


def port_map(snapshot: MeshSnapshot, proxy: Proxy) -> dict[int, int]:
    """Service port → port of the pod, over the Services that select the pod."""
    workload = snapshot.workloads.get(proxy.key)
    named = dict(workload.named_ports) if workload else {}
    labels, found = set(proxy.labels), dict[int, int]()
    known = snapshot.services_by_workload.get(proxy.key)
    services = snapshot.services.values() if known is None else sorted(known, key=lambda service: service.hostname)
    for service in services:
        if service.namespace != proxy.namespace or not service.selector or not set(service.selector) <= labels:
            continue
        for port in service.ports:
            target = port.target_port if isinstance(port.target_port, int) else named.get(port.target_port, 0)
            found.setdefault(port.number, target or port.number)
    return found
