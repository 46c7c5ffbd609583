"""Rule files, in Prometheus' form: groups of recording and alerting rules. Pure: text in, frozen values out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from kaiki.telemetry.api.parameters import parse_duration
from kaiki.telemetry.errors import QueryError, RuleError
from kaiki.telemetry.matchers import NAME
from kaiki.telemetry.promql.evaluate import parse
from kaiki.telemetry.promql.selectors import is_range
from kaiki.telemetry.rules.templates import compile_template

Pairs = tuple[tuple[str, str], ...]
_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_GROUP_FIELDS = {"name", "interval", "limit", "query_offset", "labels", "rules"}
_RULE_FIELDS = {"record", "alert", "expr", "for", "keep_firing_for", "labels", "annotations"}


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `alerting` tells which kind; the milliseconds and annotations are those of alerts only."""

    name: str
    query: str
    alerting: bool
    labels: Pairs = ()
    annotations: Pairs = ()
    for_ms: int = 0
    keep_firing_ms: int = 0


@dataclass(frozen=True, slots=True)
class RuleGroup:
    """Rules that are evaluated one after the other. `interval_ms` of 0 means the process's."""

    name: str
    file: str
    rules: tuple[Rule, ...]
    interval_ms: int = 0
    limit: int = 0
    offset_ms: int = 0

    @property
    def key(self) -> str:
        return f"{self.file};{self.name}"


def read_rule_file(text: str, file: str) -> list[RuleGroup]:
    """All groups of one file. Raises RuleError, which names the file, the group and the rule."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as problem:
        raise RuleError(f"{file}: not YAML: {problem}") from None
    if not document:
        return []
    _check_fields(document, {"groups"}, file)
    groups = [_read_group(entry, file) for entry in document.get("groups") or []]
    names = [group.name for group in groups]
    for name in names:
        if names.count(name) > 1:
            raise RuleError(f"{file}: the group {name!r} is there twice: give each group of a file a name of its own")
    return groups


def _read_group(entry: Any, file: str) -> RuleGroup:
    name = entry.get("name") if isinstance(entry, dict) else None
    if not name:
        raise RuleError(f"{file}: a group has no name")
    place = f"{file}: group {name!r}"
    _check_fields(entry, _GROUP_FIELDS, place)
    shared = _pairs(entry.get("labels"), place)
    rules = [_read_rule(rule, shared, f"{place}, rule {i}") for i, rule in enumerate(entry.get("rules") or [], 1)]
    return RuleGroup(
        name=str(name),
        file=file,
        rules=tuple(rules),
        interval_ms=_duration(entry, "interval", place),
        limit=int(entry.get("limit") or 0),
        offset_ms=_duration(entry, "query_offset", place),
    )


def _read_rule(entry: Any, shared: Pairs, place: str) -> Rule:
    _check_fields(entry, _RULE_FIELDS, place)
    record, alert = entry.get("record"), entry.get("alert")
    if bool(record) == bool(alert):
        raise RuleError(f"{place}: exactly one of `record` and `alert` must be set")
    place = f"{place} ({record or alert})"
    query = _query(entry.get("expr"), place)
    labels = tuple(sorted({**dict(shared), **dict(_pairs(entry.get("labels"), place))}.items()))
    annotations = _pairs(entry.get("annotations"), place)
    durations = {name: _duration(entry, name, place) for name in ("for", "keep_firing_for")}
    if record:
        if annotations or any(durations.values()):
            raise RuleError(f"{place}: `for`, `keep_firing_for` and `annotations` belong to alerts")
        if not _METRIC.fullmatch(str(record)):
            raise RuleError(f"{place}: {record!r} is not a metric name")
        return Rule(str(record), query, False, labels)
    for name, text in (*labels, *annotations):
        compile_template(text, f"{place}: {name}")
    return Rule(str(alert), query, True, labels, annotations, durations["for"], durations["keep_firing_for"])


def _query(text: Any, place: str) -> str:
    query = str(text if text is not None else "").strip()
    if not query:
        raise RuleError(f"{place}: `expr` is missing")
    try:
        if is_range(parse(query)):
            raise RuleError(f"{place}: `expr` is a range; take a function of it")
    except QueryError as problem:
        raise RuleError(f"{place}: {problem}") from None
    return query


def _pairs(entries: Any, place: str) -> Pairs:
    if entries is not None and not isinstance(entries, Mapping):
        raise RuleError(f"{place}: labels and annotations are mappings of names to texts")
    for name in entries or {}:
        if not _LABEL.fullmatch(str(name)) or name == NAME:
            raise RuleError(f"{place}: {name!r} is not a label name")
    return tuple(sorted((str(name), "" if value is None else str(value)) for name, value in (entries or {}).items()))


def _duration(entry: Mapping[str, Any], field: str, place: str) -> int:
    value = entry.get(field)
    if value is None or value == "":
        return 0
    try:
        return parse_duration(str(value), field)
    except QueryError as problem:
        raise RuleError(f"{place}: {problem}") from None


def _check_fields(entry: Any, known: set[str], place: str) -> None:
    if not isinstance(entry, Mapping):
        raise RuleError(f"{place}: expected a mapping, found {type(entry).__name__}")
    unknown = sorted(str(field) for field in entry if field not in known)
    if unknown:
        raise RuleError(f"{place}: unknown field {unknown[0]!r}; known are {', '.join(sorted(known))}")
