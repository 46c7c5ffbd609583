"""Paths of the API: taken apart into group, version, namespace, kind, name and subresource."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote

from kaiki.apiserver.catalog import ResourceType
from kaiki.apiserver.registry import Registry

_NAMESPACE_SUBRESOURCES = ("status", "finalize")


@dataclass(frozen=True, slots=True)
class Route:
    """Where a path leads. `subresource` may hold more than one segment (proxy paths); "" for the object itself."""

    kind: ResourceType
    namespace: str
    name: str
    subresource: str


def parse_route(path: str, registry: Registry) -> Route | None:
    """The route of `/api/v1/…` or `/apis/<group>/<version>/…`; None when no kind answers there."""
    parts = [unquote(part) for part in path.split("/") if part]
    if len(parts) > 2 and parts[0] == "api":
        group, version, rest = "", parts[1], parts[2:]
    elif len(parts) > 3 and parts[0] == "apis":
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and not (len(rest) == 3 and rest[2] in _NAMESPACE_SUBRESOURCES):
        namespace, rest = rest[1], rest[2:]
    kind = registry.find(group, version, rest[0])
    if kind is None or (namespace and not kind.namespaced):
        return None
    return Route(kind, namespace, rest[1] if len(rest) > 1 else "", "/".join(rest[2:]))
