"""Telemetry objects → policies. Depends on one object alone; providers are looked up when a policy is applied."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from kaiki.interpret.expressions import expression_problem
from kaiki.model.finding import Finding, ObjectRef, Severity
from kaiki.model.policy.telemetry import (
    BOTH_SIDES,
    LoggingRule,
    MetricOverride,
    MetricsRule,
    Side,
    TagSource,
    TagValue,
    TelemetryPolicy,
    TracingRule,
)
from kaiki.resources.istio import telemetry as api
from kaiki.resources.istio.common import PolicyTargetReference

METRIC_NAMES: Mapping[str, str] = {
    "REQUEST_COUNT": "istio_requests_total",
    "REQUEST_DURATION": "istio_request_duration_milliseconds",
    "REQUEST_SIZE": "istio_request_bytes",
    "RESPONSE_SIZE": "istio_response_bytes",
    "TCP_OPENED_CONNECTIONS": "istio_tcp_connections_opened_total",
    "TCP_CLOSED_CONNECTIONS": "istio_tcp_connections_closed_total",
    "TCP_SENT_BYTES": "istio_tcp_sent_bytes_total",
    "TCP_RECEIVED_BYTES": "istio_tcp_received_bytes_total",
    "GRPC_REQUEST_MESSAGES": "istio_request_messages_total",
    "GRPC_RESPONSE_MESSAGES": "istio_response_messages_total",
}
PAIRS = (
    ("istio_tcp_sent_bytes_total", "istio_tcp_received_bytes_total"),
    ("istio_request_messages_total", "istio_response_messages_total"),
)
"""Metrics that are reported together: one cannot be off while the other is on."""
_PEER = re.compile(r"(?:upstream|downstream)_peer\.(?P<part>\w+)")
_PEER_PARTS = {
    **{name: name for name in ("workload", "app", "version", "cluster", "canonical_service", "canonical_revision")},
    "namespace": "workload_namespace",
    "service": "canonical_service",
    "revision": "canonical_revision",
}
_LITERAL = re.compile(r"""'(?P<single>[^'\\]*)'|"(?P<double>[^"\\]*)\"""")
_ENDS_FORMAT = re.compile(r"\)(?::\d+)?%")
_LABEL = re.compile(r"[a-zA-Z_]\w*", re.ASCII)
_GATEWAY_GROUP = "gateway.networking.k8s.io"


def telemetry(source: ObjectRef, spec: api.TelemetrySpec, created: str) -> TelemetryPolicy:
    """Translate one spec; what `telemetry_findings` finds is left out."""
    references = [*spec.target_refs, *([spec.target_ref] if spec.target_ref else [])]
    return TelemetryPolicy(
        source=source,
        created=created,
        selector=tuple(sorted(spec.selector.match_labels.items())) if spec.selector else (),
        gateways=tuple(one.name for one in references if _is_gateway(one)) if references else (),
        tracing=tuple(map(_tracing, spec.tracing)),
        metrics=tuple(map(_metrics, spec.metrics)),
        logging=tuple(_logging(one) for one in spec.access_logging if not _expression_problem(one)),
    )


def _is_gateway(reference: PolicyTargetReference) -> bool:
    return (reference.group, reference.kind) == (_GATEWAY_GROUP, "Gateway")


def _sides(mode: str | None) -> tuple[Side, ...]:
    return BOTH_SIDES if mode in (None, "CLIENT_AND_SERVER") else (Side(mode),)


def _names(providers: tuple[api.ProviderRef, ...]) -> tuple[str, ...]:
    return tuple(one.name for one in providers)


def _tracing(one: api.Tracing) -> TracingRule:
    return TracingRule(
        sides=_sides(one.match.mode if one.match else None),
        providers=_names(one.providers),
        sampling_percent=one.random_sampling_percentage,
        disabled=one.disable_span_reporting,
        custom_tags=None if one.custom_tags is None else tuple(custom_tags(one.custom_tags)),
        by_request_id=one.use_request_id_for_trace_sampling,
        istio_tags=one.enable_istio_tags,
    )


def custom_tags(tags: Mapping[str, api.CustomTag]) -> Iterator[TagValue]:
    """The tags of spans, sorted; those that say nothing are left out."""
    for name, tag in sorted(tags.items()):
        if tag.literal is not None:
            yield TagValue(name, TagSource.LITERAL, tag.literal.value)
        elif tag.environment is not None:
            yield TagValue(name, TagSource.ENVIRONMENT, tag.environment.name, tag.environment.default_value)
        elif tag.header is not None:
            yield TagValue(name, TagSource.HEADER, tag.header.name, tag.header.default_value)
        elif tag.formatter is not None:
            yield TagValue(name, TagSource.FORMAT, tag.formatter.value)


