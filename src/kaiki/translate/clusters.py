"""Clusters: one per port (and subset) of every visible service, and the few special ones every proxy has."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import NamedTuple

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import address_pb2, protocol_pb2, socket_option_pb2
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2

from kaiki.model.finding import ObjectRef
from kaiki.model.policy.destination import (
    Balancing,
    ClientTls,
    ConnectionPool,
    LoadBalancer,
    TlsMode,
    TrafficPolicy,
)
from kaiki.model.proxy import EXCLUSION_MARK, Capture, Resource
from kaiki.model.service import Endpoint, Protocol, Resolution, Service
from kaiki.model.sidecar import UNIX_PREFIX
from kaiki.translate import cluster_names, transport_sockets
from kaiki.translate.encode import duration, pack, resource
from kaiki.translate.endpoints import ADDRESS_KEY, assignment
from kaiki.translate.features.application_endpoint import set_default_endpoint
from kaiki.translate.features.circuit_breakers import set_circuit_breakers
from kaiki.translate.features.compact_labels import name_service
from kaiki.translate.features.dynamic_names import look_up_when_called
from kaiki.translate.features.load_balancing import set_load_balancing
from kaiki.translate.features.metric_labels import METADATA_NAMESPACE
from kaiki.translate.features.outlier_detection import set_outlier_detection
from kaiki.translate.origins import mark_origin

_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_CONNECT_TIMEOUT_SECONDS = 10.0
_LOOK_UP_SECONDS = 60.0
_PASSTHROUGH_CONNECTIONS = 512
"""Should marking ever fail, traffic loops through the passthrough cluster until this limit ends it."""
NO_POOL = ConnectionPool()
AUTOMATIC_TLS = ClientTls()
DEFAULT_BALANCER = LoadBalancer()
_WHERE_CLIENTS_WANT = LoadBalancer(balancing=Balancing.PASSTHROUGH)


class SecretState(StrEnum):
    """The Secret a policy's TLS names: there is none (or none for this proxy), it is usable, or it is not."""

    NONE = "none"
    READY = "ready"
    MISSING = "missing"


class OutboundCluster(NamedTuple):
    """What one outbound cluster is made of.

    `policy` is already merged for its port and subset; `looked_up` are endpoints by name, of DNS services only.
    `shown` is the certificate (as SDS names it) for TLS that a policy names none for. `rule` is the DestinationRule it
    is by, `subset_rule` the one its subset is of.
    """

    service: Service
    port: int
    protocol: Protocol
    subset: str
    policy: TrafficPolicy
    identities: tuple[str, ...]
    rule: ObjectRef | None
    looked_up: tuple[Endpoint, ...] = ()
    locality_shares: bool = False
    secret: SecretState = SecretState.NONE
    shown: str = ""
    subset_rule: ObjectRef | None = None

    @property
    def name(self) -> str:
        return cluster_names.outbound(self.service.hostname, self.port, self.subset)

    @property
    def tls(self) -> ClientTls:
        return self.policy.tls or AUTOMATIC_TLS

    @property
    def has_endpoints(self) -> bool:
        """Whether endpoints come by EDS."""
        if self.service.resolution is not Resolution.STATIC or self.secret is SecretState.MISSING:
            return False
        balancer = self.policy.load_balancer or DEFAULT_BALANCER
        return balancer.hash is not None or balancer.balancing is not Balancing.PASSTHROUGH

    @property
    def follows_client(self) -> bool:
        """Whether requests leave in the protocol they came in (otherwise the port's own)."""
        pool = self.policy.connection_pool or NO_POOL
        if pool.keep_client_protocol:
            return True
        return self.protocol is Protocol.AUTO and pool.upgrade_to_http2 is None

    @property
    def is_http2(self) -> bool:
        pool = self.policy.connection_pool or NO_POOL
        return not self.follows_client and (self.protocol.is_http2 or bool(pool.upgrade_to_http2))

    @property
    def may_be_in_mesh(self) -> bool:
        """Whether endpoints may have sidecars: those by name have only if they say so, and of an address that the
        client chose nothing is known."""
        if self.service.resolution is Resolution.STATIC:
            return self.has_endpoints
        return any(item.mtls for item in self.looked_up)

    @property
    def is_mesh_tls(self) -> bool:
        return self.tls.mode in (TlsMode.AUTO, TlsMode.ISTIO_MUTUAL)


