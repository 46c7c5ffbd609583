"""Envoy's access log read back: the default text and JSON formats and those of the mesh config.

A line of a known format is told apart from whatever else a proxy writes. It has fields strangers choose (path, user
agent, authority), so it is read with RE2, in linear time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

import re2

LONGEST_LINE = 16 * 1024
_QUOTED = '"(?P<{}>.*?)"'
_WORD = r"(?P<{}>\S+)"
_TEXT = (
    r"^\[(?P<start_time>[^\]]+)\] "
    + _QUOTED.format("request")
    + r" (?P<response_code>\d+) "
    + " ".join(_WORD.format(name) for name in ("response_flags", "response_code_details"))
    + " (?P<connection_termination_details>.*?) "
    + _QUOTED.format("upstream_transport_failure_reason")
    + " "
    + " ".join(_WORD.format(n) for n in ("bytes_received", "bytes_sent", "duration", "upstream_service_time"))
    + " "
    + " ".join(
        _QUOTED.format(name) for name in ("x_forwarded_for", "user_agent", "request_id", "authority", "upstream_host")
    )
    + " "
    + " ".join(
        _WORD.format(name)
        for name in (
            "upstream_cluster",
            "upstream_local_address",
            "downstream_local_address",
            "downstream_remote_address",
            "requested_server_name",
            "route_name",
        )
    )
    + "$"
)
_LINE = re2.compile(_TEXT)


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One request, or one connection (then `method` is empty and `response_code` 0).

    `time` is Unix seconds, `duration` milliseconds; what the proxy wrote as `-` is empty. `response_flags` is `-` when
    nothing went wrong, as in the metrics' labels.
    """

    time: float
    method: str = ""
    path: str = ""
    protocol: str = ""
    response_code: int = 0
    response_flags: str = "-"
    response_code_details: str = ""
    connection_termination_details: str = ""
    upstream_transport_failure_reason: str = ""
    bytes_received: int = 0
    bytes_sent: int = 0
    duration: int = 0
    upstream_service_time: str = ""
    x_forwarded_for: str = ""
    user_agent: str = ""
    request_id: str = ""
    authority: str = ""
    upstream_host: str = ""
    upstream_cluster: str = ""
    downstream_local_address: str = ""
    downstream_remote_address: str = ""
    requested_server_name: str = ""
    route_name: str = ""
    upstream_request_attempt_count: str = ""

    def as_json(self) -> dict[str, Any]:
        """For an answer."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Search:
    """What to look for. `codes` has `503` or `5xx`; `flags` a flag or `-` for none; empty means all."""

    codes: frozenset[str] = frozenset()
    flags: frozenset[str] = frozenset()
    path: str = ""
    method: str = ""
    start: float = 0.0
    end: float = 1e12

    def accepts(self, entry: LogEntry) -> bool:
        """Whether an entry is one of those looked for."""
        code = str(entry.response_code)
        return (
            self.start <= entry.time <= self.end
            and (not self.codes or code in self.codes or f"{code[0]}xx" in self.codes)
            and (not self.flags or not self.flags.isdisjoint(entry.response_flags.split(",")))
            and (not self.method or entry.method == self.method.upper())
            and self.path.lower() in f"{entry.authority}{entry.path}".lower()
        )


_OPERATOR = re.compile(r"%([A-Z_]+(?:\([^()]*\))?)(?::\d+)?%")
_OPERATORS = {
    "START_TIME": "start_time",
    "REQ(:METHOD)": "method",
    "REQ(:PATH)": "path",
    "REQ(X-ENVOY-ORIGINAL-PATH?:PATH)": "path",
    "REQ(:AUTHORITY)": "authority",
    "REQ(X-FORWARDED-FOR)": "x_forwarded_for",
    "REQ(USER-AGENT)": "user_agent",
    "REQ(X-REQUEST-ID)": "request_id",
    "RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)": "upstream_service_time",
    "UPSTREAM_CLUSTER_RAW": "upstream_cluster",
    "REQ(X-ENVOY-ATTEMPT-COUNT)": "upstream_request_attempt_count",
    "UPSTREAM_REQUEST_ATTEMPT_COUNT": "upstream_request_attempt_count",
    **{
        name.upper(): name
        for name in (
            "protocol",
            "response_code",
            "response_flags",
            "response_code_details",
            "connection_termination_details",
            "upstream_transport_failure_reason",
            "bytes_received",
            "bytes_sent",
            "duration",
            "upstream_host",
            "upstream_cluster",
            "downstream_local_address",
            "downstream_remote_address",
            "requested_server_name",
            "route_name",
        )
    },
}
_NEEDED = frozenset(("start_time", "response_code"))


class Formats:
    """Formats beside the two default ones; those that do not tell a time and a code cannot be read back."""

    def __init__(self, texts: Iterable[str] = (), labels: Iterable[Mapping[str, Any]] = ()) -> None:
        patterns = (_pattern(text) for text in texts)
        self.patterns = [pattern for pattern in patterns if pattern is not None]
        named = [
            {name: field for name, text in one.items() if (field := _field_of(str(text))) is not None} for one in labels
        ]
        self.labels = [one for one in named if set(one.values()) >= _NEEDED]


def _field_of(text: str) -> str | None:
    match = _OPERATOR.fullmatch(text.strip())
    return _OPERATORS.get(match[1]) if match else None


def _pattern(text: str) -> Any | None:
    """What matches the lines of a format string."""
    parts, seen, position = ["^"], set[str](), 0
    text = text.rstrip("\n")
    for match in _OPERATOR.finditer(text):
        parts.append(re2.escape(text[position : match.start()]))
        name = _OPERATORS.get(match[1])
        parts.append(f"(?P<{name}>.*?)" if name and name not in seen else ".*?")
        seen.update({name} if name else ())
        position = match.end()
    if not seen >= _NEEDED:
        return None
    parts.append(re2.escape(text[position:]) + "$")
    return re2.compile("".join(parts))


NO_FORMATS = Formats()


def read_lines(lines: Iterable[str], formats: Formats = NO_FORMATS) -> list[LogEntry]:
    """All entries among the lines of a proxy's output."""
    return [entry for line in lines if (entry := read_line(line, formats)) is not None]


