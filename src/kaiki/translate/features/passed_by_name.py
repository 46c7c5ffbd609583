"""AUTO_PASSTHROUGH: mesh TLS passed on to the endpoints its server name means, without any route (Istio, "Gateway").

outbound_.9080_.v1_.reviews.default.svc.cluster.local   what a sidecar of another cluster asks for, and the cluster
                                                        of that name here: its endpoints, and no second TLS
"""

from __future__ import annotations

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.listener.v3 import listener_components_pb2

from kaiki.model.proxy import Resource
from kaiki.model.service import Resolution
from kaiki.translate import cluster_names, transport_sockets
from kaiki.translate.clusters import NO_POOL
from kaiki.translate.connections import tcp
from kaiki.translate.encode import duration, pack_empty, resource
from kaiki.translate.endpoints import load_assignment, select
from kaiki.translate.features.circuit_breakers import set_circuit_breakers
from kaiki.translate.features.compact_labels import name_service
from kaiki.translate.features.metric_labels import Reporter
from kaiki.translate.scope import Scope

_CONNECT_TIMEOUT_SECONDS = 10.0


def by_name_filters(statistics: str) -> list[listener_components_pb2.Filter]:
    """The server name is the cluster; a name there is no cluster for goes nowhere."""
    named = listener_components_pb2.Filter(
        name="envoy.filters.network.sni_cluster",
        typed_config=pack_empty("envoy.extensions.filters.network.sni_cluster.v3.SniCluster"),
    )
    return [named, tcp(statistics, ((cluster_names.BLACK_HOLE, 1),), Reporter.SOURCE)]


def passed_through(scope: Scope) -> tuple[list[Resource], list[Resource]]:
    """A cluster by server name, and its endpoints, for each port and subset of the services of the mesh."""
    made, assignments = [], []
    for service in scope.services:
        if service.resolution is not Resolution.STATIC:
            continue
        for port in scope.ports_of(service):
            endpoints = scope.snapshot.endpoints.get((service.hostname, port.number), ())
            for subset in (None, *scope.subsets_of(service.hostname)):
                name = cluster_names.server_name(service.hostname, port.number, subset.name if subset else "")
                chosen = scope.memo.get(select, endpoints, subset.labels) if subset else endpoints
                place = scope.place(scope.cluster(service, port, subset).policy)
                made.append(scope.memo.get(_cluster, name, service.hostname, service.name, service.namespace))
                assignments.append(scope.memo.get(load_assignment, name, chosen, False, place))
    return made, assignments


def _cluster(name: str, host: str, short: str, namespace: str) -> Resource:
    cluster = cluster_pb2.Cluster(name=name, type=cluster_pb2.Cluster.EDS)
    cluster.eds_cluster_config.service_name = name
    cluster.eds_cluster_config.eds_config.CopyFrom(transport_sockets.ads_source())
    cluster.connect_timeout.CopyFrom(duration(_CONNECT_TIMEOUT_SECONDS))
    cluster.lb_policy = cluster_pb2.Cluster.LEAST_REQUEST
    set_circuit_breakers(cluster, NO_POOL)
    name_service(cluster.metadata, host, short, namespace)
    return resource(name, cluster)