def outbound_cluster(made_of: OutboundCluster) -> Resource:
    """Build one outbound cluster."""
    cluster = cluster_pb2.Cluster(name=made_of.name, type=cluster_pb2.Cluster.EDS)
    cluster.eds_cluster_config.service_name = made_of.name
    cluster.eds_cluster_config.eds_config.CopyFrom(transport_sockets.ads_source())
    policy = made_of.policy
    pool = policy.connection_pool or NO_POOL
    timeout = pool.connect_timeout_seconds
    cluster.connect_timeout.CopyFrom(duration(_CONNECT_TIMEOUT_SECONDS if timeout is None else timeout))
    balancer = policy.load_balancer or DEFAULT_BALANCER
    if made_of.service.resolution is Resolution.NONE:
        balancer = _WHERE_CLIENTS_WANT
    set_load_balancing(cluster, balancer)
    if made_of.service.resolution.is_dns and cluster.HasField("eds_cluster_config"):
        _look_up(cluster, made_of)
    if made_of.service.resolution is Resolution.DYNAMIC_DNS:
        look_up_when_called(cluster)
    if made_of.secret is SecretState.MISSING:
        _leave_empty(cluster)
    set_circuit_breakers(cluster, pool, policy.retry_budget)
    if made_of.locality_shares:
        cluster.common_lb_config.locality_weighted_lb_config.SetInParent()
    set_outlier_detection(cluster, policy.outlier_detection)
    _set_keepalive(cluster, pool)
    _set_metadata(cluster, made_of)
    _set_http_options(cluster, made_of, pool)
    _set_transport(cluster, made_of)
    if policy.proxy_protocol is not None:
        _add_proxy_protocol(cluster, policy.proxy_protocol)
    if made_of.service.headless and made_of.has_endpoints:
        _make_addressable(cluster)
    return resource(made_of.name, cluster)


def _leave_empty(cluster: cluster_pb2.Cluster) -> None:
    """Requests get 503 until the Secret is there: waiting for it, Envoy would hold up every other change."""
    cluster.ClearField("eds_cluster_config")
    cluster.ClearField("cluster_type")
    cluster.ClearField("load_assignment")
    cluster.type = cluster_pb2.Cluster.STATIC
    if cluster.lb_policy == cluster_pb2.Cluster.CLUSTER_PROVIDED:
        cluster.lb_policy = cluster_pb2.Cluster.LEAST_REQUEST


def _look_up(cluster: cluster_pb2.Cluster, made_of: OutboundCluster) -> None:
    """Endpoints are what names resolve to, as seen by the proxy."""
    from envoy.extensions.clusters.common.dns.v3 import dns_pb2
    from envoy.extensions.clusters.dns.v3 import dns_cluster_pb2

    resolution = dns_cluster_pb2.DnsCluster(
        respect_dns_ttl=True,
        dns_lookup_family=dns_pb2.V4_ONLY,
        # Envoy insists on one endpoint then; a subset may have none.
        all_addresses_in_single_endpoint=made_of.service.resolution is Resolution.DNS_ROUND_ROBIN
        and len(made_of.looked_up) == 1,
    )
    resolution.dns_refresh_rate.CopyFrom(duration(_LOOK_UP_SECONDS))
    cluster.ClearField("eds_cluster_config")
    cluster.cluster_type.name = "envoy.cluster.dns"
    cluster.cluster_type.typed_config.CopyFrom(pack(resolution))
    # A name that cannot be looked up must not keep a proxy from getting ready.
    cluster.wait_for_warm_on_init.value = False
    cluster.load_assignment.CopyFrom(assignment(made_of.name, made_of.looked_up))


