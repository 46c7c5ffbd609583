"""Where a route attaches: each of its parentRefs against the listeners, the Service or the ServiceEntry it names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from kaiki.interpret.gateway_api.listeners import Listener
from kaiki.interpret.gateway_api.objects import (
    GROUP,
    ISTIO_GROUP,
    KUBERNETES_GATEWAY,
    Object,
    Problem,
    intersection,
    reference,
)
from kaiki.interpret.services import full_host
from kaiki.model.finding import ObjectRef
from kaiki.model.service import Service
from kaiki.resources import core


class Attached(NamedTuple):
    """A listener a route is attached to, and the host names it gets there."""

    listener: Listener
    hosts: tuple[str, ...]


class AttachedService(NamedTuple):
    """A Service a route is attached to, and the ports it is for (none: all)."""

    service: Service
    ports: tuple[int, ...]


class Parent(NamedTuple):
    """One parentRef that is ours to answer for, and what came of it."""

    ref: Mapping[str, Any]
    listeners: tuple[Attached, ...] = ()
    services: tuple[AttachedService, ...] = ()
    problem: Problem | None = None


ListenersByOwner = Mapping[tuple[str, str, str], list[Listener]]
"""(`KubernetesGateway` or `ListenerSet`, namespace, name) → its listeners."""


class World(NamedTuple):
    """What parentRefs are looked up in."""

    listeners: ListenersByOwner
    services: Mapping[str, Service]
    namespaces: Mapping[str, Mapping[str, str]]
    entries: Mapping[str, ObjectRef] = {}
    """Host → the ServiceEntry it comes from."""


def parents_of(kind: str, route: Object, world: World) -> list[Parent]:
    """All parents of a route that this control plane answers for."""
    found = (_parent(kind, route, ref, world) for ref in core.spec(route).get("parentRefs") or ())
    return [parent for parent in found if parent is not None]


def _parent(kind: str, route: Object, ref: Mapping[str, Any], world: World) -> Parent | None:
    target = reference(ref, core.namespace(route), GROUP, "Gateway")
    if (target.group, target.kind) == ("", "Service"):
        return _service_parent(ref, world, (full_host(target.name, target.namespace),), target.text)
    if (target.group, target.kind) == (ISTIO_GROUP, "ServiceEntry"):
        wanted = target.namespace, target.name
        hosts = tuple(host for host, entry in world.entries.items() if (entry.namespace, entry.name) == wanted)
        return _service_parent(ref, world, hosts, target.text)
    if (target.group, target.kind) == (ISTIO_GROUP, "Hostname"):
        return _service_parent(ref, world, (target.name,), target.text)
    if target.group != GROUP or target.kind not in ("Gateway", "ListenerSet"):
        return None
    owner = KUBERNETES_GATEWAY if target.kind == "Gateway" else target.kind
    listeners = world.listeners.get((owner, target.namespace, target.name))
    if listeners is None:
        return None
    return _listener_parent(kind, route, ref, listeners, world)


def _listener_parent(
    kind: str, route: Object, ref: Mapping[str, Any], listeners: Iterable[Listener], world: World
) -> Parent:
    section, port = ref.get("sectionName"), ref.get("port")
    named = [item for item in listeners if section in (None, "", item.name) and port in (None, item.port)]
    if not named:
        wanted = f"named {section}" if section else f"at port {port}"
        return Parent(ref, problem=Problem("NoMatchingParent", f"there is no listener {wanted}."))
    labels = world.namespaces.get(core.namespace(route), {})
    open_to = [item for item in named if item.lets_in(kind, core.namespace(route), labels)]
    if not open_to:
        message = f"no listener lets {kind}s of namespace {core.namespace(route)} in (allowedRoutes)."
        return Parent(ref, problem=Problem("NotAllowedByListeners", message))
    hosts = [str(host) for host in core.spec(route).get("hostnames") or ()] if kind != "TCPRoute" else []
    attached = [Attached(item, intersection(item.host, hosts)) for item in open_to]
    attached = [one for one in attached if one.hosts]
    if not attached:
        message = f"no listener answers for any of {', '.join(hosts)}."
        return Parent(ref, problem=Problem("NoMatchingListenerHostname", message))
    return Parent(ref, listeners=tuple(attached))


def _service_parent(ref: Mapping[str, Any], world: World, hosts: Iterable[str], text: str) -> Parent:
    services = [world.services[host] for host in hosts if host in world.services]
    if not services:
        return Parent(ref, problem=Problem("NoMatchingParent", f"there is no {text}."))
    section, port = ref.get("sectionName"), ref.get("port")
    if not section and not port:
        return Parent(ref, services=tuple(AttachedService(service, ()) for service in services))
    found = []
    for service in services:
        named = [item for item in service.ports if section in (None, "", item.name) and port in (None, item.number)]
        if named:
            found.append(AttachedService(service, tuple(item.number for item in named)))
    if not found:
        wanted = f"named {section}" if section else str(port)
        return Parent(ref, problem=Problem("NoMatchingParent", f"{text} has no port {wanted}."))
    return Parent(ref, services=tuple(found))
