"""Endpoints: ClusterLoadAssignments, with what balancing, mTLS and metrics need to know of each address."""

from __future__ import annotations

from collections.abc import Iterable

from envoy.config.core.v3 import health_check_pb2
from envoy.config.endpoint.v3 import endpoint_components_pb2, endpoint_pb2

from kaiki.model.locality import parts_of
from kaiki.model.proxy import Resource
from kaiki.model.service import Endpoint
from kaiki.translate.encode import resource
from kaiki.translate.features.compact_labels import JOINED_KEY
from kaiki.translate.features.localities import Place, group
from kaiki.translate.features.metric_labels import METADATA_NAMESPACE

ADDRESS_KEY = "address"
"""The key, under `envoy.lb`, by which a listener of a headless service picks the one endpoint that was addressed."""


def select(endpoints: Iterable[Endpoint], labels: tuple[tuple[str, str], ...]) -> tuple[Endpoint, ...]:
    """The endpoints whose labels include all of a subset's."""
    wanted = set(labels)
    return tuple(item for item in endpoints if wanted <= set(item.subset_labels))


def load_assignment(
    name: str, endpoints: tuple[Endpoint, ...], by_address: bool, place: Place | None = None
) -> Resource:
    """The ready endpoints of one cluster; `by_address` makes each of them addressable by itself."""
    return resource(name, assignment(name, endpoints, by_address, place))


def assignment(
    name: str, endpoints: tuple[Endpoint, ...], by_address: bool = False, place: Place | None = None
) -> endpoint_pb2.ClusterLoadAssignment:
    """The ready endpoints of one cluster, as a message; `place` is that of the client, where it matters."""
    message = endpoint_pb2.ClusterLoadAssignment(cluster_name=name)
    for part in group([item for item in endpoints if item.healthy], place):
        entry = message.endpoints.add(priority=part.priority)
        if part.locality:
            entry.locality.region, entry.locality.zone, entry.locality.sub_zone = parts_of(part.locality)
        entry.load_balancing_weight.value = part.weight or sum(item.weight for item in part.endpoints)
        for item in part.endpoints:
            _add(entry, item, by_address)
    return message


def _add(group: endpoint_components_pb2.LocalityLbEndpoints, item: Endpoint, by_address: bool) -> None:
    entry = group.lb_endpoints.add()
    socket = entry.endpoint.address.socket_address
    socket.address, socket.port_value = item.address, item.port
    entry.health_status = health_check_pb2.HEALTHY
    entry.load_balancing_weight.value = item.weight
    metadata = entry.metadata.filter_metadata
    labels = item.metric_labels
    if labels is not None:
        fields = metadata[METADATA_NAMESPACE].fields
        fields["workload"].string_value = labels.workload
        fields["workload_namespace"].string_value = labels.namespace
        fields["app"].string_value = labels.app
        fields["version"].string_value = labels.version
        fields["canonical_service"].string_value = labels.canonical_service
        fields["canonical_revision"].string_value = labels.canonical_revision
        fields["cluster"].string_value = labels.cluster
        fields[JOINED_KEY].string_value = labels.joined
    if item.mtls:
        metadata["envoy.transport_socket_match"].fields["tlsMode"].string_value = "istio"
    if by_address:
        metadata["envoy.lb"].fields[ADDRESS_KEY].string_value = f"{item.address}:{item.port}"
