"""Envoy's access log read back: the default text format and the default JSON format, told apart from other lines.

A line has fields strangers choose (path, user agent, authority), so it is read with RE2, in linear time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
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


def read_lines(lines: Iterable[str]) -> list[LogEntry]:
    """All entries among the lines of a proxy's output."""
    return [entry for line in lines if (entry := read_line(line)) is not None]


def read_line(line: str) -> LogEntry | None:
    """One line; None when it is not an entry of a known format."""
    if len(line) > LONGEST_LINE:
        return None
    if line.startswith("{"):
        return _read_json(line)
    match = _LINE.match(line) if line.startswith("[") else None
    if match is None:
        return None
    found = match.groupdict()
    # The path may have spaces in it; neither method nor protocol can.
    method, _, rest = found.pop("request").partition(" ")
    path, _, protocol = rest.rpartition(" ")
    return _entry({**found, "method": method, "path": path, "protocol": protocol})


def _read_json(line: str) -> LogEntry | None:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or not {"start_time", "response_code"} <= found.keys():
        return None
    return _entry(found)


_NUMBERS = frozenset(("response_code", "bytes_received", "bytes_sent", "duration"))
_NAMES = tuple(field.name for field in fields(LogEntry) if field.name != "time")


def _entry(found: dict[str, Any]) -> LogEntry | None:
    try:
        time = datetime.fromisoformat(str(found["start_time"])).timestamp()
    except ValueError:
        return None
    values: dict[str, Any] = {}
    for name in _NAMES:
        value = found.get(name)
        text = "" if value is None or value == "-" else str(value)
        values[name] = (int(text) if text.isascii() and text.isdigit() else 0) if name in _NUMBERS else text
    values["response_flags"] = values["response_flags"] or "-"
    return LogEntry(time=time, **values)
