"""What one class of proxies sees of the mesh: which services, whose routes, whose policies.

Two sidecars of one namespace see the same unless an object chooses by label, so most of what is built is built once per
namespace. Names are resolved here and nowhere else: a route gets clusters that exist, or the black hole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

from kaiki.model.credential import find_roots
from kaiki.model.finding import ObjectRef
from kaiki.model.memo import Memo
from kaiki.model.policy.destination import (
    NEAREST_FIRST,
    ClientTls,
    ConsistentHash,
    DestinationPolicy,
    HashKind,
    LoadBalancer,
    Subset,
    TrafficPolicy,
)
from kaiki.model.proxy import Capture
from kaiki.model.route import MESH_GATEWAY, Destination, Forward, VirtualService
from kaiki.model.service import Endpoint, Protocol, Resolution, Service, ServicePort
from kaiki.model.sidecar import Sidecar
from kaiki.model.snapshot import MeshSnapshot
from kaiki.model.well_known import ROOT_NAMESPACE
from kaiki.translate import cluster_names
from kaiki.translate.clusters import OutboundCluster, SecretState
from kaiki.translate.endpoints import select
from kaiki.translate.features.localities import Place, has_shares, place_of
from kaiki.translate.features.tcp_settings import NO_TCP_SETTINGS, TcpSettings, tcp_settings

NO_POLICY = TrafficPolicy()


class Target(NamedTuple):
    """What a destination came to: a cluster's name and what a route to it must know.

    `looked_up_port` is set where the name that is called is looked up, and called at that port.
    """

    cluster: str
    follows_client: bool = False
    may_be_grpc: bool = False
    hash: ConsistentHash | None = None
    tcp: TcpSettings = NO_TCP_SETTINGS
    looked_up_port: int = 0


BLACK_HOLE = Target(cluster_names.BLACK_HOLE)


def is_visible(export_to: tuple[str, ...], namespace: str) -> bool:
    """Whether an object with these exports is seen in a namespace."""
    return "*" in export_to or namespace in export_to


def covers(pattern: str, host: str) -> bool:
    """Whether a host pattern (`*`, `*.example.org`, `example.org`) includes a host or a narrower pattern."""
    if pattern in ("*", host):
        return True
    return pattern.startswith("*.") and host.removeprefix("*").endswith(pattern[1:])


@dataclass(frozen=True, eq=False)
class Scope:
    """The mesh as seen from one namespace (and, where objects choose by label, from pods with these labels)."""

    snapshot: MeshSnapshot
    memo: Memo
    namespace: str
    labels: tuple[tuple[str, str], ...] = ()
    capture: Capture = Capture.NONE
    sidecar: Sidecar | None = None
    locality: str = ""
    is_gateway: bool = False
    node: str = ""
    client_certificate: str = ""
    """What a gateway shows to backends it calls by TLS, as SDS names it."""

    @cached_property
    def services(self) -> tuple[Service, ...]:
        """All services that are visible here, by host name."""
        return tuple(service for service in self.snapshot.services.values() if self._is_known(service))

    def _is_known(self, service: Service) -> bool:
        if not is_visible(service.export_to, self.namespace):
            return False
        sidecar = self.sidecar
        if sidecar is None or sidecar.egress is None or service.hostname in self._routed_to:
            return True
        return sidecar.knows(service.namespace, service.hostname)

    def ports_of(self, service: Service) -> tuple[ServicePort, ...]:
        """The ports of a service that may be called from here."""
        ports = tuple(port for port in service.ports if port.protocol is not Protocol.UDP)
        sidecar = self.sidecar
        if sidecar is None or sidecar.egress is None or service.hostname in self._routed_to:
            return ports
        return tuple(port for port in ports if sidecar.reaches(service.namespace, service.hostname, port.number))

    def captured_ports_of(self, service: Service) -> tuple[ServicePort, ...]:
        """The ports of a service that are called at its own address: a Sidecar's bound listeners have theirs."""
        ports = self.ports_of(service)
        return tuple(port for port in ports if port.number not in self._bound_ports) if self._bound_ports else ports

    @cached_property
    def _bound_ports(self) -> frozenset[int]:
        listeners = self.sidecar.egress or () if self.sidecar else ()
        return frozenset(item.port for item in listeners if not item.captured)

    @cached_property
    def _routed_to(self) -> frozenset[str]:
        """Where the routes that are visible here lead: those hosts are needed whoever else may be reached."""
        return frozenset(
            host for item in self.mesh_routes for host in _destination_hosts(item) if host in self.snapshot.services
        )

    @cached_property
    def fallback(self) -> str:
        """The cluster of what the mesh does not know: where it was meant to go, nowhere, or the Sidecar's proxy."""
        if self.registry_only:
            return cluster_names.BLACK_HOLE
        proxy = self.sidecar.egress_proxy if self.sidecar else None
        return cluster_names.PASSTHROUGH if proxy is None else self.target(proxy, proxy.port).cluster

    @property
    def registry_only(self) -> bool:
        """Whether hosts the mesh does not know are out of reach."""
        if self.sidecar is not None and self.sidecar.registry_only is not None:
            return self.sidecar.registry_only
        return self.snapshot.settings.registry_only

    def sees(self, host: str) -> bool:
        """Whether a host is a service that is visible here."""
        service = self.snapshot.services.get(host)
        return service is not None and self._is_known(service)

    @cached_property
    def mesh_routes(self) -> tuple[VirtualService, ...]:
        """The VirtualServices for sidecars that are visible here, the oldest first."""
        return self.memo.get(_imported, self.snapshot.virtual_services, self.namespace, self.sidecar)

    @cached_property
    def mesh_routes_by_host(self) -> dict[str, VirtualService]:
        """Host, as written, → the VirtualService that routes it."""
        found: dict[str, VirtualService] = {}
        for item in self.mesh_routes:
            for host in item.hosts:
                found.setdefault(host, item)
        return found

    @cached_property
    def _wildcard_routes(self) -> tuple[str, ...]:
        return tuple(pattern for pattern in self.mesh_routes_by_host if pattern.startswith("*"))

    @property
    def has_wildcard_routes(self) -> bool:
        """Whether any route is for more hosts than one."""
        return bool(self._wildcard_routes)

    @property
    def others(self) -> tuple[int | None, ...]:
        """The identities of all that any cluster may depend on besides services, endpoints and rules: routes
        are no part of it unless they widen what a Sidecar lets through."""
        snapshot = self.snapshot
        return (
            id(snapshot.credentials),
            id(snapshot.settings),
            id(snapshot.virtual_services) if self.sidecar is not None else None,
        )

    @property
    def view(self) -> tuple[object, ...]:
        """All that unrouted hosts and listeners depend on. Endpoints are no part of it: where a route leads to does not
        depend on who is there."""
        snapshot = self.snapshot
        return (
            snapshot.services,
            snapshot.destination_policies,
            snapshot.credentials,
            snapshot.settings,
            self.namespace,
            self.labels,
            self.capture,
            self.sidecar,
            self.locality,
            self.is_gateway,
            self.node,
            snapshot.virtual_services if self.sidecar is not None else None,
        )

    def seldom(self, name: str, epoch: object = None) -> Scope:
        """This scope with a memo for what is built again only when `epoch` (or else any of the snapshot) changes."""
        part = self.memo.part(name)
        part.enter(self.snapshot if epoch is None else epoch)
        return replace(self, memo=part)

    def mesh_routes_of(self, host: str) -> VirtualService | None:
        """The VirtualService that routes a host in sidecars: an exact one, else the one with the longest wildcard."""
        exact = self.mesh_routes_by_host.get(host)
        if exact is not None:
            return exact
        wider = [pattern for pattern in self._wildcard_routes if covers(pattern, host)]
        return self.mesh_routes_by_host[max(wider, key=len)] if wider else None

    def rules_of(self, host: str) -> tuple[DestinationPolicy, ...]:
        """The DestinationRules for a host, from the namespace that has a say first (Istio's order).

        The proxy's own namespace comes before the service's, and that before the root namespace. Several in one
        namespace add their subsets to the oldest.
        """
        if host not in self._rules:
            self._rules[host] = self._find_rules(host)
        return self._rules[host]

    @cached_property
    def _rules(self) -> dict[str, tuple[DestinationPolicy, ...]]:
        return {}

    def _find_rules(self, host: str) -> tuple[DestinationPolicy, ...]:
        service = self.snapshot.services.get(host)
        spaces = dict.fromkeys((self.namespace, service.namespace if service else "", ROOT_NAMESPACE))
        for pattern in self._rule_hosts(host):
            rules = [rule for rule in self.snapshot.destination_policies[pattern] if self._applies(rule)]
            for space in spaces:
                found = tuple(rule for rule in rules if rule.source.namespace == space)
                if found:
                    return found
        return ()

    def _rule_hosts(self, host: str) -> list[str]:
        policies = self.snapshot.destination_policies
        wider = [pattern for pattern in self._wildcard_rules if covers(pattern, host)]
        return ([host] if host in policies else []) + sorted(wider, key=len, reverse=True)

    @cached_property
    def _wildcard_rules(self) -> tuple[str, ...]:
        return tuple(host for host in self.snapshot.destination_policies if host.startswith("*"))

    def _applies(self, rule: DestinationPolicy) -> bool:
        if not is_visible(rule.export_to, self.namespace):
            return False
        if not rule.workload_selector:
            return True
        return rule.source.namespace == self.namespace and set(rule.workload_selector) <= set(self.labels)

    def subsets_of(self, host: str) -> tuple[Subset, ...]:
        """The subsets of a host, each name once, the oldest rule's first."""
        found: dict[str, Subset] = {}
        for rule in self.rules_of(host):
            for subset in rule.subsets:
                found.setdefault(subset.name, subset)
        return tuple(found.values())

    def target(self, destination: Destination, listener_port: int) -> Target:
        """The cluster of a destination; the black hole if nothing answers to its name, port or subset.

        Without a port, a service with one port means that one, and any other the port the request came to.
        """
        service = self.snapshot.services.get(destination.host)
        if service is None or not self.sees(destination.host):
            return BLACK_HOLE
        usable = self.ports_of(service)
        number = destination.port or (usable[0].number if len(usable) == 1 else listener_port)
        port = next((port for port in usable if port.number == number), None)
        if port is None:
            return BLACK_HOLE
        subset = next((item for item in self.subsets_of(service.hostname) if item.name == destination.subset), None)
        if destination.subset and subset is None:
            return BLACK_HOLE
        return target_of(self._led_to(service, port, subset))

    def port_target(self, service: Service, number: int) -> Target:
        """The cluster of one port of a service, without a subset."""
        port = service.port(number)
        return target_of(self._led_to(service, port, None)) if port else BLACK_HOLE

    def _led_to(self, service: Service, port: ServicePort, subset: Subset | None) -> OutboundCluster:
        """As much of a cluster as a route to it must know: who its endpoints are is no part of that."""
        rules = self.rules_of(service.hostname)
        policy = self._policy(service, rules, port, subset)
        name = subset.name if subset else ""
        return OutboundCluster(
            service, port.number, port.protocol, name, policy, (), rules[0].source if rules else None
        )

    def _policy(
        self, service: Service, rules: tuple[DestinationPolicy, ...], port: ServicePort, subset: Subset | None
    ) -> TrafficPolicy:
        policy = self._merged_policy(rules, port, subset)
        if service.sticks_to_client and policy.load_balancer is None:
            return self.memo.shared(_sticking_to_client, policy)
        return policy

    def _merged_policy(
        self, rules: tuple[DestinationPolicy, ...], port: ServicePort, subset: Subset | None
    ) -> TrafficPolicy:
        general, special = rules[0].policy if rules else NO_POLICY, subset.policy if subset else NO_POLICY
        if special is NO_POLICY and not general.ports:
            return general
        return self.memo.shared(merge, general, special, port.number)

    def cluster(self, service: Service, port: ServicePort, subset: Subset | None) -> OutboundCluster:
        """What the cluster of one port and subset is made of."""
        rules = self.rules_of(service.hostname)
        endpoints = self.snapshot.endpoints.get((service.hostname, port.number), ())
        policy = self._policy(service, rules, port, subset)
        looked_up = endpoints if service.resolution.is_dns else ()
        return OutboundCluster(
            service=service,
            port=port.number,
            protocol=port.protocol,
            subset=subset.name if subset else "",
            policy=policy,
            identities=tuple(sorted({str(item.identity) for item in endpoints if item.identity})),
            rule=rules[0].source if rules else None,
            looked_up=self.memo.get(select, looked_up, subset.labels) if subset and looked_up else looked_up,
            locality_shares=has_shares(policy, self.snapshot.settings.locality),
            secret=self._secret(policy.tls),
            shown=self.client_certificate,
            subset_rule=_rule_with(rules, subset) if subset and len(rules) > 1 else None,
        )

    def _secret(self, tls: ClientTls | None) -> SecretState:
        """Whether the Secret a DestinationRule names can be used here: by gateways, and by sidecars a rule selects."""
        if tls is None or not tls.credential or tls.is_of_mesh or not (self.is_gateway or tls.for_selected):
            return SecretState.NONE
        known = self.snapshot.credentials
        pair = known.get((self.namespace, tls.credential))
        if not self.is_gateway and (pair is None or not pair.for_sidecars):
            return SecretState.MISSING
        if tls.needs_pair and (pair is None or pair.pair_problem):
            return SecretState.MISSING
        roots = find_roots(known, self.namespace, tls.credential)
        if roots is None or roots.roots_problem:
            return SecretState.MISSING
        return SecretState.READY

    def place(self, policy: TrafficPolicy, prefers_near: bool = False) -> Place | None:
        """How the place of the proxies here matters for a cluster of this policy."""
        found = place_of(policy, self.locality, self.labels, self.snapshot.settings.locality)
        return Place(self.locality, NEAREST_FIRST) if found is None and prefers_near and self.locality else found

    def endpoints_of(self, service: Service, port: int) -> tuple[Endpoint, ...]:
        """The endpoints of a port that may be called from here: of the same node, where the Service wants it so."""
        endpoints = self.snapshot.endpoints.get((service.hostname, port), ())
        return self.memo.get(_at_node, endpoints, self.node) if service.on_same_node else endpoints


