"""Which configuration changes stand beside an edge: those whose object, as it was or as it became, touches it. Pure.

    routes, rules, entries ──host──▶ what the edge calls       policies ──selector──▶ the workload that takes it
    Sidecar, EnvoyFilter, Telemetry ──selector──▶ the caller's proxy too        a rollout ──▶ either workload

Touching is no proof of being the cause: it is what to look at first. Reasons are those of `touching`, and `rollout`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from kaiki.console.summaries import services_by_workload
from kaiki.console.touching import ROUTES, Object, Place, Subject, reason_of, services_of
from kaiki.console.workloads import resolve_host
from kaiki.graph import Edge, Node, Registry, RegistryWorkload
from kaiki.graph.kiali import Members
from kaiki.graph.model import NodeType
from kaiki.model.journal import ChangeEntry
from kaiki.model.well_known import ROOT_NAMESPACE

MOST_CHANGES = 100
"""The newest of a comparison; each is held against every changed edge."""

_REASONS = ("rollout", "host", "destination", "gateway", "selector", "namespace", "mesh")
"""What concerns the edge alone first, what holds for much else last."""
_ANYWHERE = ""
_OF_CALLERS = frozenset({"Sidecar", "ProxyConfig"})
_OF_BOTH = frozenset({"EnvoyFilter", "Telemetry", "WasmPlugin", "Gateway", "Deployment"})
_OF_SERVERS = frozenset({"DestinationRule", "ServiceEntry"})


class Touch(msgspec.Struct, frozen=True):
    """A change, by its id in the journal, and why it touches an edge."""

    change: str
    reason: str


def made_between(changes: Iterable[ChangeEntry], start: float, end: float) -> list[ChangeEntry]:
    """Those after `start`, until `end`, the newest first."""
    found = [change for change in changes if start < change.time <= end]
    return sorted(found, key=lambda change: (change.time, change.id), reverse=True)[:MOST_CHANGES]


class Beside:
    """Changes, ready to be held against the edges of one graph.

    Few of them can touch any one node, so they are found by the hosts they name and by their namespace first.
    """

    def __init__(self, changes: Sequence[ChangeEntry], nodes: Iterable[Node], registry: Registry) -> None:
        self._changes = changes
        self._nodes = {node.id: node for node in nodes}
        self._registry = registry
        self._members = Members(registry)
        self._services = services_by_workload(registry)
        self._known: dict[tuple[str, frozenset[Place]], dict[int, str]] = {}
        self._candidates: dict[Place | str, list[int]] = {}
        for index, change in enumerate(changes):
            for key in _keys(change):
                self._candidates.setdefault(key, []).append(index)

    def of(self, edge: Edge) -> tuple[Touch, ...]:
        """The changes that touch an edge: those that concern it alone first, then the newest first."""
        hosts = frozenset(resolve_host(host, "") for hosts in edge.hosts.values() for host in hosts)
        at_source, at_target = self._reasons(edge.source, frozenset()), self._reasons(edge.target, hosts)
        source = self._nodes.get(edge.source)
        found = []
        for index in sorted({*at_source, *at_target}):
            change = self._changes[index]
            if reason := _chosen(change, source, at_source.get(index, ""), at_target.get(index, "")):
                found.append(Touch(change.id, reason))
        return tuple(sorted(found, key=lambda touch: _REASONS.index(touch.reason)))

    def _reasons(self, node_id: str, hosts: frozenset[Place]) -> dict[int, str]:
        """Why some of the changes touch a node that is called by these hosts (none known: by all of its own)."""
        known = self._known.get((node_id, hosts))
        if known is None:
            known, node = {}, self._nodes.get(node_id)
            subject = self._subject(node, hosts) if node is not None else None
            for index in self._near(subject) if subject is not None else ():
                if subject is not None and (reason := _reason(self._changes[index], subject)):
                    known[index] = reason
            self._known[node_id, hosts] = known
        return known

    def _near(self, subject: Subject) -> set[int]:
        """The changes that may touch a subject."""
        keys: tuple[Place | str, ...] = (*subject.services, subject.namespace, _ANYWHERE)
        return {index for key in keys for index in self._candidates.get(key, ())}

    def _subject(self, node: Node, hosts: frozenset[Place]) -> Subject:
        workloads = self._workloads(node)
        own = {place for one in workloads for place in self._services.get((one.namespace, one.name), ())}
        if node.service:
            own = {(node.namespace, node.service)}
        return Subject(node.namespace, hosts or frozenset(own), workloads)

    def _workloads(self, node: Node) -> tuple[RegistryWorkload, ...]:
        if node.type is NodeType.CLUSTER:
            return self._registry.workloads
        if node.type is NodeType.NAMESPACE:
            return tuple(one for one in self._registry.workloads if one.namespace == node.namespace)
        return tuple(self._members.of(node))


def _keys(change: ChangeEntry) -> Iterable[Place | str]:
    """Under what a change is found: the services it names, its namespace, or anywhere."""
    if change.operation == "rollout":
        return (change.namespace,)
    items = [dict(item) for item in (change.before, change.after) if item is not None]
    bound = any(_of_gateways(item) for item in items)
    if change.namespace == ROOT_NAMESPACE or change.kind == "Gateway" or bound:
        return (_ANYWHERE,)
    named: set[Place | str] = {place for item in items for place in services_of(item)}
    return named if change.kind in ROUTES | _OF_SERVERS else {*named, change.namespace}


def _of_gateways(item: Object) -> bool:
    """Whether an object is found by a gateway, or by a selector, rather than by the services it names."""
    spec = item.get("spec") or {}
    if item.get("kind") == "ServiceEntry":
        return bool(spec.get("workloadSelector"))
    return any(parent.get("kind") != "Service" for parent in spec.get("parentRefs") or ())


def _reason(change: ChangeEntry, subject: Subject) -> str:
    """Why a change's object, before or after it, touches a subject; empty when neither does."""
    if change.operation == "rollout":
        places = {(one.namespace, one.name) for one in subject.workloads}
        return "rollout" if (change.namespace, change.name) in places else ""
    for item in (change.after, change.before):
        if item is not None and (reason := _reason_now(dict(item), subject)):
            return reason
    return ""


