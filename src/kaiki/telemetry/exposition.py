"""The Prometheus text format, read fast.

A target answers the same lines again and again with other numbers, so what stands before the number is looked up in a
dictionary (`ScrapeCache`): a known line costs one split and one lookup, and only a new line is really parsed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from kaiki.telemetry.errors import ExpositionError

_SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(?:\{(.*)\})?\s*(\S+)(?:\s+(\S+))?\s*$")
_WHOLE = re.compile(r"-?\d+")
_LABEL = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*(?:,|$)')
_PLAIN_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="([^"\\]*)",?')
_INNER = r'(?:[^"{}]|"(?:[^"\\]|\\.)*")*'
_EXEMPLAR = re.compile(
    rf"(?P<sample>[a-zA-Z_:][a-zA-Z0-9_:]*(?:\{{{_INNER}\}})?[^#\"]*)"
    rf" # \{{(?P<labels>{_INNER})\}} (?P<value>\S+)(?: (?P<time>\S+))?$"
)
_ESCAPE = re.compile(r"\\(.)")
_FOREIGN_PREFIX = re.compile(r"^(?:envoy_)?wasmcustom_(?=istio_)")
_HISTOGRAM_SUFFIX = re.compile(r"_(?:bucket|sum|count)$")


@dataclass(frozen=True, slots=True)
class SampleLine:
    """One sample as written. `time_ms` is None when the line has no time of its own."""

    name: str
    labels: tuple[tuple[str, str], ...]
    value: float
    time_ms: int | None


def parse_sample(line: str, *, open_metrics: bool = False) -> SampleLine:
    """Reads one sample line; in OpenMetrics its time is in seconds, else in milliseconds. Raises ExpositionError.

    A `wasmcustom_` prefix before Istio's names is taken away: it is an artifact of how Envoy names custom statistics.
    """
    match = _SAMPLE.fullmatch(line)
    if match is None:
        raise ExpositionError(line, 'expected `name{label="value"} number [milliseconds]`')
    name, labels, value, time = match.groups()
    try:
        number = float(value)
    except ValueError:
        raise ExpositionError(line, f"{value!r} is not a number") from None
    return SampleLine(
        _FOREIGN_PREFIX.sub("", name),
        _parse_labels(labels, line) if labels else (),
        number,
        _parse_time(time, line, open_metrics) if time else None,
    )


def _parse_time(text: str, line: str, open_metrics: bool) -> int:
    if not open_metrics and _WHOLE.fullmatch(text) is None:
        raise ExpositionError(line, f"{text!r} is not a time in milliseconds")
    try:
        return round(float(text) * 1000) if open_metrics else int(text)
    except (ValueError, OverflowError):
        raise ExpositionError(line, f"{text!r} is not a time in seconds") from None


@dataclass(frozen=True, slots=True)
class ExemplarText:
    """An exemplar as written; `time_ms` is None when it has no time of its own."""

    labels: tuple[tuple[str, str], ...]
    value: float
    time_ms: int | None


def split_exemplar(line: str) -> tuple[str, ExemplarText | None]:
    """An OpenMetrics line without its exemplar, and the exemplar. Raises ExpositionError."""
    match = _EXEMPLAR.fullmatch(line)
    if match is None:
        return line, None
    try:
        value, time = float(match["value"]), match["time"]
        time_ms = None if time is None else round(float(time) * 1000)
    except (ValueError, OverflowError):
        raise ExpositionError(line, "the exemplar's value or time is not a number") from None
    return match["sample"], ExemplarText(_parse_labels(match["labels"], line), value, time_ms)


def _parse_labels(text: str, line: str) -> tuple[tuple[str, str], ...]:
    """Plain labels are found all at once; the careful way is for escapes, spaces and mistakes."""
    plain = _PLAIN_LABEL.findall(text)
    if sum([len(name) + len(value) + 4 for name, value in plain]) - len(text) in (0, 1):
        return tuple(plain)
    return tuple(_parse_labels_carefully(text, line))


def _parse_labels_carefully(text: str, line: str) -> Iterator[tuple[str, str]]:
    position = 0
    while position < len(text):
        match = _LABEL.match(text, position)
        if match is None:
            if not text[position:].strip():
                return
            raise ExpositionError(line, f"labels cannot be read from {text[position : position + 40]!r} on")
        value = match[2]
        yield match[1], _ESCAPE.sub(_unescape, value) if "\\" in value else value
        position = match.end()


def _unescape(match: re.Match[str]) -> str:
    return "\n" if match[1] == "n" else match[1]


def parse_exposition(text: str) -> Iterator[SampleLine]:
    """All samples of an answer, in order. Raises ExpositionError."""
    for line in text.split("\n"):
        if line and line[0] != "#" and not line.isspace():
            yield parse_sample(line)


class Declarations:
    """`# TYPE` and `# HELP` lines seen so far, and what they say about a sample's name."""

    def __init__(self) -> None:
        self.types: dict[str, str] = {}
        self.helps: dict[str, str] = {}

    def read(self, line: str) -> None:
        """Takes a comment line; other comments mean nothing."""
        parts = line.split(None, 3)
        if len(parts) >= 4 and parts[1] in ("TYPE", "HELP"):
            target = self.types if parts[1] == "TYPE" else self.helps
            target[_FOREIGN_PREFIX.sub("", parts[2])] = parts[3].strip()

    def is_counter(self, name: str) -> bool:
        """True for counters, and for all parts of a histogram, which only grow too."""
        kind = self.types.get(name)
        if kind is not None:
            return kind == "counter"
        if name.endswith("_total") and self.types.get(name.removesuffix("_total")) == "counter":
            return True  # OpenMetrics declares counters without the suffix.
        return self.types.get(_HISTOGRAM_SUFFIX.sub("", name)) == "histogram"


def escape_label(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def render_series(name: str, labels: Iterator[tuple[str, str]] | list[tuple[str, str]]) -> str:
    """`name{a="b"}`, as both the text format and queries write it."""
    inner = ",".join(f'{key}="{escape_label(value)}"' for key, value in labels)
    return f"{name}{{{inner}}}" if inner else name
