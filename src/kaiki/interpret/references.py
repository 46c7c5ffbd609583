"""What an object means against the rest of the mesh: names nobody answers to, and contradictions."""

from __future__ import annotations

from collections.abc import Iterable

from kaiki.model.finding import Finding
from kaiki.model.gateway import Gateway
from kaiki.model.policy.destination import DestinationPolicy
from kaiki.model.route import VirtualService
from kaiki.model.snapshot import MeshSnapshot


def references(snapshot: MeshSnapshot, things: Iterable[VirtualService | DestinationPolicy | Gateway]) -> list[Finding]:
    """Findings about `things` against `snapshot`, which may or may not hold them already."""
    return []
