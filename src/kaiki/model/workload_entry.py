"""WorkloadEntries: workloads that are no pods, such as processes on a machine, that services may select."""

from __future__ import annotations

from dataclasses import dataclass

from kaiki.model.finding import ObjectRef
from kaiki.model.identity import Identity


@dataclass(frozen=True, slots=True)
class WorkloadEntry:
    """One workload at an address (or name). `ports` maps names of service ports to its own numbers, sorted."""

    source: ObjectRef
    address: str
    ports: tuple[tuple[str, int], ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    identity: Identity | None = None
    mtls: bool = False
    locality: str = ""
    weight: int = 1
    healthy: bool = True
    created: str = ""

    def port(self, name: str, number: int) -> int:
        """Where it listens for a service port of this name; `number` unless it says otherwise."""
        return dict(self.ports).get(name) or number

    def matches(self, selector: tuple[tuple[str, str], ...]) -> bool:
        """Whether every pair of a non-empty equality selector is among its labels."""
        return bool(selector) and set(selector) <= set(self.labels)
