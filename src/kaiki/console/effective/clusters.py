"""Clusters and their endpoints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import health_check_pb2
from envoy.config.endpoint.v3 import endpoint_components_pb2, endpoint_pb2

from kaiki.console.effective.origins import Origins, first, of_workload
from kaiki.console.effective.resources import ToldResource
from kaiki.console.effective.rows import ClusterRow, Ejection, EndpointRow, Limits
from kaiki.console.effective.tls import of_cluster
from kaiki.translate.decode import seconds_of

_NO_LIMIT = 2**32 - 1
_HEALTHY = ("HEALTHY", "UNKNOWN")
"""Envoy takes an endpoint that nothing is known of for healthy."""
_KNOWN_TO_ENVOY_ONLY = ("ORIGINAL_DST", "STRICT_DNS", "LOGICAL_DNS")


def read_cluster(told: ToldResource, origins: Origins, endpoints: Mapping[str, list[EndpointRow]]) -> ClusterRow:
    """One cluster; `endpoints` are those of all clusters that get them over EDS."""
    cluster = cluster_pb2.Cluster.FromString(told.body)
    made = origins.of_cluster(cluster.metadata)
    origins.made[told.name] = made
    found, count = first([*made, *origins.changed_by(told.touched)])
    direction, _, rest = told.name.partition("|")
    port, _, rest = rest.partition("|")
    subset, _, host = rest.partition("|")
    kind = _type(cluster)
    known = endpoints.get(cluster.eds_cluster_config.service_name or told.name, []) if kind == "EDS" else None
    if kind != "EDS" and not (kind in _KNOWN_TO_ENVOY_ONLY or "." in kind):
        known = list(endpoint_rows(cluster.load_assignment, told))
    return ClusterRow(
        name=told.name,
        direction=direction if direction in ("inbound", "outbound") and port else "",
        host=host,
        port=int(port) if port.isdigit() else 0,
        subset=subset,
        type=kind,
        balancing=_balancing(cluster),
        connect_seconds=seconds_of(cluster.connect_timeout),
        tls=of_cluster(cluster),
        limits=_limits(cluster),
        ejection=_ejection(cluster),
        endpoints=None if known is None else len(known),
        healthy_endpoints=None if known is None else sum(one.health in _HEALTHY for one in known),
        origins=found,
        origin_count=count,
        state=told.state,
    )


def _type(cluster: cluster_pb2.Cluster) -> str:
    if cluster.HasField("cluster_type"):
        return str(cluster.cluster_type.name)
    return str(cluster_pb2.Cluster.DiscoveryType.Name(cluster.type))


def _balancing(cluster: cluster_pb2.Cluster) -> str:
    policies = [item.typed_extension_config.name for item in cluster.load_balancing_policy.policies]
    if policies:
        return str(policies[0]).removeprefix("envoy.load_balancing_policies.").upper()
    return str(cluster_pb2.Cluster.LbPolicy.Name(cluster.lb_policy))


def _limits(cluster: cluster_pb2.Cluster) -> Limits:
    values = next((item for item in cluster.circuit_breakers.thresholds if not item.priority), None)
    if values is None:
        return Limits(1024, 1024, 1024, 3)  # Envoy's own.
    names = ("max_connections", "max_pending_requests", "max_requests", "max_retries")
    found = [getattr(values, name).value if values.HasField(name) else None for name in names]
    return Limits(*(None if one is None or one >= _NO_LIMIT >> 1 else int(one) for one in found))


def _ejection(cluster: cluster_pb2.Cluster) -> Ejection | None:
    if not cluster.HasField("outlier_detection"):
        return None
    rule = cluster.outlier_detection
    kinds = ("consecutive_5xx", "consecutive_gateway_failure", "consecutive_local_origin_failure")
    counts = [int(getattr(rule, kind).value) for kind in kinds if getattr(rule, kind).value]
    return Ejection(
        errors=min(counts, default=5),
        interval_seconds=seconds_of(rule.interval) if rule.HasField("interval") else 10.0,
        base_seconds=seconds_of(rule.base_ejection_time) if rule.HasField("base_ejection_time") else 30.0,
        most_percent=int(rule.max_ejection_percent.value) if rule.HasField("max_ejection_percent") else 10,
    )


def read_endpoints(told: ToldResource) -> Iterator[EndpointRow]:
    """The endpoints of one assignment."""
    yield from endpoint_rows(endpoint_pb2.ClusterLoadAssignment.FromString(told.body), told)


def endpoint_rows(assignment: endpoint_pb2.ClusterLoadAssignment, told: ToldResource) -> Iterator[EndpointRow]:
    """The endpoints of an assignment, by locality."""
    for group in assignment.endpoints:
        for item in group.lb_endpoints:
            yield _endpoint(told, group, item)


def _endpoint(
    told: ToldResource,
    group: endpoint_components_pb2.LocalityLbEndpoints,
    item: endpoint_components_pb2.LbEndpoint,
) -> EndpointRow:
    address = item.endpoint.address
    socket = address.socket_address
    known = item.metadata.filter_metadata
    made = of_workload(known["istio"].fields) if "istio" in known else ()
    locality = group.locality
    text = f"[{socket.address}]" if ":" in socket.address else socket.address
    return EndpointRow(
        cluster=told.name,
        address=f"{text}:{socket.port_value}" if socket.address else address.pipe.path or "…",
        health=health_check_pb2.HealthStatus.Name(item.health_status),
        weight=int(item.load_balancing_weight.value) or 1,
        priority=int(group.priority),
        locality="/".join(part for part in (locality.region, locality.zone, locality.sub_zone) if part),
        mutual_tls="envoy.transport_socket_match" in known,
        origins=made,
        origin_count=len(made),
        state=told.state,
    )
