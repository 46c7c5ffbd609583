"""Virtual hosts: the routes of one host at one port, serialized; route tables are put together from cached bytes.

What a virtual host depends on is passed in full, resolved by the scope: names of clusters, which matches exist here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from envoy.config.route.v3 import route_components_pb2, route_pb2

from kaiki.model.memo import Memo
from kaiki.model.proxy import ROUTE_TYPE, Resource
from kaiki.model.route import (
    NO_HEADER_CHANGES,
    Destination,
    DirectResponse,
    Forward,
    HttpMatch,
    HttpRoute,
    Redirect,
    Retries,
    WeightedDestination,
)
from kaiki.model.service import Service
from kaiki.translate import cluster_names
from kaiki.translate.encode import duration, serialize, versioned
from kaiki.translate.features.compact_labels import name_service
from kaiki.translate.features.cors import set_cors
from kaiki.translate.features.faults import set_fault
from kaiki.translate.features.grpc_messages import count_messages
from kaiki.translate.features.headers import authority_change, set_header_changes
from kaiki.translate.features.load_balancing import hash_policies
from kaiki.translate.features.mirroring import set_mirrors
from kaiki.translate.features.protocol_selection import follow_client_protocol
from kaiki.translate.features.redirects import set_direct_response, set_redirect, set_rewrite
from kaiki.translate.features.retries import set_retries
from kaiki.translate.features.route_matching import applies, route_match
from kaiki.translate.features.session_persistence import set_session
from kaiki.translate.origins import mark_origin
from kaiki.translate.scope import BLACK_HOLE, Scope, Target

ANY_MATCH = HttpMatch()
Targets = tuple[tuple[Destination, Target], ...]
_VIRTUAL_HOSTS_FIELD = 2
_GATEWAY_RULES = ("rules", "matches")


def service_domains(service: Service, namespace: str) -> tuple[str, ...]:
    """The names by which clients in a namespace call a service; ports in Host headers are ignored."""
    aliases = (domain for alias in service.aliases for domain in _names(*alias, namespace))
    if service.is_entry:
        return (service.hostname, *service.called_at, *aliases)
    return (*service_names(service, namespace), *service.called_at, *aliases)


def service_names(service: Service, namespace: str) -> tuple[str, ...]:
    """The forms of a Service's own name, as clients in a namespace may write it, the full one first."""
    return _names(service.name, service.namespace, namespace)


def _names(name: str, namespace: str, near: str) -> tuple[str, ...]:
    """The forms of the name of a Service of Kubernetes, the full one first."""
    place = f"{name}.{namespace}"
    return (f"{place}.svc.cluster.local", *((name,) if namespace == near else ()), place, f"{place}.svc")


def destinations_of(routes: Iterable[HttpRoute]) -> Iterable[Destination]:
    """All destinations that some routes name, mirrors included."""
    for route in routes:
        if isinstance(route.action, Forward):
            yield from (share.destination for share in route.action.destinations)
        yield from (mirror.destination for mirror in route.mirrors)


def applicable(
    routes: tuple[HttpRoute, ...], gateway: str, scope: Scope, port: int
) -> tuple[tuple[HttpRoute, tuple[HttpMatch, ...]], ...]:
    """The routes that exist in this scope for a port, each with the matches that do."""
    found = []
    for route in routes:
        matches = tuple(
            match for match in route.matches if applies(match, gateway, scope.namespace, scope.labels, port)
        )
        if matches or not route.matches:
            found.append((route, matches or (ANY_MATCH,)))
    return tuple(found)


def routed_host(
    name: str,
    domains: tuple[str, ...],
    routes: tuple[HttpRoute, ...],
    gateway: str,
    scope: Scope,
    port: int,
    secure_only: bool = False,
) -> bytes:
    """The virtual host whose routes VirtualServices give; `secure_only` answers plaintext with a redirect to HTTPS."""
    here = applicable(routes, gateway, scope, port)
    targets = tuple((item, scope.target(item, port)) for item in destinations_of(route for route, _ in here))
    return scope.memo.get(_routed_host, name, domains, here, targets, port, secure_only)


