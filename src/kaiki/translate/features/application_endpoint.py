"""Where an application listens when a Sidecar says so: the pod's own address, its loopback, or a unix socket."""

from __future__ import annotations

import ipaddress

from envoy.config.cluster.v3 import cluster_pb2

from kaiki.model.sidecar import UNIX_PREFIX, endpoint_problem, split_endpoint, unix_path


def set_default_endpoint(cluster: cluster_pb2.Cluster, endpoint: str) -> None:
    """Send to `endpoint` what would go to the address that was called."""
    if endpoint_problem(endpoint):
        return
    address, port = split_endpoint(endpoint)
    if not endpoint.startswith(UNIX_PREFIX) and ipaddress.ip_address(address).is_unspecified:
        cluster.original_dst_lb_config.upstream_port_override.value = port
        return
    cluster.type = cluster_pb2.Cluster.STATIC
    cluster.lb_policy = cluster_pb2.Cluster.ROUND_ROBIN
    cluster.load_assignment.cluster_name = cluster.name
    entry = cluster.load_assignment.endpoints.add().lb_endpoints.add().endpoint.address
    if endpoint.startswith(UNIX_PREFIX):
        entry.pipe.path = unix_path(endpoint)
    else:
        entry.socket_address.address, entry.socket_address.port_value = address, port
