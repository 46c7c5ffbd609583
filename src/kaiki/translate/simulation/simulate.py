"""The walk through a proxy's configuration."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

import re2
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import base_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.listener.v3 import listener_components_pb2, listener_pb2
from envoy.config.route.v3 import route_components_pb2, route_pb2
from envoy.extensions.filters.http.rbac.v3 import rbac_pb2 as http_rbac_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as http
from envoy.extensions.filters.network.rbac.v3 import rbac_pb2 as network_rbac_pb2
from envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2
from google.protobuf.message import Message

from kaiki.model.finding import ObjectRef
from kaiki.model.proxy import CLUSTER_TYPE, ENDPOINT_TYPE, LISTENER_TYPE, ROUTE_TYPE, ProxyConfig
from kaiki.translate import cluster_names
from kaiki.translate.decode import percent_of, redirect_code, seconds_of
from kaiki.translate.features.access import HTTP_FILTER, NETWORK_FILTER
from kaiki.translate.features.faults import FAULT_FILTER
from kaiki.translate.simulation.authorization import Decision, decide
from kaiki.translate.simulation.chains import find_chain, find_listener
from kaiki.translate.simulation.codes import Code
from kaiki.translate.simulation.matching import Failed, conditions_of, failed_condition, find_virtual_host
from kaiki.translate.simulation.origin import origin
from kaiki.translate.simulation.values import Outcome, Request, Share, Step, Verdict

_SILENT = ("router", "fault", "cors", "kaiki", "grpc", "set_filter_state", "stats", "header_mutation")
"""Parts of names of filters that refuse nobody."""
AnyMessage = TypeVar("AnyMessage", bound=Message)


def simulate(config: ProxyConfig, request: Request) -> Outcome:
    """What the proxy does with a request."""
    walk = _Walk(config, request)
    outcome = walk.from_listener()
    return replace(outcome, passed_over=tuple(walk.passed_over)) if walk.passed_over else outcome


def simulate_inbound(config: ProxyConfig, request: Request) -> Outcome:
    """What a sidecar does with a request that arrives for its application; its `port` and `address` are the pod's."""
    return _Walk(config, request).from_inbound()


