"""The graph's own vocabulary. Field names become camelCase in JSON; this is what the console's API answers."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class GraphType(StrEnum):
    """The zoom: one node per workload, pod, app, version of an app, service or namespace, or for the whole cluster."""

    POD = "pod"
    WORKLOAD = "workload"
    APP = "app"
    VERSIONED_APP = "versionedApp"
    SERVICE = "service"
    NAMESPACE = "namespace"
    CLUSTER = "cluster"


class NodeType(StrEnum):
    """What a node stands for."""

    POD = "pod"
    WORKLOAD = "workload"
    APP = "app"
    SERVICE = "service"
    NAMESPACE = "namespace"
    CLUSTER = "cluster"
    GATEWAY = "gateway"
    UNKNOWN = "unknown"
    PASSTHROUGH = "passthrough"
    BLACKHOLE = "blackhole"


class HealthStatus(StrEnum):
    """From best to worst; `IDLE` has no traffic to judge by and no problem with its replicas."""

    IDLE = "idle"
    HEALTHY = "healthy"
    NOT_READY = "notReady"
    DEGRADED = "degraded"
    FAILURE = "failure"


class GraphOptions(msgspec.Struct, frozen=True):
    """What to draw. `namespaces` empty means all; `services` draws each service between caller and workloads.

    `idle` adds nodes without traffic, `idle_edges` edges whose series stood still during the window.
    """

    graph_type: GraphType = GraphType.WORKLOAD
    namespaces: frozenset[str] = frozenset()
    duration_seconds: int = 60
    timestamp: float = 0
    idle: bool = False
    services: bool = False
    idle_edges: bool = False

    @property
    def by_pod(self) -> bool:
        """Whether the reports of each pod are needed apart."""
        return self.graph_type is GraphType.POD


class Reason(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Why a health status was given: the measured value beside the threshold that it passed.

    `code` is http5xx, http4xx, grpc, noResponse, replicas, or configured (of the codes in `pattern`); `direction` is
    inbound, outbound, edge or workload. Ratios are 0 to 1; for replicas, `value` is what is
    available and `threshold` what is wanted.
    """

    code: str
    direction: str
    status: HealthStatus
    value: float
    threshold: float
    pattern: str = ""


class Health(msgspec.Struct, frozen=True, rename="camel"):
    """The worst status, and every reason for a status other than healthy."""

    status: HealthStatus
    reasons: tuple[Reason, ...] = ()


class Traffic(msgspec.Struct, frozen=True, rename="camel"):
    """What flowed over an edge, or into or out of a node, during the window. None means not measured.

    `response_codes` counts by code, then by Envoy's response flags ("-" for none); for gRPC the code is the gRPC
    status. `mtls_ratio` is the share of requests (of bytes, for TCP) that mutual TLS carried. Bytes are seen from the
    server: received are those of requests, sent those of responses.
    """

    requests_per_second: float = 0
    request_count: float = 0
    error_count: float = 0
    error_ratio: float | None = None
    response_codes: dict[str, dict[str, float]] = {}
    average_milliseconds: float | None = None
    p50_milliseconds: float | None = None
    p90_milliseconds: float | None = None
    p95_milliseconds: float | None = None
    p99_milliseconds: float | None = None
    bytes_sent_per_second: float = 0
    bytes_received_per_second: float = 0
    connections_opened: float = 0
    mtls_ratio: float | None = None


class NodeTraffic(msgspec.Struct, frozen=True, rename="camel"):
    """A node's two directions."""

    inbound: Traffic
    outbound: Traffic


class Node(msgspec.Struct, frozen=True, rename="camel"):
    """One node. `id` is stable: the same thing has the same id at every refresh. Empty strings mean not applicable."""

    id: str
    type: NodeType
    namespace: str = ""
    workload: str = ""
    pod: str = ""
    app: str = ""
    version: str = ""
    service: str = ""
    health: Health = Health(HealthStatus.IDLE)
    badges: tuple[str, ...] = ()
    traffic: NodeTraffic = NodeTraffic(Traffic(), Traffic())


class Edge(Traffic, frozen=True, rename="camel", kw_only=True):
    """Traffic from one node to another in one protocol (http, grpc, tcp).

    `hosts` counts requests by response code, then by the host that was asked for; of TCP, bytes sent under `-`.
    """

    id: str
    source: str
    target: str
    protocol: str
    source_principals: tuple[str, ...] = ()
    destination_principals: tuple[str, ...] = ()
    hosts: dict[str, dict[str, float]] = {}
    health: Health = Health(HealthStatus.HEALTHY)


class TrafficGraph(msgspec.Struct, frozen=True, rename="camel"):
    """Nodes and edges, each sorted by id."""

    timestamp: float
    duration_seconds: int
    graph_type: GraphType
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
