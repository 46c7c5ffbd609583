"""WorkloadGroup: what workloads that are no pods have in common, and how they are registered (Istio's reference)."""

from __future__ import annotations

from kaiki.resources.istio.common import ApiType, PortNumber, Unsigned
from kaiki.resources.istio.service_entry import WorkloadEntry


class GroupMetadata(ApiType, frozen=True):
    """Labels and annotations of the entries that are made from a group."""

    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class HTTPHeader(ApiType, frozen=True):
    """A header of a probe's request."""

    name: str = ""
    value: str = ""


class HTTPHealthCheck(ApiType, frozen=True):
    """A GET that must be answered by a status from 200 to 399."""

    port: PortNumber
    path: str = ""
    host: str = ""
    scheme: str = ""
    http_headers: tuple[HTTPHeader, ...] = ()


class TCPHealthCheck(ApiType, frozen=True):
    """A port that must accept connections."""

    port: PortNumber
    host: str = ""


class ExecHealthCheck(ApiType, frozen=True):
    """A command that must end with 0."""

    command: tuple[str, ...]


class GRPCHealthCheck(ApiType, frozen=True):
    """A gRPC health service that must say SERVING."""

    port: PortNumber = 0
    service: str = ""


class ReadinessProbe(ApiType, frozen=True):
    """How it is found out whether a workload of the group can take requests."""

    ONE_OF = (("httpGet", "tcpSocket", "exec", "grpc"),)

    initial_delay_seconds: Unsigned = 0
    timeout_seconds: Unsigned = 0
    period_seconds: Unsigned = 0
    success_threshold: Unsigned = 0
    failure_threshold: Unsigned = 0
    http_get: HTTPHealthCheck | None = None
    tcp_socket: TCPHealthCheck | None = None
    exec: ExecHealthCheck | None = None
    grpc: GRPCHealthCheck | None = None


class WorkloadGroupSpec(ApiType, frozen=True):
    """What the WorkloadEntries of a group have in common; `kaiki run --group` registers one while it runs."""

    template: WorkloadEntry
    metadata: GroupMetadata | None = None
    probe: ReadinessProbe | None = None