def read_line(line: str, formats: Formats = NO_FORMATS) -> LogEntry | None:
    """One line; None when it is not an entry of a known format."""
    if len(line) > LONGEST_LINE:
        return None
    if line.startswith("{") and (entry := _read_json(line, formats)) is not None:
        return entry
    match = _LINE.match(line) if line.startswith("[") else None
    if match is None:
        found = (pattern.match(line) for pattern in formats.patterns)
        entries = (_entry(one.groupdict()) for one in found if one is not None)
        return next((entry for entry in entries if entry is not None), None)
    found = match.groupdict()
    # The path may have spaces in it; neither method nor protocol can.
    method, _, rest = found.pop("request").partition(" ")
    path, _, protocol = rest.rpartition(" ")
    return _entry({**found, "method": method, "path": path, "protocol": protocol})


def _read_json(line: str, formats: Formats) -> LogEntry | None:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    if found.keys() >= _NEEDED:
        return _entry(found)
    for names in formats.labels:
        if found.keys() >= names.keys():
            return _entry({field: found[name] for name, field in names.items()})
    return None


_NUMBERS = frozenset(("response_code", "bytes_received", "bytes_sent", "duration"))
_NAMES = tuple(field.name for field in fields(LogEntry) if field.name != "time")


def _entry(found: dict[str, Any]) -> LogEntry | None:
    try:
        time = datetime.fromisoformat(str(found["start_time"])).timestamp()
    except ValueError:
        return None
    if not str(found["response_code"]).isdigit():
        return None
    values: dict[str, Any] = {}
    for name in _NAMES:
        value = found.get(name)
        text = "" if value is None or value == "-" else str(value)
        values[name] = (int(text) if text.isascii() and text.isdigit() else 0) if name in _NUMBERS else text
    values["response_flags"] = values["response_flags"] or "-"
    return LogEntry(time=time, **values)
