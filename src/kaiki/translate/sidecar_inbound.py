"""What a sidecar does with calls to its application: `virtualInbound` on 15006, PERMISSIVE.

    for every port that a service names        for all other ports
      TLS with Istio's ALPN → mTLS chain          the same, sniffed, to InboundPassthroughCluster
      plaintext             → plaintext chain
      other TLS             → as TCP (the application's own)

A listener depends on ports and protocols alone, so pods of many workloads share its bytes: whose service it is stands
in the cluster's metadata, who the workload is in the proxy's environment.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from envoy.config.core.v3 import base_pb2
from envoy.config.listener.v3 import listener_components_pb2

from kaiki.model.memo import Memo
from kaiki.model.proxy import Capture, Proxy, Resource
from kaiki.model.service import Protocol, Service, ServicePort
from kaiki.model.snapshot import MeshSnapshot
from kaiki.translate import cluster_names, clusters, transport_sockets
from kaiki.translate.connections import inbound_http, tcp
from kaiki.translate.encode import resource
from kaiki.translate.features.metric_labels import Reporter
from kaiki.translate.features.peer_identity import peer_filter
from kaiki.translate.listeners import (
    HTTP_PROTOCOLS,
    drop_own_port,
    http_inspector,
    inspect,
    listener,
    original_destination,
    tls_inspector,
)

_MESH_HTTP = ("istio-http/1.0", "istio-http/1.1", "istio-h2")
_MESH_TCP = ("istio", "istio-peer-exchange")
_SERVER_HTTP = ("h2", "http/1.1")
InboundPort = tuple[int, Protocol, Service]


def inbound_ports(snapshot: MeshSnapshot, proxy: Proxy) -> tuple[InboundPort, ...]:
    """The ports at which services reach this pod; of several services at one port the oldest decides."""
    workload = snapshot.workloads.get(proxy.key)
    named = dict(workload.named_ports) if workload else {}
    found: dict[int, InboundPort] = {}
    for service in _services(snapshot, proxy):
        for port in service.ports:
            number = _target(port, named)
            if number and port.protocol is not Protocol.UDP:
                found.setdefault(number, (number, port.protocol, service))
    return tuple(found[number] for number in sorted(found))


def _services(snapshot: MeshSnapshot, proxy: Proxy) -> Iterable[Service]:
    known = snapshot.services_by_workload.get(proxy.key)
    if known is not None:
        return known
    labels = set(proxy.labels)
    return [
        service
        for service in snapshot.services.values()
        if service.namespace == proxy.namespace and service.selector and set(service.selector) <= labels
    ]


def _target(port: ServicePort, named: dict[str, int]) -> int:
    if isinstance(port.target_port, int):
        return port.target_port or port.number
    return named.get(port.target_port, 0)


def inbound(snapshot: MeshSnapshot, proxy: Proxy, memo: Memo) -> tuple[Resource, Iterator[Resource]]:
    """The inbound listener, and the clusters it refers to."""
    ports = inbound_ports(snapshot, proxy)
    shape = tuple((number, protocol) for number, protocol, _ in ports)
    return memo.get(_listener, shape), _clusters(ports, proxy.capture, memo)


def _clusters(ports: Iterable[InboundPort], capture: Capture, memo: Memo) -> Iterator[Resource]:
    for number, protocol, service in ports:
        yield memo.get(clusters.inbound_cluster, number, protocol, service, capture)
    yield memo.get(clusters.inbound_passthrough_cluster, capture)


def _listener(ports: tuple[tuple[int, Protocol], ...]) -> Resource:
    name, own = cluster_names.VIRTUAL_INBOUND, cluster_names.INBOUND_PORT
    message = listener(name, "0.0.0.0", own, base_pb2.INBOUND, bind=True)
    declared = (number for number, protocol in ports if protocol is not Protocol.AUTO)
    inspect(message, original_destination(), tls_inspector(), http_inspector(declared))
    drop_own_port(message, own)
    for number, protocol in ports:
        message.filter_chains.extend(_chains(number, protocol, cluster_names.inbound(number)))
    message.filter_chains.extend(_chains(0, Protocol.AUTO, cluster_names.INBOUND_PASSTHROUGH))
    return resource(name, message)


def _chains(port: int, protocol: Protocol, cluster: str) -> Iterator[listener_components_pb2.FilterChain]:
    """The chains of one port (0: all others)."""
    if protocol.is_http:
        yield _mesh_chain(port, cluster, _MESH_HTTP + _MESH_TCP, http=True)
        yield _plain_chain(port, cluster, "raw_buffer", (), http=True)
        return
    if protocol is Protocol.AUTO:
        yield _mesh_chain(port, cluster, _MESH_HTTP, http=True)
        yield _mesh_chain(port, cluster, _MESH_TCP, http=False)
        yield _plain_chain(port, cluster, "raw_buffer", HTTP_PROTOCOLS, http=True)
    else:
        yield _mesh_chain(port, cluster, _MESH_HTTP + _MESH_TCP, http=False)
    yield _plain_chain(port, cluster, "tls", (), http=False)
    yield _plain_chain(port, cluster, "raw_buffer", (), http=False)


def _chain(port: int, transport: str, protocols: tuple[str, ...], label: str) -> listener_components_pb2.FilterChain:
    chain = listener_components_pb2.FilterChain(name=f"{port or 'other'}-{label}")
    match = chain.filter_chain_match
    match.transport_protocol = transport
    match.application_protocols.extend(protocols)
    if port:
        match.destination_port.value = port
    return chain


def _mesh_chain(port: int, cluster: str, protocols: tuple[str, ...], http: bool) -> listener_components_pb2.FilterChain:
    chain = _chain(port, "tls", protocols, "mtls-http" if http else "mtls-tcp")
    chain.transport_socket.CopyFrom(transport_sockets.mesh_server(_SERVER_HTTP if http else _MESH_TCP))
    chain.filters.append(peer_filter())
    chain.filters.append(_last_filter(cluster, Reporter.DESTINATION_MTLS, http))
    return chain


def _plain_chain(
    port: int, cluster: str, transport: str, protocols: tuple[str, ...], http: bool
) -> listener_components_pb2.FilterChain:
    label = "plain-http" if http else "plain-tcp" if transport == "raw_buffer" else "tls-tcp"
    chain = _chain(port, transport, protocols, label)
    chain.filters.append(_last_filter(cluster, Reporter.DESTINATION_PLAINTEXT, http))
    return chain


def _last_filter(cluster: str, reporter: Reporter, http: bool) -> listener_components_pb2.Filter:
    if http:
        return inbound_http(cluster, cluster, reporter)
    return tcp(cluster, ((cluster, 1),), reporter)
