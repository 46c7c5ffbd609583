"""One request as the operations see it: who asks, for what, with which options. No HTTP here."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from kaiki.apiserver.catalog import ResourceType
from kaiki.apiserver.errors import bad_request
from kaiki.apiserver.ownership import Manager, manager_name
from kaiki.apiserver.selectors import Selector, check_fields, parse_selector


@dataclass(frozen=True)
class User:
    """Who sent the request. `extra` is what a token says beyond the name (the pod it is bound to)."""

    name: str
    groups: tuple[str, ...]
    uid: str = ""
    extra: Mapping[str, list[str]] = field(default_factory=dict)

    def describe(self) -> dict[str, Any]:
        """A `UserInfo` object."""
        info: dict[str, Any] = {"username": self.name, "groups": list(self.groups)}
        info |= {"uid": self.uid} if self.uid else {}
        return info | ({"extra": dict(self.extra)} if self.extra else {})


@dataclass
class ApiRequest:
    """A request for one kind. `name` is empty for collections; `warnings` end up as `Warning:` headers; `tracked` is
    off for writes that make nobody an owner of fields (a binding).
    """

    kind: ResourceType
    namespace: str
    name: str
    subresource: str
    query: Mapping[str, str]
    user: User
    agent: str = ""
    warnings: list[str] = field(default_factory=list)
    tracked: bool = True

    @property
    def dry_run(self) -> bool:
        return "dryRun" in self.query

    @property
    def owners(self) -> bool:
        """Whether the client wants `managedFields` in what it reads; our own clients say that they do not."""
        return self.query.get("omitManagedFields") != "true"

    @property
    def validation(self) -> str:
        """Strict, Warn or Ignore: what happens with unknown fields."""
        return self.query.get("fieldValidation") or "Warn"

    @property
    def selector(self) -> Selector:
        found = parse_selector(self.query.get("labelSelector", ""), self.query.get("fieldSelector", ""))
        if found.field_terms:
            check_fields(self.kind.plural, found, self.kind.selectable_paths if self.kind.custom else None)
        return found

    def integer(self, name: str) -> int:
        """A number of the query, 0 when it is not there; ApiError 400 when it is none."""
        text = self.query.get(name) or "0"
        if not re.fullmatch(r"-?\d{1,18}", text):
            raise bad_request(f"{name}: Invalid value: {text}: must be a whole number")
        return int(text)

    def flag(self, name: str) -> bool:
        """Whether a boolean query parameter is set, in any of Go's ways (kubernetes_asyncio sends `True`)."""
        return self.query.get(name, "") in ("true", "True", "TRUE", "t", "T", "1")

    def manager(self, operation: str) -> Manager:
        """Who owns the fields this request writes."""
        name = manager_name(self.query.get("fieldManager", ""), self.agent)
        return Manager(name, operation, self.kind.api_version, timestamp(), self.subresource)


def timestamp() -> str:
    """The time now, as Kubernetes writes it: UTC, whole seconds."""
    return _timestamp(int(time.time()))


@lru_cache(maxsize=1)
def _timestamp(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