class _Walk:
    """One walk; steps are collected on the way."""

    def __init__(self, config: ProxyConfig, request: Request) -> None:
        self._config = config
        self._request = request
        self._steps: list[Step] = []
        self.passed_over: list[Step] = []

    def _step(
        self,
        part: str,
        name: str,
        code: Code,
        metadata: base_pb2.Metadata | None = None,
        **parameters: str | int | float,
    ) -> None:
        source: ObjectRef | None = None
        field = ""
        if metadata is not None:
            source, field = origin(metadata)
        self._steps.append(Step(part, name, code, parameters, source, field))

    def _end(self, verdict: Verdict, status: int = 0) -> Outcome:
        return Outcome(verdict, tuple(self._steps), status)

    # Connections

    def from_inbound(self) -> Outcome:
        """What arrives at a sidecar for its application."""
        item = self._config.of(LISTENER_TYPE).get(cluster_names.VIRTUAL_INBOUND)
        if item is None:
            return self._end(Verdict.REFUSED)
        return self._into(listener_pb2.Listener.FromString(item.body))

    def from_listener(self) -> Outcome:
        bodies = self._config.of(LISTENER_TYPE).values()
        listener = find_listener((listener_pb2.Listener.FromString(item.body) for item in bodies), self._request)
        if listener is None:
            self._step("listener", "", Code.LISTENER_MISSING, port=self._request.port)
            return self._end(Verdict.REFUSED)
        return self._into(listener)

    def _into(self, listener: listener_pb2.Listener) -> Outcome:
        self._step("listener", listener.name, Code.LISTENER_TAKEN, listener.metadata)
        chain = find_chain(listener, self._request)
        if chain is None:
            self._step("filter chain", "", Code.CHAIN_MISSING)
            return self._end(Verdict.REFUSED)
        code = Code.CHAIN_ENDS_TLS if chain.HasField("transport_socket") else Code.CHAIN_TAKEN
        self._step("filter chain", chain.name or "default", code, chain.metadata)
        return self._through(chain)

    def _through(self, chain: listener_components_pb2.FilterChain) -> Outcome:
        for item in chain.filters:
            kind = item.typed_config.type_url.rpartition(".")[2]
            if kind == "HttpConnectionManager":
                if self._request.is_tls and not chain.HasField("transport_socket"):
                    self._step("filter", item.name, Code.TLS_UNEXPECTED)
                    return self._end(Verdict.REFUSED, 400)
                return self._through_http(_unpack(item, http.HttpConnectionManager))
            if kind == "TcpProxy":
                return self._through_tcp(_unpack(item, tcp_proxy_pb2.TcpProxy))
            if item.name == NETWORK_FILTER:
                rules = _unpack(item, network_rbac_pb2.RBAC)
                if not self._passes(rules):
                    return self._end(Verdict.REFUSED)
            elif not any(part in item.name for part in (*_SILENT, "peer", "sni_cluster")):
                self._step("filter", item.name, Code.FILTER_MAY_CLOSE)
        self._step("filter", "", Code.FILTER_MISSING)
        return self._end(Verdict.REFUSED)

    def _through_tcp(self, proxy: tcp_proxy_pb2.TcpProxy) -> Outcome:
        shares = [(proxy.cluster, 1)] if proxy.cluster else []
        shares += [(item.name, item.weight) for item in proxy.weighted_clusters.clusters]
        return self._forward(shares, self._request.host, "", (), 0.0, 0)

    def _passes(self, filter_config: http_rbac_pb2.RBAC | network_rbac_pb2.RBAC) -> bool:
        """Ask a filter of authorization policies; one that only tries them is told and lets everything pass."""
        if filter_config.HasField("shadow_rules"):
            self._decided(
                decide(filter_config.shadow_rules, self._request), Code.POLICY_WOULD_ALLOW, Code.POLICY_WOULD_DENY
            )
        if not filter_config.HasField("rules"):
            return True
        decision = decide(filter_config.rules, self._request)
        if decision.policy or not decision.passes:
            self._decided(
                decision, Code.POLICY_ALLOWS, Code.POLICY_DENIES if decision.policy else Code.POLICY_NONE_ALLOWS
            )
        return decision.passes

    def _decided(self, decision: Decision, yes: Code, no: Code) -> None:
        name = str(decision.source) if decision.source else ""
        code = yes if decision.passes else no
        self._steps.append(Step("policy", name, code, {}, decision.source, decision.field))

    # HTTP

    def _through_http(self, manager: http.HttpConnectionManager) -> Outcome:
        for item in manager.http_filters:
            if item.name == HTTP_FILTER:
                if not self._passes(_unpack(item, http_rbac_pb2.RBAC)):
                    return self._end(Verdict.REFUSED, 403)
            elif not item.disabled and not any(part in item.name for part in _SILENT):
                self._step("filter", item.name, Code.FILTER_MAY_ANSWER)
        table = self._table(manager)
        if table is None:
            self._step("route table", manager.rds.route_config_name, Code.TABLE_MISSING)
            return self._end(Verdict.NO_ROUTE, 404)
        self._step("route table", table.name, Code.TABLE_TAKEN)
        found = find_virtual_host(table, self._request.host)
        if found is None:
            self._step("virtual host", "", Code.HOST_MISSING, host=self._request.host)
            return self._end(Verdict.NO_ROUTE, 404)
        host, domain = found
        self._step("virtual host", host.name, Code.HOST_TAKEN, host.metadata, domain=domain)
        if host.require_tls == route_components_pb2.VirtualHost.ALL and not self._request.is_tls:
            return self._redirected(f"https://{self._request.host}{self._request.path}", 301)
        return self._by_route(host)

    def _table(self, manager: http.HttpConnectionManager) -> route_pb2.RouteConfiguration | None:
        if manager.HasField("route_config"):
            return manager.route_config
        item = self._config.of(ROUTE_TYPE).get(manager.rds.route_config_name)
        return route_pb2.RouteConfiguration.FromString(item.body) if item else None

    def _by_route(self, host: route_components_pb2.VirtualHost) -> Outcome:
        route = None
        for position, candidate in enumerate(host.routes):
            failed = failed_condition(candidate.match, self._request)
            if failed is None:
                route = candidate
                break
            self._pass_over(candidate, position, failed)
        if route is None:
            self._step("route", "", Code.ROUTE_MISSING)
            return self._end(Verdict.NO_ROUTE, 404)
        name, conditions = route.name or f"#{position}", conditions_of(route.match)
        self._step("route", name, Code.ROUTE_TAKEN, route.metadata, conditions=conditions)
        if (status := self._fault(route)) is not None:
            return self._end(Verdict.ANSWERED, status)
        if route.HasField("redirect"):
            return self._redirected(_location(route, self._request), redirect_code(route.redirect))
        if route.HasField("direct_response"):
            return self._end(Verdict.ANSWERED, route.direct_response.status)
        action = route.route
        shares = [(action.cluster, 1)] if action.cluster else []
        shares += [(item.name, item.weight.value) for item in action.weighted_clusters.clusters]
        mirrors = tuple(
            (one.cluster, percent_of(one.runtime_fraction.default_value) if one.HasField("runtime_fraction") else 100)
            for one in action.request_mirror_policies
        )
        retries = action.retry_policy.num_retries.value if action.HasField("retry_policy") else 0
        seconds = seconds_of(action.timeout)
        authority = action.host_rewrite_literal or self._request.host
        return self._forward(shares, authority, _rewritten(route, self._request.path), mirrors, seconds, retries)

    def _pass_over(self, route: route_components_pb2.Route, position: int, failed: Failed) -> None:
        source, field = origin(route.metadata)
        parameters = {"conditions": conditions_of(route.match), **failed.parameters}
        self.passed_over.append(Step("route", route.name or f"#{position}", failed.code, parameters, source, field))

    def _fault(self, route: route_components_pb2.Route) -> int | None:
        if FAULT_FILTER not in route.typed_per_filter_config:
            return None
        from envoy.extensions.filters.http.fault.v3 import fault_pb2

        fault = fault_pb2.HTTPFault.FromString(route.typed_per_filter_config[FAULT_FILTER].value)
        if fault.HasField("delay"):
            seconds, percent = seconds_of(fault.delay.fixed_delay), percent_of(fault.delay.percentage)
            self._step("filter", FAULT_FILTER, Code.FAULT_DELAYS, route.metadata, seconds=seconds, percent=percent)
        if not fault.HasField("abort"):
            return None
        is_grpc = fault.abort.WhichOneof("error_type") == "grpc_status"
        status = 200 if is_grpc else fault.abort.http_status
        share = percent_of(fault.abort.percentage)
        code = Code.FAULT_ANSWERS_GRPC if is_grpc else Code.FAULT_ANSWERS
        said = fault.abort.grpc_status if is_grpc else status
        self._step("filter", FAULT_FILTER, code, route.metadata, status=said, percent=share)
        return status if share >= 100 else None

    def _redirected(self, location: str, status: int) -> Outcome:
        self._step("redirect", location, Code.REDIRECTED, status=status)
        return Outcome(Verdict.REDIRECTED, tuple(self._steps), status, location=location)

    # Upstream

    def _forward(
        self,
        shares: Iterable[tuple[str, int]],
        host: str,
        path: str,
        mirrors: tuple[tuple[str, float], ...],
        timeout_seconds: float,
        retries: int,
    ) -> Outcome:
        found = tuple(self._share(name, weight) for name, weight in shares)
        ready = any(share.endpoints for share in found)
        return Outcome(
            Verdict.FORWARDED if ready else Verdict.NO_ENDPOINT,
            tuple(self._steps),
            0 if ready else 503,
            found,
            mirrors,
            host,
            path,
            timeout_seconds=timeout_seconds,
            retries=retries,
        )

    def _share(self, name: str, weight: int) -> Share:
        item = self._config.of(CLUSTER_TYPE).get(name)
        if item is None:
            self._step("cluster", name, Code.CLUSTER_MISSING)
            return Share(name, weight)
        cluster = cluster_pb2.Cluster.FromString(item.body)
        if cluster.type == cluster_pb2.Cluster.ORIGINAL_DST and not cluster.HasField("cluster_type"):
            self._step("cluster", name, Code.CLUSTER_ORIGINAL, cluster.metadata)
            return Share(name, weight, ("original destination",))
        assignment = self._assignment(cluster)
        endpoints = tuple(_endpoints(assignment))
        self._cluster_taken(cluster, name, len(endpoints))
        for endpoint in endpoints:
            self._step("endpoint", endpoint, Code.ENDPOINT_READY)
        return Share(name, weight, endpoints)

    def _cluster_taken(self, cluster: cluster_pb2.Cluster, name: str, count: int) -> None:
        subset = name.split("|")[2] if name.count("|") == 3 else ""
        if subset:
            self._step("cluster", name, Code.CLUSTER_SUBSET_TAKEN, cluster.metadata, subset=subset, endpoints=count)
        else:
            self._step("cluster", name, Code.CLUSTER_TAKEN, cluster.metadata, endpoints=count)

    def _assignment(self, cluster: cluster_pb2.Cluster) -> endpoint_pb2.ClusterLoadAssignment:
        if not cluster.HasField("eds_cluster_config"):
            return cluster.load_assignment
        item = self._config.of(ENDPOINT_TYPE).get(cluster.eds_cluster_config.service_name or cluster.name)
        return endpoint_pb2.ClusterLoadAssignment.FromString(item.body if item else b"")


