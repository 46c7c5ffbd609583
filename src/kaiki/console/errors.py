"""What can go wrong in the console, and the HTTP answer for it.

ConsoleError
├── BadRequest            400: a parameter is wrong; the message names it
├── UnknownObject         404: no such node, edge or object
├── TracesUnavailable     503: nobody answers for traces
└── MetricsUnavailable    503: the metrics store does not answer, or answers with an error
"""

from __future__ import annotations


class ConsoleError(Exception):
    """`code` is a stable word for the UI; `hint` says what to do."""

    status = 500
    code = "internal"

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    def as_json(self) -> dict[str, object]:
        """The answer's body."""
        return {"error": {"code": self.code, "message": str(self), "hint": self.hint}}


class BadRequest(ConsoleError):
    status = 400
    code = "badRequest"


class UnknownObject(ConsoleError):
    status = 404
    code = "notFound"


class TracesUnavailable(ConsoleError):
    status = 503
    code = "tracesUnavailable"


class MetricsUnavailable(ConsoleError):
    status = 503
    code = "metricsUnavailable"
