"""DestinationRule specs → policies of the model. Depends on one object alone."""

from __future__ import annotations

from collections.abc import Mapping

from kaiki.interpret.hosts import resolve_export, resolve_host
from kaiki.model.finding import ObjectRef
from kaiki.model.policy import destination as model
from kaiki.resources.istio import destination_rule as api
from kaiki.resources.istio.common import optional_seconds, seconds

NO_POLICY = model.TrafficPolicy()


def destination_policy(source: ObjectRef, spec: api.DestinationRuleSpec, created: str) -> model.DestinationPolicy:
    """Translate one spec; the host is made full relative to the object's namespace."""
    selector = spec.workload_selector.match_labels if spec.workload_selector else {}
    return model.DestinationPolicy(
        source=source,
        host=resolve_host(spec.host, source.namespace),
        policy=_policy(spec.traffic_policy, bool(selector)),
        subsets=tuple(
            model.Subset(item.name, _pairs(item.labels), _policy(item.traffic_policy, bool(selector)))
            for item in spec.subsets
        ),
        export_to=resolve_export(spec.export_to, source.namespace),
        workload_selector=_pairs(selector),
        created=created,
    )


def _pairs(values: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(values.items()))


def _policy(policy: api.TrafficPolicy | None, selected: bool) -> model.TrafficPolicy:
    if policy is None:
        return NO_POLICY
    proxy_protocol = None
    if policy.proxy_protocol is not None:
        proxy_protocol = 2 if policy.proxy_protocol.version == "V2" else 1
    return model.TrafficPolicy(
        load_balancer=_load_balancer(policy.load_balancer),
        connection_pool=connection_pool(policy.connection_pool),
        outlier_detection=_outlier_detection(policy.outlier_detection),
        tls=_tls(policy.tls, selected),
        proxy_protocol=proxy_protocol,
        retry_budget=_retry_budget(policy.retry_budget),
        tunnel=_tunnel(policy.tunnel),
        ports=tuple(
            (item.port.number, _port_policy(item, selected))
            for item in policy.port_level_settings
            if item.port is not None
        ),
    )


def _port_policy(policy: api.PortTrafficPolicy, selected: bool) -> model.TrafficPolicy:
    return model.TrafficPolicy(
        load_balancer=_load_balancer(policy.load_balancer),
        connection_pool=connection_pool(policy.connection_pool),
        outlier_detection=_outlier_detection(policy.outlier_detection),
        tls=_tls(policy.tls, selected),
    )


def _tunnel(settings: api.TunnelSettings | None) -> model.Tunnel | None:
    if settings is None:
        return None
    return model.Tunnel(settings.target_host, settings.target_port, settings.protocol.upper() == "POST")


def _retry_budget(budget: api.RetryBudget | None) -> model.RetryBudget | None:
    if budget is None:
        return None
    return model.RetryBudget(budget.percent if budget.percent is not None else 20.0, budget.min_retry_concurrency or 3)


def _load_balancer(settings: api.LoadBalancerSettings | None) -> model.LoadBalancer | None:
    if settings is None:
        return None
    names = {"LEAST_CONN": "LEAST_REQUEST", "UNSPECIFIED": "LEAST_REQUEST"}
    simple = settings.simple or "LEAST_REQUEST"
    warmup = settings.warmup.duration if settings.warmup else settings.warmup_duration_secs
    return model.LoadBalancer(
        balancing=model.Balancing(names.get(simple, simple)),
        hash=_consistent_hash(settings.consistent_hash),
        warmup_seconds=seconds(warmup or "0s"),
        warmup_minimum_percent=settings.warmup.minimum_percent if settings.warmup else None,
        warmup_aggression=settings.warmup.aggression if settings.warmup else None,
        locality=locality_balancing(settings.locality_lb_setting),
    )


def locality_balancing(settings: api.LocalityLoadBalancerSetting | None) -> model.LocalityBalancing | None:
    """How localities share, as a rule or the mesh config says it."""
    if settings is None:
        return None
    return model.LocalityBalancing(
        enabled=settings.enabled is not False,
        distribute=tuple((item.from_, tuple(sorted(item.to.items()))) for item in settings.distribute),
        failover=tuple((item.from_, item.to) for item in settings.failover),
        failover_priority=settings.failover_priority,
    )