def _routed_host(
    name: str,
    domains: tuple[str, ...],
    routes: tuple[tuple[HttpRoute, tuple[HttpMatch, ...]], ...],
    targets: Targets,
    port: int,
    secure_only: bool,
) -> bytes:
    host = route_components_pb2.VirtualHost(name=name, domains=domains, include_request_attempt_count=True)
    if secure_only:
        host.require_tls = route_components_pb2.VirtualHost.ALL
    clusters = dict(targets)
    for route, matches in routes:
        for match in matches:
            host.routes.append(_route(route, match, clusters, port))
    return serialize(host)


def plain_host(name: str, domains: tuple[str, ...], target: Target, retries: Retries | None = None) -> bytes:
    """The virtual host of a service nobody routes: everything goes to its port."""
    host = route_components_pb2.VirtualHost(name=name, domains=domains, include_request_attempt_count=True)
    route = host.routes.add(name="default")
    route.match.prefix = "/"
    route.decorator.operation = f"{name}/*"
    _forward_to(route, target)
    set_retries(route.route, retries)
    return serialize(host)


def misdirected_host(name: str, domains: tuple[str, ...]) -> bytes:
    """A host another server answers for: a client that shares connections among names is to open another (421)."""
    host = route_components_pb2.VirtualHost(name=name, domains=domains)
    route = host.routes.add(name="misdirected")
    route.match.prefix = "/"
    route.direct_response.status = 421
    return serialize(host)


def redirecting_host(name: str, domains: tuple[str, ...]) -> bytes:
    """A host that only sends clients to HTTPS."""
    host = route_components_pb2.VirtualHost(name=name, domains=domains)
    host.require_tls = route_components_pb2.VirtualHost.ALL
    return serialize(host)


def passthrough_host(cluster: str = cluster_names.PASSTHROUGH) -> bytes:
    """Every other host: to where the application meant to go, or to a proxy for such hosts."""
    host = route_components_pb2.VirtualHost(name="allow_any", domains=["*"], include_request_attempt_count=True)
    route = host.routes.add(name="allow_any")
    route.match.prefix = "/"
    route.route.cluster = cluster
    route.route.timeout.SetInParent()
    count_messages(route)
    return serialize(host)


def refusing_host() -> bytes:
    """Every other host: nowhere, with Istio's status for it."""
    host = route_components_pb2.VirtualHost(name="block_all", domains=["*"])
    route = host.routes.add(name="block_all")
    route.match.prefix = "/"
    route.direct_response.status = 502
    # Counted, as in Istio, as sent to the cluster nothing comes out of.
    name_service(route.metadata, cluster_names.BLACK_HOLE, cluster_names.BLACK_HOLE, "unknown")
    return serialize(host)


def route_table(name: str, hosts: tuple[bytes, ...], memo: Memo) -> Resource:
    """A RouteConfiguration from serialized virtual hosts."""
    return memo.get(_route_table, name, hosts)


def _route_table(name: str, hosts: tuple[bytes, ...]) -> Resource:
    return versioned(name, ROUTE_TYPE, _without_hosts(name) + _as_fields(hosts))


def _without_hosts(name: str) -> bytes:
    table = route_pb2.RouteConfiguration(name=name, ignore_port_in_host_matching=True)
    table.validate_clusters.value = False
    table.max_direct_response_body_size_bytes.value = 1 << 20
    return serialize(table)


def _as_fields(hosts: Iterable[bytes]) -> bytes:
    """Fields of a message may come in any order on the wire, so the cached bytes are appended as they are."""
    body = bytearray()
    for host in hosts:
        body += bytes((_VIRTUAL_HOSTS_FIELD << 3 | 2,)) + _length(len(host)) + host
    return bytes(body)


class HostBlock(NamedTuple):
    """Some virtual hosts of a table as bytes, and the hash of these."""

    body: bytes
    digest: bytes


def host_block(hosts: tuple[bytes, ...]) -> HostBlock:
    """Put some virtual hosts together."""
    body = _as_fields(hosts)
    return HostBlock(body, hashlib.blake2b(body, digest_size=16).digest())


