"""Which endpoint gets the next request: the balancing of a cluster, and what consistent hashing looks at."""

from __future__ import annotations

from collections.abc import Iterator

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.route.v3 import route_components_pb2

from kaiki.model.policy.destination import Balancing, ConsistentHash, HashKind, LoadBalancer
from kaiki.translate.encode import duration

_POLICIES = {
    Balancing.LEAST_REQUEST: cluster_pb2.Cluster.LEAST_REQUEST,
    Balancing.ROUND_ROBIN: cluster_pb2.Cluster.ROUND_ROBIN,
    Balancing.RANDOM: cluster_pb2.Cluster.RANDOM,
    Balancing.PASSTHROUGH: cluster_pb2.Cluster.CLUSTER_PROVIDED,
}


def set_load_balancing(cluster: cluster_pb2.Cluster, settings: LoadBalancer) -> None:
    """Set the balancing; PASSTHROUGH also makes the cluster one of original destinations, without endpoints."""
    if settings.hash is not None:
        _set_hashing(cluster, settings.hash)
        return
    cluster.lb_policy = _POLICIES[settings.balancing]
    if settings.balancing is Balancing.PASSTHROUGH:
        cluster.type = cluster_pb2.Cluster.ORIGINAL_DST
        cluster.ClearField("eds_cluster_config")
    elif settings.warmup_seconds and settings.balancing is Balancing.LEAST_REQUEST:
        _warm_up(cluster.least_request_lb_config.slow_start_config, settings)
    elif settings.warmup_seconds and settings.balancing is Balancing.ROUND_ROBIN:
        _warm_up(cluster.round_robin_lb_config.slow_start_config, settings)


def _warm_up(start: cluster_pb2.Cluster.SlowStartConfig, settings: LoadBalancer) -> None:
    """Let the share of a new endpoint grow."""
    start.slow_start_window.CopyFrom(duration(settings.warmup_seconds))
    if settings.warmup_minimum_percent is not None:
        start.min_weight_percent.value = settings.warmup_minimum_percent
    if settings.warmup_aggression is not None:
        start.aggression.default_value = settings.warmup_aggression
        start.aggression.runtime_key = "kaiki.warmup.aggression"


def _set_hashing(cluster: cluster_pb2.Cluster, settings: ConsistentHash) -> None:
    if settings.maglev:
        cluster.lb_policy = cluster_pb2.Cluster.MAGLEV
        if settings.table_size:
            cluster.maglev_lb_config.table_size.value = settings.table_size
        return
    cluster.lb_policy = cluster_pb2.Cluster.RING_HASH
    cluster.ring_hash_lb_config.minimum_ring_size.value = settings.minimum_ring_size


def hash_policies(settings: ConsistentHash | None) -> Iterator[route_components_pb2.RouteAction.HashPolicy]:
    """What of a request a route must hash for a cluster balanced that way."""
    if settings is None:
        return
    policy = route_components_pb2.RouteAction.HashPolicy()
    match settings.kind:
        case HashKind.HEADER:
            policy.header.header_name = settings.name
        case HashKind.QUERY_PARAMETER:
            policy.query_parameter.name = settings.name
        case HashKind.SOURCE_ADDRESS:
            policy.connection_properties.source_ip = True
        case HashKind.COOKIE:
            policy.cookie.name = settings.name
            policy.cookie.path = settings.cookie_path
            for name, value in settings.cookie_attributes:
                policy.cookie.attributes.add(name=name, value=value)
            if settings.cookie_ttl_seconds is not None:
                policy.cookie.ttl.CopyFrom(duration(settings.cookie_ttl_seconds))
    yield policy
