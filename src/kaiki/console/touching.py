"""Which Istio and Gateway API objects touch a workload, an app or a service, and what was found wrong with them. Pure.

An object touches a subject because it names one of its hosts (`host`), sends traffic to one (`destination`), selects
its pods (`selector`), lets its hosts in (`gateway`), or holds for its whole namespace or mesh (`namespace`, `mesh`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from kaiki.console.workloads import place_of, resolve_host
from kaiki.graph import RegistryWorkload
from kaiki.model.well_known import GATEWAY_NAME_LABEL, ROOT_NAMESPACE

Object = dict[str, Any]
Place = tuple[str, str]

_BY_SELECTOR = frozenset(
    {
        "AuthorizationPolicy",
        "PeerAuthentication",
        "RequestAuthentication",
        "Telemetry",
        "WasmPlugin",
        "EnvoyFilter",
        "Sidecar",
        "ProxyConfig",
    }
)
_ROUTES = frozenset({"HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute"})
ROUTES = _ROUTES | {"VirtualService"}
"""What sends traffic on, at gateways or at the sidecars of callers."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is looked at: its services (namespace, name) and its workloads."""

    namespace: str
    services: frozenset[Place]
    workloads: tuple[RegistryWorkload, ...]


def touching(objects: Iterable[Object], subject: Subject) -> list[tuple[Object, str]]:
    """The objects that touch a subject, with the reason; sorted by kind, namespace and name."""
    found = [(item, reason) for item in objects if (reason := reason_of(item, subject))]
    named = {name for item, _ in found if item.get("kind") == "VirtualService" for name in _gateways_of(item)}
    known = {id(item) for item, _ in found}
    for item in objects:
        if item.get("kind") == "Gateway" and id(item) not in known and place_of(item) in named:
            found.append((item, "gateway"))
    return sorted(found, key=lambda pair: (str(pair[0].get("kind", "")), *place_of(pair[0])))


def reason_of(item: Object, subject: Subject) -> str:
    """Why an object touches a subject by itself; empty when it does not."""
    kind, spec = str(item.get("kind", "")), item.get("spec") or {}
    if kind == "VirtualService":
        return _of_virtual_service(item, spec, subject)
    if kind == "DestinationRule":
        return "host" if resolve_host(str(spec.get("host", "")), place_of(item)[0]) in subject.services else ""
    if kind in _ROUTES:
        return _of_route(item, spec, subject)
    if kind == "Gateway":
        return _of_gateway(item, spec, subject)
    if kind == "ServiceEntry":
        chosen = (spec.get("workloadSelector") or {}).get("labels")
        return "selector" if chosen and _selects(item, chosen, subject) else ""
    return _of_policy(item, spec, subject) if kind in _BY_SELECTOR else ""


def findings_of(item: Object) -> list[dict[str, str]]:
    """What the control plane has written into an object's status: code, field and level (ERROR, WARNING, INFO)."""
    messages = (item.get("status") or {}).get("validationMessages") or ()
    return [
        {
            "code": str((message.get("type") or {}).get("code", "")),
            "path": str((message.get("type") or {}).get("name", "")),
            "level": str(message.get("level", "")),
        }
        for message in messages
        if isinstance(message, dict)
    ]


def count_findings(objects: Iterable[Object]) -> dict[str, int]:
    """Errors and warnings of several objects."""
    levels = [finding["level"] for item in objects for finding in findings_of(item)]
    return {"errors": levels.count("ERROR"), "warnings": levels.count("WARNING")}


def is_traced(objects: Iterable[Object]) -> bool:
    """Whether one of these Telemetry objects makes proxies send spans."""
    for item in objects:
        for part in (item.get("spec") or {}).get("tracing") or () if item.get("kind") == "Telemetry" else ():
            if isinstance(part, dict) and part.get("providers") and not part.get("disableSpanReporting"):
                return True
    return False


def mutual_tls_mode(objects: Iterable[Object], namespace: str) -> str:
    """What PeerAuthentication asks of a whole namespace: STRICT, PERMISSIVE or DISABLE; the mesh's unless it has its
    own; PERMISSIVE where nothing is said."""
    modes: dict[str, str] = {}
    for item in objects:
        spec = item.get("spec") or {}
        if item.get("kind") == "PeerAuthentication" and not (spec.get("selector") or {}).get("matchLabels"):
            mode = str((spec.get("mtls") or {}).get("mode") or "UNSET")
            if mode != "UNSET":
                modes.setdefault(place_of(item)[0], mode)
    return modes.get(namespace) or modes.get(ROOT_NAMESPACE) or "PERMISSIVE"