def _reason_now(item: Object, subject: Subject) -> str:
    if item.get("kind") != "ServiceEntry":
        return reason_of(item, subject)
    return "host" if set(services_of(item)) & subject.services else reason_of(item, subject)


def _chosen(change: ChangeEntry, source: Node | None, at_source: str, at_target: str) -> str:
    """At which end of the edge an object of this kind is in force."""
    from_gateway = source is not None and source.type is NodeType.GATEWAY
    if change.kind in ROUTES:
        return at_target if _routes_from(change, source) else ""
    if change.kind in _OF_CALLERS:
        return at_source
    if change.kind in _OF_SERVERS:
        return at_target
    return at_target or (at_source if from_gateway or change.kind in _OF_BOTH else "")


def _routes_from(change: ChangeEntry, source: Node | None) -> bool:
    """Whether a route was, or is, in force where the edge comes from: at gateways, or at the sidecars of callers."""
    if source is None or source.type is NodeType.UNKNOWN:
        return False  # Without a proxy nothing is routed.
    found = {place for item in (change.before, change.after) if item is not None for place in _at_gateways(dict(item))}
    if source.type is NodeType.SERVICE:  # Both may have called it.
        return bool(found)
    return (source.type is NodeType.GATEWAY) in found


def _at_gateways(route: Object) -> set[bool]:
    spec = route.get("spec") or {}
    if route.get("kind") == "VirtualService":
        return {name != "mesh" for name in spec.get("gateways") or ("mesh",)}
    return {parent.get("kind") != "Service" for parent in spec.get("parentRefs") or ()}
