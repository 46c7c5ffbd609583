"""Which objects shape what a proxy has: found when somebody asks, so that building and sending costs nothing more.

marks in a resource        routes, rules of destinations, servers of Gateways, AuthorizationPolicies (see `origins`)
the host a cluster is of   ServiceEntries, WorkloadEntries, BackendTLSPolicies
a gateway's listeners      Gateways, ListenerSets, Ingresses
the proxy as a whole       the Sidecar, the Telemetry objects and the PeerAuthentications that choose it
how the proxy was started  ProxyConfigs, EnvoyFilters that patch the bootstrap
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from kaiki.model.finding import ObjectRef
from kaiki.model.memo import Memo
from kaiki.model.policy.peer import applicable as applicable_peers
from kaiki.model.proxy import CLUSTER_TYPE, ENDPOINT_TYPE, LISTENER_TYPE, ROUTE_TYPE, Proxy, Resource
from kaiki.model.proxy_settings import chosen_rules
from kaiki.model.service import Service
from kaiki.model.snapshot import MeshSnapshot
from kaiki.model.well_known import ROOT_NAMESPACE
from kaiki.model.workload import ProxyKind
from kaiki.model.workload_entry import WorkloadEntry
from kaiki.translate.gateway import bound_servers
from kaiki.translate.gateway_listeners import listener_name
from kaiki.translate.gateway_routes import BoundServer, plain_table_name
from kaiki.translate.origins import origins_of
from kaiki.translate.patches import bootstrap_editions
from kaiki.translate.sidecar_scope import sidecar_of
from kaiki.translate.telemetry_plan import applicable

_OUTBOUND = "outbound"
_BY_SERVICE = (CLUSTER_TYPE, ENDPOINT_TYPE)
_BY_GATEWAY = (LISTENER_TYPE, ROUTE_TYPE)
Places = Mapping[tuple[str, str], tuple[ObjectRef, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class Provenance:
    """Of one proxy: `whole` are the objects behind everything it has, `started_by` those that are about its
    start, each with whether the proxy was started with it as it is now."""

    snapshot: MeshSnapshot
    whole: tuple[ObjectRef, ...]
    started_by: tuple[tuple[ObjectRef, bool], ...]
    _memo: Memo = field(default_factory=Memo)
    _owners: Mapping[ObjectRef, ObjectRef] = field(default_factory=dict)
    _servers: Places = field(default_factory=dict)

    def behind(self, item: Resource) -> tuple[ObjectRef, ...]:
        """The objects behind one resource, each once."""
        marked = (self._owners.get(reference, reference) for reference in self._memo.get(origins_of, item))
        return tuple(dict.fromkeys((*marked, *self._unmarked(item))))

    def _unmarked(self, item: Resource) -> Iterator[ObjectRef]:
        if item.type_url in _BY_SERVICE and item.name.startswith(_OUTBOUND):
            yield from _behind_service(self.snapshot, item.name)
        elif item.type_url in _BY_GATEWAY:
            yield from self._servers.get((item.type_url, item.name), ())


def provenance(snapshot: MeshSnapshot, proxy: Proxy, memo: Memo) -> Provenance:
    """What shapes a proxy under a snapshot."""
    memo.enter(snapshot)
    marks = memo.part("origins")
    marks.enter(snapshot)
    sidecar = sidecar_of(snapshot, proxy, memo)
    telemetry = applicable(snapshot.telemetry, ROOT_NAMESPACE, proxy.namespace, proxy.labels)
    is_gateway = proxy.kind is ProxyKind.GATEWAY
    peers = () if is_gateway else applicable_peers(snapshot.peer_policies, proxy.namespace, set(proxy.labels))
    servers = list(bound_servers(snapshot, proxy)) if is_gateway else []
    return Provenance(
        snapshot,
        tuple(item.source for item in (*([sidecar] if sidecar else []), *telemetry, *peers)),
        tuple(_started_by(snapshot, proxy)),
        marks,
        {bound.gateway.source: owner for bound in servers if (owner := bound.server.owner)},
        _places(servers),
    )


def _started_by(snapshot: MeshSnapshot, proxy: Proxy) -> Iterator[tuple[ObjectRef, bool]]:
    workload = snapshot.workloads.get(proxy.key)
    known = workload.started_with if workload is not None else ()
    # Gateways are not injected: no ProxyConfig has a say in how they run.
    if proxy.kind is not ProxyKind.GATEWAY:
        for rule in chosen_rules(snapshot.proxy_configs, proxy.namespace, dict(proxy.labels)):
            yield rule.source, rule.edition in known
    for item in snapshot.envoy_filters:
        if editions := bootstrap_editions((item,), proxy):
            yield item.source, editions[0] in known


def _places(servers: list[BoundServer]) -> Places:
    """(type, name) of the listeners and route tables of a gateway → the Gateways they are of."""
    found: dict[tuple[str, str], dict[ObjectRef, None]] = defaultdict(dict)
    for bound in servers:
        owner = bound.server.owner or bound.gateway.source
        table = bound.encrypted_table_name if bound.ends_tls else plain_table_name(bound.place)
        for place in ((LISTENER_TYPE, listener_name(bound.place)), (ROUTE_TYPE, table)):
            found[place][owner] = None
    return {place: tuple(owners) for place, owners in found.items()}


def _behind_service(snapshot: MeshSnapshot, cluster: str) -> Iterator[ObjectRef]:
    """What is behind the cluster (or its endpoints) of one port and subset of a service."""
    _, port, _, host = cluster.split("|", 3) if cluster.count("|") == 3 else ("", "0", "", "")
    service = snapshot.services.get(host)
    if service is None or not port.isdigit():
        return
    yield from snapshot.entry_sources.get(host, ())
    yield from (source for number, source in snapshot.backend_policies.get(host, ()) if number in (0, int(port)))
    if snapshot.workload_entries:
        yield from _workload_entries(snapshot, service, int(port))


def _workload_entries(snapshot: MeshSnapshot, service: Service, port: int) -> Iterator[ObjectRef]:
    there = {(item.address, item.subset_labels) for item in snapshot.endpoints.get((service.hostname, port), ())}

    def is_endpoint(item: WorkloadEntry) -> bool:
        return item.source.namespace == service.namespace and (item.address, item.labels) in there

    yield from (item.source for item in snapshot.workload_entries if is_endpoint(item))
