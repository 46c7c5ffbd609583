"""Zipkin's JSON (v2: `POST /api/v2/spans`) → spans. Of a span both of its ends may report, under one id."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from kaiki.telemetry.traces.otlp import UNKNOWN_SERVICE
from kaiki.telemetry.traces.span import Details, Event, Span, Tag, tag


class Endpoint(msgspec.Struct, frozen=True, rename="camel"):
    """Where a span was recorded, or who was at its other end."""

    service_name: str = ""
    ipv4: str = ""
    ipv6: str = ""
    port: int = 0


class Annotation(msgspec.Struct, frozen=True):
    """Something that happened, in microseconds since 1970."""

    timestamp: int
    value: str


class ZipkinSpan(msgspec.Struct, frozen=True, rename="camel"):
    """A span as Zipkin writes it; times are microseconds."""

    trace_id: str
    id: str
    parent_id: str | None = None
    name: str | None = None
    kind: str | None = None
    timestamp: int | None = None
    duration: int | None = None
    local_endpoint: Endpoint | None = None
    remote_endpoint: Endpoint | None = None
    annotations: tuple[Annotation, ...] | None = None
    tags: dict[str, str] | None = None
    shared: bool | None = None


_DECODER = msgspec.json.Decoder(list[ZipkinSpan])


def spans_of(body: bytes) -> Iterator[Span]:
    """The spans of a request's body; raises msgspec.DecodeError or ValidationError where it is none."""
    for one in _DECODER.decode(body):
        yield _span(one)


def _span(one: ZipkinSpan) -> Span:
    kind = (one.kind or "").lower()
    local = one.local_endpoint or Endpoint()
    return Span(
        trace=one.trace_id.lower().rjust(32, "0"),
        span=one.id.lower().rjust(16, "0"),
        parent=one.parent_id.lower().rjust(16, "0") if one.parent_id else "",
        service=local.service_name or UNKNOWN_SERVICE,
        operation=one.name or "",
        kind=kind,
        start_us=one.timestamp or 0,
        duration_us=one.duration or 0,
        details=Details(
            tags=tuple(_tags(one, kind)),
            process_tags=(tag("ip", local.ipv4 or local.ipv6),) if local.ipv4 or local.ipv6 else (),
            events=tuple(Event(item.timestamp, (tag("event", item.value),)) for item in one.annotations or ()),
        ),
    )


def _tags(one: ZipkinSpan, kind: str) -> Iterator[Tag]:
    for key, value in (one.tags or {}).items():
        # Zipkin's tag is a text that says what went wrong; its presence is the failure.
        yield tag("error", True) if key == "error" and value != "false" else tag(key, value)
    if kind:
        yield tag("span.kind", kind)
    if one.remote_endpoint is not None:
        yield from _peer(one.remote_endpoint)


def _peer(remote: Endpoint) -> Iterator[Tag]:
    found: tuple[tuple[str, Any], ...] = (
        ("peer.service", remote.service_name),
        ("peer.ipv4", remote.ipv4),
        ("peer.ipv6", remote.ipv6),
        ("peer.port", remote.port),
    )
    yield from (tag(key, value) for key, value in found if value)
