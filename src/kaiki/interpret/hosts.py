"""How names in Istio's objects become full: hosts, gateways, and the namespaces an object is exported to."""

from __future__ import annotations

from collections.abc import Iterable

from kaiki.interpret.services import full_host
from kaiki.model.route import MESH_GATEWAY


def resolve_host(host: str, namespace: str) -> str:
    """A host's full name: a name without a dot is a Service of the object's own namespace (Istio's rule)."""
    name = host.lower()
    if "." in name or name.startswith("*") or not name:
        return name
    return full_host(name, namespace)


def resolve_gateway(name: str, namespace: str) -> str:
    """`namespace/name` of a gateway; `mesh` means every sidecar. `name.namespace…` is the old way to write it."""
    if name == MESH_GATEWAY or "/" in name:
        return name.replace("./", f"{namespace}/", 1) if name.startswith("./") else name
    if "." in name:
        short, space = name.split(".")[:2]
        return f"{space}/{short}"
    return f"{namespace}/{name}"


def resolve_export(export_to: Iterable[str], namespace: str) -> tuple[str, ...]:
    """The namespaces an object is visible in: `*` for all, `.` for its own; all by default."""
    return tuple(sorted({namespace if item == "." else item for item in export_to})) or ("*",)


def is_visible(export_to: tuple[str, ...], namespace: str) -> bool:
    """Whether an object with these (resolved) exports is seen in a namespace."""
    return "*" in export_to or namespace in export_to


def covers(pattern: str, host: str) -> bool:
    """Whether a host pattern (`*`, `*.example.org`, `example.org`) includes a host or a narrower pattern."""
    if pattern in ("*", host):
        return True
    return pattern.startswith("*.") and host.removeprefix("*").endswith(pattern[1:])


def overlaps(one: str, other: str) -> bool:
    """Whether there is a host that both patterns include."""
    return covers(one, other) or covers(other, one)
