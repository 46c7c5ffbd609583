"""What the API refuses, in Kubernetes's own words.

    ApiError            any refusal; `.status()` is the `metav1.Status` answered, `.code` the HTTP status
    └─ FieldErrors      422 Invalid: one cause per wrong field

Functions below build the usual ones, so that every message reads as kubectl's users know it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from kaiki.apiserver.catalog import ResourceType


class ApiError(Exception):
    """A request that is refused. `details` and `metadata` are the Status's objects of these names."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        details: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
        self.metadata = metadata or {}

    def status(self) -> dict[str, Any]:
        """The answer's body."""
        body: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": self.metadata, "status": "Failure"}
        body |= {"message": self.message, "reason": self.reason}
        if self.details:
            body["details"] = self.details
        return body | {"code": self.code}


@dataclass(frozen=True)
class FieldCause:
    """One wrong field: `reason` is Kubernetes's (FieldValueInvalid, FieldValueRequired…), `message` without the
    path.
    """

    field: str
    reason: str
    message: str


class FieldErrors(ApiError):
    """422: the object is understood and its values are not acceptable."""

    def __init__(self, kind: ResourceType, name: str, causes: Sequence[FieldCause]) -> None:
        listed = [{"reason": each.reason, "message": each.message, "field": each.field} for each in causes]
        text = [f"{each.field}: {each.message}" for each in causes]
        joined = text[0] if len(text) == 1 else f"[{', '.join(text)}]"
        qualified = f"{kind.kind}.{kind.group}" if kind.group else kind.kind
        details = {"name": name, "group": kind.group, "kind": kind.kind, "causes": listed}
        super().__init__(422, "Invalid", f'{qualified} "{name}" is invalid: {joined}', details)


def quoted(value: Any) -> str:
    """A value as field errors show it."""
    if isinstance(value, dict | list):
        return orjson.dumps(value).decode()
    return f'"{value}"' if isinstance(value, str) else orjson.dumps(value).decode()


def required(field: str, hint: str = "") -> FieldCause:
    """`spec.x: Required value`."""
    return FieldCause(field, "FieldValueRequired", f"Required value: {hint}" if hint else "Required value")


def invalid_value(field: str, value: Any, why: str) -> FieldCause:
    """`spec.x: Invalid value: "…": why`."""
    return FieldCause(field, "FieldValueInvalid", f"Invalid value: {quoted(value)}: {why}")


def unsupported_value(field: str, value: Any, allowed: Sequence[Any]) -> FieldCause:
    """`spec.x: Unsupported value: "…": supported values: "a", "b"`."""
    values = ", ".join(quoted(each) for each in allowed)
    message = f"Unsupported value: {quoted(value)}: supported values: {values}"
    return FieldCause(field, "FieldValueNotSupported", message)


def forbidden_value(field: str, why: str) -> FieldCause:
    """`spec.x: Forbidden: why`."""
    return FieldCause(field, "FieldValueForbidden", f"Forbidden: {why}")


def _details(kind: ResourceType, name: str) -> dict[str, Any]:
    details = {"name": name, "group": kind.group, "kind": kind.plural}
    return {key: value for key, value in details.items() if value}


def not_found(kind: ResourceType, name: str) -> ApiError:
    return ApiError(404, "NotFound", f'{kind.qualified_name} "{name}" not found', _details(kind, name))


def no_such_path() -> ApiError:
    return ApiError(404, "NotFound", "the server could not find the requested resource", {})


def already_exists(kind: ResourceType, name: str) -> ApiError:
    return ApiError(409, "AlreadyExists", f'{kind.qualified_name} "{name}" already exists', _details(kind, name))


def conflict(kind: ResourceType, name: str, why: str = "") -> ApiError:
    why = why or ("the object has been modified; please apply your changes to the latest version and try again")
    message = f'Operation cannot be fulfilled on {kind.qualified_name} "{name}": {why}'
    return ApiError(409, "Conflict", message, _details(kind, name))


def forbidden(kind: ResourceType, name: str, why: str) -> ApiError:
    return ApiError(403, "Forbidden", f'{kind.qualified_name} "{name}" is forbidden: {why}', _details(kind, name))


def bad_request(message: str) -> ApiError:
    return ApiError(400, "BadRequest", message)


def too_large(limit_bytes: int) -> ApiError:
    return ApiError(413, "RequestEntityTooLarge", f"Request entity too large: limit is {limit_bytes}")


def no_proxy() -> ApiError:
    """Requests through the API server to a pod, a service or a node."""
    message = "proxy is not available on this machine: kubectl port-forward reaches the ports of pods and services"
    return ApiError(501, "NotImplemented", message)


def unauthorized(why: str = "Unauthorized") -> ApiError:
    return ApiError(401, "Unauthorized", why)


def expired(message: str) -> ApiError:
    return ApiError(410, "Expired", message)


def method_not_allowed() -> ApiError:
    message = "the server does not allow this method on the requested resource"
    return ApiError(405, "MethodNotAllowed", message, {})


def unsupported_media_type(received: str, accepted: Sequence[str]) -> ApiError:
    message = (
        "the body of the request was in an unknown format - accepted media types include: "
        f"{', '.join(accepted)} (received: {received})"
    )
    return ApiError(415, "UnsupportedMediaType", message)


def unavailable(message: str) -> ApiError:
    return ApiError(503, "ServiceUnavailable", message)


def internal(message: str) -> ApiError:
    details = {"causes": [{"message": message}]}
    return ApiError(500, "InternalError", f"Internal error occurred: {message}", details)
