"""Gateways and ListenerSets → listeners: what each speaks, for which host, whom it lets in, and what is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kaiki.interpret.gateway_api.frontend import FrontendRoots, frontend_roots
from kaiki.interpret.gateway_api.grants import Grants
from kaiki.interpret.gateway_api.objects import (
    GROUP,
    KUBERNETES_GATEWAY,
    ROUTE_KINDS,
    Object,
    Problem,
    covers,
    reference,
)
from kaiki.interpret.gateway_api.selectors import from_namespaces
from kaiki.model.credential import Credentials, find_roots
from kaiki.resources import core

_KINDS = {
    ("HTTP", ""): ("HTTPRoute", "GRPCRoute"),
    ("HTTPS", "Terminate"): ("HTTPRoute", "GRPCRoute"),
    ("TLS", "Passthrough"): ("TLSRoute",),
    ("TLS", "Terminate"): ("TLSRoute", "TCPRoute"),
    ("TCP", ""): ("TCPRoute",),
}
MODE_OPTION = "gateway.istio.io/tls-terminate-mode"
_OF_MESH = "ISTIO_MUTUAL"
_MODES = ("", "SIMPLE", "MUTUAL", "OPTIONAL_MUTUAL", _OF_MESH)
VERIFYING_MODES = ("MUTUAL", "OPTIONAL_MUTUAL")
_RESERVED = (15000, 15001, 15006, 15020, 15021, 15090)
_LAYERS = {"HTTP": "HTTP", "HTTPS": "TLS", "TLS": "TLS", "TCP": "TCP"}


@dataclass(slots=True, eq=False)
class Listener:
    """One listener of a Gateway or of a ListenerSet attached to it (`owner`).

    `kinds` are the routes it takes; `certificates` the usable Secrets (namespace, name). `attached` counts the routes.
    """

    gateway: Object
    owner: Object
    owner_kind: str
    spec: Mapping[str, Any]
    kinds: tuple[str, ...] = ()
    certificates: tuple[tuple[str, str], ...] = ()
    roots: FrontendRoots | None = None
    unaccepted: Problem | None = None
    conflict: Problem | None = None
    unresolved: Problem | None = None
    attached: set[tuple[str, str, str]] = field(default_factory=set)

    @property
    def name(self) -> str:
        return str(self.spec.get("name"))

    @property
    def host(self) -> str:
        return str(self.spec.get("hostname") or "").lower()

    @property
    def port(self) -> int:
        return int(self.spec.get("port") or 0)

    @property
    def protocol(self) -> str:
        return str(self.spec.get("protocol"))

    @property
    def mode(self) -> str:
        """What happens to TLS: `Terminate`, `Passthrough`, or nothing."""
        if self.protocol not in ("HTTPS", "TLS"):
            return ""
        return str((self.spec.get("tls") or {}).get("mode") or "Terminate")

    @property
    def asked_mode(self) -> str:
        """How TLS is ended (Istio's option): SIMPLE, MUTUAL, OPTIONAL_MUTUAL or ISTIO_MUTUAL; empty if unsaid."""
        return str(((self.spec.get("tls") or {}).get("options") or {}).get(MODE_OPTION) or "")

    @property
    def ends_mesh_tls(self) -> bool:
        """Whether it ends the mesh's own TLS, for which every gateway has a certificate."""
        return self.mode == "Terminate" and self.asked_mode == _OF_MESH

    @property
    def is_http(self) -> bool:
        return self.protocol in ("HTTP", "HTTPS")

    @property
    def in_force(self) -> bool:
        """Whether there is something to listen with."""
        if self.unaccepted or self.conflict:
            return False
        return self.mode != "Terminate" or self.ends_mesh_tls or bool(self.certificates)

    def lets_in(self, kind: str, namespace: str, labels: Mapping[str, str]) -> bool:
        """Whether routes of this kind from a namespace with these labels may attach."""
        allowed = ((self.spec.get("allowedRoutes") or {}).get("namespaces")) or {}
        return kind in self.kinds and from_namespaces(allowed, "Same", core.namespace(self.owner), namespace, labels)


def listeners_of(
    gateway: Object, sets: Iterable[Object], grants: Grants, credentials: Credentials, pem_of: Mapping[Any, bytes]
) -> list[Listener]:
    """The listeners of a Gateway and of the ListenerSets it accepts, in the order of precedence."""
    found = [
        Listener(gateway, owner, kind, spec)
        for owner, kind in ((gateway, KUBERNETES_GATEWAY), *((item, "ListenerSet") for item in sets))
        for spec in core.spec(owner).get("listeners") or ()
    ]
    for item in found:
        item.unaccepted = _unaccepted(item)
        _read_kinds(item)
        _read_certificates(item, grants, credentials)
        if item.protocol == "HTTPS":
            _read_roots(item, grants, pem_of)
        _check_mode(item, credentials)
    _find_conflicts(found)
    return found


def _unaccepted(item: Listener) -> Problem | None:
    if (item.protocol, item.mode) not in _KINDS:
        return Problem("UnsupportedProtocol", f"the protocol {item.protocol} is not supported.")
    if item.port in _RESERVED:
        return Problem("PortUnavailable", f"every proxy listens at port {item.port} for itself; use another port.")
    return None


def _read_kinds(item: Listener) -> None:
    possible = _KINDS.get((item.protocol, item.mode), ())
    said = (item.spec.get("allowedRoutes") or {}).get("kinds") or ()
    if not said:
        item.kinds = possible
        return
    wanted = [(str(kind.get("group", GROUP)), str(kind.get("kind"))) for kind in said]
    item.kinds = tuple(kind for group, kind in wanted if group == GROUP and kind in possible)
    wrong = [kind for group, kind in wanted if group != GROUP or kind not in possible]
    if wrong:
        known = "is no kind of route that is known here" if wrong[0] not in ROUTE_KINDS else "cannot attach"
        item.unresolved = Problem(
            "InvalidRouteKinds", f"{wrong[0]} {known}; this listener takes {', '.join(possible)}."
        )


def _read_certificates(item: Listener, grants: Grants, credentials: Credentials) -> None:
    if item.mode != "Terminate" or item.ends_mesh_tls:
        return
    usable = []
    for ref in (item.spec.get("tls") or {}).get("certificateRefs") or ():
        target = reference(ref, core.namespace(item.owner), "", "Secret")
        origin = "Gateway" if item.owner_kind == KUBERNETES_GATEWAY else "ListenerSet"
        if (target.group, target.kind) != ("", "Secret"):
            item.unresolved = Problem("InvalidCertificateRef", f"{target.text} is no Secret.")
        elif not grants.allow(origin, core.namespace(item.owner), target):
            message = f"no ReferenceGrant in namespace {target.namespace} allows {origin}s of "
            message += f"{core.namespace(item.owner)} to refer to {target.text}."
            item.unresolved = Problem("RefNotPermitted", message)
        else:
            usable.append((target.namespace, target.name))
            known = credentials.get((target.namespace, target.name))
            problem = known.pair_problem if known is not None else "it has not been read yet"
            if problem:
                item.unresolved = Problem("InvalidCertificateRef", f"{target.text} cannot be used: {problem}.")
    item.certificates = tuple(usable)
    if not usable and item.unresolved is None:
        item.unresolved = Problem("InvalidCertificateRef", "a listener that ends TLS needs certificateRefs.")


def _read_roots(item: Listener, grants: Grants, pem_of: Mapping[Any, bytes]) -> None:
    item.roots = frontend_roots(item.gateway, item.port, grants, pem_of)
    if item.roots is not None and item.roots.problem is not None:
        item.unresolved = item.unresolved or item.roots.problem
        if not item.roots.pem:
            item.unaccepted = item.unaccepted or Problem("NoValidCACertificate", item.roots.problem.message)


def _check_mode(item: Listener, credentials: Credentials) -> None:
    """Clients are verified by the `ca.crt` of the listener's own Secret."""
    if item.asked_mode not in _MODES:
        known = ", ".join(_MODES[1:])
        item.unaccepted = item.unaccepted or Problem(
            "Invalid", f"{MODE_OPTION} is {item.asked_mode}, not one of {known}."
        )
    if item.asked_mode not in VERIFYING_MODES or not item.certificates:
        return
    owner, name = item.certificates[0]
    known_roots = find_roots(credentials, owner, name)
    if known_roots is not None and known_roots.roots_problem and item.unresolved is None:
        message = f"{MODE_OPTION} is {item.asked_mode}, and Secret {owner}/{name} has no ca.crt to verify clients by: "
        item.unresolved = Problem("InvalidCertificateRef", f"{message}{known_roots.roots_problem}.")


def _find_conflicts(found: list[Listener]) -> None:
    """Listeners of one object that cannot stand side by side all lose; of several objects the later one does."""
    for place, item in enumerate(found):
        for other in found:
            problem = _conflict(item, other)
            if problem is None or other is item:
                continue
            earlier = found.index(other) < place
            if (other.owner is item.owner) or (earlier and other.conflict is None):
                item.conflict = problem
                break


def _conflict(item: Listener, other: Listener) -> Problem | None:
    if item.port != other.port or item.unaccepted or other.unaccepted:
        return None
    if _LAYERS.get(item.protocol) != _LAYERS.get(other.protocol):
        return Problem("ProtocolConflict", f"{other.name} speaks {other.protocol} at port {item.port}.")
    if item.host == other.host:
        host = item.host or "every host"
        return Problem("HostnameConflict", f"{other.name} answers for {host} at port {item.port}, too.")
    return None


def misdirected(item: Listener, others: Iterable[Listener]) -> tuple[str, ...]:
    """The hosts of other HTTPS listeners at a port: requests for them that came by this one's name are told so."""
    if item.protocol != "HTTPS":
        return ()
    beside = (one for one in others if one.port == item.port and one.protocol == "HTTPS" and one.in_force)
    return tuple(sorted({one.host or "*" for one in beside if one.host != item.host}))


def overlapping(item: Listener, others: Iterable[Listener]) -> bool:
    """Whether another HTTPS listener at the port answers for some host of this one."""
    beside = (one for one in others if one is not item and one.port == item.port and one.protocol == "HTTPS")
    return item.protocol == "HTTPS" and any(
        covers(item.host, one.host) or covers(one.host, item.host) for one in beside
    )


def more_special(item: Listener, others: Iterable[Listener]) -> Iterator[Listener]:
    """The other listeners in force at its port whose host is within its own: their requests are theirs alone."""
    for other in others:
        beside = other is not item and other.port == item.port and other.protocol == item.protocol
        if beside and other.in_force and other.host != item.host and covers(item.host, other.host):
            yield other
