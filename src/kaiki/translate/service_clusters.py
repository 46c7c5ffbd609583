"""The clusters and endpoints of all services that some proxies see, brought up to date by what changed.

Most namespaces see the same: only those that an export names, or that have rules for services of others, differ. All
the rest share one view, so that a changed endpoint is translated once and not once for every namespace.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from kaiki.model.policy.destination import DestinationPolicy
from kaiki.model.proxy import Resource
from kaiki.model.service import Endpoint, Service
from kaiki.model.table import Table, differences, updated
from kaiki.translate import clusters
from kaiki.translate.endpoints import load_assignment, select
from kaiki.translate.features.localities import Place
from kaiki.translate.scope import Scope, covers

NOWHERE = ""
"""The namespace of a view that is the same from everywhere."""


def service_clusters(scope: Scope) -> ServiceClusters:
    """The clusters of all services in a scope, and their endpoints. Routes do not matter to them."""
    snapshot, memo = scope.snapshot, scope.memo
    special = memo.get(_special_namespaces, snapshot.services, snapshot.destination_policies)
    is_special = scope.is_gateway or scope.sidecar is not None or scope.namespace in special
    seen_from = scope.namespace if is_special else NOWHERE
    found = memo.depends(
        "service clusters",
        ServiceClusters,
        seen_from,
        scope.labels,
        scope.capture,
        scope.sidecar,
        scope.locality,
        scope.is_gateway,
        scope.node,
        scope.client_certificate,
    )
    found.follow(scope if is_special else replace(scope, namespace=seen_from))
    return found


def _special_namespaces(
    services: Mapping[str, Service], policies: Mapping[str, tuple[DestinationPolicy, ...]]
) -> frozenset[str]:
    """The namespaces from which services or their rules may look different than from most."""
    exports = {item.export_to for item in services.values()} | {
        rule.export_to for rules in policies.values() for rule in rules
    }
    found = {space for export in exports if "*" not in export for space in export}
    for host, rules in policies.items():
        service = services.get(host)
        own = service.namespace if service else ""
        found.update(rule.source.namespace for rule in rules if rule.source.namespace != own or rule.workload_selector)
    return frozenset(found)


class ServiceClusters:
    """`clusters` has the few that every proxy has, too. Both tables stay the same object while nothing changes."""

    def __init__(self) -> None:
        self._scope: Scope | None = None
        self.clusters: Table[str, Resource] = Table()
        self.assignments: Table[str, Resource] = Table()

    def follow(self, scope: Scope) -> None:
        """Bring both tables up to date."""
        before = self._scope
        if before is not None and before.snapshot is scope.snapshot:
            return
        made: dict[str, Resource | None] = {}
        assigned: dict[str, Resource | None] = {}
        for host in _touched(before, scope):
            for name in _names(before, host) if before is not None else ():
                made[name] = assigned[name] = None
            for cluster, assignment in _of_service(scope, host):
                made[cluster.name] = _kept(self.clusters, cluster)
                if assignment is not None:
                    assigned[cluster.name] = _kept(self.assignments, assignment)
        if before is None:
            for item in _of_everybody(scope):
                made[item.name] = item
        self.clusters = updated(self.clusters, made)
        self.assignments = updated(self.assignments, assigned)
        self._scope = scope


def _of_everybody(scope: Scope) -> tuple[Resource, ...]:
    memo = scope.memo
    return memo.shared(clusters.passthrough_cluster, scope.capture), memo.shared(clusters.black_hole_cluster)


def _kept(table: Table[str, Resource], item: Resource) -> Resource:
    before = table.get(item.name)
    return before if before is not None and before.version == item.version else item


def _touched(before: Scope | None, scope: Scope) -> Iterable[str]:
    """The hosts whose clusters may be different now."""
    new = scope.snapshot
    if before is None:
        return new.services
    old = before.snapshot
    if before.others != scope.others:
        return {**old.services, **new.services}
    hosts = {*differences(old.services, new.services)}
    hosts.update(host for host, _ in differences(old.endpoints, new.endpoints))
    for pattern in differences(old.destination_policies, new.destination_policies):
        hosts.add(pattern)
        if pattern.startswith("*"):
            hosts.update(host for host in new.services if covers(pattern, host))
    return hosts


def _names(scope: Scope, host: str) -> Iterator[str]:
    service = scope.snapshot.services.get(host)
    if service is None or not scope.sees(host):
        return
    for port in scope.ports_of(service):
        for subset in (None, *scope.subsets_of(host)):
            yield scope.cluster(service, port, subset).name


def _of_service(scope: Scope, host: str) -> Iterator[tuple[Resource, Resource | None]]:
    """Each cluster of a service with its endpoints, if they come by EDS."""
    service = scope.snapshot.services.get(host)
    if service is None or not scope.sees(host):
        return
    subsets = scope.subsets_of(host)
    for port in scope.ports_of(service):
        endpoints = scope.endpoints_of(service, port.number)
        for subset in (None, *subsets):
            cluster = scope.cluster(service, port, subset)
            made = scope.memo.shared(clusters.outbound_cluster, cluster)
            if not cluster.has_endpoints:
                yield made, None
                continue
            labels, place = subset.labels if subset else (), scope.place(cluster.policy, service.prefers_near)
            yield made, scope.memo.shared(_assignment, cluster.name, endpoints, labels, service.headless, place)


def _assignment(
    name: str,
    endpoints: tuple[Endpoint, ...],
    labels: tuple[tuple[str, str], ...],
    by_address: bool,
    place: Place | None,
) -> Resource:
    return load_assignment(name, select(endpoints, labels) if labels else endpoints, by_address, place)
