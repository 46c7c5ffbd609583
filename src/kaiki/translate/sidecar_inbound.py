"""What a sidecar does with calls to its application: `virtualInbound` on 15006.

    for every port that a service names        for all other ports
      TLS with Istio's ALPN → mTLS chain          the same, sniffed, to InboundPassthroughCluster
      plaintext             → plaintext chain
      other TLS             → as TCP (the application's own)

That is PERMISSIVE; STRICT leaves only the mTLS chains, DISABLE only the others (PeerAuthentication).

A listener depends on ports and protocols alone, so pods of many workloads share its bytes: whose service it is stands
in the cluster's metadata, who the workload is in the proxy's environment.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

from envoy.config.core.v3 import base_pb2
from envoy.config.listener.v3 import listener_components_pb2

from kaiki.model.finding import ObjectRef
from kaiki.model.gateway import ServerTls
from kaiki.model.memo import Memo
from kaiki.model.policy.destination import ConnectionPool
from kaiki.model.policy.peer import PERMISSIVE, MutualTlsMode, PeerMode, PeerModes, peer_modes
from kaiki.model.proxy import Capture, Proxy, Resource
from kaiki.model.service import Protocol, Service, ServicePort
from kaiki.model.sidecar import IngressListener, Sidecar, endpoint_problem
from kaiki.model.snapshot import MeshSnapshot
from kaiki.translate import cluster_names, clusters, transport_sockets
from kaiki.translate.connections import inbound_http, tcp
from kaiki.translate.encode import resource
from kaiki.translate.features.metric_labels import Reporter
from kaiki.translate.features.peer_identity import peer_filter
from kaiki.translate.features.tcp_settings import NO_TCP_SETTINGS, TcpSettings, tcp_settings
from kaiki.translate.listeners import (
    HTTP_PROTOCOLS,
    MESH_HTTP_PROTOCOLS,
    MESH_TCP_PROTOCOLS,
    drop_own_port,
    http_inspector,
    inspect,
    listener,
    original_destination,
    tls_inspector,
)
from kaiki.translate.origins import mark_origin

_SERVER_HTTP = ("h2", "http/1.1")


class InboundPort(NamedTuple):
    """One port at which the pod is called. A Sidecar may say more of it: see `IngressListener`."""

    number: int
    protocol: Protocol
    service: Service
    ingress: IngressListener | None = None

    def shape(self, general: ConnectionPool | None, modes: PeerModes) -> InboundShape:
        """What the listener depends on; `general` are the limits of all ports, `modes` which TLS they take."""
        tls = self.ingress.tls if self.ingress else None
        usable = tls is not None and tls.needs_pair and tls.server_certificate and tls.private_key
        pool = (self.ingress.pool if self.ingress else None) or general
        own = replace(tls, credential="", other_credentials=(), roots_credential="") if tls and usable else None
        mode = PERMISSIVE.general if own else modes.at(self.number)
        return self.number, self.protocol, own, tcp_settings(pool, None), mode


InboundShape = tuple[int, Protocol, ServerTls | None, TcpSettings, PeerMode]


def inbound_ports(snapshot: MeshSnapshot, proxy: Proxy, sidecar: Sidecar | None = None) -> tuple[InboundPort, ...]:
    """The ports at which services reach this pod; of several services at one port the oldest decides.

    A Sidecar's ingress listeners, if there are any, are all there is.
    """
    known = _service_ports(snapshot, proxy)
    if sidecar is None or not sidecar.ingress:
        return known
    services = {port.number: port.service for port in known}
    found: dict[int, InboundPort] = {}
    for item in sidecar.ingress:
        service = services.get(item.port) or _nameless(sidecar, item)
        if not endpoint_problem(item.endpoint or "0.0.0.0:1"):
            found.setdefault(item.port, InboundPort(item.port, item.protocol, service, item))
    return tuple(found[number] for number in sorted(found))


def _nameless(sidecar: Sidecar, item: IngressListener) -> Service:
    """What metrics call a port no service names."""
    name = f"{item.name or item.port}.{sidecar.source.name}.sidecar"
    return Service(f"{name}.{sidecar.source.namespace}", name, sidecar.source.namespace, (), ())


def _service_ports(snapshot: MeshSnapshot, proxy: Proxy) -> tuple[InboundPort, ...]:
    workload = snapshot.workloads.get(proxy.key)
    named = dict(workload.named_ports) if workload else {}
    found: dict[int, InboundPort] = {}
    for service in _services(snapshot, proxy):
        for port in service.ports:
            number = _target(port, named)
            if number and port.protocol is not Protocol.UDP:
                found.setdefault(number, InboundPort(number, port.protocol, service))
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


def inbound(
    snapshot: MeshSnapshot, proxy: Proxy, memo: Memo, sidecar: Sidecar | None = None
) -> tuple[list[Resource], list[Resource]]:
    """The inbound listeners, and the clusters they refer to."""
    ports = inbound_ports(snapshot, proxy, sidecar)
    general = sidecar.inbound_pool if sidecar else None
    modes = _modes(snapshot, proxy)
    captured = tuple(port.shape(general, modes) for port in ports if port.ingress is None or port.ingress.captured)
    listeners = [memo.shared(_listener, captured, modes.general)]
    for port in ports:
        if port.ingress is not None and not port.ingress.captured:
            listeners.append(memo.shared(_bound_listener, port.ingress.bind or "0.0.0.0", *port.shape(general, modes)))
    return listeners, list(_clusters(ports, proxy.capture, memo, general))


def _modes(snapshot: MeshSnapshot, proxy: Proxy) -> PeerModes:
    workload = snapshot.workloads.get(proxy.key)
    return workload.peer_modes if workload else peer_modes(snapshot.peer_policies, proxy.namespace, proxy.labels)


def _clusters(
    ports: Iterable[InboundPort], capture: Capture, memo: Memo, general: ConnectionPool | None
) -> Iterator[Resource]:
    for number, protocol, service, ingress in ports:
        pool = (ingress.pool if ingress else None) or general
        endpoint = _endpoint(ingress) if ingress else ""
        yield memo.shared(clusters.inbound_cluster, number, protocol, service, capture, endpoint, pool)
    yield memo.shared(clusters.inbound_passthrough_cluster, capture)


def _endpoint(item: IngressListener) -> str:
    """A listener that is called at its own address has no other destination to go to: the loopback then."""
    return item.endpoint or ("" if item.captured else f"127.0.0.1:{item.port}")


def _bound_listener(
    address: str, port: int, protocol: Protocol, tls: ServerTls | None, settings: TcpSettings, mode: PeerMode
) -> Resource:
    """A port that is bound instead of redirected."""
    name = f"{address}_{port}"
    message = listener(name, address, port, base_pb2.INBOUND, bind=True)
    inspect(message, tls_inspector(), http_inspector() if protocol is Protocol.AUTO else http_inspector((port,)))
    message.filter_chains.extend(_port_chains(0, protocol, cluster_names.inbound(port), tls, settings, mode))
    return resource(name, message)


def _listener(ports: tuple[InboundShape, ...], others: PeerMode) -> Resource:
    name, own = cluster_names.VIRTUAL_INBOUND, cluster_names.INBOUND_PORT
    message = listener(name, "0.0.0.0", own, base_pb2.INBOUND, bind=True)
    declared = (number for number, protocol, *_ in ports if protocol is not Protocol.AUTO)
    inspect(message, original_destination(), tls_inspector(), http_inspector(declared))
    drop_own_port(message, own)
    for number, protocol, tls, settings, mode in ports:
        message.filter_chains.extend(_port_chains(number, protocol, cluster_names.inbound(number), tls, settings, mode))
    message.filter_chains.extend(_chains(0, Protocol.AUTO, cluster_names.INBOUND_PASSTHROUGH, NO_TCP_SETTINGS, others))
    return resource(name, message)


def _port_chains(
    port: int, protocol: Protocol, cluster: str, tls: ServerTls | None, settings: TcpSettings, mode: PeerMode
) -> Iterator[listener_components_pb2.FilterChain]:
    """The chains of one port; those of the mesh, unless a Sidecar says which TLS its clients speak instead."""
    if tls is None:
        return _chains(port, protocol, cluster, settings, mode)
    http = protocol.is_http or protocol in (Protocol.AUTO, Protocol.HTTPS)
    chain = _chain(port, "tls", (), "own-tls")
    chain.transport_socket.CopyFrom(transport_sockets.plain_server(tls, _SERVER_HTTP if http else ()))
    plain = Reporter.DESTINATION_PLAINTEXT
    chain.filters.append(_last_filter(cluster, plain, None if http else settings, protocol))
    return iter((chain,))


def _chains(
    port: int, protocol: Protocol, cluster: str, settings: TcpSettings, peers: PeerMode
) -> Iterator[listener_components_pb2.FilterChain]:
    """The chains of one port (0: all others) for what may be spoken there."""
    mode, source = peers
    if mode is not MutualTlsMode.DISABLE:
        yield from (_asked_for(chain, source) for chain in _mesh_chains(port, protocol, cluster, settings))
    if mode is not MutualTlsMode.STRICT:
        yield from (_asked_for(chain, source) for chain in _plain_chains(port, protocol, cluster, settings))


def _asked_for(
    chain: listener_components_pb2.FilterChain, source: ObjectRef | None
) -> listener_components_pb2.FilterChain:
    if source is not None:
        mark_origin(chain.metadata, source)
    return chain


def _mesh_chains(
    port: int, protocol: Protocol, cluster: str, settings: TcpSettings
) -> Iterator[listener_components_pb2.FilterChain]:
    """Those that take mutual TLS. Without settings for bytes, a chain speaks HTTP."""
    if protocol is Protocol.AUTO:
        yield _mesh_chain(port, protocol, cluster, MESH_HTTP_PROTOCOLS, None)
        yield _mesh_chain(port, protocol, cluster, MESH_TCP_PROTOCOLS, settings)
    else:
        spoken = None if protocol.is_http else settings
        yield _mesh_chain(port, protocol, cluster, MESH_HTTP_PROTOCOLS + MESH_TCP_PROTOCOLS, spoken)


def _plain_chains(
    port: int, protocol: Protocol, cluster: str, settings: TcpSettings
) -> Iterator[listener_components_pb2.FilterChain]:
    """Those that take plaintext, and the application's own TLS as the bytes it is."""
    if protocol.is_http:
        yield _plain_chain(port, protocol, cluster, "raw_buffer", (), None)
        return
    if protocol is Protocol.AUTO:
        yield _plain_chain(port, protocol, cluster, "raw_buffer", HTTP_PROTOCOLS, None)
    yield _plain_chain(port, protocol, cluster, "tls", (), settings)
    yield _plain_chain(port, protocol, cluster, "raw_buffer", (), settings)


