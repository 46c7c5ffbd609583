"""Jaeger's query API in values: parameters → searches, spans → its JSON. Pure.

Shapes and rules: Jaeger, "APIs", the JSON behind its user interface (`/api/traces`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kaiki.telemetry.traces.span import Span, Tag
from kaiki.telemetry.traces.store import Dependency, TraceQuery

Json = dict[str, Any]
_UNITS_US = {"h": 3_600_000_000.0, "m": 60_000_000.0, "s": 1_000_000.0, "ms": 1000.0, "us": 1.0, "µs": 1.0, "ns": 1e-3}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(h|ms|us|µs|ns|m|s)")
_DEFAULT_LIMIT, _MAXIMUM_LIMIT = 20, 1500
_DEFAULT_LOOKBACK_US = 2 * 24 * 3_600_000_000


class BadParameter(ValueError):
    """A parameter that cannot be read; the text names it."""


def trace_query(parameters: Mapping[str, Sequence[str]], now_us: int) -> TraceQuery:
    """The search that the parameters of `GET /api/traces` describe. Raises BadParameter."""
    service = _first(parameters, "service")
    if not service:
        raise BadParameter("parameter 'service' is required")
    end = _microseconds(parameters, "end", now_us)
    return TraceQuery(
        service=service,
        operation=_operation(parameters),
        start_us=_microseconds(parameters, "start", end - _lookback(parameters)),
        end_us=end,
        minimum_us=_duration(parameters, "minDuration", 0),
        maximum_us=_duration(parameters, "maxDuration", 1 << 62),
        tags=_tags(parameters),
        limit=min(_MAXIMUM_LIMIT, max(1, _integer(parameters, "limit", _DEFAULT_LIMIT))),
    )


def _first(parameters: Mapping[str, Sequence[str]], name: str) -> str:
    return next(iter(parameters.get(name) or ()), "")


def _operation(parameters: Mapping[str, Sequence[str]]) -> str:
    name = _first(parameters, "operation")
    return "" if name == "all" else name


def _integer(parameters: Mapping[str, Sequence[str]], name: str, default: int) -> int:
    text = _first(parameters, name)
    try:
        return int(text) if text else default
    except ValueError as error:
        raise BadParameter(f"parameter '{name}' must be a whole number, not {text!r}") from error


def _microseconds(parameters: Mapping[str, Sequence[str]], name: str, default: int) -> int:
    return _integer(parameters, name, default)


def _lookback(parameters: Mapping[str, Sequence[str]]) -> int:
    text = _first(parameters, "lookback")
    return (
        _DEFAULT_LOOKBACK_US
        if text in ("", "custom")
        else duration_us(text.replace("d", "h"), "lookback") * (24 if text.endswith("d") else 1)
    )


def _duration(parameters: Mapping[str, Sequence[str]], name: str, default: int) -> int:
    text = _first(parameters, name)
    return duration_us(text, name) if text else default


def duration_us(text: str, name: str) -> int:
    """The microseconds of `1.2s`, `100ms` or `1h30m`; raises BadParameter."""
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise BadParameter(f"parameter '{name}' must be a duration such as 1.2s or 100ms, not {text!r}")
    return int(sum(float(number) * _UNITS_US[unit] for number, unit in parts))


def _tags(parameters: Mapping[str, Sequence[str]]) -> tuple[tuple[str, str], ...]:
    """`tag=key:value`, as often as wanted, and `tags={"key":"value"}`."""
    found: list[tuple[str, str]] = []
    for text in parameters.get("tag") or ():
        key, colon, value = text.partition(":")
        if not colon:
            raise BadParameter(f"parameter 'tag' must be key:value, not {text!r}")
        found.append((key, value))
    for text in parameters.get("tags") or ():
        try:
            document = json.loads(text)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise BadParameter(f"parameter 'tags' must be a JSON object of texts, not {text!r}")
        found += [(str(key), value if isinstance(value, str) else json.dumps(value)) for key, value in document.items()]
    return tuple(found)


def answer(data: Any, errors: list[Json] | None = None) -> Json:
    """The envelope of every answer."""
    total = len(data) if isinstance(data, list) else 0
    return {"data": data, "total": total, "limit": 0, "offset": 0, "errors": errors}


def failure(code: int, text: str) -> Json:
    """The answer to what cannot be answered."""
    return answer(None, [{"code": code, "msg": text}])


def trace_json(trace: str, spans: Iterable[Span]) -> Json:
    """One trace. Spans that were reported twice appear once."""
    processes: dict[tuple[str, tuple[Tag, ...]], str] = {}
    rendered: dict[tuple[str, str, str], Json] = {}
    for one in spans:
        key = one.service, one.details.process_tags
        process = processes.setdefault(key, f"p{len(processes) + 1}")
        rendered.setdefault((one.span, one.kind, one.service), _span_json(one, process))
    return {
        "traceID": trace,
        "spans": list(rendered.values()),
        "processes": {
            name: {"serviceName": service, "tags": [_tag_json(one) for one in tags]}
            for (service, tags), name in processes.items()
        },
        "warnings": None,
    }


def _span_json(one: Span, process: str) -> Json:
    parents = [{"refType": "CHILD_OF", "traceID": one.trace, "spanID": one.parent}] if one.parent else []
    links = [{"refType": "FOLLOWS_FROM", "traceID": link.trace, "spanID": link.span} for link in one.details.links]
    return {
        "traceID": one.trace,
        "spanID": one.span,
        "operationName": one.operation,
        "references": parents + links,
        "startTime": one.start_us,
        "duration": one.duration_us,
        "tags": [_tag_json(item) for item in one.details.tags],
        "logs": [
            {"timestamp": event.time_us, "fields": [_tag_json(item) for item in event.fields]}
            for event in one.details.events
        ],
        "processID": process,
        "warnings": None,
    }


def _tag_json(one: Tag) -> Json:
    key, kind, value = one
    return {"key": key, "type": kind, "value": value}


def dependency_json(one: Dependency) -> Json:
    """One edge of `/api/dependencies`."""
    return {"parent": one.parent, "child": one.child, "callCount": one.calls}
