"""Telemetry: what proxies report of their traffic (Istio, "Telemetry" reference, `telemetry.istio.io`)."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from kaiki.resources.istio.common import ApiType, Duration, PolicyTargetReference, WorkloadSelector

Mode = Literal["CLIENT_AND_SERVER", "CLIENT", "SERVER"]
Metric = Literal[
    "ALL_METRICS",
    "REQUEST_COUNT",
    "REQUEST_DURATION",
    "REQUEST_SIZE",
    "RESPONSE_SIZE",
    "TCP_OPENED_CONNECTIONS",
    "TCP_CLOSED_CONNECTIONS",
    "TCP_SENT_BYTES",
    "TCP_RECEIVED_BYTES",
    "GRPC_REQUEST_MESSAGES",
    "GRPC_RESPONSE_MESSAGES",
]


class ProviderRef(ApiType, frozen=True):
    """A provider, by its name in the mesh config."""

    name: Annotated[str, Meta(min_length=1)]


class ModeSelector(ApiType, frozen=True):
    """Which side of a request: the client's proxy, the server's, or both."""

    mode: Mode = "CLIENT_AND_SERVER"


class LiteralTag(ApiType, frozen=True):
    """A fixed text."""

    value: Annotated[str, Meta(min_length=1)]


class EnvironmentTag(ApiType, frozen=True):
    """An environment variable of the proxy."""

    name: Annotated[str, Meta(min_length=1)]
    default_value: str = ""


class HeaderTag(ApiType, frozen=True):
    """A header of the request."""

    name: Annotated[str, Meta(min_length=1)]
    default_value: str = ""


class FormatterTag(ApiType, frozen=True):
    """A format string in the words of Envoy's access log."""

    value: Annotated[str, Meta(min_length=1)]


class CustomTag(ApiType, frozen=True):
    """Where the value of a span's tag comes from."""

    ONE_OF = (("literal", "environment", "header", "formatter"),)

    literal: LiteralTag | None = None
    environment: EnvironmentTag | None = None
    header: HeaderTag | None = None
    formatter: FormatterTag | None = None


class Tracing(ApiType, frozen=True):
    """How requests are traced."""

    match: ModeSelector | None = None
    providers: tuple[ProviderRef, ...] = ()
    random_sampling_percentage: Annotated[float, Meta(ge=0, le=100)] | None = None
    disable_span_reporting: bool | None = None
    custom_tags: dict[str, CustomTag] | None = None
    use_request_id_for_trace_sampling: bool | None = None
    enable_istio_tags: bool | None = None


class MetricSelector(ApiType, frozen=True):
    """A metric, and the side that reports it."""

    ONE_OF = (("metric", "customMetric"),)

    metric: Metric | None = None
    custom_metric: str | None = None
    mode: Mode = "CLIENT_AND_SERVER"


class TagOverride(ApiType, frozen=True):
    """A label removed, or set to what an expression gives."""

    operation: Literal["UPSERT", "REMOVE"] = "UPSERT"
    value: str = ""


class MetricsOverrides(ApiType, frozen=True):
    """Changes of some metrics."""

    match: MetricSelector | None = None
    disabled: bool | None = None
    tag_overrides: dict[str, TagOverride] = {}


class Metrics(ApiType, frozen=True):
    """Which metrics are reported to whom, and how they differ from Istio's standard."""

    NOT_IN_FORCE = {"reportingInterval": "Leave it out: metrics are what a scrape finds."}

    providers: tuple[ProviderRef, ...] = ()
    overrides: tuple[MetricsOverrides, ...] = ()
    reporting_interval: Duration | None = None


class Filter(ApiType, frozen=True):
    """Which requests are logged: a CEL expression over request, response, connection and their like."""

    expression: str = ""


class AccessLogging(ApiType, frozen=True):
    """Who is told of requests, line by line."""

    match: ModeSelector | None = None
    providers: tuple[ProviderRef, ...] = ()
    disabled: bool | None = None
    filter: Filter | None = None


class TelemetrySpec(ApiType, frozen=True):
    """What proxies report: metrics, spans and access logs, for the mesh, a namespace or some workloads."""

    ONE_OF = (("selector", "targetRef", "targetRefs"),)

    selector: WorkloadSelector | None = None
    target_ref: PolicyTargetReference | None = None
    target_refs: tuple[PolicyTargetReference, ...] = ()
    tracing: tuple[Tracing, ...] = ()
    metrics: tuple[Metrics, ...] = ()
    access_logging: tuple[AccessLogging, ...] = ()