def _metrics(one: api.Metrics) -> MetricsRule:
    return MetricsRule(_names(one.providers), tuple(map(_override, one.overrides)))


def _override(one: api.MetricsOverrides) -> MetricOverride:
    return MetricOverride(
        sides=_sides(one.match.mode if one.match else None),
        metrics=_chosen(one.match),
        disabled=one.disabled,
        tags=tuple(
            (name, None if tag.operation == "REMOVE" else tag_value(name, tag.value))
            for name, tag in sorted(one.tag_overrides.items())
            if not _tag_problem(name, tag)
        ),
    )


def _chosen(match: api.MetricSelector | None) -> tuple[str, ...]:
    if match is None:
        return ()
    if match.custom_metric:
        name = match.custom_metric
        return (name if name.startswith("istio_") else f"istio_{name}",)
    return () if match.metric in (None, "ALL_METRICS") else (METRIC_NAMES[match.metric],)


def tag_value(name: str, expression: str) -> TagValue:
    """Where a label's value comes from: a text, a part of the peer's name, or an expression."""
    text = expression.strip()
    if literal := _LITERAL.fullmatch(text):
        return TagValue(name, TagSource.LITERAL, literal["single"] or literal["double"] or "")
    if (peer := _PEER.fullmatch(text)) and peer["part"] in _PEER_PARTS:
        return TagValue(name, TagSource.PEER, _PEER_PARTS[peer["part"]])
    return TagValue(name, TagSource.EXPRESSION, text)


def _logging(one: api.AccessLogging) -> LoggingRule:
    return LoggingRule(
        sides=_sides(one.match.mode if one.match else None),
        providers=_names(one.providers),
        disabled=bool(one.disabled),
        expression=one.filter.expression if one.filter else "",
    )


def _expression_problem(one: api.AccessLogging) -> str:
    return expression_problem(one.filter.expression) if one.filter and one.filter.expression else ""


def _tag_problem(name: str, tag: api.TagOverride) -> str:
    """Why a label cannot be what is asked."""
    if not _LABEL.fullmatch(name):
        return f"{name!r} is no name of a label."
    if tag.operation == "REMOVE":
        return ""
    if not tag.value:
        return "a label that is set needs a value."
    if tag_value(name, tag.value).source is not TagSource.EXPRESSION:
        return ""
    if _ENDS_FORMAT.search(tag.value):
        return "Envoy would read `)%` in the expression as its end."
    cause = expression_problem(tag.value)
    return f"the expression {tag.value!r} is not taken: {cause}." if cause else ""


def telemetry_findings(source: ObjectRef, spec: api.TelemetrySpec) -> Iterator[Finding]:
    """What of one object is not in force, and why."""
    for path, reference in _references(spec):
        if not _is_gateway(reference):
            message = f"{reference.kind} {reference.name} is no Gateway of the Gateway API; only those can be targets."
            hint = "Choose workloads by selector."
            yield Finding("KAI1201", Severity.WARNING, source, path, message, hint)
    for index, logging in enumerate(spec.access_logging):
        if cause := _expression_problem(logging):
            path = f"spec.accessLogging[{index}].filter.expression"
            message = f"the expression {json.dumps(logging.filter.expression if logging.filter else '')} is not taken: "
            yield Finding("KAI1202", Severity.ERROR, source, path, f"{message}{cause}.", "Nothing is logged by it.")
    for index, metrics in enumerate(spec.metrics):
        for number, override in enumerate(metrics.overrides):
            yield from _override_findings(source, override, f"spec.metrics[{index}].overrides[{number}]")


def _references(spec: api.TelemetrySpec) -> Iterator[tuple[str, PolicyTargetReference]]:
    if spec.target_ref is not None:
        yield "spec.targetRef", spec.target_ref
    for index, reference in enumerate(spec.target_refs):
        yield f"spec.targetRefs[{index}]", reference


def _override_findings(source: ObjectRef, override: api.MetricsOverrides, path: str) -> Iterator[Finding]:
    for name, tag in override.tag_overrides.items():
        if cause := _tag_problem(name, tag):
            yield Finding("KAI1203", Severity.ERROR, source, f"{path}.tagOverrides[{name}]", cause)
    chosen = _chosen(override.match)
    known = METRIC_NAMES.values()
    for name in (name for name in chosen if name not in known):
        yield Finding("KAI1204", Severity.WARNING, source, f"{path}.match", f"no metric is called {name}.")
    pair = next((pair for pair in PAIRS for name in chosen if name in pair), None)
    if override.disabled is not None and pair:
        message = f"{pair[0]} and {pair[1]} are reported together: they are off only if both are disabled."
        yield Finding("KAI1205", Severity.INFO, source, f"{path}.disabled", message)
