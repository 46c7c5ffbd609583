"""The part of `prometheus.yml` that the embedded store takes: evaluation interval, Alertmanagers, remote write.

Targets are found by discovery, and storage is set by flags; what a file says of them is named in `unused`, never
silently passed over. Pure: texts in, a frozen value out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from kaiki.telemetry.api.parameters import parse_duration
from kaiki.telemetry.errors import QueryError, RuleError
from kaiki.telemetry.remote.sender import RemoteWrite
from kaiki.telemetry.rules.definitions import RuleGroup, read_rule_file

MAIN_FILE = "prometheus.yml"
DEFAULT_INTERVAL_MS = 15_000
_WRITE_FIELDS = {"url", "name", "headers", "remote_timeout", "queue_config", "send_exemplars"}
_QUEUE_FIELDS = {
    "capacity", "max_samples_per_send", "batch_send_deadline", "min_backoff", "max_backoff", "max_shards", "min_shards"
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Configuration:
    """What files and flags ask for. `unused` names the fields that have no effect here."""

    evaluation_interval_ms: int = DEFAULT_INTERVAL_MS
    alertmanagers: tuple[str, ...] = ()
    remote_writes: tuple[RemoteWrite, ...] = ()
    groups: tuple[RuleGroup, ...] = ()
    unused: tuple[str, ...] = ()


def read_configuration(files: Mapping[str, str]) -> Configuration:
    """`files` are texts by name: `prometheus.yml` is the configuration, all others are rule files. Raises RuleError."""
    main = _mapping(files.get(MAIN_FILE, ""), MAIN_FILE)
    groups = [group for name in sorted(files) if name != MAIN_FILE for group in read_rule_file(files[name], name)]
    common = main.get("global") or {}
    alerting = main.get("alerting") or {}
    unused = [key for key in main if key not in ("global", "alerting", "remote_write", "rule_files")]
    unused += [f"global.{key}" for key in common if key != "evaluation_interval"]
    unused += [f"alerting.{key}" for key in alerting if key != "alertmanagers"]
    return Configuration(
        evaluation_interval_ms=_milliseconds(common, "evaluation_interval", DEFAULT_INTERVAL_MS),
        alertmanagers=tuple(url for entry in alerting.get("alertmanagers") or [] for url in _alertmanagers(entry)),
        remote_writes=tuple(_remote_write(entry) for entry in main.get("remote_write") or []),
        groups=tuple(groups),
        unused=tuple(sorted(unused)),
    )


def _mapping(text: str, place: str) -> Mapping[str, Any]:
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as problem:
        raise RuleError(f"{place}: not YAML: {problem}") from None
    if document is not None and not isinstance(document, Mapping):
        raise RuleError(f"{place}: expected a mapping")
    return document or {}


def _alertmanagers(entry: Mapping[str, Any]) -> Iterable[str]:
    _check(entry, {"scheme", "path_prefix", "static_configs", "api_version", "timeout"}, "alerting.alertmanagers")
    prefix = str(entry.get("path_prefix") or "").strip("/")
    for group in entry.get("static_configs") or []:
        for target in group.get("targets") or []:
            yield f"{entry.get('scheme') or 'http'}://{target}" + (f"/{prefix}" if prefix else "")


def _remote_write(entry: Mapping[str, Any]) -> RemoteWrite:
    place = "remote_write"
    _check(entry, _WRITE_FIELDS, place)
    queue = entry.get("queue_config") or {}
    _check(queue, _QUEUE_FIELDS, f"{place}.queue_config")
    if not str(entry.get("url") or "").startswith(("http://", "https://")):
        raise RuleError(f"{place}: `url` must be an http or https address")
    default = RemoteWrite("")
    return RemoteWrite(
        url=str(entry["url"]),
        name=str(entry.get("name") or ""),
        headers=tuple(sorted((str(k), str(v)) for k, v in (entry.get("headers") or {}).items())),
        timeout_seconds=_milliseconds(entry, "remote_timeout", 30_000) / 1000,
        capacity=int(queue.get("capacity") or default.capacity),
        batch_samples=int(queue.get("max_samples_per_send") or default.batch_samples),
        batch_seconds=_milliseconds(queue, "batch_send_deadline", int(default.batch_seconds * 1000)) / 1000,
        least_pause_seconds=_milliseconds(queue, "min_backoff", 30) / 1000,
        most_pause_seconds=_milliseconds(queue, "max_backoff", 5000) / 1000,
    )


def _milliseconds(entry: Mapping[str, Any], field: str, default: int) -> int:
    value = entry.get(field)
    try:
        return parse_duration(str(value), field) if value else default
    except QueryError as problem:
        raise RuleError(str(problem)) from None


def _check(entry: Mapping[str, Any], known: set[str], place: str) -> None:
    for field in entry:
        if field not in known:
            raise RuleError(f"{place}: the field {field!r} is not supported; known are {', '.join(sorted(known))}")