def services_of(item: Object) -> Iterator[Place]:
    """The services that an object names: as hosts, as where traffic goes, as parents or targets."""
    spec, namespace = item.get("spec") or {}, place_of(item)[0]
    hosts = [*(spec.get("hosts") or ()), *([spec["host"]] if spec.get("host") else ())]
    hosts += [host for protocol in ("http", "tcp", "tls") for host in _destinations(spec.get(protocol))]
    own = "" if item.get("kind") == "ServiceEntry" else namespace
    yield from (resolve_host(str(host), own) for host in hosts)
    references = [*(spec.get("parentRefs") or ()), *(spec.get("targetRefs") or ())]
    references += [backend for rule in spec.get("rules") or () for backend in rule.get("backendRefs") or ()]
    references += [spec["targetRef"]] if spec.get("targetRef") else []
    yield from (_reference(item, reference) for reference in references)


def _of_virtual_service(item: Object, spec: Object, subject: Subject) -> str:
    namespace = place_of(item)[0]
    if any(resolve_host(str(host), namespace) in subject.services for host in spec.get("hosts") or ()):
        return "host"
    hosts = {host for protocol in ("http", "tcp", "tls") for host in _destinations(spec.get(protocol))}
    return "destination" if any(resolve_host(host, namespace) in subject.services for host in hosts) else ""


def _destinations(routes: Any) -> Iterator[str]:
    for route in routes or ():
        targets = [*(route.get("route") or ()), *(route.get("mirrors") or ())]
        found = [target.get("destination") or {} for target in targets] + [route.get("mirror") or {}]
        yield from (str(one["host"]) for one in found if one.get("host"))


def _gateways_of(item: Object) -> Iterator[Place]:
    for name in (item.get("spec") or {}).get("gateways") or ():
        namespace, slash, rest = str(name).partition("/")
        yield (namespace, rest) if slash else (place_of(item)[0], str(name))


def _of_route(item: Object, spec: Object, subject: Subject) -> str:
    parents = {_reference(item, parent) for parent in spec.get("parentRefs") or () if parent.get("kind") == "Service"}
    if parents & subject.services:
        return "host"
    rules = spec.get("rules") or ()
    backends = {_reference(item, backend) for rule in rules for backend in rule.get("backendRefs") or ()}
    if backends & subject.services:
        return "destination"
    gateways = {_reference(item, parent) for parent in spec.get("parentRefs") or ()}
    return "gateway" if gateways & _gateways(subject) else ""


def _of_gateway(item: Object, spec: Object, subject: Subject) -> str:
    if str(item.get("apiVersion", "")).startswith("gateway.networking.k8s.io/"):
        return "selector" if place_of(item) in _gateways(subject) else ""
    chosen = spec.get("selector") or {}
    return "selector" if chosen and any(chosen.items() <= one.labels.items() for one in subject.workloads) else ""


def _of_policy(item: Object, spec: Object, subject: Subject) -> str:
    namespace = place_of(item)[0]
    targets = [*(spec.get("targetRefs") or ()), *([spec["targetRef"]] if spec.get("targetRef") else ())]
    if targets:
        own = {_reference(item, target) for target in targets if target.get("kind") == "Service"}
        gateways = {_reference(item, target)[1] for target in targets if target.get("kind") == "Gateway"}
        chosen = any(one.labels.get(GATEWAY_NAME_LABEL) in gateways for one in subject.workloads)
        return "selector" if own & subject.services or (chosen and namespace == subject.namespace) else ""
    selector = spec.get("selector") or spec.get("workloadSelector") or {}
    labels = selector.get("matchLabels") or selector.get("labels")
    if labels:
        return "selector" if _selects(item, labels, subject) else ""
    if namespace == ROOT_NAMESPACE:
        return "mesh"
    return "namespace" if namespace == subject.namespace else ""


def _selects(item: Object, labels: dict[str, str], subject: Subject) -> bool:
    namespace = place_of(item)[0]
    scoped = namespace in (ROOT_NAMESPACE, subject.namespace)
    return scoped and any(labels.items() <= one.labels.items() for one in subject.workloads)


def _gateways(subject: Subject) -> set[Place]:
    """The Gateway API's Gateways that the subject's workloads were deployed for."""
    return {
        (one.namespace, one.labels[GATEWAY_NAME_LABEL]) for one in subject.workloads if GATEWAY_NAME_LABEL in one.labels
    }


def _reference(item: Object, reference: Object) -> Place:
    return str(reference.get("namespace") or place_of(item)[0]), str(reference.get("name", ""))
