"""What is set for the mesh as a whole."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MeshSettings:
    """`registry_only`: sidecars let nothing out to hosts that are not in the registry."""

    registry_only: bool = False


DEFAULT_SETTINGS = MeshSettings()
