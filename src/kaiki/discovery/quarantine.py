"""What Envoy refuses is traced to the object behind it; that object alone is held back, and says so.

    rejected resource ─▶ objects it comes from, the newest change first ─▶ hold one back ─▶ refused again? the next one

An object that is held back stands as it was before its last change, or not at all if it is new. It is let go as soon as
it changes. Which objects a resource comes from stands in its metadata; EnvoyFilters say which resources they touched.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from kaiki.model.finding import Finding, ObjectRef, Severity
from kaiki.model.proxy import Resource
from kaiki.model.route import VirtualService
from kaiki.model.snapshot import MeshSnapshot

_PATH = re.compile(rb"/apis/networking\.istio\.io/v1/namespaces/([a-z0-9.-]+)/([a-z-]+)/([a-z0-9.-]+)")
_KINDS = {"virtual-service": "VirtualService", "destination-rule": "DestinationRule", "gateway": "Gateway"}
_MOST_SUSPECTS = 16


def origins_of(item: Resource) -> tuple[ObjectRef, ...]:
    """The objects a resource comes from, by the API paths in its metadata."""
    found: dict[ObjectRef, None] = {}
    for match in _PATH.finditer(item.body):
        # What follows a text on the wire may look like part of it; its length stands before it.
        start = match.start()
        high, low = item.body[start - 1], item.body[start - 2]
        length = (low & 127) | high << 7 if low & 128 else high
        parts = item.body[start : start + length].decode("ascii", "replace").split("/")
        if len(parts) == 8 and parts[6] in _KINDS:
            found[ObjectRef(_KINDS[parts[6]], parts[5], parts[7])] = None
    return tuple(found)


@dataclass(frozen=True, slots=True, eq=False)
class _Held:
    """One object that is held back: what it is now, what stands for it, and why."""

    now: Any
    before: Any
    reason: str
    place: str


@dataclass(slots=True)
class _Case:
    """The search for the object behind one resource that was refused."""

    suspects: tuple[ObjectRef, ...]
    position: int = 0
    seen: set[str] = field(default_factory=set)


class Quarantine:
    """Which objects are held back. `publish` tells it of every snapshot, `apply` gives the one to be in force."""

    def __init__(self) -> None:
        self._now: Mapping[ObjectRef, Any] = {}
        self._before: dict[ObjectRef, Any] = {}
        self._changed_at: dict[ObjectRef, int] = {}
        self._held: dict[ObjectRef, _Held] = {}
        self._cases: dict[tuple[str, str], _Case] = {}
        self._turn = 0

    def publish(self, snapshot: MeshSnapshot) -> None:
        """Note what changed; let go what is held back and has changed, or is no longer there."""
        self._turn += 1
        now = _things(snapshot)
        for reference, thing in now.items():
            known = self._now.get(reference)
            if known is thing:
                continue
            self._changed_at[reference] = self._turn
            # What was refused is no good to go back to.
            if known is not None and reference not in self._held:
                self._before[reference] = known
        for reference in [one for one, held in self._held.items() if now.get(one) is not held.now]:
            self._release(reference)
        for gone in self._now.keys() - now.keys():
            self._before.pop(gone, None)
            self._changed_at.pop(gone, None)
        self._now = now

    def _release(self, reference: ObjectRef) -> None:
        self._held.pop(reference, None)
        self._cases = {key: case for key, case in self._cases.items() if reference not in case.suspects}

    def refuse(self, item: Resource, touched: Iterable[ObjectRef], reason: str) -> bool:
        """A proxy refused a resource. True if something else is held back now."""
        key = item.type_url, item.name
        case = self._cases.get(key)
        if case is None:
            suspects = self._suspects((*touched, *origins_of(item)))
            if not suspects:
                return False
            case = self._cases[key] = _Case(suspects)
        elif item.version in case.seen:
            return False
        elif case.position < len(case.suspects):
            if len(case.suspects) > 1:
                self._held.pop(case.suspects[case.position], None)
            case.position += 1
        else:
            return False
        case.seen.add(item.version)
        chosen = case.suspects[case.position : case.position + 1] or case.suspects
        for reference in chosen:
            self._hold(reference, reason, item.name)
        return True

    def _suspects(self, origins: tuple[ObjectRef, ...]) -> tuple[ObjectRef, ...]:
        known = [one for one in dict.fromkeys(origins) if one in self._now and one not in self._held]
        known.sort(key=lambda one: -self._changed_at.get(one, 0))
        return tuple(known[:_MOST_SUSPECTS])

    def _hold(self, reference: ObjectRef, reason: str, place: str) -> None:
        self._held[reference] = _Held(self._now[reference], self._before.get(reference), reason, place)

    def apply(self, snapshot: MeshSnapshot) -> MeshSnapshot:
        """The snapshot with what is held back as it was before."""
        if not self._held:
            return snapshot
        return replace(
            snapshot,
            virtual_services={name: self._routes(items) for name, items in snapshot.virtual_services.items()},
            destination_policies={
                host: found for host, items in snapshot.destination_policies.items() if (found := self._others(items))
            },
            gateways=self._others(snapshot.gateways),
            envoy_filters=self._others(snapshot.envoy_filters),
        )

    def _others(self, items: tuple[Any, ...]) -> tuple[Any, ...]:
        stand = (self._held[item.source].before if item.source in self._held else item for item in items)
        return tuple(item for item in stand if item is not None)

    def _routes(self, items: tuple[VirtualService, ...]) -> tuple[VirtualService, ...]:
        kept = self._others(items)
        return tuple(self._without_delegated(item) for item in kept)

    def _without_delegated(self, item: VirtualService) -> VirtualService:
        """Rules that come from another object, which is held back, are left out."""
        others = {route.source for route in item.http} - {item.source}
        if not others & self._held.keys():
            return item
        rules = tuple(route for route in item.http if route.source == item.source or route.source not in self._held)
        return replace(item, http=rules)

    def findings(self) -> tuple[Finding, ...]:
        """What is to be said of the objects that are held back."""
        return tuple(
            _finding(reference, held) for reference, held in sorted(self._held.items(), key=lambda one: one[0])
        )


def _finding(reference: ObjectRef, held: _Held) -> Finding:
    message = f"Envoy refuses what this object makes of {held.place}: {held.reason.rstrip('.')}."
    state = "It stands as it was before the change" if held.before is not None else "It is not in force"
    hint = f"{state}; everything else goes on. Correct it to try again."
    return Finding("KAI0801", Severity.ERROR, reference, "spec", message, hint)


def _things(snapshot: MeshSnapshot) -> dict[ObjectRef, Any]:
    found: dict[ObjectRef, Any] = {item.source: item for item in snapshot.delegates.values()}
    for routes in snapshot.virtual_services.values():
        found.update((item.source, item) for item in routes)
    for rules in snapshot.destination_policies.values():
        found.update((item.source, item) for item in rules)
    found.update((item.source, item) for item in snapshot.gateways)
    found.update((item.source, item) for item in snapshot.envoy_filters)
    return found
