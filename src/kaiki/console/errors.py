"""What can go wrong in the console, and the HTTP answer for it.

ConsoleError
├── BadRequest            400: a parameter is wrong; the message names it
├── ReadOnly              403: the user's Kubernetes identity is not known, or the API refuses it the change
├── Conflicting           409: somebody else changed the object meanwhile
├── Unacceptable          422: the API refuses the object; the message says why
├── TooMany               429: as many as may be at once are served already
├── UnknownObject         404: no such node, edge or object
├── ProxyUnavailable      503: nobody tells what a proxy has: no control plane answers, or it refuses
├── KubernetesUnavailable 503: the Kubernetes API does not answer
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


class ReadOnly(ConsoleError):
    status = 403
    code = "readOnly"


class Conflicting(ConsoleError):
    status = 409
    code = "conflict"


class Unacceptable(ConsoleError):
    status = 422
    code = "unacceptable"


class TooMany(ConsoleError):
    status = 429
    code = "tooMany"


class UnknownObject(ConsoleError):
    status = 404
    code = "notFound"


class ProxyUnavailable(ConsoleError):
    status = 503
    code = "proxyUnavailable"


class KubernetesUnavailable(ConsoleError):
    status = 503
    code = "kubernetesUnavailable"

    def __init__(self, cause: object) -> None:
        super().__init__(f"The Kubernetes API does not answer: {cause}")


class TracesUnavailable(ConsoleError):
    status = 503
    code = "tracesUnavailable"


class MetricsUnavailable(ConsoleError):
    status = 503
    code = "metricsUnavailable"
