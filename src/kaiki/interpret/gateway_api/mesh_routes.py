"""Routes of Services (GAMMA) → VirtualServices of sidecars.

A route in the namespace of its Service is the producer's and counts for every client; one in another namespace is a
consumer's, counts for the clients of that namespace only, and there comes before the producer's.
"""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from kaiki.interpret.gateway_api.attachment import AttachedService
from kaiki.interpret.gateway_api.backends import Backends
from kaiki.interpret.gateway_api.entrances import connection_shares
from kaiki.interpret.gateway_api.filters import Entrance
from kaiki.interpret.gateway_api.objects import Object, age
from kaiki.interpret.gateway_api.rules import in_order, route_rules
from kaiki.model.finding import ObjectRef
from kaiki.model.route import (
    ConnectionMatch,
    ConnectionRoute,
    Destination,
    Forward,
    HttpMatch,
    HttpRoute,
    VirtualService,
    WeightedDestination,
)
from kaiki.model.service import Protocol, Service
from kaiki.resources import core


class MeshRoute(NamedTuple):
    """A route and a Service it is attached to."""

    kind: str
    route: Object
    attached: AttachedService


def mesh_routes(routes: list[MeshRoute], backends: Backends) -> list[VirtualService]:
    """The VirtualServices, consumers' first."""
    by_host: dict[tuple[bool, str, str], list[MeshRoute]] = defaultdict(list)
    for one in routes:
        service, space = one.attached.service, core.namespace(one.route)
        by_host[space == service.namespace, space, service.hostname].append(one)
    return [_virtual_service(key[0], key[1], by_host[key], backends) for key in sorted(by_host)]


def _virtual_service(producer: bool, space: str, routes: list[MeshRoute], backends: Backends) -> VirtualService:
    service = routes[0].attached.service
    http = [one for one in routes if one.kind in ("HTTPRoute", "GRPCRoute")]
    rules = [
        rule
        for one in http
        for rule in route_rules(one.kind, one.route, backends, Entrance(), one.attached.ports).rules
    ]
    oldest = min(routes, key=lambda one: age(one.route))
    return VirtualService(
        source=ObjectRef(oldest.kind, space, core.name(oldest.route)),
        hosts=(service.hostname,),
        http=(*in_order(rules), *(_untouched(service, http) if http else ())),
        tls=tuple(_connections("TLSRoute", routes, backends)),
        tcp=tuple(_connections("TCPRoute", routes, backends)),
        export_to=("*",) if producer else (space,),
        created=core.created(oldest.route),
    )


def _untouched(service: Service, routes: list[MeshRoute]) -> list[HttpRoute]:
    """Ports that no route is for go on as if there were none."""
    if any(not one.attached.ports for one in routes):
        return []
    routed = {port for one in routes for port in one.attached.ports}
    source = ObjectRef("Service", service.namespace, service.name)
    return [
        HttpRoute(
            source,
            index,
            Forward((WeightedDestination(Destination(service.hostname, port=port.number), 1),)),
            (HttpMatch(port=port.number),),
        )
        for index, port in enumerate(service.ports)
        if port.number not in routed and port.protocol is not Protocol.UDP
    ]


def _connections(kind: str, routes: list[MeshRoute], backends: Backends) -> list[ConnectionRoute]:
    found = []
    for one in sorted(routes, key=lambda one: age(one.route)):
        if one.kind != kind:
            continue
        hosts = tuple(str(host) for host in core.spec(one.route).get("hostnames") or ()) if kind == "TLSRoute" else ()
        matches = tuple(ConnectionMatch(sni_hosts=hosts, port=port) for port in one.attached.ports or (0,))
        source = ObjectRef(kind, core.namespace(one.route), core.name(one.route))
        found.append(
            ConnectionRoute(source, 0, connection_shares(kind, one.route, backends, kind == "TLSRoute"), matches)
        )
    return found
