"""DestinationRule: how traffic is treated once its host is chosen (Istio, "Destination Rule" reference)."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from kaiki.resources.istio.common import (
    ApiType,
    Duration,
    Percentage,
    PortNumber,
    PortSelector,
    Unsigned,
    WorkloadSelector,
)

Limit = Annotated[int, Meta(ge=0, le=2147483647)]


class HTTPCookieAttribute(ApiType, frozen=True):
    """One more attribute of a generated cookie."""

    name: str = ""
    value: str = ""


class HTTPCookie(ApiType, frozen=True):
    """The cookie to hash; it is generated if `ttl` is given."""

    name: str
    path: str = ""
    ttl: Duration | None = None
    attributes: tuple[HTTPCookieAttribute, ...] = ()


class RingHash(ApiType, frozen=True):
    """Ketama consistent hashing."""

    minimum_ring_size: Unsigned = 0


class MagLev(ApiType, frozen=True):
    """Maglev consistent hashing; the table size must be a prime."""

    table_size: Unsigned = 0


class ConsistentHashLB(ApiType, frozen=True):
    """Soft session affinity by a property of the request."""

    ONE_OF = (
        ("httpHeaderName", "httpCookie", "useSourceIp", "httpQueryParameterName"),
        ("ringHash", "maglev"),
    )

    http_header_name: str | None = None
    http_cookie: HTTPCookie | None = None
    use_source_ip: bool | None = None
    http_query_parameter_name: str | None = None
    ring_hash: RingHash | None = None
    maglev: MagLev | None = None
    minimum_ring_size: Unsigned = 0


class LocalityDistribute(ApiType, frozen=True):
    """From one locality, which share goes to which."""

    from_: str = msgspec.field(default="", name="from")
    to: dict[str, Unsigned] = {}


class LocalityFailover(ApiType, frozen=True):
    """Where a region's traffic goes when it is unhealthy."""

    from_: str = msgspec.field(default="", name="from")
    to: str = ""


class LocalityLoadBalancerSetting(ApiType, frozen=True):
    """Balancing between localities."""

    distribute: tuple[LocalityDistribute, ...] = ()
    failover: tuple[LocalityFailover, ...] = ()
    failover_priority: tuple[str, ...] = ()
    enabled: bool | None = None


class WarmupConfiguration(ApiType, frozen=True):
    """How the share of a new endpoint grows."""

    duration: Duration
    minimum_percent: Annotated[float, Meta(ge=0, le=100)] | None = None
    aggression: Annotated[float, Meta(ge=1)] | None = None


class LoadBalancerSettings(ApiType, frozen=True):
    """How one endpoint is picked."""

    ONE_OF = (("simple", "consistentHash"),)

    simple: Literal["UNSPECIFIED", "LEAST_CONN", "RANDOM", "PASSTHROUGH", "ROUND_ROBIN", "LEAST_REQUEST"] | None = None
    consistent_hash: ConsistentHashLB | None = None
    locality_lb_setting: LocalityLoadBalancerSetting | None = None
    warmup_duration_secs: Duration | None = None
    warmup: WarmupConfiguration | None = None


class TcpKeepalive(ApiType, frozen=True):
    """Probes on idle connections."""

    probes: Unsigned = 0
    time: Duration | None = None
    interval: Duration | None = None


class TCPSettings(ApiType, frozen=True):
    """Limits for connections."""

    max_connections: Limit = 0
    connect_timeout: Duration | None = None
    tcp_keepalive: TcpKeepalive | None = None
    max_connection_duration: Duration | None = None
    idle_timeout: Duration | None = None


class HTTPSettings(ApiType, frozen=True):
    """Limits for requests."""

    http1_max_pending_requests: Limit = 0
    http2_max_requests: Limit = 0
    max_requests_per_connection: Limit = 0
    max_retries: Limit = 0
    idle_timeout: Duration | None = None
    h2_upgrade_policy: Literal["DEFAULT", "DO_NOT_UPGRADE", "UPGRADE"] | None = None
    use_client_protocol: bool = False
    max_concurrent_streams: Limit = 0


class ConnectionPoolSettings(ApiType, frozen=True):
    """Limits on what one proxy opens to the host."""

    tcp: TCPSettings | None = None
    http: HTTPSettings | None = None


class OutlierDetection(ApiType, frozen=True):
    """When an endpoint that fails is left out for a while."""

    NOT_IN_FORCE = {"consecutiveErrors": "Say consecutive5xxErrors or consecutiveGatewayErrors."}

    consecutive_errors: Limit = 0
    split_external_local_origin_errors: bool = False
    consecutive_local_origin_failures: Unsigned | None = None
    consecutive_gateway_errors: Unsigned | None = None
    consecutive_5xx_errors: Unsigned | None = msgspec.field(default=None, name="consecutive5xxErrors")
    interval: Duration | None = None
    base_ejection_time: Duration | None = None
    max_ejection_percent: Percentage = 0
    min_health_percent: Percentage = 0


class ClientTLSSettings(ApiType, frozen=True):
    """TLS of the connections to the host."""

    mode: Literal["DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL"] = "DISABLE"
    client_certificate: str = ""
    private_key: str = ""
    ca_certificates: str = ""
    credential_name: str = ""
    subject_alt_names: tuple[str, ...] = ()
    sni: str = ""
    insecure_skip_verify: bool | None = None
    ca_crl: str = ""


class PortTrafficPolicy(ApiType, frozen=True):
    """A policy for one port; it replaces the policy of the host."""

    port: PortSelector | None = None
    load_balancer: LoadBalancerSettings | None = None
    connection_pool: ConnectionPoolSettings | None = None
    outlier_detection: OutlierDetection | None = None
    tls: ClientTLSSettings | None = None


class TunnelSettings(ApiType, frozen=True):
    """Tunnel TCP through HTTP CONNECT or POST."""

    target_host: str
    target_port: PortNumber
    protocol: str = ""


class ProxyProtocol(ApiType, frozen=True):
    """Begin connections with a PROXY protocol header."""

    version: Literal["V1", "V2"] = "V1"


class RetryBudget(ApiType, frozen=True):
    """A limit on retries as a share of the requests under way."""

    percent: Annotated[float, Meta(ge=0, le=100)] | None = None
    min_retry_concurrency: Unsigned = 0


class TrafficPolicy(ApiType, frozen=True):
    """What is asked of the traffic to a host or a subset."""

    load_balancer: LoadBalancerSettings | None = None
    connection_pool: ConnectionPoolSettings | None = None
    outlier_detection: OutlierDetection | None = None
    tls: ClientTLSSettings | None = None
    port_level_settings: tuple[PortTrafficPolicy, ...] = ()
    tunnel: TunnelSettings | None = None
    proxy_protocol: ProxyProtocol | None = None
    retry_budget: RetryBudget | None = None


class Subset(ApiType, frozen=True):
    """A named part of the host's endpoints: those with these labels."""

    name: str
    labels: dict[str, str] = {}
    traffic_policy: TrafficPolicy | None = None


class DestinationRuleSpec(ApiType, frozen=True):
    """What is asked of traffic to `host`, and the subsets VirtualServices can name."""

    host: str
    traffic_policy: TrafficPolicy | None = None
    subsets: tuple[Subset, ...] = ()
    export_to: tuple[str, ...] = ()
    workload_selector: WorkloadSelector | None = None
