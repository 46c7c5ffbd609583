"""Names only the mesh knows, as the control plane publishes them: which pod sees which. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class MeshNames:
    """Host → addresses (a host may be `*.domain`); `views` are the namespaces that see only some hosts."""

    hosts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    views: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def addresses(self, name: str, namespace: str) -> tuple[str, ...]:
        """What a name means to a pod of a namespace; empty if it is none of the mesh's."""
        for host in (name, *_wildcards(name)):
            if host in self.hosts and (namespace not in self.views or host in self.views[namespace]):
                return self.hosts[host]
        return ()


def _wildcards(name: str) -> list[str]:
    """The patterns that include a name, the narrowest first."""
    parts = name.split(".")
    return ["*." + ".".join(parts[index:]) for index in range(1, len(parts))]


def parse_mesh_names(text: str) -> MeshNames:
    """Read the document; what is not one gives no names."""
    try:
        document = json.loads(text or "{}")
        hosts = {str(host): tuple(map(str, found)) for host, found in document.get("hosts", {}).items()}
        views = {str(space): frozenset(map(str, seen)) for space, seen in document.get("views", {}).items()}
    except (ValueError, AttributeError, TypeError):
        return MeshNames()
    return MeshNames(hosts, views)
