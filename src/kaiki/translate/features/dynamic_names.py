"""Hosts that proxies look up when they are called (resolution DYNAMIC_DNS), wildcards among them.

HTTP names the host in its Host header and TLS in its hello; the cluster looks that name up. So one cluster serves every
host of a wildcard, each at its own addresses, wherever the client believed the host to be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.listener.v3 import listener_components_pb2

from kaiki.translate.encode import pack

if TYPE_CHECKING:
    from envoy.extensions.common.dynamic_forward_proxy.v3 import dns_cache_pb2

_CACHE = "kaiki"
"""All use one cache: its settings are the same everywhere, as Envoy wants it."""


def _cache() -> dns_cache_pb2.DnsCacheConfig:
    from envoy.extensions.common.dynamic_forward_proxy.v3 import dns_cache_pb2

    return dns_cache_pb2.DnsCacheConfig(name=_CACHE, dns_lookup_family=cluster_pb2.Cluster.V4_ONLY)


def look_up_when_called(cluster: cluster_pb2.Cluster) -> None:
    """Let the name in a request, or in a TLS hello, say where its connections go."""
    from envoy.extensions.clusters.dynamic_forward_proxy.v3 import cluster_pb2 as dynamic

    for field in ("eds_cluster_config", "type", "load_assignment"):
        cluster.ClearField(field)
    # A server name that a DestinationRule says is verified for every host; Envoy wants to hear that this is meant.
    config = dynamic.ClusterConfig(dns_cache_config=_cache(), allow_insecure_cluster_options=True)
    cluster.lb_policy = cluster_pb2.Cluster.CLUSTER_PROVIDED
    cluster.cluster_type.name = "envoy.clusters.dynamic_forward_proxy"
    cluster.cluster_type.typed_config.CopyFrom(pack(config))


def by_server_name(port: int) -> list[listener_components_pb2.Filter]:
    """What stands before a TCP proxy to such a cluster: the name of the hello is looked up, and called at `port`.

    Nothing where `port` is 0, because the connection goes elsewhere.
    """
    if not port:
        return []
    from envoy.extensions.filters.network.sni_dynamic_forward_proxy.v3 import sni_dynamic_forward_proxy_pb2

    config = sni_dynamic_forward_proxy_pb2.FilterConfig(dns_cache_config=_cache(), port_value=port)
    name = "envoy.filters.network.sni_dynamic_forward_proxy"
    return [listener_components_pb2.Filter(name=name, typed_config=pack(config))]
