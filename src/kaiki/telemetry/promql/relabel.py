"""Functions of labels: `label_replace`, `label_join`, and sorting by label."""

from __future__ import annotations

import re
from typing import Any

from kaiki.telemetry.errors import BadQueryError, ExecutionError
from kaiki.telemetry.matchers import compile_pattern
from kaiki.telemetry.promql.values import Vector, merged
from kaiki.telemetry.store.labels import Labels

_REFERENCE = re.compile(r"\$(?:\$|\{(\w+)\}|(\w+))")
_DIGITS = re.compile(r"\d+|\D+")


def label_replace(vector: Vector, destination: str, replacement: str, source: str, pattern: str) -> Vector:
    """Where `pattern` matches all of the source label, the destination becomes `replacement` (`$1`, `${name}`)."""
    _check_name(destination, "label_replace")
    try:
        fullmatch = compile_pattern(pattern).fullmatch
    except BadQueryError:
        raise ExecutionError(f"invalid regular expression in label_replace(): {pattern}") from None
    labels: list[Labels] = []
    for old in vector.final_labels():
        match = fullmatch(old.get(source, ""))
        labels.append(old if match is None else _with(old, destination, _expand(replacement, match)))
    return merged(Vector(labels, vector.values, vector.present))


def label_join(vector: Vector, destination: str, separator: str, sources: list[str]) -> Vector:
    """The destination becomes the source labels' values with the separator between them."""
    _check_name(destination, "label_join")
    labels = [
        _with(old, destination, separator.join([old.get(name, "") for name in sources]))
        for old in vector.final_labels()
    ]
    return merged(Vector(labels, vector.values, vector.present))


def sort_by_label(vector: Vector, names: list[str], descending: bool) -> Vector:
    """Digits in values count as numbers."""
    labels = vector.final_labels()
    keys = [([_natural(one.get(name, "")) for name in names], sorted(one.items())) for one in labels]
    return vector.take(sorted(range(len(labels)), key=lambda row: keys[row], reverse=descending))


def _with(labels: Labels, name: str, value: str) -> Labels:
    changed = dict(labels)
    if value:
        changed[name] = value
    else:
        changed.pop(name, None)
    return changed


def _expand(template: str, match: Any) -> str:
    def replace(reference: re.Match[str]) -> str:
        if reference[0] == "$$":
            return "$"
        name = reference[1] or reference[2]
        try:
            return match.group(int(name) if name.isdigit() else name) or ""
        except (IndexError, KeyError):
            return ""

    return _REFERENCE.sub(replace, template)


def _check_name(name: str, function: str) -> None:
    if not name:
        raise ExecutionError(f"invalid destination label name in {function}(): {name!r}")


def _natural(value: str) -> list[tuple[int, int, str]]:
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in _DIGITS.findall(value)]
