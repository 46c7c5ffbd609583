"""The rows of the page of a proxy's configuration, one struct a part. Absent texts are empty, absent numbers null."""

from __future__ import annotations

import msgspec


class Origin(msgspec.Struct, frozen=True, rename="camel"):
    """An object something was made from. `api_version` is empty where the object has no page of configuration.

    `field` is the part of it; `role` is `made` or, of an EnvoyFilter, `changed`, of a policy, `refuses`.
    """

    kind: str
    namespace: str
    name: str
    api_version: str = ""
    field: str = ""
    role: str = "made"


class Condition(msgspec.Struct, frozen=True, rename="camel"):
    """`kind` is port, address, serverName, transport, protocol, source, prefix, path, regex, header, query or grpc."""

    kind: str
    value: str


class Target(msgspec.Struct, frozen=True, rename="camel"):
    """A cluster and its share of the requests."""

    cluster: str
    percent: float = 100.0


class Tls(msgspec.Struct, frozen=True, rename="camel"):
    """`mode` is none, automatic (mutual TLS where the endpoint has a sidecar), mutual or simple."""

    mode: str
    server_name: str = ""
    certificates: tuple[str, ...] = ()
    roots: str = ""
    names: tuple[str, ...] = ()


class ChainRow(msgspec.Struct, frozen=True, rename="camel"):
    """One filter chain: what it takes, what it asks of TLS, and where it leads: `routes`, `cluster` or `nothing`."""

    name: str
    matches: tuple[Condition, ...]
    tls: Tls
    filters: tuple[str, ...]
    leads: str
    targets: tuple[Target, ...]
    table: str
    origins: tuple[Origin, ...]


class ListenerRow(msgspec.Struct, frozen=True, rename="camel"):
    """`direction` is inbound, outbound or empty. `origins` are the first of `origin_count`."""

    name: str
    address: str
    port: int
    direction: str
    chains: tuple[ChainRow, ...]
    filters: tuple[str, ...]
    origins: tuple[Origin, ...]
    origin_count: int
    state: str


class Retries(msgspec.Struct, frozen=True, rename="camel"):
    """How often at most, on which conditions, and how long one try may take (null: as long as all)."""

    count: int
    conditions: str
    try_seconds: float | None


class RouteRow(msgspec.Struct, frozen=True, rename="camel"):
    """One route of one virtual host. `does` is forward, redirect, answer or other; `says` the location or status."""

    table: str
    virtual_host: str
    domains: tuple[str, ...]
    name: str
    position: int
    matches: tuple[Condition, ...]
    does: str
    says: str
    targets: tuple[Target, ...]
    mirrors: tuple[Target, ...]
    timeout_seconds: float | None
    retries: Retries | None
    features: tuple[str, ...]
    origins: tuple[Origin, ...]
    origin_count: int
    state: str


class Limits(msgspec.Struct, frozen=True, rename="camel"):
    """Circuit breakers; null is without a limit."""

    connections: int | None
    pending_requests: int | None
    requests: int | None
    retries: int | None


class Ejection(msgspec.Struct, frozen=True, rename="camel"):
    """Outlier detection: after how many errors in a row, for how long at first, and how many of the endpoints."""

    errors: int
    interval_seconds: float
    base_seconds: float
    most_percent: int


class ClusterRow(msgspec.Struct, frozen=True, rename="camel"):
    """`type` is EDS, STATIC, ORIGINAL_DST, or the name of Envoy's extension; null endpoints are known to Envoy only."""

    name: str
    direction: str
    host: str
    port: int
    subset: str
    type: str
    balancing: str
    connect_seconds: float
    tls: Tls
    limits: Limits
    ejection: Ejection | None
    endpoints: int | None
    healthy_endpoints: int | None
    origins: tuple[Origin, ...]
    origin_count: int
    state: str


class EndpointRow(msgspec.Struct, frozen=True, rename="camel"):
    """One address of one cluster; `mutual_tls` says that it has a sidecar."""

    cluster: str
    address: str
    health: str
    weight: int
    priority: int
    locality: str
    mutual_tls: bool
    origins: tuple[Origin, ...]
    origin_count: int
    state: str


class SecretRow(msgspec.Struct, frozen=True, rename="camel"):
    """One certificate of one secret; `kind` is certificate, roots or other. Times are RFC 3339."""

    name: str
    kind: str
    names: tuple[str, ...]
    subject: str
    issuer: str
    serial: str
    valid_from: str
    valid_to: str
    days_left: float | None
    rotates: str
    origins: tuple[Origin, ...]
    origin_count: int
    state: str


Row = ListenerRow | RouteRow | ClusterRow | EndpointRow | SecretRow


class PartCounts(msgspec.Struct, frozen=True, rename="camel"):
    """How many rows each part has."""

    listeners: int
    routes: int
    clusters: int
    endpoints: int
    secrets: int


class RefusedResource(msgspec.Struct, frozen=True, rename="camel"):
    """What the proxy refused, by Envoy's own words."""

    type: str
    name: str
    reason: str


class ProxyConfiguration(msgspec.Struct, frozen=True, rename="camel"):
    """One page of one part: `total` rows fit the search, the asked of which are in the list of that part's name."""

    namespace: str
    pod: str
    workload: str
    kind: str
    version: str
    replica: str
    generation: int
    synced: bool
    rejected: tuple[RefusedResource, ...]
    counts: PartCounts
    part: str
    total: int
    offset: int
    listeners: tuple[ListenerRow, ...] = ()
    routes: tuple[RouteRow, ...] = ()
    clusters: tuple[ClusterRow, ...] = ()
    endpoints: tuple[EndpointRow, ...] = ()
    secrets: tuple[SecretRow, ...] = ()
