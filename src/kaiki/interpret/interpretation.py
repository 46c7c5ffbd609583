"""The front door of interpretation: what is in the API → the mesh it describes, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kaiki.model.finding import Finding
from kaiki.model.snapshot import EMPTY_SNAPSHOT, MeshSnapshot

Inputs = Mapping[tuple[str, str, str], Mapping[str, Any]]
"""(kind, namespace, name) → the object as the API gives it. An object that did not change is the same dict as before."""

KINDS = ("Namespace", "Pod", "Service", "EndpointSlice", "VirtualService", "DestinationRule", "Gateway")
"""The kinds interpretation reads; others among the inputs are ignored."""


@dataclass(frozen=True, slots=True, eq=False)
class Interpretation:
    """A snapshot, what is wrong with the objects it came from, and what the next interpretation can reuse."""

    snapshot: MeshSnapshot
    findings: tuple[Finding, ...]
    cache: object = None


def interpret(inputs: Inputs, previous: Interpretation | None = None) -> Interpretation:
    """Interpret all objects. With `previous`, only what depends on changed objects is redone."""
    return Interpretation(snapshot=EMPTY_SNAPSHOT, findings=())


def check_object(obj: Mapping[str, Any], snapshot: MeshSnapshot) -> list[Finding]:
    """What is wrong with one object before it is stored: syntax is an ERROR, meaning against the mesh is a WARNING."""
    return []