def _rule_with(rules: tuple[DestinationPolicy, ...], subset: Subset) -> ObjectRef | None:
    """The rule that a subset is of."""
    return next((rule.source for rule in rules if any(item is subset for item in rule.subsets)), None)


def _sticking_to_client(policy: TrafficPolicy) -> TrafficPolicy:
    """Every connection of one client to one endpoint, unless a DestinationRule says how to balance."""
    return replace(policy, load_balancer=LoadBalancer(hash=ConsistentHash(HashKind.SOURCE_ADDRESS)))


def _at_node(endpoints: tuple[Endpoint, ...], node: str) -> tuple[Endpoint, ...]:
    return tuple(item for item in endpoints if item.node == node)


def _imported(
    routes: Mapping[str, tuple[VirtualService, ...]], namespace: str, sidecar: Sidecar | None
) -> tuple[VirtualService, ...]:
    found = (item for item in routes.get(MESH_GATEWAY, ()) if is_visible(item.export_to, namespace))
    if sidecar is None:
        return tuple(found)
    return tuple(item for item in found if any(sidecar.knows(item.source.namespace, host) for host in item.hosts))


def _destination_hosts(item: VirtualService) -> Iterator[str]:
    for route in item.http:
        if isinstance(route.action, Forward):
            yield from (share.destination.host for share in route.action.destinations)
        yield from (mirror.destination.host for mirror in route.mirrors)
    for connection in item.tls + item.tcp:
        yield from (share.destination.host for share in connection.destinations)


