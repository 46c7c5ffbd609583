"""Listeners a Sidecar binds for calls of its application: an address of their own instead of redirection.

    egress: [{port: {number: 3306, protocol: MYSQL}, bind: 127.0.0.1, captureMode: NONE, hosts: [./db…]}]

HTTP goes by Host header among the services the listener names; bytes go to the first of them.
"""

from __future__ import annotations

from envoy.config.core.v3 import base_pb2

from kaiki.model.memo import Memo
from kaiki.model.proxy import Resource
from kaiki.model.service import Protocol, Service, ServicePort
from kaiki.model.sidecar import UNIX_PREFIX, EgressListener
from kaiki.translate import cluster_names
from kaiki.translate.connections import Role, routed_http, tcp
from kaiki.translate.encode import resource
from kaiki.translate.features.metric_labels import Reporter
from kaiki.translate.features.tcp_settings import TcpSettings
from kaiki.translate.listeners import RESERVED_PORTS, listener
from kaiki.translate.scope import Scope, Target
from kaiki.translate.sidecar_outbound import everything_else, service_host
from kaiki.translate.virtual_hosts import route_table

LOOPBACK = "127.0.0.1"
_BLACK_HOLE = Target(cluster_names.BLACK_HOLE)


def bound_listeners(scope: Scope) -> tuple[list[Resource], list[Resource]]:
    """The listeners, and the route tables of those that speak HTTP. Of two at one address the first is made."""
    listeners: list[Resource] = []
    tables: list[Resource] = []
    taken: set[str] = set()
    for item in (scope.sidecar.egress or ()) if scope.sidecar else ():
        name = _name(item)
        if item.captured or item.port in RESERVED_PORTS or not name or name in taken:
            continue
        taken.add(name)
        served = _served(scope, item)
        if item.protocol.is_http or (
            item.protocol is Protocol.AUTO and any(port.protocol.is_http for _, port in served)
        ):
            listeners.append(scope.memo.get(_http_listener, name, item, scope.snapshot.keeps_sessions))
            tables.append(_table(scope, name, served, scope.memo))
        else:
            target = scope.port_target(served[0][0], served[0][1].number) if served else _BLACK_HOLE
            listeners.append(scope.memo.get(_tcp_listener, name, item, target.cluster, target.tcp))
    return listeners, tables


def _name(item: EgressListener) -> str:
    if item.bind.startswith(UNIX_PREFIX):
        return item.bind
    return f"{item.bind or LOOPBACK}_{item.port}" if item.port else ""


def _served(scope: Scope, item: EgressListener) -> list[tuple[Service, ServicePort]]:
    """The ports behind a listener: the one of its number, or of each service the first where it has no number."""
    found = []
    for service in scope.services:
        if not item.includes(service.namespace, service.hostname):
            continue
        ports = [port for port in scope.ports_of(service) if not item.port or port.number == item.port]
        found += [(service, port) for port in ports[:1]]
    return found


def _http_listener(name: str, item: EgressListener, sessions: bool) -> Resource:
    message = listener(name, item.bind or LOOPBACK, item.port, base_pb2.OUTBOUND, bind=True)
    manager = routed_http(Role.OUTBOUND, f"outbound_{name}", name, sessions)
    message.filter_chains.add(name="http").filters.append(manager)
    return resource(name, message)


def _tcp_listener(name: str, item: EgressListener, cluster: str, settings: TcpSettings) -> Resource:
    message = listener(name, item.bind or LOOPBACK, item.port, base_pb2.OUTBOUND, bind=True)
    chain = message.filter_chains.add(name="tcp")
    chain.filters.append(tcp(cluster, ((cluster, 1),), Reporter.SOURCE, settings=settings))
    return resource(name, message)


def _table(scope: Scope, name: str, served: list[tuple[Service, ServicePort]], memo: Memo) -> Resource:
    taken: set[str] = set()
    hosts = [service_host(scope, service, port.number, taken) for service, port in served if port.protocol.is_http]
    return route_table(name, (*filter(None, hosts), everything_else(scope)), memo)
