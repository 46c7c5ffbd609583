"""One span as the store keeps it, whatever protocol it came by.

Ids are lower-case hex, times are microseconds, and attributes are what Jaeger calls tags: (key, type, value) with its
types `string`, `bool`, `int64`, `float64` and `binary`.
"""

from __future__ import annotations

from typing import Any

import msgspec

Tag = tuple[str, str, Any]


class Event(msgspec.Struct, frozen=True, array_like=True):
    """Something that happened within a span."""

    time_us: int
    fields: tuple[Tag, ...] = ()


class Link(msgspec.Struct, frozen=True, array_like=True):
    """Another span this one has to do with, which is not its parent."""

    trace: str
    span: str


class Details(msgspec.Struct, frozen=True, array_like=True):
    """The parts of a span that are shown and not searched by an index."""

    tags: tuple[Tag, ...] = ()
    process_tags: tuple[Tag, ...] = ()
    events: tuple[Event, ...] = ()
    links: tuple[Link, ...] = ()


class Span(msgspec.Struct, frozen=True):
    """One operation of one service. `kind` is `client`, `server`, `producer`, `consumer`, `internal` or empty."""

    trace: str
    span: str
    parent: str
    service: str
    operation: str
    kind: str
    start_us: int
    duration_us: int
    details: Details


def tag(key: str, value: Any) -> Tag:
    """A tag with Jaeger's name for the value's type."""
    if isinstance(value, bool):
        return key, "bool", value
    if isinstance(value, int):
        return key, "int64", value
    if isinstance(value, float):
        return key, "float64", value
    return key, "string", str(value)
