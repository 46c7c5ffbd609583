"""One request as the operations see it: who asks, for what, with which options. No HTTP here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from kaiki.apiserver.apply import Manager
from kaiki.apiserver.catalog import ResourceType
from kaiki.apiserver.errors import bad_request
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
    """A request for one kind. `name` is empty for collections; `warnings` end up as `Warning:` headers."""

    kind: ResourceType
    namespace: str
    name: str
    subresource: str
    query: Mapping[str, str]
    user: User
    agent: str = ""
    warnings: list[str] = field(default_factory=list)

    @property
    def dry_run(self) -> bool:
        return "dryRun" in self.query

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
        name = self.query.get("fieldManager") or self.agent.partition("/")[0] or "unknown"
        return Manager(name, operation, self.kind.api_version, timestamp(), self.subresource)


def timestamp() -> str:
    """The time now, as Kubernetes writes it: UTC, whole seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
