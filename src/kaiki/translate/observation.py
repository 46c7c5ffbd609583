"""What a proxy reports, put into its finished listeners: spans, access logs, and changes of the standard metrics.

It is the same for all listeners of one side and depends on nothing else of them, so it is added last; what it makes of
a listener is kept as long as neither changes. A backend that the proxy does not see gets a cluster of its own here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from envoy.config.core.v3 import base_pb2
from envoy.config.listener.v3 import listener_components_pb2, listener_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as http
from envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2 as tcp

from kaiki.model.memo import Memo
from kaiki.model.policy.telemetry import (
    LogProvider,
    Side,
    TelemetryPolicy,
    TelemetrySettings,
    Tracer,
    TracerKind,
    service_host,
)
from kaiki.model.proxy import CLUSTER_TYPE, ENDPOINT_TYPE, LISTENER_TYPE, Proxy, Resource
from kaiki.model.well_known import ROOT_NAMESPACE
from kaiki.translate import cluster_names, clusters
from kaiki.translate.encode import by_name, pack, resource
from kaiki.translate.endpoints import load_assignment
from kaiki.translate.features.access_log import access_log
from kaiki.translate.features.telemetry_overrides import overridden
from kaiki.translate.features.tracing import set_tracing
from kaiki.translate.scope import Scope
from kaiki.translate.telemetry_plan import NOTHING_SPECIAL, SidePlan, TelemetryPlan, telemetry_plan

_MOST_PLANS = 1000
_HTTP_TYPE, _TCP_TYPE = http.HttpConnectionManager.DESCRIPTOR.full_name, tcp.TcpProxy.DESCRIPTOR.full_name
Resources = dict[str, dict[str, Resource]]


class _Reporting(Protocol):
    access_log: Any


def observed(resources: Resources, scope: Scope, proxy: Proxy) -> Resources:
    """The same resources, with listeners that report what they should."""
    plan = _plan(scope, proxy)
    if plan.is_nothing:
        return resources
    found = dict(_backends(plan, scope))
    names = tuple((name, _cluster_name(*found[name])) for name in sorted(found))
    listeners = scope.memo.get(_observed_listeners, resources[LISTENER_TYPE], plan, names, scope.memo)
    return _with_clusters({**resources, LISTENER_TYPE: listeners}, scope, found)


def _observed_listeners(
    listeners: Mapping[str, Resource], plan: TelemetryPlan, names: tuple[tuple[str, str], ...], memo: Memo
) -> dict[str, Resource]:
    return {name: memo.shared(_observed, item, plan, names) for name, item in listeners.items()}


def _plan(scope: Scope, proxy: Proxy) -> TelemetryPlan:
    workload = scope.snapshot.workloads.get(proxy.key)
    policies = scope.snapshot.telemetry
    # Labels matter only to objects that choose by them: without any, a namespace has one plan.
    labels = proxy.labels if any(not one.is_general for one in policies) else ()
    return scope.memo.get(
        _one_plan,
        scope.memo.part("telemetry plans"),
        scope.snapshot.settings.telemetry,
        policies,
        ROOT_NAMESPACE,
        proxy.namespace,
        labels,
        workload.tracing if workload else None,
    )


def _one_plan(
    memo: Memo, settings: TelemetrySettings, policies: tuple[TelemetryPolicy, ...], *rest: Any
) -> TelemetryPlan:
    """Plans that are equal are one object, whenever they are made."""
    if memo.size > _MOST_PLANS:
        memo.enter(object())
    plan = telemetry_plan(settings, policies, *rest)
    return memo.keep(("telemetry plan", plan), plan)


def _backends(plan: TelemetryPlan, scope: Scope) -> Iterator[tuple[str, tuple[str, int]]]:
    """The services that providers of the plan name and that are there: provider → (host, port)."""
    for provider in _providers(plan):
        host = service_host(provider.service, scope.snapshot.services)
        port = scope.snapshot.services[host].port(provider.port) if host else None
        over_http = isinstance(provider, Tracer) and (provider.kind is TracerKind.ZIPKIN or bool(provider.path))
        if port is not None and (over_http or port.protocol.is_http2):
            yield provider.name, (host, provider.port)


def _providers(plan: TelemetryPlan) -> Iterator[Tracer | LogProvider]:
    for side in (plan.client, plan.server):
        if side.tracing is not None:
            yield side.tracing.tracer
        yield from (log.provider for log in side.logs if log.provider.kind.is_remote)


def _cluster_name(host: str, port: int) -> str:
    return cluster_names.outbound(host, port, "")


def _with_clusters(resources: Resources, scope: Scope, found: dict[str, tuple[str, int]]) -> Resources:
    missing = {place for place in found.values() if _cluster_name(*place) not in resources[CLUSTER_TYPE]}
    if not missing:
        return resources
    made, assignments = [], []
    for host, number in missing:
        service = scope.snapshot.services[host]
        port = service.port(number)
        assert port is not None
        cluster = scope.cluster(service, port, None)
        made.append(scope.memo.get(clusters.outbound_cluster, cluster))
        if cluster.has_endpoints:
            endpoints = scope.snapshot.endpoints.get((host, number), ())
            assignments.append(scope.memo.get(load_assignment, cluster.name, endpoints, service.headless))
    return {
        **resources,
        CLUSTER_TYPE: by_name([*resources[CLUSTER_TYPE].values(), *made]),
        ENDPOINT_TYPE: by_name([*resources[ENDPOINT_TYPE].values(), *assignments]),
    }


def _observed(item: Resource, plans: TelemetryPlan, clusters: tuple[tuple[str, str], ...]) -> Resource:
    message = listener_pb2.Listener.FromString(item.body)
    side = Side.SERVER if message.traffic_direction == base_pb2.INBOUND else Side.CLIENT
    plan = plans.of(side)
    if plan == NOTHING_SPECIAL:
        return item
    names = dict(clusters)
    for chain in (*message.filter_chains, message.default_filter_chain):
        for one in chain.filters:
            _change(one, plan, side, names)
    return resource(message.name, message)


def _change(one: listener_components_pb2.Filter, plan: SidePlan, side: Side, names: dict[str, str]) -> None:
    kind = one.typed_config.type_url.rpartition("/")[2]
    if kind == _HTTP_TYPE:
        manager = http.HttpConnectionManager.FromString(one.typed_config.value)
        if plan.tracing is not None and plan.tracing.tracer.name in names:
            set_tracing(manager, plan.tracing, names[plan.tracing.tracer.name])
        _set_logs(manager, plan, side, names, of_requests=True)
        one.typed_config.CopyFrom(pack(manager))
    elif kind == _TCP_TYPE:
        proxy = tcp.TcpProxy.FromString(one.typed_config.value)
        if proxy.access_log:  # What is dropped on purpose is in no metric and in no log.
            _set_logs(proxy, plan, side, names, of_requests=False)
            one.typed_config.CopyFrom(pack(proxy))


def _set_logs(target: _Reporting, plan: SidePlan, side: Side, names: dict[str, str], of_requests: bool) -> None:
    if plan.metrics:
        changed = list(overridden(target.access_log, plan.metrics, side))
        del target.access_log[:]
        target.access_log.extend(changed)
    for log in plan.logs:
        cluster = names.get(log.provider.name, "")
        if cluster or not log.provider.kind.is_remote:
            made = access_log(log.provider, log.expression, cluster, of_requests)
            target.access_log.extend([made] if made is not None else [])