def _chain(port: int, transport: str, protocols: tuple[str, ...], label: str) -> listener_components_pb2.FilterChain:
    chain = listener_components_pb2.FilterChain(name=f"{port or 'other'}-{label}")
    match = chain.filter_chain_match
    match.transport_protocol = transport
    match.application_protocols.extend(protocols)
    if port:
        match.destination_port.value = port
    return chain


def _mesh_chain(
    port: int, protocol: Protocol, cluster: str, protocols: tuple[str, ...], settings: TcpSettings | None
) -> listener_components_pb2.FilterChain:
    http = settings is None
    chain = _chain(port, "tls", protocols, "mtls-http" if http else "mtls-tcp")
    chain.transport_socket.CopyFrom(transport_sockets.mesh_server(_SERVER_HTTP if http else MESH_TCP_PROTOCOLS))
    chain.filters.append(peer_filter())
    chain.filters.append(_last_filter(cluster, Reporter.DESTINATION_MTLS, settings, protocol))
    return chain


def _plain_chain(
    port: int,
    protocol: Protocol,
    cluster: str,
    transport: str,
    protocols: tuple[str, ...],
    settings: TcpSettings | None,
) -> listener_components_pb2.FilterChain:
    label = "plain-http" if settings is None else "plain-tcp" if transport == "raw_buffer" else "tls-tcp"
    chain = _chain(port, transport, protocols, label)
    chain.filters.append(_last_filter(cluster, Reporter.DESTINATION_PLAINTEXT, settings, protocol))
    return chain


def _last_filter(
    cluster: str, reporter: Reporter, settings: TcpSettings | None, protocol: Protocol
) -> listener_components_pb2.Filter:
    if settings is None:
        return inbound_http(cluster, cluster, reporter, counts_messages=protocol is not Protocol.HTTP)
    return tcp(cluster, ((cluster, 1),), reporter, settings=settings)
