"""The front door of translation: (snapshot, proxy) → everything that proxy should have."""

from __future__ import annotations

from collections.abc import Mapping

from kaiki.model.credential import SHARED_SECRETS, Credentials
from kaiki.model.gateway import Gateway
from kaiki.model.locality import locality_of
from kaiki.model.memo import Memo
from kaiki.model.mesh import MeshSettings
from kaiki.model.policy.destination import DestinationPolicy, TrafficPolicy
from kaiki.model.proxy import CLUSTER_TYPE, LISTENER_TYPE, PUSH_ORDER, ROUTE_TYPE, Capture, Proxy, ProxyConfig, Resource
from kaiki.model.route import VirtualService
from kaiki.model.service import Service
from kaiki.model.sidecar import Sidecar
from kaiki.model.snapshot import MeshSnapshot
from kaiki.model.table import Overlay
from kaiki.model.workload import ProxyKind
from kaiki.translate.access import guarded
from kaiki.translate.encode import by_name
from kaiki.translate.gateway import gateway
from kaiki.translate.observation import observed
from kaiki.translate.patches import bootstrap_results, patched
from kaiki.translate.scope import Scope
from kaiki.translate.service_clusters import service_clusters
from kaiki.translate.sidecar_egress import bound_listeners
from kaiki.translate.sidecar_inbound import inbound
from kaiki.translate.sidecar_outbound import Resources, outbound
from kaiki.translate.sidecar_scope import sidecar_of


def generate(snapshot: MeshSnapshot, proxy: Proxy, memo: Memo) -> ProxyConfig:
    """Build what `proxy` should have under `snapshot`. Pure but for `memo`, which only saves work.

    Give the same memo for all proxies and snapshots: it is what makes them share bytes.
    """
    memo.enter(snapshot)
    settings = snapshot.settings
    by_label = memo.get(_chooses_by_label, snapshot.destination_policies, snapshot.virtual_services, settings)
    labels = proxy.labels if by_label else ()
    sidecar = sidecar_of(snapshot, proxy, memo)
    workload = snapshot.workloads.get(proxy.key)
    place = workload.locality if workload else memo.get(_place, proxy.labels)
    node = workload.node if workload and memo.get(_keeps_to_nodes, snapshot.services) else ""
    kind = proxy.kind is ProxyKind.GATEWAY
    shown = (
        memo.get(_client_certificate, snapshot.gateways, snapshot.credentials, proxy.namespace, proxy.labels)
        if kind
        else ""
    )
    scope = memo.get(_scope, snapshot, memo, proxy.namespace, labels, proxy.capture, sidecar, place, kind, node, shown)
    resources = gateway(scope, proxy) if proxy.kind is ProxyKind.GATEWAY else _sidecar(scope, proxy)
    resources = guarded(resources, snapshot, proxy, memo) if snapshot.access_policies else resources
    resources = observed(resources, scope, proxy)
    if not snapshot.envoy_filters:
        return ProxyConfig(resources=resources)
    found = patched(resources, proxy, snapshot.envoy_filters, memo)
    of_start = bootstrap_results(snapshot.envoy_filters, proxy, workload.started_with if workload else ())
    return ProxyConfig(found.resources, found.touched, (*found.results, *of_start))


def _scope(
    snapshot: MeshSnapshot,
    memo: Memo,
    namespace: str,
    labels: tuple[tuple[str, str], ...],
    capture: Capture,
    sidecar: Sidecar | None,
    locality: str,
    is_gateway: bool,
    node: str,
    shown: str,
) -> Scope:
    return Scope(snapshot, memo, namespace, labels, capture, sidecar, locality, is_gateway, node, shown)


def _client_certificate(
    gateways: tuple[Gateway, ...], credentials: Credentials, namespace: str, labels: tuple[tuple[str, str], ...]
) -> str:
    """The SDS name of what a gateway pod shows its backends; nothing while the Secret cannot be used."""
    for item in gateways:
        secret = item.client_credential
        if secret is not None and item.selects(namespace, labels):
            known = credentials.get(secret)
            return f"{SHARED_SECRETS}{'/'.join(secret)}" if known is not None and not known.pair_problem else ""
    return ""


def _keeps_to_nodes(services: Mapping[str, Service]) -> bool:
    """Whether some service is called on the same node only; if not, it does not matter on which one a proxy is."""
    return any(service.on_same_node for service in services.values())


def _place(labels: tuple[tuple[str, str], ...]) -> str:
    return locality_of(dict(labels))


def _chooses_by_label(
    destination_policies: Mapping[str, tuple[DestinationPolicy, ...]],
    virtual_services: Mapping[str, tuple[VirtualService, ...]],
    settings: MeshSettings,
) -> bool:
    """Whether any object looks at the labels of the caller; if not, a whole namespace is one class of proxies."""
    if any(rule.workload_selector for rules in destination_policies.values() for rule in rules):
        return True
    policies = (rule.policy for rules in destination_policies.values() for rule in rules)
    if any(_ranks_by_label(policy) for policy in policies):
        return True
    if settings.locality and settings.locality.failover_priority:
        return True
    items = [item for same_gateway in virtual_services.values() for item in same_gateway]
    http = (match.source_labels for item in items for route in item.http for match in route.matches)
    others = (match.source_labels for item in items for route in item.tls + item.tcp for match in route.matches)
    return any(http) or any(others)


def _ranks_by_label(policy: TrafficPolicy) -> bool:
    levels = (policy, *(item for _, item in policy.ports))
    settings = (level.load_balancer.locality for level in levels if level.load_balancer)
    return any(item.failover_priority for item in settings if item)


def _sidecar(scope: Scope, proxy: Proxy) -> Resources:
    memo = scope.memo
    shared = memo.get(outbound, scope)
    bound, tables = memo.get(bound_listeners, scope) if scope.sidecar else _NOTHING_BOUND
    listeners, clusters = _own(scope, proxy)
    resources = {type_url: shared.get(type_url, {}) for type_url in PUSH_ORDER}
    # Many proxies have the same for themselves, too: those of one service.
    clusters_of_both = memo.depends("all clusters", Overlay[str, Resource], service_clusters(scope), clusters)
    resources[CLUSTER_TYPE] = clusters_of_both.of(shared[CLUSTER_TYPE], memo.get(by_name, clusters))
    resources[LISTENER_TYPE] = memo.get(_joined, shared[LISTENER_TYPE], (*bound, *listeners))
    if tables:
        resources[ROUTE_TYPE] = by_name([*shared[ROUTE_TYPE].values(), *tables])
    return resources


_NOTHING_BOUND: tuple[list[Resource], list[Resource]] = [], []
Own = tuple[tuple[Resource, ...], tuple[Resource, ...]]


def _own(scope: Scope, proxy: Proxy) -> Own:
    """The listeners and clusters for calls to the proxy's own workload."""
    snapshot, memo, sidecar = scope.snapshot, scope.memo, scope.sidecar

    def build() -> Own:
        listeners, clusters = inbound(snapshot, proxy, memo, sidecar)
        return tuple(listeners), tuple(clusters)

    services = snapshot.services_by_workload.get(proxy.key)
    if services is None:
        return build()
    workload = snapshot.workloads.get(proxy.key)
    return memo.depends("inbound", build, services, workload, proxy.capture, sidecar)


def _joined(shared: Mapping[str, Resource], own: tuple[Resource, ...]) -> dict[str, Resource]:
    """What a class of proxies shares and what one has for itself."""
    return by_name([*shared.values(), *own])
