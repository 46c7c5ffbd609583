"""VirtualServices against the mesh (KAI02xx)."""

from __future__ import annotations

from collections.abc import Iterator

from kaiki.interpret.delegates import delegate_key, is_delegate_of, is_within, merge_matches
from kaiki.interpret.hosts import covers, is_visible, overlaps
from kaiki.interpret.references.overlaps import shared_host_findings
from kaiki.model.finding import Finding, ObjectRef, Severity
from kaiki.model.gateway import Gateway
from kaiki.model.route import (
    MESH_GATEWAY,
    Destination,
    Forward,
    HttpMatch,
    HttpRoute,
    MatchKind,
    VirtualService,
    WeightedDestination,
)
from kaiki.model.service import Protocol
from kaiki.model.snapshot import MeshSnapshot

_WHOLE = 100


def route_findings(snapshot: MeshSnapshot, item: VirtualService) -> Iterator[Finding]:
    """Everything there is to say about one VirtualService."""
    yield from _hosts(snapshot, item)
    yield from _gateways(snapshot, item)
    yield from _delegation(snapshot, item)
    for route in item.http:
        yield from _http(snapshot, item.source, route)
    for kind, routes in (("tls", item.tls), ("tcp", item.tcp)):
        for connection in routes:
            path = f"spec.{kind}[{connection.index}].route"
            yield from _shares(snapshot, item.source, connection.destinations, path, "")
    yield from _unreachable(item)
    yield from shared_host_findings(snapshot, item)


def _hosts(snapshot: MeshSnapshot, item: VirtualService) -> Iterator[Finding]:
    if not item.hosts:
        yield from _orphan(snapshot, item)
    if MESH_GATEWAY not in item.gateways:
        return
    for index, host in enumerate(item.hosts):
        older = _older(snapshot, item, host)
        if older is not None:
            message = f"{host} is already routed in sidecars by {older.source}, which is older and wins."
            hint = "Put the rules of one host into one object."
            yield Finding("KAI0207", Severity.WARNING, item.source, f"spec.hosts[{index}]", message, hint)


def _orphan(snapshot: MeshSnapshot, item: VirtualService) -> Iterator[Finding]:
    """An object without hosts lives by those that delegate to it."""
    if (item.source.namespace, item.source.name) in snapshot.delegated:
        return
    message = "there is no host and no VirtualService delegates to it, so nothing is ever routed by this object."
    hint = "Name the hosts as clients call them, or this object in the delegate of another."
    yield Finding("KAI0206", Severity.WARNING, item.source, "spec.hosts", message, hint)


def _delegation(snapshot: MeshSnapshot, item: VirtualService) -> Iterator[Finding]:
    for route in item.http:
        key, path = delegate_key(route), f"spec.http[{route.index}].delegate"
        if key is None:
            continue
        if not item.hosts:
            message = "a delegate cannot delegate again; the rule is not in force."
            yield Finding("KAI0211", Severity.WARNING, item.source, path, message, "Let the root name both.")
            continue
        delegate = snapshot.delegates.get(key)
        if delegate is None or not is_delegate_of(delegate, item):
            message = f"namespace {item.source.namespace} sees no VirtualService {key[0]}/{key[1]} without hosts."
            hint = "Create it, leave its hosts out, or widen its exportTo. Until then the rule is not in force."
            yield Finding("KAI0211", Severity.WARNING, item.source, path, message, hint)
            continue
        for theirs in delegate.http:
            if merge_matches(route.matches, theirs.matches) is None:
                message = f"the conditions of http[{theirs.index}] of {delegate.source} contradict those of this rule."
                hint = "Each condition of a delegate must be as narrow as the root's. The delegate's rule is left out."
                yield Finding("KAI0212", Severity.WARNING, item.source, path, message, hint)


def _older(snapshot: MeshSnapshot, item: VirtualService, host: str) -> VirtualService | None:
    for other in snapshot.routed_hosts.get(host, ()):
        if other.source == item.source or _is_younger(other, item):
            return None
        if set(other.export_to) & set(item.export_to) or "*" in other.export_to + item.export_to:
            return other
    return None


def _is_younger(other: VirtualService, item: VirtualService) -> bool:
    """Whether another is behind this one in the order of precedence. What is not stored yet is behind all others."""
    if other.source.kind != item.source.kind or not item.created:
        return False
    return (other.created, other.source) > (item.created, item.source)


def _gateways(snapshot: MeshSnapshot, item: VirtualService) -> Iterator[Finding]:
    if item.gateways == (MESH_GATEWAY,):
        return
    known = {gateway.key: gateway for gateway in snapshot.gateways}
    for index, name in enumerate(item.gateways):
        path = f"spec.gateways[{index}]"
        gateway = known.get(name)
        if name == MESH_GATEWAY:
            continue
        if gateway is None:
            message = f"there is no Gateway {name}, so nothing is routed there."
            yield Finding("KAI0202", Severity.WARNING, item.source, path, message, _near(known, name))
        elif not _answered(gateway, item):
            message = f"Gateway {name} answers for none of the hosts {', '.join(item.hosts)}."
            yield Finding(
                "KAI0210", Severity.WARNING, item.source, path, message, "Add the host to one of its servers."
            )


