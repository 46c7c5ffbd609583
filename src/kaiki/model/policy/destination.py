"""What a DestinationRule asks of traffic to one host: balancing, pools, outliers, TLS, and the subsets it names."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from kaiki.model.finding import ObjectRef


class Balancing(StrEnum):
    """How one endpoint is picked. `PASSTHROUGH` goes where the application meant to go."""

    LEAST_REQUEST = "LEAST_REQUEST"
    ROUND_ROBIN = "ROUND_ROBIN"
    RANDOM = "RANDOM"
    PASSTHROUGH = "PASSTHROUGH"


class HashKind(StrEnum):
    """Which part of a request consistent hashing looks at."""

    HEADER = "header"
    COOKIE = "cookie"
    SOURCE_ADDRESS = "source address"
    QUERY_PARAMETER = "query parameter"


@dataclass(frozen=True, slots=True)
class ConsistentHash:
    """Soft session affinity. `cookie_ttl_seconds` None means that only a cookie the client already has is used."""

    kind: HashKind
    name: str = ""
    cookie_path: str = ""
    cookie_ttl_seconds: float | None = None
    maglev: bool = False
    table_size: int = 0
    minimum_ring_size: int = 1024
    cookie_attributes: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class LocalityBalancing:
    """Which localities (`region/zone/subzone`) get what.

    - `distribute`: (from, ((to, weight), …)): shares, by patterns such as `eu/*`;
    - `failover`: (from region, to region): who stands in first when a region is unhealthy;
    - `failover_priority`: labels (`key` or `key=value`); the more of them in a row an endpoint shares, the nearer.

    Without any of these, what is nearest comes first.
    """

    enabled: bool = True
    distribute: tuple[tuple[str, tuple[tuple[str, int], ...]], ...] = ()
    failover: tuple[tuple[str, str], ...] = ()
    failover_priority: tuple[str, ...] = ()


NEAREST_FIRST = LocalityBalancing()


@dataclass(frozen=True, slots=True)
class LoadBalancer:
    """`hash` wins over `balancing`. `locality` None: what the mesh says, which by default is the nearest first."""

    balancing: Balancing = Balancing.LEAST_REQUEST
    hash: ConsistentHash | None = None
    warmup_seconds: float = 0
    warmup_minimum_percent: float | None = None
    warmup_aggression: float | None = None
    locality: LocalityBalancing | None = None


@dataclass(frozen=True, slots=True)
class Keepalive:
    """TCP keep-alive; zero leaves the system's own value."""

    probes: int = 0
    time_seconds: float = 0
    interval_seconds: float = 0


@dataclass(frozen=True, slots=True)
class ConnectionPool:
    """Limits on connections and requests; None means "as many as there are" or Envoy's default."""

    max_connections: int | None = None
    connect_timeout_seconds: float | None = None
    max_connection_duration_seconds: float | None = None
    tcp_idle_timeout_seconds: float | None = None
    keepalive: Keepalive | None = None
    max_pending_requests: int | None = None
    max_requests: int | None = None
    max_requests_per_connection: int | None = None
    max_retries: int | None = None
    http_idle_timeout_seconds: float | None = None
    max_concurrent_streams: int | None = None
    upgrade_to_http2: bool | None = None
    keep_client_protocol: bool = False


@dataclass(frozen=True, slots=True)
class OutlierDetection:
    """When an endpoint that fails is left out for a while."""

    consecutive_5xx: int | None = None
    consecutive_gateway_errors: int | None = None
    consecutive_local_origin_failures: int | None = None
    split_local_origin_errors: bool = False
    interval_seconds: float | None = None
    base_ejection_seconds: float | None = None
    max_ejection_percent: int | None = None
    min_health_percent: int = 0


class TlsMode(StrEnum):
    """How connections to the host are secured. `AUTO`: mesh mTLS where the endpoint can, plaintext elsewhere."""

    AUTO = "AUTO"
    DISABLE = "DISABLE"
    SIMPLE = "SIMPLE"
    MUTUAL = "MUTUAL"
    ISTIO_MUTUAL = "ISTIO_MUTUAL"


@dataclass(frozen=True, slots=True)
class ClientTls:
    """TLS origination. Certificates are paths in the proxy's file system, or come from the Secret `credential`.

    `roots_pem` are the roots themselves (BackendTLSPolicy). `for_selected` is of rules that select their callers: their
    Secrets are for sidecars, too.
    """

    mode: TlsMode = TlsMode.AUTO
    sni: str = ""
    subject_alternative_names: tuple[str, ...] = ()
    client_certificate: str = ""
    private_key: str = ""
    ca_certificates: str = ""
    insecure_skip_verify: bool = False
    roots_pem: bytes = b""
    credential: str = ""
    revocation_list: str = ""
    for_selected: bool = False

    @property
    def is_of_mesh(self) -> bool:
        """Whether certificates are the mesh's own, or there are none."""
        return self.mode in (TlsMode.AUTO, TlsMode.DISABLE, TlsMode.ISTIO_MUTUAL)

    @property
    def needs_pair(self) -> bool:
        """Whether the host is shown a certificate that is not the mesh's."""
        return self.mode is TlsMode.MUTUAL


@dataclass(frozen=True, slots=True)
class Tunnel:
    """Carry connections of plain bytes to `host:port` within HTTP: CONNECT, or POST."""

    host: str
    port: int
    use_post: bool = False


@dataclass(frozen=True, slots=True)
class RetryBudget:
    """Retries under way may be this share of the requests under way, but always at least the minimum."""

    percent: float = 20.0
    min_concurrency: int = 3


@dataclass(frozen=True, slots=True, weakref_slot=True)
class TrafficPolicy:
    """One level of policy. A field that is None is inherited from the level above."""

    load_balancer: LoadBalancer | None = None
    connection_pool: ConnectionPool | None = None
    outlier_detection: OutlierDetection | None = None
    tls: ClientTls | None = None
    proxy_protocol: int | None = None
    retry_budget: RetryBudget | None = None
    tunnel: Tunnel | None = None
    ports: tuple[tuple[int, TrafficPolicy], ...] = ()


@dataclass(frozen=True, slots=True)
class Subset:
    """A named part of a service's endpoints: those whose labels include all of `labels`."""

    name: str
    labels: tuple[tuple[str, str], ...]
    policy: TrafficPolicy = field(default=TrafficPolicy())


@dataclass(frozen=True, slots=True)
class DestinationPolicy:
    """One DestinationRule, its host resolved to a full name (or `*.domain`). `export_to` holds namespaces or `*`."""

    source: ObjectRef
    host: str
    policy: TrafficPolicy = field(default=TrafficPolicy())
    subsets: tuple[Subset, ...] = ()
    export_to: tuple[str, ...] = ("*",)
    workload_selector: tuple[tuple[str, str], ...] = ()
    created: str = ""

    def subset(self, name: str) -> Subset | None:
        """The subset of this name, or None."""
        return next((subset for subset in self.subsets if subset.name == name), None)
