"""What an API call can end in, apart from success.

KubeError                the answer was not a success, or there was none
├── BadRequest           400: malformed, or an unknown field under strict validation
├── Unauthorized         401: token missing, expired or unknown
├── Forbidden            403: known, but not allowed
├── NotFound             404: no such object, or no such resource type
├── Conflict             409: somebody else changed it first, or field managers disagree
│   └── AlreadyExists    409 with reason AlreadyExists
├── Gone                 410: the resource version is too old; list again
├── Invalid              422: the object breaks a rule of its type
├── TooManyRequests      429: slow down, or an eviction is not allowed now
└── Unavailable          5xx, or no connection: worth another try
"""

from typing import Any


class KubeError(Exception):
    """An API call failed; the message names the call, the object and the server's reason."""

    def __init__(self, message: str, status: dict[str, Any] | None = None, code: int = 0) -> None:
        super().__init__(message)
        self.status: dict[str, Any] = status or {}
        self.code: int = code or int(self.status.get("code") or 0)

    @property
    def reason(self) -> str:
        """The machine-readable reason of the Status answer, such as `AlreadyExists`; may be empty."""
        return str(self.status.get("reason") or "")

    @property
    def causes(self) -> list[dict[str, Any]]:
        """`details.causes` of the Status answer: [{"reason", "message", "field"}]."""
        details = self.status.get("details") or {}
        return list(details.get("causes") or [])


class BadRequest(KubeError):
    """400."""


class Unauthorized(KubeError):
    """401."""


class Forbidden(KubeError):
    """403."""


class NotFound(KubeError):
    """404."""


class Conflict(KubeError):
    """409."""


class AlreadyExists(Conflict):
    """409, and the object is there already."""


class Gone(KubeError):
    """410."""


class Invalid(KubeError):
    """422."""


class TooManyRequests(KubeError):
    """429."""


class Unavailable(KubeError):
    """5xx or no connection."""


_BY_CODE: dict[int, type[KubeError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    422: Invalid,
    429: TooManyRequests,
}


def error_from_status(call: str, code: int, status: dict[str, Any]) -> KubeError:
    """The exception for a failed answer. `call` says what was tried, as `create Pod default/web`."""
    kind: type[KubeError] = _BY_CODE.get(code, Unavailable if code >= 500 else KubeError)
    if kind is Conflict and status.get("reason") == "AlreadyExists":
        kind = AlreadyExists
    reason = status.get("message") or status.get("reason") or "the server gave no reason"
    return kind(f"{call}: {reason} (HTTP {code})", status, code)
