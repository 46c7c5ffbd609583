"""What a gateway pod gets: a listener per port of the Gateways that select it, and routes by host.

The port a Gateway names is the one users see: the gateway pod's Service maps it to the port the pod binds
(80 → 8080), and a port no Service maps is bound as it is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from envoy.config.core.v3 import base_pb2
from envoy.config.listener.v3 import listener_pb2

from kaiki.model.gateway import Gateway, GatewayServer, ServerHost
from kaiki.model.proxy import CLUSTER_TYPE, ENDPOINT_TYPE, LISTENER_TYPE, ROUTE_TYPE, Proxy, Resource
from kaiki.model.route import HttpRoute, VirtualService
from kaiki.model.snapshot import MeshSnapshot
from kaiki.translate import clusters
from kaiki.translate.connections import Role, routed_http
from kaiki.translate.encode import by_name, resource
from kaiki.translate.listeners import listener
from kaiki.translate.scope import Scope, covers, is_visible
from kaiki.translate.sidecar_outbound import Resources, service_clusters
from kaiki.translate.virtual_hosts import route_table, routed_host


class BoundServer(NamedTuple):
    """One server of a Gateway and the port its pod binds for it."""

    gateway: Gateway
    server: GatewayServer
    port: int


def gateway(scope: Scope, proxy: Proxy) -> Resources:
    """Everything for one gateway pod."""
    made, assignments = scope.memo.get(service_clusters, scope)
    by_port: dict[int, list[BoundServer]] = defaultdict(list)
    for bound in bound_servers(scope.snapshot, proxy):
        by_port[bound.port].append(bound)
    special = (
        scope.memo.get(clusters.passthrough_cluster, scope.capture),
        scope.memo.get(clusters.black_hole_cluster),
    )
    http = {port: servers for port, servers in by_port.items() if _is_http(servers[0].server)}
    return {
        CLUSTER_TYPE: by_name([*made, *special]),
        ENDPOINT_TYPE: by_name(assignments),
        LISTENER_TYPE: by_name(scope.memo.get(_http_listener, port) for port in http),
        ROUTE_TYPE: by_name(_route_table(scope, port, servers) for port, servers in http.items()),
    }


def bound_servers(snapshot: MeshSnapshot, proxy: Proxy) -> Iterator[BoundServer]:
    """The servers of all Gateways that select the pod, with the ports it binds."""
    labels = set(proxy.labels)
    ports = _port_map(snapshot, proxy)
    for item in snapshot.gateways:
        if set(item.selector) <= labels:
            for server in item.servers:
                yield BoundServer(item, server, ports.get(server.port, server.port))


def _port_map(snapshot: MeshSnapshot, proxy: Proxy) -> dict[int, int]:
    """Service port → port of the pod, over the Services that select the pod."""
    workload = snapshot.workloads.get(proxy.key)
    named = dict(workload.named_ports) if workload else {}
    labels, found = set(proxy.labels), dict[int, int]()
    for service in snapshot.services.values():
        if service.namespace != proxy.namespace or not service.selector or not set(service.selector) <= labels:
            continue
        for port in service.ports:
            target = port.target_port if isinstance(port.target_port, int) else named.get(port.target_port, 0)
            found.setdefault(port.number, target or port.number)
    return found


def _is_http(server: GatewayServer) -> bool:
    return server.protocol in ("HTTP", "HTTP2", "GRPC", "GRPC-WEB") and server.tls_mode is None


def _http_listener(port: int) -> Resource:
    name = f"0.0.0.0_{port}"
    message = listener(name, "0.0.0.0", port, base_pb2.OUTBOUND, bind=True)
    _add_manager(message, name, f"http.{port}")
    return resource(name, message)


def _add_manager(message: listener_pb2.Listener, statistics: str, table: str) -> None:
    message.filter_chains.add(name=table).filters.append(routed_http(Role.GATEWAY, f"gateway_{statistics}", table))


def _route_table(scope: Scope, port: int, servers: Iterable[BoundServer]) -> Resource:
    number = next(iter(servers)).server.port
    hosts = [
        routed_host(f"{host}:{number}", (host,), tuple(routes), key, scope, number)
        for host, (key, routes) in sorted(_hosts(scope, servers).items())
    ]
    return route_table(f"http.{port}", tuple(hosts), scope.memo)


def _hosts(scope: Scope, servers: Iterable[BoundServer]) -> dict[str, tuple[str, list[HttpRoute]]]:
    """Host → the routes of all VirtualServices for it, the oldest first: routes of one host add up at a gateway."""
    found: dict[str, tuple[str, list[HttpRoute]]] = {}
    for bound in servers:
        for item in scope.snapshot.virtual_services.get(bound.gateway.key, ()):
            if not is_visible(item.export_to, bound.gateway.source.namespace):
                continue
            for host in answered_hosts(bound.server.hosts, item):
                _, routes = found.setdefault(host, (bound.gateway.key, []))
                routes += [route for route in item.http if route not in routes]
    return found


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
