"""What proxies report: providers of the mesh config, and the Telemetry objects that choose among them and adjust."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from enum import StrEnum

from kaiki.model.finding import ObjectRef

DEFAULT_SAMPLING_PERCENT = 1.0
DEFAULT_PATH_LENGTH = 256


class Side(StrEnum):
    """Which end of a request a proxy stands at. A gateway is the client of what it routes to."""

    CLIENT = "CLIENT"
    SERVER = "SERVER"


BOTH_SIDES = (Side.CLIENT, Side.SERVER)


class TagSource(StrEnum):
    """Where a tag's value comes from."""

    LITERAL = "literal"
    ENVIRONMENT = "environment"
    HEADER = "header"
    FORMAT = "format"
    """Envoy's access log format."""
    EXPRESSION = "expression"
    """CEL over Envoy's attributes."""
    PEER = "peer"
    """A part of the other side's name (`workload`, `app`, …)."""


@dataclass(frozen=True, slots=True, order=True)
class TagValue:
    """A tag or label, and where its value comes from; `default` where that gives nothing."""

    name: str
    source: TagSource
    value: str
    default: str = ""


class TracerKind(StrEnum):
    """What a tracing backend understands. OTLP goes over gRPC unless there is an HTTP path."""

    OPENTELEMETRY = "opentelemetry"
    ZIPKIN = "zipkin"


@dataclass(frozen=True, slots=True)
class Tracer:
    """A tracing provider. `service` is a host of the registry; `headers` go with OTLP over HTTP."""

    name: str
    kind: TracerKind
    service: str
    port: int
    path: str = ""
    timeout_seconds: float = 10.0
    headers: tuple[tuple[str, str], ...] = ()
    path_length: int = DEFAULT_PATH_LENGTH
    short_trace_ids: bool = False
    w3c: bool = False
    """Zipkin: read and write W3C's headers beside b3."""


class LogKind(StrEnum):
    """Who takes access logs."""

    FILE = "file"
    HTTP_GRPC = "http_grpc"
    TCP_GRPC = "tcp_grpc"
    OPENTELEMETRY = "opentelemetry"

    @property
    def is_remote(self) -> bool:
        return self is not LogKind.FILE


@dataclass(frozen=True, slots=True)
class LogProvider:
    """An access log provider: a file, or a service that takes entries over gRPC.

    `text` is the line, `fields` are names and formats (JSON's members, or OTLP's attributes); neither: Istio's line.
    """

    name: str
    kind: LogKind
    path: str = ""
    text: str = ""
    fields: tuple[tuple[str, str], ...] = ()
    json: bool = False
    service: str = ""
    port: int = 0
    log_name: str = ""
    filter_state: tuple[str, ...] = ()
    request_headers: tuple[str, ...] = ()
    response_headers: tuple[str, ...] = ()
    response_trailers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TracingDefaults:
    """`tracing` of a ProxyConfig: of the mesh, or of one pod by annotation. None: not said there."""

    sampling_percent: float | None = None
    custom_tags: tuple[TagValue, ...] | None = None
    path_length: int | None = None


@dataclass(frozen=True, slots=True)
class TelemetrySettings:
    """What the mesh config says of telemetry.

    `default_…` are the names of the providers of whom no Telemetry object speaks. `standard_log` is the provider of the
    mesh-wide access log file, if that is on.
    """

    tracers: tuple[Tracer, ...] = ()
    logs: tuple[LogProvider, ...] = ()
    default_tracers: tuple[str, ...] = ()
    default_logs: tuple[str, ...] = ()
    default_metrics: tuple[str, ...] = ("prometheus",)
    tracing: TracingDefaults = TracingDefaults()
    tracing_enabled: bool = True
    mesh_id: str = "cluster.local"


NO_TELEMETRY = TelemetrySettings()


@dataclass(frozen=True, slots=True)
class TracingRule:
    """One element of `tracing`. None: inherited."""

    sides: tuple[Side, ...] = BOTH_SIDES
    providers: tuple[str, ...] = ()
    sampling_percent: float | None = None
    disabled: bool | None = None
    custom_tags: tuple[TagValue, ...] | None = None
    by_request_id: bool | None = None
    istio_tags: bool | None = None


@dataclass(frozen=True, slots=True)
class MetricOverride:
    """A change of some metrics (by their names in Prometheus; none: all). A tag without a value is removed."""

    sides: tuple[Side, ...]
    metrics: tuple[str, ...]
    disabled: bool | None
    tags: tuple[tuple[str, TagValue | None], ...]


@dataclass(frozen=True, slots=True)
class MetricsRule:
    """One element of `metrics`."""

    providers: tuple[str, ...]
    overrides: tuple[MetricOverride, ...]


@dataclass(frozen=True, slots=True)
class LoggingRule:
    """One element of `accessLogging`. `expression` (CEL) chooses requests; empty: all."""

    sides: tuple[Side, ...] = BOTH_SIDES
    providers: tuple[str, ...] = ()
    disabled: bool = False
    expression: str = ""


@dataclass(frozen=True, slots=True)
class TelemetryPolicy:
    """One Telemetry object. `gateways` are those of the Gateway API it is attached to."""

    source: ObjectRef
    created: str
    selector: tuple[tuple[str, str], ...] = ()
    gateways: tuple[str, ...] = ()
    tracing: tuple[TracingRule, ...] = ()
    metrics: tuple[MetricsRule, ...] = ()
    logging: tuple[LoggingRule, ...] = ()

    @property
    def is_general(self) -> bool:
        """Whether it is for a whole namespace, or the mesh."""
        return not self.selector and not self.gateways


def service_host(service: str, hosts: Container[str]) -> str:
    """The host of the registry that a provider's service means (`jaeger.tracing` → its full name); empty: none."""
    wanted = (service, f"{service}.svc.cluster.local", f"{service}.cluster.local")
    return next((name for name in wanted if name in hosts), "")
