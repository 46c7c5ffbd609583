"""What can go wrong in the metrics process.

    TelemetryError
    ├── ExpositionError     a target's answer cannot be read
    ├── RuleError           a rule file or the configuration cannot be read
    ├── ScrapeError         a target cannot be reached, or answers too much or too late
    └── QueryError          a query cannot be answered; `kind` is Prometheus' `errorType`
        ├── BadQueryError       bad_data: the text or a parameter is wrong
        ├── ExecutionError      execution: the text is right, the data do not allow it, or a limit is hit
        └── QueryTimeoutError   timeout

HTTP codes are mapped only in `api/`.
"""

from __future__ import annotations


class TelemetryError(Exception):
    """Base of all errors of the metrics process."""


class ExpositionError(TelemetryError):
    """A line of a target's answer is not in the Prometheus text format."""

    def __init__(self, line: str, cause: str) -> None:
        super().__init__(f"cannot read the line {line[:120]!r}: {cause}")


class ScrapeError(TelemetryError):
    """A scrape failed; the text becomes the target's `lastError`."""


class RuleError(TelemetryError):
    """A rule file, or the configuration around it, is wrong; the text says where and what would be right."""


class QueryError(TelemetryError):
    """A query that has no answer."""

    kind = "internal"


class BadQueryError(QueryError):
    """The query or one of its parameters is malformed."""

    kind = "bad_data"


class ExecutionError(QueryError):
    """The query is well formed, but cannot be evaluated on these data within these limits."""

    kind = "execution"


class QueryTimeoutError(QueryError):
    """The query used up its time."""

    kind = "timeout"