def _make_addressable(cluster: cluster_pb2.Cluster) -> None:
    """Let a listener ask for one endpoint: who calls a pod of a headless service means that pod."""
    subsets = cluster.lb_subset_config
    subsets.fallback_policy = cluster_pb2.Cluster.LbSubsetConfig.ANY_ENDPOINT
    selector = subsets.subset_selectors.add(keys=[ADDRESS_KEY])
    selector.fallback_policy = cluster_pb2.Cluster.LbSubsetConfig.LbSubsetSelector.NO_FALLBACK


def _set_keepalive(cluster: cluster_pb2.Cluster, pool: ConnectionPool) -> None:
    if pool.keepalive is None:
        return
    keepalive = cluster.upstream_connection_options.tcp_keepalive
    keepalive.SetInParent()
    if pool.keepalive.probes:
        keepalive.keepalive_probes.value = pool.keepalive.probes
    if pool.keepalive.time_seconds:
        keepalive.keepalive_time.value = round(pool.keepalive.time_seconds)
    if pool.keepalive.interval_seconds:
        keepalive.keepalive_interval.value = round(pool.keepalive.interval_seconds)


def _set_metadata(cluster: cluster_pb2.Cluster, made_of: OutboundCluster) -> None:
    service = made_of.service
    name_service(cluster.metadata, service.hostname, service.name, service.namespace)
    if made_of.rule is not None:
        mark_origin(cluster.metadata, made_of.rule, second=made_of.subset_rule)
    if made_of.subset:
        cluster.metadata.filter_metadata[METADATA_NAMESPACE].fields["subset"].string_value = made_of.subset


def set_client_protocol(options: http_protocol_options_pb2.HttpProtocolOptions) -> None:
    """Send requests in the protocol they came in."""
    options.use_downstream_protocol_config.http_protocol_options.SetInParent()
    options.use_downstream_protocol_config.http2_protocol_options.SetInParent()


def _set_http_options(cluster: cluster_pb2.Cluster, made_of: OutboundCluster, pool: ConnectionPool) -> None:
    if not (made_of.protocol.is_http or made_of.protocol is Protocol.AUTO):
        return
    options = http_protocol_options_pb2.HttpProtocolOptions()
    if made_of.follows_client:
        set_client_protocol(options)
        http2 = options.use_downstream_protocol_config.http2_protocol_options
    elif made_of.is_http2:
        http2 = options.explicit_http_config.http2_protocol_options
        http2.SetInParent()
    else:
        options.explicit_http_config.http_protocol_options.SetInParent()
        http2 = None
    if made_of.service.resolution is Resolution.DYNAMIC_DNS and not made_of.is_mesh_tls and not made_of.tls.sni:
        # The host that is called is the server name to ask for, and the one to verify where a rule names none.
        options.upstream_http_protocol_options.auto_sni = True
        verified = not made_of.tls.insecure_skip_verify and not made_of.tls.subject_alternative_names
        options.upstream_http_protocol_options.auto_san_validation = verified
    _limit_connections(options, pool, http2)
    cluster.typed_extension_protocol_options[_HTTP_OPTIONS].CopyFrom(pack(options))


def _alpn(made_of: OutboundCluster) -> tuple[str, ...]:
    """What mesh mTLS offers. Where the protocol follows the client, HTTP routes replace this by filter state."""
    if made_of.is_http2:
        return transport_sockets.ALPN_HTTP2
    return transport_sockets.ALPN_HTTP1 if made_of.protocol is Protocol.HTTP else transport_sockets.ALPN_TCP


