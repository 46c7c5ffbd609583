"""Label matchers, with RE2: patterns come from users, and must not be able to backtrack."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kaiki.telemetry.errors import BadQueryError

NAME = "__name__"


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on one label. `operator` is `=`, `!=`, `=~` or `!~`; an absent label has the value ''."""

    name: str
    operator: str
    value: str

    def predicate(self) -> Callable[[str], bool]:
        """Raises BadQueryError for a pattern that RE2 refuses."""
        value = self.value
        if self.operator == "=":
            return lambda candidate: candidate == value
        if self.operator == "!=":
            return lambda candidate: candidate != value
        matches = compile_pattern(value).fullmatch
        if self.operator == "=~":
            return lambda candidate: matches(candidate) is not None
        return lambda candidate: matches(candidate) is None


@functools.lru_cache(maxsize=256)
def compile_pattern(pattern: str) -> Any:
    """An anchored use (`fullmatch`) is the caller's part; the dot matches newlines, as in Prometheus 3."""
    import re2

    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(f"(?s:{pattern})", options)
    except re2.error as error:
        raise BadQueryError(f"invalid regular expression {pattern!r}: {error}") from None
