"""OTLP's `ExportTraceServiceRequest` → spans.

Tags that are not attributes in OTLP are added as Jaeger's own collector does: `span.kind`, `otel.status_code`,
`otel.status_description`, `error`, `otel.scope.name`, `w3c.tracestate`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from typing import Any

from kaiki.telemetry.traces.span import Details, Event, Link, Span, Tag, tag

_KINDS = ("", "internal", "server", "client", "producer", "consumer")
_OK, _ERROR = 1, 2
UNKNOWN_SERVICE = "unknown_service"


def spans_of(request: Any) -> Iterator[Span]:
    """The spans of a request, with ids that are none left out."""
    for group in request.resource_spans:
        process = _tags(group.resource.attributes)
        service = next((str(value) for key, _, value in process if key == "service.name"), "") or UNKNOWN_SERVICE
        rest = tuple(one for one in process if one[0] != "service.name")
        for scope in _scopes(group):
            library = getattr(scope, "instrumentation_library", None) or getattr(scope, "scope", None)
            for message in scope.spans:
                if any(message.trace_id) and any(message.span_id):
                    yield _span(message, service, rest, library.name if library else "")


def _scopes(group: Any) -> Any:
    # The field was renamed; its number, and so the bytes, stayed.
    return group.scope_spans if hasattr(group, "scope_spans") else group.instrumentation_library_spans


def _span(message: Any, service: str, process: tuple[Tag, ...], library: str) -> Span:
    kind = _KINDS[message.kind] if 0 <= message.kind < len(_KINDS) else ""
    start = message.start_time_unix_nano // 1000
    return Span(
        trace=message.trace_id.hex(),
        span=message.span_id.hex(),
        parent=message.parent_span_id.hex() if any(message.parent_span_id) else "",
        service=service,
        operation=message.name,
        kind=kind,
        start_us=start,
        duration_us=max(0, message.end_time_unix_nano // 1000 - start),
        details=Details(
            tags=(*_tags(message.attributes), *_added(message, kind, library)),
            process_tags=process,
            events=tuple(_event(one) for one in message.events),
            links=tuple(Link(one.trace_id.hex(), one.span_id.hex()) for one in message.links),
        ),
    )


def _added(message: Any, kind: str, library: str) -> Iterator[Tag]:
    if library:
        yield tag("otel.scope.name", library)
    if kind:
        yield tag("span.kind", kind)
    if message.status.code == _ERROR:
        yield tag("error", True)
    if message.status.code in (_OK, _ERROR):
        yield tag("otel.status_code", "ERROR" if message.status.code == _ERROR else "OK")
    if message.status.message:
        yield tag("otel.status_description", message.status.message)
    if message.trace_state:
        yield tag("w3c.tracestate", message.trace_state)


def _event(message: Any) -> Event:
    name = (tag("event", message.name),) if message.name else ()
    return Event(message.time_unix_nano // 1000, (*name, *_tags(message.attributes)))


def _tags(attributes: Iterable[Any]) -> tuple[Tag, ...]:
    return tuple(_tag(one.key, one.value) for one in attributes)


def _tag(key: str, value: Any) -> Tag:
    if value.WhichOneof("value") == "bytes_value":
        return key, "binary", base64.b64encode(value.bytes_value).decode()
    plain = _plain(value)
    return tag(key, json.dumps(plain, ensure_ascii=False) if isinstance(plain, list | dict) else plain)


def _plain(value: Any) -> Any:
    match value.WhichOneof("value"):
        case "array_value":
            return [_plain(one) for one in value.array_value.values]
        case "kvlist_value":
            return {one.key: _plain(one.value) for one in value.kvlist_value.values}
        case "bytes_value":
            return base64.b64encode(value.bytes_value).decode()
        case None:
            return ""
        case field:
            return getattr(value, field)