def _consistent_hash(settings: api.ConsistentHashLB | None) -> model.ConsistentHash | None:
    if settings is None:
        return None
    table = settings.maglev.table_size if settings.maglev else 0
    ring = (settings.ring_hash.minimum_ring_size if settings.ring_hash else 0) or settings.minimum_ring_size or 1024
    kind, name, path, ttl = model.HashKind.SOURCE_ADDRESS, "", "", None
    attributes = settings.http_cookie.attributes if settings.http_cookie else ()
    if settings.http_header_name:
        kind, name = model.HashKind.HEADER, settings.http_header_name
    elif settings.http_query_parameter_name:
        kind, name = model.HashKind.QUERY_PARAMETER, settings.http_query_parameter_name
    elif settings.http_cookie is not None:
        cookie = settings.http_cookie
        kind, name, path, ttl = model.HashKind.COOKIE, cookie.name, cookie.path, optional_seconds(cookie.ttl)
    pairs = tuple((item.name, item.value) for item in attributes)
    return model.ConsistentHash(kind, name, path, ttl, settings.maglev is not None, table, ring, pairs)


def connection_pool(settings: api.ConnectionPoolSettings | None) -> model.ConnectionPool | None:
    """Limits of connections, as a DestinationRule or a Sidecar says them."""
    if settings is None:
        return None
    tcp, http = settings.tcp or api.TCPSettings(), settings.http or api.HTTPSettings()
    upgrade = {"UPGRADE": True, "DO_NOT_UPGRADE": False}
    return model.ConnectionPool(
        max_connections=tcp.max_connections or None,
        connect_timeout_seconds=optional_seconds(tcp.connect_timeout),
        max_connection_duration_seconds=optional_seconds(tcp.max_connection_duration),
        tcp_idle_timeout_seconds=optional_seconds(tcp.idle_timeout),
        keepalive=_keepalive(tcp.tcp_keepalive),
        max_pending_requests=http.http1_max_pending_requests or None,
        max_requests=http.http2_max_requests or None,
        max_requests_per_connection=http.max_requests_per_connection or None,
        max_retries=http.max_retries or None,
        http_idle_timeout_seconds=optional_seconds(http.idle_timeout),
        max_concurrent_streams=http.max_concurrent_streams or None,
        upgrade_to_http2=upgrade.get(http.h2_upgrade_policy or ""),
        keep_client_protocol=http.use_client_protocol,
    )


def _keepalive(settings: api.TcpKeepalive | None) -> model.Keepalive | None:
    if settings is None:
        return None
    return model.Keepalive(settings.probes, seconds(settings.time or "0s"), seconds(settings.interval or "0s"))


def _outlier_detection(settings: api.OutlierDetection | None) -> model.OutlierDetection | None:
    if settings is None:
        return None
    return model.OutlierDetection(
        consecutive_5xx=settings.consecutive_5xx_errors,
        consecutive_gateway_errors=settings.consecutive_gateway_errors,
        consecutive_local_origin_failures=settings.consecutive_local_origin_failures,
        split_local_origin_errors=settings.split_external_local_origin_errors,
        interval_seconds=optional_seconds(settings.interval),
        base_ejection_seconds=optional_seconds(settings.base_ejection_time),
        max_ejection_percent=settings.max_ejection_percent or None,
        min_health_percent=settings.min_health_percent,
    )


def _tls(settings: api.ClientTLSSettings | None, selected: bool) -> model.ClientTls | None:
    if settings is None:
        return None
    return model.ClientTls(
        mode=model.TlsMode(settings.mode),
        sni=settings.sni,
        subject_alternative_names=settings.subject_alt_names,
        client_certificate=settings.client_certificate,
        private_key=settings.private_key,
        ca_certificates=settings.ca_certificates,
        insecure_skip_verify=bool(settings.insecure_skip_verify),
        credential=settings.credential_name,
        revocation_list=settings.ca_crl,
        for_selected=selected,
    )
