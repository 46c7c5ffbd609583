"""Hosts that several objects claim at one gateway (KAI0214, KAI0215, KAI0409, KAI0410).

Rules for one host add up there, the older object's first, and what takes everything goes last: two objects for one
host are no mistake, but a rule that the older one leaves nothing is. Of two servers that end TLS for one host at one
port only the older one's certificate is shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kaiki.interpret.delegates import is_within
from kaiki.interpret.hosts import is_visible
from kaiki.model.finding import Finding, Severity
from kaiki.model.gateway import Gateway, GatewayServer, ServerTlsMode
from kaiki.model.route import MESH_GATEWAY, ConnectionMatch, ConnectionRoute, HttpMatch, MatchKind, VirtualService
from kaiki.model.snapshot import MeshSnapshot

_PASSING = (ServerTlsMode.PASSTHROUGH, ServerTlsMode.AUTO_PASSTHROUGH)
_ONE_OBJECT = "Put the rules of one host into one object, or narrow the conditions of the older one."


def shared_host_findings(snapshot: MeshSnapshot, item: VirtualService) -> Iterator[Finding]:
    """The hosts of a VirtualService that an older one has at the same gateway."""
    for gateway in item.gateways:
        if gateway == MESH_GATEWAY:
            continue
        for index, host in enumerate(item.hosts):
            older = list(_older(snapshot, item, gateway, host))
            if not older:
                continue
            hidden = list(_hidden(item, older, gateway, host))
            yield from hidden
            if not hidden:
                message = (
                    f"{older[0].source} routes {host} at gateway {gateway} too; it is older, its rules come first."
                )
                path = f"spec.hosts[{index}]"
                yield Finding("KAI0215", Severity.INFO, item.source, path, message, "All of both are in force.")


def _older(snapshot: MeshSnapshot, item: VirtualService, gateway: str, host: str) -> Iterator[VirtualService]:
    """What is not stored yet is younger than all others."""
    space = gateway.partition("/")[0]
    for other in snapshot.gateway_hosts.get((gateway, host), ()):
        if other.source == item.source or (
            item.created and (other.created, other.source) > (item.created, item.source)
        ):
            return
        if is_visible(other.export_to, space) and is_visible(item.export_to, space):
            yield other


def _hidden(item: VirtualService, older: list[VirtualService], gateway: str, host: str) -> Iterator[Finding]:
    for route in item.http:
        for other in older:
            hiding = next((one for one in other.http if _hides(one.matches, route.matches, gateway)), None)
            if hiding is not None:
                message = f"at gateway {gateway} no request for {host} gets this far: {other.source} takes all of them."
                path = f"spec.http[{route.index}]"
                yield Finding("KAI0214", Severity.WARNING, item.source, path, message, _ONE_OBJECT)
                break
    for kind in ("tls", "tcp"):
        for mine in getattr(item, kind):
            for other in older:
                if any(_is_same(one, mine) for one in getattr(other, kind)):
                    message = f"at gateway {gateway} {other.source} is older and takes the same connections for {host}."
                    path = f"spec.{kind}[{mine.index}]"
                    yield Finding("KAI0214", Severity.WARNING, item.source, path, message, _ONE_OBJECT)
                    break


def _hides(earlier: tuple[HttpMatch, ...], matches: tuple[HttpMatch, ...], gateway: str) -> bool:
    """Whether an older object's rule takes all that a younger one's would, in the order both have at a gateway."""
    theirs, mine = _here(earlier, gateway), _here(matches, gateway)
    return bool(mine) and all(
        any(is_general(other) <= is_general(one) and is_within(one, other) for other in theirs) for one in mine
    )


def _here(matches: tuple[HttpMatch, ...], gateway: str) -> list[HttpMatch]:
    return [one for one in matches or (HttpMatch(),) if not one.gateways or gateway in one.gateways]


def is_general(match: HttpMatch) -> bool:
    """Whether a match takes every request of its port: such rules go last where objects add up."""
    uri = match.uri
    all_paths = uri is None or (uri.kind is MatchKind.PREFIX and uri.value == "/")
    rest = (match.scheme, match.method, match.authority, match.headers, match.query_parameters)
    return all_paths and not any(rest)


def _is_same(one: ConnectionRoute, other: ConnectionRoute) -> bool:
    return any(
        _conditions(theirs) == _conditions(mine) and (theirs.port == mine.port or not theirs.port)
        for theirs in one.matches or (ConnectionMatch(),)
        for mine in other.matches or (ConnectionMatch(),)
    )


def _conditions(match: ConnectionMatch) -> tuple[frozenset[str], frozenset[str], str]:
    return frozenset(match.sni_hosts), frozenset(match.destination_subnets), match.source_subnet


def shared_server_findings(snapshot: MeshSnapshot, item: Gateway) -> Iterator[Finding]:
    """The hosts of a Gateway's servers that an earlier server has at the same port."""
    for index, server in enumerate(item.servers):
        for owner, theirs in _earlier(snapshot, item, index):
            shared = _shared_host(theirs, server)
            if shared is None:
                continue
            position, host = shared
            whose = f"{owner.source} is older and" if owner.source != item.source else "a server above"
            path = f"spec.servers[{index}].hosts[{position}]"
            if server.tls_mode is not None and not (server.tls_mode in _PASSING and theirs.tls_mode in _PASSING):
                message = f"{whose} answers for {host} at port {server.port}; this server's TLS is not in force for it."
                hint = "Name each host once at a port: a hello with its name gets one certificate."
                yield Finding("KAI0409", Severity.WARNING, item.source, path, message, hint)
            else:
                message = f"{whose} answers for {host} at port {server.port} too; the routes of both add up."
                hint = "Bind the routes of one host to one Gateway, if that is not meant."
                yield Finding("KAI0410", Severity.INFO, item.source, path, message, hint)
            break


def _earlier(snapshot: MeshSnapshot, item: Gateway, index: int) -> Iterable[tuple[Gateway, GatewayServer]]:
    """The servers that come before one: those of older Gateways for the same pods, and those above it."""
    server = item.servers[index]
    for other in snapshot.gateways:
        if other.source == item.source:
            break
        mine, theirs = set(item.selector), set(other.selector)
        if not other.namespace and (mine <= theirs or theirs <= mine):
            yield from ((other, one) for one in other.servers if _is_beside(one, server))
    yield from ((item, one) for one in item.servers[:index] if _is_beside(one, server))


def _is_beside(one: GatewayServer, other: GatewayServer) -> bool:
    """Whether two servers are at one place and speak alike; what speaks otherwise is another finding's."""
    if (one.port, one.bind) != (other.port, other.bind) or (one.tls_mode is None) != (other.tls_mode is None):
        return False
    return one.tls_mode is not None or one.is_http == other.is_http


def _shared_host(one: GatewayServer, other: GatewayServer) -> tuple[int, str] | None:
    names = {host.host for host in one.hosts}
    return next(((n, host.host) for n, host in enumerate(other.hosts) if host.host in names), None)