def table_of_blocks(name: str, blocks: tuple[HostBlock, ...]) -> Resource:
    """A RouteConfiguration from blocks. Its version is the hash of their hashes: what has not changed is not read."""
    start = _without_hosts(name)
    version = hashlib.blake2b(b"".join((start, *(block.digest for block in blocks))), digest_size=8).hexdigest()
    pieces = (start, *(block.body for block in blocks))
    return Resource(name, ROUTE_TYPE, version, pieces)


def _length(number: int) -> bytes:
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    found.append(number)
    return bytes(found)


def _place(rule: HttpRoute, match: HttpMatch) -> str:
    """The field of a rule and of one of its matches in the object; empty for objects whose rules are not numbered."""
    names = {"VirtualService": ("http", "match"), "HTTPRoute": _GATEWAY_RULES, "GRPCRoute": _GATEWAY_RULES}
    if rule.source.kind not in names:
        return ""
    rules, matches = names[rule.source.kind]
    return f"{rules}[{rule.index}]" + (f".{matches}[{match.index}]" if match.index >= 0 else "")


def _route(
    rule: HttpRoute, match: HttpMatch, targets: Mapping[Destination, Target], port: int
) -> route_components_pb2.Route:
    name = ".".join(part for part in (rule.name, match.name) if part)
    route = route_components_pb2.Route(name=name, match=route_match(match), stat_prefix=match.statistics_prefix)
    mark_origin(route.metadata, rule.source, _place(rule, match))
    set_header_changes(route, rule.request_headers, rule.response_headers)
    set_fault(route, rule.fault)
    set_cors(route, rule.cors)
    match rule.action:
        case Redirect() as redirect:
            set_redirect(route, redirect, port)
        case DirectResponse() as response:
            set_direct_response(route, response)
        case Forward() as forward:
            _forward(route, rule, forward, match, targets)
            set_session(route, rule.session)
    return route


def _forward(
    route: route_components_pb2.Route,
    rule: HttpRoute,
    forward: Forward,
    match: HttpMatch,
    targets: Mapping[Destination, Target],
) -> None:
    shares = _shares(forward)
    if not shares:
        _forward_to(route, BLACK_HOLE)
    elif len(shares) == 1:
        _forward_to(route, targets[shares[0].destination])
        set_header_changes(route, shares[0].request_headers, shares[0].response_headers)
    else:
        _forward_by_weight(route, shares, targets)
    action = route.route
    if rule.timeout_seconds:
        action.timeout.CopyFrom(duration(rule.timeout_seconds))
    else:
        action.timeout.SetInParent()
    set_retries(action, rule.retries)
    if host := authority_change(rule.request_headers):
        action.host_rewrite_literal = host
    set_rewrite(action, forward.rewrite, match.uri)
    set_mirrors(action, rule.mirrors, lambda destination: targets.get(destination, BLACK_HOLE).cluster)


def _shares(forward: Forward) -> tuple[WeightedDestination, ...]:
    """The destinations that get traffic: a single one always does, of several those that have a weight."""
    if len(forward.destinations) == 1:
        return forward.destinations
    return tuple(share for share in forward.destinations if share.weight > 0) or forward.destinations[:1]


def _forward_to(route: route_components_pb2.Route, target: Target) -> None:
    route.route.cluster = target.cluster
    route.route.timeout.SetInParent()
    route.route.hash_policy.extend(hash_policies(target.hash))
    _set_filters(route, target)


def _set_filters(route: route_components_pb2.Route, target: Target) -> None:
    """Switch on the filters that a destination needs."""
    if target.follows_client:
        follow_client_protocol(route)
    if target.may_be_grpc:
        count_messages(route)


def _forward_by_weight(
    route: route_components_pb2.Route, shares: Iterable[WeightedDestination], targets: Mapping[Destination, Target]
) -> None:
    action = route.route
    for share in shares:
        target = targets[share.destination]
        cluster = action.weighted_clusters.clusters.add(name=target.cluster)
        cluster.weight.value = share.weight
        if share.request_headers != NO_HEADER_CHANGES or share.response_headers != NO_HEADER_CHANGES:
            set_header_changes(cluster, share.request_headers, share.response_headers)
        _set_filters(route, target)
        if target.hash is not None and not action.hash_policy:
            action.hash_policy.extend(hash_policies(target.hash))