def target_of(made_of: OutboundCluster) -> Target:
    """What a route to a cluster must know of it."""
    balancer, pool = made_of.policy.load_balancer, made_of.policy.connection_pool
    return Target(
        cluster=made_of.name,
        follows_client=made_of.follows_client and made_of.is_mesh_tls,
        may_be_grpc=made_of.follows_client or made_of.is_http2,
        hash=balancer.hash if balancer else None,
        tcp=tcp_settings(pool, made_of.policy.tunnel, balancer.hash if balancer else None),
        looked_up_port=made_of.port if made_of.service.resolution is Resolution.DYNAMIC_DNS else 0,
    )


def merge(general: TrafficPolicy, special: TrafficPolicy, port: int) -> TrafficPolicy:
    """One policy for a port of a subset: the subset's over the host's, and within each the port's over the general.

    A port-level policy replaces the level it is in and inherits nothing from it (Istio, "PortTrafficPolicy").
    """
    one, other = _at_port(special, port), _at_port(general, port)
    return TrafficPolicy(
        load_balancer=one.load_balancer or other.load_balancer,
        connection_pool=one.connection_pool or other.connection_pool,
        outlier_detection=one.outlier_detection or other.outlier_detection,
        tls=one.tls or other.tls,
        proxy_protocol=one.proxy_protocol or other.proxy_protocol,
        retry_budget=one.retry_budget or other.retry_budget,
        tunnel=one.tunnel or other.tunnel,
    )


def _at_port(policy: TrafficPolicy, port: int) -> TrafficPolicy:
    return next((item for number, item in policy.ports if number == port), policy)
