"""Lists in pages: each page of one list shows the objects as they were at its first page, as Kubernetes does.

A token names the revision of the first page and the last object shown. The store can look back as far as its events
reach; a token older than that is answered with 410 and another one, which goes on with the objects as they are now.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import orjson

from kaiki.apiserver.errors import ApiError, bad_request
from kaiki.apiserver.requests import ApiRequest
from kaiki.apiserver.store import Record

Object = dict[str, Any]
_MATCHES = ("", "NotOlderThan", "Exact")
_NOW = -1


@dataclass(frozen=True)
class Page:
    """What a list asks for: at most `limit` objects (0 for all) after `last`, as they were at `revision`."""

    limit: int
    revision: int
    last: tuple[str, str] | None = None

    def cut(self, records: list[Record], counted: bool = True) -> tuple[list[Record], Object]:
        """The page of these records, and the metadata of its list; `counted` says how many remain."""
        if self.last:
            records = [record for record in records if (record.namespace, record.name) > self.last]
        metadata: Object = {"resourceVersion": str(self.revision)}
        if self.limit and len(records) > self.limit:
            final = records[self.limit - 1]
            token = _token(self.revision, (final.namespace, final.name))
            metadata |= {"continue": token}
            metadata |= {"remainingItemCount": len(records) - self.limit} if counted else {}
            records = records[: self.limit]
        return records, metadata

    def expired(self) -> ApiError:
        """The answer when the store no longer knows what was at that revision."""
        if not self.last:
            return ApiError(410, "Expired", f"The resourceVersion for the provided list is too old: {self.revision}")
        message = (
            "The provided continue parameter is too old to display a consistent list result. You can start a new list "
            "without the continue parameter, or use the continue token in this response to retrieve the remainder of "
            "the results. Continuing with the provided token results in an inconsistent list - objects that were "
            "created, modified, or deleted between the time the first chunk was returned and now may show up in the "
            "list."
        )
        return ApiError(410, "Expired", message, metadata={"continue": _token(_NOW, self.last)})


def read_page(request: ApiRequest, current: int) -> Page:
    """What the query of a list asks for; ApiError 400 when it makes no sense, 504 for a revision yet to come."""
    asked, match = request.query.get("resourceVersion", ""), request.query.get("resourceVersionMatch", "")
    limit = max(0, request.integer("limit"))
    if asked and not (asked.isascii() and asked.isdigit()):
        raise bad_request(f"resourceVersion: Invalid value: {asked}")
    if match not in _MATCHES:
        raise bad_request(
            f'resourceVersionMatch: Unsupported value: "{match}": supported values: "Exact", "NotOlderThan"'
        )
    if match and not asked:
        raise bad_request(
            "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"
        )
    if match == "Exact" and int(asked) == 0:
        raise bad_request("resourceVersionMatch: Forbidden: Exact is forbidden for resourceVersion 0")
    if token := request.query.get("continue"):
        return _continued(token, limit, current)
    if asked and int(asked) > current:
        details = {"retryAfterSeconds": 1, "causes": [{"reason": "ResourceVersionTooLarge"}]}
        raise ApiError(504, "Timeout", f"Too large resource version: {asked}, current: {current}", details)
    return Page(limit, int(asked) if match == "Exact" else current)


def _continued(token: str, limit: int, current: int) -> Page:
    try:
        revision, namespace, name = orjson.loads(base64.urlsafe_b64decode(token))
        at = int(revision)
    except (ValueError, TypeError) as error:
        raise bad_request("continue key is not valid") from error
    if not _NOW <= at <= current:
        raise bad_request("continue key is not valid")
    return Page(limit, current if at == _NOW else at, (str(namespace), str(name)))


def _token(revision: int, last: tuple[str, str]) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([revision, *last])).decode()
