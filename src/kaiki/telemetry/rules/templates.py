"""The templates of labels and annotations: the part of Go's template language that alerts use.

`{{ $labels.pod }}`, `{{ .Labels.pod }}`, `{{ index $labels "pod" }}`, `{{ $value }}`, and pipelines through the
functions of `_FUNCTIONS` (`{{ $value | humanizePercentage }}`, `{{ printf "%.2f" $value }}`). Control structures
(`if`, `range`) and queries inside templates are not part of it: they are refused when a rule file is read.
"""

from __future__ import annotations

import functools
import math
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kaiki.telemetry.errors import RuleError
from kaiki.telemetry.promql.numbers import format_number

_ACTION = re.compile(r"(\s*)\{\{(-?)(.*?)(-?)\}\}(\s*)", re.DOTALL)
_TOKEN = re.compile(r'\s*(?:("(?:[^"\\]|\\.)*"|`[^`]*`)|(-?\d+(?:\.\d+)?)|([|()])|([$.]?[\w$.]+))')
_ESCAPES = {"n": "\n", "t": "\t", '"': '"', "\\": "\\"}
Token = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Scope:
    """What a template can see."""

    labels: Mapping[str, str]
    value: float


@functools.lru_cache(maxsize=4096)
def compile_template(text: str, place: str = "") -> tuple[str | tuple[Token, ...], ...]:
    """Texts and actions in turn. Raises RuleError for what is not part of the language."""
    parts: list[str | tuple[Token, ...]] = []
    position = 0
    for found in _ACTION.finditer(text):
        before, left, body, right, after = found.groups()
        parts.append(text[position : found.start()] + ("" if left else before))
        position = found.end() if right else found.end() - len(after)
        tokens = _tokens(body, place)
        if tokens:
            _check(tokens, place)
            parts.append(tokens)
    rest = text[position:]
    if "{{" in rest:
        raise RuleError(f"{place}: `{{{{` without `}}}}` in a template")
    return (*parts, rest)


def expand(text: str, scope: Scope) -> str:
    """The text with its actions replaced; a failure becomes part of the text, as in Prometheus."""
    try:
        parts = compile_template(text)
        return "".join(part if isinstance(part, str) else _shown(_pipeline(list(part), scope)) for part in parts)
    except (RuleError, ValueError, TypeError, IndexError, KeyError, OverflowError) as problem:
        return f"<error expanding template: {problem}>"


def _tokens(body: str, place: str) -> tuple[Token, ...]:
    body = body.strip()
    if body.startswith("/*"):
        return ()
    tokens: list[Token] = []
    position = 0
    while position < len(body):
        found = _TOKEN.match(body, position)
        if found is None:
            raise RuleError(f"{place}: cannot read {body[position:]!r} in a template")
        for kind, value in zip(("text", "number", "mark", "name"), found.groups(), strict=True):
            if value is not None:
                tokens.append((kind, value))
        position = found.end()
    return tuple(tokens)


def _check(tokens: tuple[Token, ...], place: str) -> None:
    for kind, word in tokens:
        if kind == "name" and word[0] not in "$." and word not in _FUNCTIONS:
            known = ", ".join(sorted(_FUNCTIONS))
            raise RuleError(f"{place}: the template function {word!r} is not supported; there are {known}")


def _pipeline(tokens: list[Token], scope: Scope) -> Any:
    """`a | f b | g` is `g(f(b, a))`: what came before is the last argument."""
    value, given = None, False
    while True:
        words: list[Any] = []
        while tokens and tokens[0] not in (("mark", "|"), ("mark", ")")):
            words.append(_operand(tokens, scope))
        if given:
            words.append(value)
        value, given = _apply(words), True
        if not tokens or tokens.pop(0) == ("mark", ")"):
            return value


def _operand(tokens: list[Token], scope: Scope) -> Any:
    kind, word = tokens.pop(0)
    if kind == "text":
        return word[1:-1] if word[0] == "`" else re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[1]), word[1:-1])
    if kind == "number":
        return float(word)
    if kind == "mark":
        return _pipeline(tokens, scope)
    return _variable(word, scope) if word[0] in "$." else _FUNCTIONS[word]


