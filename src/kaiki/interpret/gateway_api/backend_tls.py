"""BackendTLSPolicies → the TLS of connections to a Service, beside what a DestinationRule says of the rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from kaiki.interpret.gateway_api.frontend import Pems
from kaiki.interpret.gateway_api.objects import Object, Problem, age, reference
from kaiki.interpret.services import full_host
from kaiki.model.finding import ObjectRef
from kaiki.model.policy.destination import ClientTls, DestinationPolicy, Subset, TlsMode, TrafficPolicy
from kaiki.model.service import Service
from kaiki.resources import core

AS_IT_CAME = "as-it-came"
"""The subset of a Service with a policy that is for TLS passed through: it is not begun a second time."""


@dataclass(slots=True, eq=False)
class BackendTls:
    """One policy: its problems, the hosts it names, and the (host, port) it counts for; port 0 means all."""

    policy: Object
    tls: ClientTls | None
    unresolved: Problem | None
    unaccepted: Problem | None
    targets: list[tuple[str, int]] = field(default_factory=list)
    hosts: list[str] = field(default_factory=list)

    @property
    def is_broken(self) -> bool:
        """Whether connections must fail, because nothing vouches for the other side."""
        return self.tls is None


def backend_tls(policies: Iterable[Object], services: Mapping[str, Service], pem_of: Pems) -> list[BackendTls]:
    """Read all policies; of two for one target the older counts."""
    found: list[BackendTls] = []
    taken: set[tuple[str, str]] = set()
    for policy in sorted(policies, key=age):
        made = _read(policy, pem_of)
        conflicts = 0
        refs = list(core.spec(policy).get("targetRefs") or ())
        for ref in refs:
            target = reference(ref, core.namespace(policy), "", "Service")
            host, section = full_host(target.name, target.namespace), str(ref.get("sectionName") or "")
            made.hosts.append(host)
            if (target.group, target.kind) != ("", "Service"):
                made.unresolved = made.unresolved or Problem("InvalidKind", f"{target.text} cannot have a policy.")
            elif (host, section) in taken:
                conflicts += 1
            else:
                taken.add((host, section))
                made.targets += _ports(services.get(host), host, section)
        if conflicts and conflicts == len(refs):
            made.unaccepted = Problem("Conflicted", "an older BackendTLSPolicy is for the same Service.")
        found.append(made)
    return found


def _ports(service: Service | None, host: str, section: str) -> list[tuple[str, int]]:
    if not section:
        return [(host, 0)]
    return [(host, port.number) for port in service.ports if port.name == section] if service else []


def _read(policy: Object, pem_of: Pems) -> BackendTls:
    validation = core.spec(policy).get("validation") or {}
    host = str(validation.get("hostname") or "")
    names = tuple(str(item.get("uri") or item.get("hostname")) for item in validation.get("subjectAltNames") or ())
    tls = ClientTls(mode=TlsMode.SIMPLE, sni=host, subject_alternative_names=names or (host,))
    known = validation.get("wellKnownCACertificates")
    if known == "System":
        return BackendTls(policy, replace(tls, ca_certificates="system"), None, None)
    if known:
        return BackendTls(policy, None, None, Problem("Invalid", f"{known} is not known here; System is."))
    pems, problem = [], None
    for ref in validation.get("caCertificateRefs") or ():
        target = reference(ref, core.namespace(policy), "", "ConfigMap")
        pem = pem_of.get((core.namespace(policy), target.name), b"")
        if (target.group, target.kind) != ("", "ConfigMap"):
            problem = Problem("InvalidKind", f"{target.text} is no ConfigMap.")
        elif not pem:
            problem = Problem("InvalidCACertificateRef", f"{target.text} has no ca.crt with a certificate.")
        else:
            pems.append(pem)
    if problem is not None and not pems:
        return BackendTls(policy, None, problem, Problem("NoValidCACertificate", problem.message))
    return BackendTls(policy, replace(tls, roots_pem=b"\n".join(pems)), problem, None)


def broken_ports(found: Iterable[BackendTls], services: Mapping[str, Service]) -> frozenset[tuple[str, int]]:
    """(host, port) to which connections must fail."""
    result: set[tuple[str, int]] = set()
    for item in found:
        for host, port in item.targets if item.is_broken else ():
            service = services.get(host)
            result |= {(host, one.number) for one in service.ports if port in (0, one.number)} if service else set()
    return frozenset(result)


def secured_hosts(found: Iterable[BackendTls]) -> frozenset[str]:
    """The hosts whose connections begin TLS."""
    return frozenset(host for item in found if item.tls is not None for host, _ in item.targets)


def policies_of(found: Iterable[BackendTls]) -> dict[str, tuple[tuple[int, ObjectRef], ...]]:
    """Host → (port, 0 for all; policy) of those that secure connections to it."""
    result: dict[str, tuple[tuple[int, ObjectRef], ...]] = {}
    for item in found:
        source = ObjectRef("BackendTLSPolicy", core.namespace(item.policy), core.name(item.policy))
        for host, port in item.targets if item.tls is not None else ():
            result[host] = (*result.get(host, ()), (port, source))
    return result


def with_backend_tls(
    policies: Mapping[str, tuple[DestinationPolicy, ...]], found: Iterable[BackendTls]
) -> dict[str, tuple[DestinationPolicy, ...]]:
    """The destination policies with the TLS of BackendTLSPolicies in those of the Service's own namespace."""
    result = dict(policies)
    by_host: dict[str, list[tuple[int, BackendTls]]] = {}
    for item in found:
        for host, port in item.targets if item.tls is not None else ():
            by_host.setdefault(host, []).append((port, item))
    for host, items in by_host.items():
        namespace = core.namespace(items[0][1].policy)
        source = ObjectRef("BackendTLSPolicy", namespace, core.name(items[0][1].policy))
        rules = result.get(host, ())
        first = next((rule for rule in rules if rule.source.namespace == namespace), None)
        base = first or DestinationPolicy(source, host, created=core.created(items[0][1].policy))
        untouched = Subset(AS_IT_CAME, (), TrafficPolicy(tls=ClientTls()))
        made = replace(base, policy=_combined(base.policy, items), subsets=(*base.subsets, untouched))
        result[host] = tuple(made if rule is first else rule for rule in rules) if first else (*rules, made)
    return result


def _combined(policy: TrafficPolicy, items: list[tuple[int, BackendTls]]) -> TrafficPolicy:
    """A DestinationRule's own TLS wins over a policy's."""
    general = next((item.tls for port, item in items if port == 0), None)
    ports = {port: replace(own, tls=own.tls or general) for port, own in policy.ports}
    for port, item in items:
        if port:
            at_port = ports.get(port, replace(policy, ports=()))
            ports[port] = at_port if at_port.tls not in (None, general) else replace(at_port, tls=item.tls)
    return replace(policy, tls=policy.tls or general, ports=tuple(sorted(ports.items(), key=lambda one: one[0])))