def _set_transport(cluster: cluster_pb2.Cluster, made_of: OutboundCluster) -> None:
    tls, host = made_of.tls, made_of.service.hostname
    if made_of.secret is SecretState.MISSING:
        return
    if tls.mode is TlsMode.DISABLE or (tls.mode is TlsMode.AUTO and not made_of.may_be_in_mesh):
        return
    if not made_of.is_mesh_tls:
        alpn = ["h2"] if made_of.is_http2 else []
        named, by_secret = _with_names(tls, made_of.service), made_of.secret is SecretState.READY
        name = "" if made_of.service.resolution is Resolution.DYNAMIC_DNS else host
        cluster.transport_socket.CopyFrom(transport_sockets.plain_client(named, name, alpn, by_secret, made_of.shown))
        return
    secured = transport_sockets.mesh_client(
        tls.sni or cluster_names.server_name(host, made_of.port, made_of.subset),
        _alpn(made_of),
        tls.subject_alternative_names or made_of.service.subject_alternative_names or made_of.identities,
        made_of.service.namespace,
    )
    if tls.mode is TlsMode.ISTIO_MUTUAL:
        cluster.transport_socket.CopyFrom(secured)
        return
    match = cluster.transport_socket_matches.add(name="tlsMode-istio", transport_socket=secured)
    match.match.fields["tlsMode"].string_value = "istio"
    match = cluster.transport_socket_matches.add(
        name="tlsMode-disabled", transport_socket=transport_sockets.plaintext()
    )
    match.match.SetInParent()


def _with_names(tls: ClientTls, service: Service) -> ClientTls:
    """A ServiceEntry's names hold where the DestinationRule says none."""
    if tls.subject_alternative_names or not service.subject_alternative_names:
        return tls
    return replace(tls, subject_alternative_names=service.subject_alternative_names)


def _add_proxy_protocol(cluster: cluster_pb2.Cluster, version: int) -> None:
    for match in cluster.transport_socket_matches:
        match.transport_socket.CopyFrom(transport_sockets.with_proxy_protocol(match.transport_socket, version))
    if not cluster.transport_socket_matches:
        inner = cluster.transport_socket if cluster.HasField("transport_socket") else transport_sockets.plaintext()
        cluster.transport_socket.CopyFrom(transport_sockets.with_proxy_protocol(inner, version))


def mark_options() -> list[socket_option_pb2.SocketOption]:
    """SO_MARK on SOL_SOCKET: how redirection knows the proxy's own traffic."""
    return [
        socket_option_pb2.SocketOption(
            description="the proxy's own traffic",
            level=1,
            name=36,
            int_value=EXCLUSION_MARK,
            state=socket_option_pb2.SocketOption.STATE_PREBIND,
        )
    ]


def _original_destination(name: str) -> cluster_pb2.Cluster:
    cluster = cluster_pb2.Cluster(
        name=name, type=cluster_pb2.Cluster.ORIGINAL_DST, lb_policy=cluster_pb2.Cluster.CLUSTER_PROVIDED
    )
    cluster.connect_timeout.CopyFrom(duration(_CONNECT_TIMEOUT_SECONDS))
    options = http_protocol_options_pb2.HttpProtocolOptions()
    set_client_protocol(options)
    cluster.typed_extension_protocol_options[_HTTP_OPTIONS].CopyFrom(pack(options))
    return cluster


def passthrough_cluster(capture: Capture) -> Resource:
    """Where the application meant to go, when the mesh knows nothing about it."""
    cluster = _original_destination(cluster_names.PASSTHROUGH)
    limit = _PASSTHROUGH_CONNECTIONS if capture is Capture.MARK else None
    set_circuit_breakers(cluster, ConnectionPool(max_connections=limit))
    name_service(cluster.metadata, cluster_names.PASSTHROUGH, cluster_names.PASSTHROUGH, "unknown")
    return resource(cluster.name, cluster)


def black_hole_cluster() -> Resource:
    """Nowhere: for destinations that do not exist, and for what must be dropped."""
    cluster = cluster_pb2.Cluster(name=cluster_names.BLACK_HOLE, type=cluster_pb2.Cluster.STATIC)
    cluster.connect_timeout.CopyFrom(duration(_CONNECT_TIMEOUT_SECONDS))
    name_service(cluster.metadata, cluster_names.BLACK_HOLE, cluster_names.BLACK_HOLE, "unknown")
    return resource(cluster.name, cluster)