def _near(known: dict[str, Gateway], name: str) -> str:
    same = [key for key in known if key.split("/")[1] == name.split("/")[-1]]
    return f"Did you mean {same[0]}?" if same else "Create it, or correct the name."


def _answered(gateway: Gateway, item: VirtualService) -> bool:
    return any(
        mine.namespace in ("*", item.source.namespace) and overlaps(mine.host, theirs)
        for server in gateway.servers
        for mine in server.hosts
        for theirs in item.hosts
    )


def _http(snapshot: MeshSnapshot, source: ObjectRef, route: HttpRoute) -> Iterator[Finding]:
    path = f"spec.http[{route.index}]"
    if isinstance(route.action, Forward):
        if not route.action.destinations:
            message = "the rule says neither route, redirect nor directResponse: its requests get an error."
            yield Finding("KAI0209", Severity.WARNING, source, path, message, "Say where they should go.")
        yield from _shares(snapshot, source, route.action.destinations, f"{path}.route", route.name)
    for index, mirror in enumerate(route.mirrors):
        yield from _destination(snapshot, source, mirror.destination, f"{path}.mirrors[{index}]")


def _shares(
    snapshot: MeshSnapshot, source: ObjectRef, shares: tuple[WeightedDestination, ...], path: str, name: str
) -> Iterator[Finding]:
    total = sum(share.weight for share in shares)
    label = f"the weights of route {name!r}" if name else "the weights"
    if len(shares) > 1 and total == 0:
        message = f"{label} are all zero, so everything goes to the first destination."
        yield Finding("KAI0204", Severity.WARNING, source, path, message, "Give each destination its share.")
    elif len(shares) > 1 and total != _WHOLE:
        message = f"{label} add up to {total}; each destination gets its share of that, not of 100."
        yield Finding("KAI0204", Severity.INFO, source, path, message, "Let them add up to 100 to mean percent.")
    for index, share in enumerate(shares):
        yield from _destination(snapshot, source, share.destination, f"{path}[{index}].destination")


def _destination(snapshot: MeshSnapshot, source: ObjectRef, destination: Destination, path: str) -> Iterator[Finding]:
    service = snapshot.services.get(destination.host)
    if service is None:
        message = f"there is no service {destination.host}, so requests sent there get 503."
        hint = "Write the full name of a Service of another namespace." if "." not in destination.host else ""
        yield Finding(
            "KAI0201", Severity.WARNING, source, f"{path}.host", message, hint or "Create it, or correct the name."
        )
        return
    ports = [port.number for port in service.ports if port.protocol is not Protocol.UDP]
    if destination.port and destination.port not in ports:
        message = f"{service.hostname} has no port {destination.port}; it has {', '.join(map(str, ports)) or 'none'}."
        yield Finding("KAI0205", Severity.WARNING, source, f"{path}.port", message, "Name one of its ports.")
    if destination.subset and destination.subset not in _subsets(snapshot, destination.host, source.namespace):
        message = f"no DestinationRule of {service.hostname} has a subset {destination.subset}: its requests get 503."
        hint = "Add the subset to the DestinationRule, or correct the name."
        yield Finding("KAI0203", Severity.WARNING, source, f"{path}.subset", message, hint)


def _subsets(snapshot: MeshSnapshot, host: str, namespace: str) -> set[str]:
    return {
        subset.name
        for pattern, rules in snapshot.destination_policies.items()
        if covers(pattern, host)
        for rule in rules
        if is_visible(rule.export_to, namespace)
        for subset in rule.subsets
    }


def _takes_everything(match: HttpMatch) -> bool:
    uri = match.uri
    all_paths = uri is None or (uri.kind is MatchKind.PREFIX and uri.value == "/")
    rest = (match.scheme, match.method, match.authority)
    chosen = (match.headers, match.query_parameters, match.port, match.source_labels, match.source_namespace)
    return all_paths and not any(rest) and not any(chosen) and not match.gateways


def _unreachable(item: VirtualService) -> Iterator[Finding]:
    for position, route in enumerate(item.http):
        if position < len(item.http) - 1 and (not route.matches or any(map(_takes_everything, route.matches))):
            message = f"no request gets this far: http[{position}] takes all of them."
            path = f"spec.http[{position + 1}]"
            yield Finding("KAI0208", Severity.WARNING, item.source, path, message, "Put the special rules first.")
            return
        for earlier, other in enumerate(item.http[:position]):
            if _hides(other, route):
                message = f"no request gets this far: http[{earlier}] takes all of its requests."
                path = f"spec.http[{position}]"
                yield Finding("KAI0213", Severity.WARNING, item.source, path, message, "Put the narrower rule first.")
                break


def _hides(earlier: HttpRoute, route: HttpRoute) -> bool:
    """Whether an earlier rule takes every request that a rule with conditions would take."""
    return bool(route.matches) and all(any(is_within(one, other) for other in earlier.matches) for one in route.matches)
