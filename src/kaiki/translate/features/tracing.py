"""Distributed traces: Envoy's own tracers, with the tags Istio's have.

    OpenTelemetry   OTLP over gRPC or HTTP; W3C's headers        Zipkin   JSON over HTTP; b3 headers, W3C's if wished

A proxy does not know which call of its application belongs to which request: applications pass the headers on.

Listeners stay the same bytes for many proxies: a span's service and Istio's tags come from the proxy's environment
(`OTEL_RESOURCE_ATTRIBUTES`, `KAIKI_…`). Whether a request is sampled is decided where it enters, from the UUID in its
`x-request-id`, and told onward. Without that, by wish, Envoy alone would sample everything: then the trace's id decides
(OpenTelemetry). Rules: Istio, "Distributed Tracing".
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from envoy.config.core.v3 import base_pb2, http_uri_pb2
from envoy.config.trace.v3 import http_tracer_pb2, opentelemetry_pb2, zipkin_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as http
from envoy.type.tracing.v3 import custom_tag_pb2
from envoy.type.v3 import percent_pb2

from kaiki.model.identity import UNKNOWN
from kaiki.model.policy.telemetry import TagSource, TagValue, Tracer, TracerKind
from kaiki.translate.encode import duration, pack, pack_empty
from kaiki.translate.features.metric_labels import METADATA_NAMESPACE
from kaiki.translate.features.telemetry import ENVIRONMENT_NAMES
from kaiki.translate.telemetry_plan import TracingPlan

_DETECTOR = "envoy.tracers.opentelemetry.resource_detectors.environment"
_SAMPLER = "envoy.tracers.opentelemetry.samplers.trace_id_ratio_based"
_DETECTOR_TYPE = "envoy.extensions.tracers.opentelemetry.resource_detectors.v3.EnvironmentResourceDetectorConfig"
_OPERATIONS = (
    {"command": "CLUSTER_METADATA", "param": f"{METADATA_NAMESPACE}:destination_service"},
    {"command": "REQ", "param": ":AUTHORITY"},
)
_OPERATION = f"%COALESCE({json.dumps({'operators': _OPERATIONS}, separators=(',', ':'))})%"
"""A span is called by the service it is for; one that is for none, by the host that was asked for."""
_ISTIO_TAGS = (
    ("istio.canonical_service", "canonical_service"),
    ("istio.canonical_revision", "canonical_revision"),
    ("istio.namespace", "workload_namespace"),
    ("istio.cluster_id", "cluster"),
)


def set_tracing(manager: http.HttpConnectionManager, plan: TracingPlan, cluster: str) -> None:
    """Trace the requests of a connection manager; `cluster` is where spans go."""
    tracing = manager.tracing
    tracing.provider.CopyFrom(_provider(plan, cluster))
    tracing.random_sampling.value = plan.sampling_percent
    tracing.client_sampling.value = tracing.overall_sampling.value = 100
    tracing.max_path_tag_length.value = plan.path_length
    tracing.operation = _OPERATION
    tracing.custom_tags.extend(_tags(plan))
    if not plan.by_request_id:
        manager.request_id_extension.typed_config.CopyFrom(_request_ids())


def _request_ids() -> object:
    from envoy.extensions.request_id.uuid.v3 import uuid_pb2

    config = uuid_pb2.UuidRequestIdConfig()
    config.pack_trace_reason.value = False
    config.use_request_id_for_trace_sampling.value = False
    return pack(config)


def _provider(plan: TracingPlan, cluster: str) -> http_tracer_pb2.Tracing.Http:
    tracer = plan.tracer
    if tracer.kind is TracerKind.ZIPKIN:
        return _zipkin(tracer, cluster)
    config = opentelemetry_pb2.OpenTelemetryConfig()
    config.resource_detectors.add(name=_DETECTOR).typed_config.CopyFrom(pack_empty(_DETECTOR_TYPE))
    if not plan.by_request_id:
        config.sampler.name = _SAMPLER
        config.sampler.typed_config.CopyFrom(_sampler(plan.sampling_percent))
    if tracer.path:
        config.http_service.http_uri.CopyFrom(_uri(tracer, cluster))
        for name, value in tracer.headers:
            header = base_pb2.HeaderValue(key=name, value=value)
            config.http_service.request_headers_to_add.add(header=header)
    else:
        config.grpc_service.envoy_grpc.cluster_name = cluster
        config.grpc_service.envoy_grpc.authority = tracer.service
        config.grpc_service.timeout.CopyFrom(duration(tracer.timeout_seconds))
    return http_tracer_pb2.Tracing.Http(name="envoy.tracers.opentelemetry", typed_config=pack(config))


def _sampler(percent: float) -> object:
    from envoy.extensions.tracers.opentelemetry.samplers.v3 import trace_id_ratio_based_sampler_pb2

    config = trace_id_ratio_based_sampler_pb2.TraceIdRatioBasedSamplerConfig()
    config.sampling_percentage.numerator = round(percent * 10_000)
    config.sampling_percentage.denominator = percent_pb2.FractionalPercent.MILLION
    return pack(config)


def _uri(tracer: Tracer, cluster: str) -> http_uri_pb2.HttpUri:
    uri = http_uri_pb2.HttpUri(uri=f"http://{tracer.service}:{tracer.port}{tracer.path}", cluster=cluster)
    uri.timeout.CopyFrom(duration(tracer.timeout_seconds))
    return uri


def _zipkin(tracer: Tracer, cluster: str) -> http_tracer_pb2.Tracing.Http:
    config = zipkin_pb2.ZipkinConfig(
        collector_cluster=cluster,
        collector_endpoint=tracer.path,
        collector_hostname=f"{tracer.service}:{tracer.port}",
        collector_endpoint_version=zipkin_pb2.ZipkinConfig.HTTP_JSON,
        trace_id_128bit=not tracer.short_trace_ids,
    )
    config.shared_span_context.value = False
    if tracer.w3c:
        config.trace_context_option = zipkin_pb2.ZipkinConfig.USE_B3_WITH_W3C_PROPAGATION
    return http_tracer_pb2.Tracing.Http(name="envoy.tracers.zipkin", typed_config=pack(config))


def _tags(plan: TracingPlan) -> Iterable[custom_tag_pb2.CustomTag]:
    found: dict[str, custom_tag_pb2.CustomTag] = {}
    if plan.istio_tags:
        for name, field in _ISTIO_TAGS:
            found[name] = _environment(name, ENVIRONMENT_NAMES[field], UNKNOWN)
        found["istio.mesh_id"] = _literal("istio.mesh_id", plan.mesh_id)
    found |= {tag.name: _tag(tag) for tag in plan.custom_tags}
    return (found[name] for name in sorted(found))


def _tag(tag: TagValue) -> custom_tag_pb2.CustomTag:
    if tag.source is TagSource.ENVIRONMENT:
        return _environment(tag.name, tag.value, tag.default)
    if tag.source is TagSource.HEADER:
        found = custom_tag_pb2.CustomTag(tag=tag.name)
        found.request_header.name, found.request_header.default_value = tag.value, tag.default
        return found
    if tag.source is TagSource.FORMAT:
        return custom_tag_pb2.CustomTag(tag=tag.name, value=tag.value)
    return _literal(tag.name, tag.value)


def _literal(name: str, value: str) -> custom_tag_pb2.CustomTag:
    found = custom_tag_pb2.CustomTag(tag=name)
    found.literal.value = value
    return found


def _environment(name: str, variable: str, default: str) -> custom_tag_pb2.CustomTag:
    found = custom_tag_pb2.CustomTag(tag=name)
    found.environment.name, found.environment.default_value = variable, default
    return found