def _unpack(item: listener_components_pb2.Filter | http.HttpFilter, kind: type[AnyMessage]) -> AnyMessage:
    return kind.FromString(item.typed_config.value)


def _endpoints(assignment: endpoint_pb2.ClusterLoadAssignment) -> Iterable[str]:
    for group in sorted(assignment.endpoints, key=lambda group: group.priority):
        for item in group.lb_endpoints:
            if item.HasField("endpoint"):
                socket = item.endpoint.address.socket_address
                yield f"{socket.address}:{socket.port_value}"


def _rewritten(route: route_components_pb2.Route, path: str) -> str:
    action = route.route
    plain, query = _split(path)
    if action.prefix_rewrite:
        matched = route.match.prefix or route.match.path or route.match.path_separated_prefix
        return str(action.prefix_rewrite) + plain[len(matched) :] + query
    if action.HasField("regex_rewrite"):
        pattern = action.regex_rewrite.pattern.regex
        return f"{re2.sub(pattern, action.regex_rewrite.substitution, plain)}{query}"
    return path


def _split(path: str) -> tuple[str, str]:
    plain, mark, query = path.partition("?")
    return plain, mark + query


def _location(route: route_components_pb2.Route, request: Request) -> str:
    redirect = route.redirect
    scheme = redirect.scheme_redirect or ("https" if request.is_tls or redirect.https_redirect else "http")
    host = redirect.host_redirect or request.host
    port = f":{redirect.port_redirect}" if redirect.port_redirect else ""
    plain, query = _split(request.path)
    path = redirect.path_redirect or plain
    if redirect.prefix_rewrite:
        matched = route.match.prefix or route.match.path or route.match.path_separated_prefix
        path = redirect.prefix_rewrite + plain[len(matched) :]
    elif redirect.HasField("regex_rewrite"):
        path = re2.sub(redirect.regex_rewrite.pattern.regex, redirect.regex_rewrite.substitution, plain)
    return f"{scheme}://{host.partition(':')[0] if port else host}{port}{path}{query}"