def _bind_inbound(cluster: cluster_pb2.Cluster, capture: Capture) -> None:
    """Redirection lets the source 127.0.0.6 pass; a cluster's bind config replaces the general one, mark included."""
    if capture is Capture.NONE:
        return
    cluster.upstream_bind_config.source_address.CopyFrom(address_pb2.SocketAddress(address="127.0.0.6", port_value=0))
    if capture is Capture.MARK:
        cluster.upstream_bind_config.socket_options.extend(mark_options())


def inbound_cluster(
    port: int,
    protocol: Protocol,
    service: Service,
    capture: Capture,
    endpoint: str = "",
    pool: ConnectionPool | None = None,
) -> Resource:
    """The application at one of the ports its services name; `endpoint` is where it listens, if a Sidecar says so."""
    cluster = _original_destination(cluster_names.inbound(port))
    set_circuit_breakers(cluster, pool or NO_POOL)
    if pool is not None:
        _set_keepalive(cluster, pool)
        if pool.connect_timeout_seconds is not None:
            cluster.connect_timeout.CopyFrom(duration(pool.connect_timeout_seconds))
    if not endpoint.startswith(UNIX_PREFIX):
        _bind_inbound(cluster, capture)
    if endpoint:
        set_default_endpoint(cluster, endpoint)
    name_service(cluster.metadata, service.hostname, service.name, service.namespace)
    cluster.typed_extension_protocol_options[_HTTP_OPTIONS].CopyFrom(pack(_inbound_options(protocol, pool or NO_POOL)))
    return resource(cluster.name, cluster)


def _inbound_options(protocol: Protocol, pool: ConnectionPool) -> http_protocol_options_pb2.HttpProtocolOptions:
    """How the application is spoken to: in its port's protocol, or the client's where the port says none of its own."""
    options = http_protocol_options_pb2.HttpProtocolOptions()
    upgraded = protocol is Protocol.HTTP and bool(pool.upgrade_to_http2)
    if (protocol.is_http2 and not pool.keep_client_protocol) or upgraded:
        http2 = options.explicit_http_config.http2_protocol_options
        http2.SetInParent()
    else:
        set_client_protocol(options)
        http2 = options.use_downstream_protocol_config.http2_protocol_options
    _limit_connections(options, pool, http2)
    return options


def _limit_connections(
    options: http_protocol_options_pb2.HttpProtocolOptions,
    pool: ConnectionPool,
    http2: protocol_pb2.Http2ProtocolOptions | None,
) -> None:
    common = options.common_http_protocol_options
    if http2 is not None and pool.max_concurrent_streams:
        http2.max_concurrent_streams.value = pool.max_concurrent_streams
    if pool.max_requests_per_connection:
        common.max_requests_per_connection.value = pool.max_requests_per_connection
    if pool.http_idle_timeout_seconds is not None:
        common.idle_timeout.CopyFrom(duration(pool.http_idle_timeout_seconds))
    if pool.max_connection_duration_seconds is not None:
        common.max_connection_duration.CopyFrom(duration(pool.max_connection_duration_seconds))


def inbound_passthrough_cluster(capture: Capture) -> Resource:
    """The application at ports no service names."""
    cluster = _original_destination(cluster_names.INBOUND_PASSTHROUGH)
    limit = _PASSTHROUGH_CONNECTIONS if capture is Capture.MARK else None
    set_circuit_breakers(cluster, ConnectionPool(max_connections=limit))
    _bind_inbound(cluster, capture)
    name_service(cluster.metadata, cluster_names.INBOUND_PASSTHROUGH, cluster_names.INBOUND_PASSTHROUGH, "unknown")
    return resource(cluster.name, cluster)