def _variable(word: str, scope: Scope) -> Any:
    name, _, rest = word.lstrip("$.").partition(".")
    match name.lower():
        case "labels":
            return scope.labels.get(rest, "") if rest else scope.labels
        case "value":
            return scope.value
        case "externallabels" | "externalurl":
            return "" if rest or name.lower() == "externalurl" else {}
    raise RuleError(f"undefined variable {word!r}")


def _apply(words: list[Any]) -> Any:
    if callable(words[0]):
        return words[0](*words[1:])
    if len(words) > 1:
        raise RuleError("a value is followed by another: functions come first")
    return words[0]


def _shown(value: Any) -> str:
    if isinstance(value, float):
        size = abs(value)
        plain = size == 0 or (1e-4 <= size < 1e21)
        return np.format_float_positional(value, trim="-") if plain else format_number(value)
    return f"map{dict(value)}" if isinstance(value, Mapping) else str(value)


def _number(value: Any) -> float:
    return float(value)


def _humanize(given: Any) -> str:
    value = _number(given)
    if value == 0 or not math.isfinite(value):
        return f"{value:.4g}"
    return _scaled(value, 1000.0, ("k", "M", "G", "T", "P", "E", "Z", "Y")) if abs(value) >= 1 else _fraction(value)


def _humanize_1024(given: Any) -> str:
    value = _number(given)
    if abs(value) <= 1 or not math.isfinite(value):
        return f"{value:.4g}"
    return _scaled(value, 1024.0, ("ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"))


def _scaled(value: float, factor: float, prefixes: tuple[str, ...]) -> str:
    prefix = ""
    for larger in prefixes:
        if abs(value) < factor:
            break
        prefix, value = larger, value / factor
    return f"{value:.4g}{prefix}"


def _fraction(value: float) -> str:
    prefix = ""
    for smaller in ("m", "u", "n", "p", "f", "a", "z", "y"):
        if abs(value) >= 1:
            break
        prefix, value = smaller, value * 1000
    return f"{value:.4g}{prefix}"


def _humanize_duration(given: Any) -> str:
    value = _number(given)
    if not math.isfinite(value):
        return f"{value:.4g}"
    if value == 0 or abs(value) < 1:
        return f"{_fraction(value) if value else '0'}s"
    sign, whole = "-" if value < 0 else "", int(abs(value))
    minutes, seconds = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{sign}{days}d {hours}h {minutes}m {seconds}s"
    if hours:
        return f"{sign}{hours}h {minutes}m {seconds}s"
    return f"{sign}{minutes}m {seconds}s" if minutes else f"{sign}{abs(value):.4g}s"


def _humanize_timestamp(given: Any) -> str:
    value = _number(given)
    if not math.isfinite(value):
        return f"{value:.4g}"
    return time.strftime("%Y-%m-%d %H:%M:%S +0000 UTC", time.gmtime(value))


def _print(form: str, *values: Any) -> str:
    whole = iter(re.findall(r"%[-+# 0-9.]*([a-zA-Z%])", form))
    shaped = [
        int(v) if verb == "d" else _shown(v) if verb in "sv" else v
        for verb, v in zip((v for v in whole if v != "%"), values, strict=True)
    ]
    return re.sub(r"(%[-+# 0-9.]*)v", r"\1s", form) % tuple(shaped)


def _replace_all(pattern: str, replacement: str, text: str) -> str:
    import re2

    return str(re2.sub(pattern, re.sub(r"\$\{?(\w+)\}?", r"\\g<\1>", replacement), text))


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "humanize": _humanize,
    "humanize1024": _humanize_1024,
    "humanizeDuration": _humanize_duration,
    "humanizePercentage": lambda value: f"{_number(value) * 100:.4g}%",
    "humanizeTimestamp": _humanize_timestamp,
    "printf": _print,
    "title": lambda text: str(text).title(),
    "toUpper": lambda text: str(text).upper(),
    "toLower": lambda text: str(text).lower(),
    "stripPort": lambda text: str(text).rsplit(":", 1)[0],
    "stripDomain": lambda text: str(text).split(".", 1)[0],
    "reReplaceAll": _replace_all,
    "index": lambda labels, name: labels.get(name, ""),
}
