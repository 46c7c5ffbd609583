"""Which TLS workloads take from each other: PeerAuthentication objects, and what they say of one workload.

A port's mode, then the workload's, the namespace's, the mesh's, each unless it is not said there; of two objects for
the same the older counts. Rules: Istio, "PeerAuthentication" reference.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from kaiki.model.finding import ObjectRef
from kaiki.model.well_known import ROOT_NAMESPACE


class MutualTlsMode(StrEnum):
    """DISABLE: plaintext only; STRICT: mutual TLS only; PERMISSIVE: both."""

    DISABLE = "DISABLE"
    PERMISSIVE = "PERMISSIVE"
    STRICT = "STRICT"


@dataclass(frozen=True, slots=True)
class PeerPolicy:
    """One PeerAuthentication. None: as wider policies say. `ports` are those of the workload, only with a selector."""

    source: ObjectRef
    created: str
    selector: tuple[tuple[str, str], ...] = ()
    mode: MutualTlsMode | None = None
    ports: tuple[tuple[int, MutualTlsMode | None], ...] = ()


PeerMode = tuple[MutualTlsMode, ObjectRef | None]
"""A mode, and the object that asks for it; None where none does."""


@dataclass(frozen=True, slots=True)
class PeerModes:
    """What is taken at one workload: in general, and at single ports."""

    general: PeerMode = (MutualTlsMode.PERMISSIVE, None)
    ports: tuple[tuple[int, PeerMode], ...] = ()

    def at(self, port: int) -> PeerMode:
        """What is taken at a port of the workload."""
        return next((mode for number, mode in self.ports if number == port), self.general)

    def refuses_mutual_tls(self, port: int) -> bool:
        """Whether clients must speak plaintext to a port."""
        return self.at(port)[0] is MutualTlsMode.DISABLE


PERMISSIVE = PeerModes()


def peer_modes(
    policies: Iterable[PeerPolicy], namespace: str, labels: Iterable[tuple[str, str]] | None = None
) -> PeerModes:
    """What is taken at a workload of a namespace with these labels; `policies` are the oldest first.

    Without labels: what holds for the namespace as a whole.
    """
    general, ports = PERMISSIVE.general, PERMISSIVE.ports
    for policy in applicable(tuple(policies), namespace, set(labels or ())):
        if policy.mode is not None:
            general = policy.mode, policy.source
        ports = tuple((number, (mode, policy.source)) for number, mode in policy.ports if mode is not None)
    return PeerModes(general, ports)


def applicable(policies: tuple[PeerPolicy, ...], namespace: str, labels: set[tuple[str, str]]) -> Iterator[PeerPolicy]:
    """The mesh's, the namespace's, the workload's: of each the oldest, if there is one."""
    for space in dict.fromkeys((ROOT_NAMESPACE, namespace)):
        yield from _first(one for one in policies if one.source.namespace == space and not one.selector)
    own = (one for one in policies if one.source.namespace == namespace and one.selector)
    yield from _first(one for one in own if set(one.selector) <= labels)


def _first(policies: Iterator[PeerPolicy]) -> Iterator[PeerPolicy]:
    first = next(policies, None)
    if first is not None:
        yield first
