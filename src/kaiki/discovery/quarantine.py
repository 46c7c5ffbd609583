"""What Envoy refuses is traced to the object behind it; that object alone is held back, and says so.

    refused resource ─▶ objects it comes from, the newest change first ─▶ hold one back ─▶ still refused? the next one

An object that is held back stands as it was before its last change; if that is refused too, or it is new, it is left
out. It is let go as soon as it changes. Objects are held back before they are interpreted, so whatever else follows
from one goes with it. Where a resource comes from is `translate.provenance`'s affair.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kaiki.interpret.inputs import InputTable, Key, Object
from kaiki.model.finding import Finding, ObjectRef, Severity
from kaiki.model.proxy import Resource
from kaiki.model.table import differences

KINDS = (
    "VirtualService",
    "DestinationRule",
    "Gateway",
    "ServiceEntry",
    "WorkloadEntry",
    "Sidecar",
    "EnvoyFilter",
    "Telemetry",
    "KubernetesGateway",
    "ListenerSet",
    "HTTPRoute",
    "GRPCRoute",
    "TLSRoute",
    "TCPRoute",
    "BackendTLSPolicy",
    "Ingress",
    "AuthorizationPolicy",
    "PeerAuthentication",
    "RequestAuthentication",
)
"""The kinds, as among the inputs, of which one can be held back."""
_NEVER_OUT = ("AuthorizationPolicy", "PeerAuthentication", "RequestAuthentication")
"""Kinds that keep something out: where it is not known what one was before, it is told that it is refused, and proxies
keep what they have."""
_MOST_SUSPECTS = 16
_LONGEST_REASON = 500


@dataclass(slots=True, eq=False)
class _Held:
    """One object that is held back: what stands for it (None: nothing), why, and the last generation it was part of."""

    stand_in: Object | None
    reason: str
    place: str
    last: float = math.inf


@dataclass(frozen=True, slots=True)
class _Trial:
    """Objects to hold back together; `out`: leave them out even if it is known what they were before."""

    keys: tuple[Key, ...]
    out: bool


@dataclass(slots=True)
class _Case:
    """The search for the object behind one resource that was refused. `version` is the one refused last."""

    trials: Iterator[_Trial]
    reason: str
    turn: int
    version: str
    suspects: frozenset[Key]
    seen: set[str] = field(default_factory=set)
    current: _Trial | None = None
    over: bool = False


class Quarantine:
    """Which objects are held back. `withhold` is shown all objects and gives those that may be in force."""

    def __init__(self) -> None:
        self._table = InputTable()
        self._given = InputTable()
        self._given_for: Mapping[Key, Object | None] = {}
        self._before: dict[Key, Object] = {}
        self._changed_at: dict[Key, int] = {}
        self._held: dict[Key, _Held] = {}
        self._cases: dict[tuple[str, str], _Case] = {}
        self._turn = 0

    # What is in force

    def withhold(self, table: InputTable) -> InputTable:
        """All objects → those that may be in force. What was held back and has changed, or is gone, is let go."""
        before, self._table = self._table, table
        self._note_changes(before, table)
        stand_ins = {key: held.stand_in for key, held in self._held.items()}
        given = table.changed(stand_ins)
        for kind in {key[0] for key in stand_ins}:
            # What is derived from a kind of which nothing has changed need not be derived again.
            if table.of_kind(kind) is before.of_kind(kind) and _of(kind, stand_ins) == _of(kind, self._given_for):
                given = given.taking(kind, self._given)
        self._given, self._given_for = given, stand_ins
        return given

    def published(self, generation: int) -> None:
        """What `withhold` gave last is in force now."""
        for key in self._given_for:
            held = self._held.get(key)
            if held is not None and held.last == math.inf:
                held.last = generation - 1

    def _note_changes(self, before: InputTable, now: InputTable) -> None:
        self._turn += 1
        for kind in KINDS:
            old, new = before.of_kind(kind), now.of_kind(kind)
            for key in differences(old, new):
                if key not in new:
                    self._before.pop(key, None)
                    self._changed_at.pop(key, None)
                else:
                    self._changed_at[key] = self._turn
                    # What was refused is no good to go back to.
                    if key in old and key not in self._held:
                        self._before[key] = old[key]
                if key in self._held:
                    self._release(key)

    def _release(self, key: Key) -> None:
        self._held.pop(key, None)
        self._cases = {place: case for place, case in self._cases.items() if key not in case.suspects}

    # What is refused

    def refuse(self, item: Resource, origins: Iterable[ObjectRef], reason: str, built: int) -> bool:
        """A proxy refused a resource, which was built at the generation `built`. True if something else is to be held
        back now."""
        keys = tuple(dict.fromkeys((one.kind, one.namespace, one.name) for one in origins))
        if any(key in self._held and built <= self._held[key].last for key in keys):
            return False  # It was sent before that was held back: what stands now has not been tried yet.
        place, case = (item.type_url, item.name), self._cases.get((item.type_url, item.name))
        if case is not None and item.version in case.seen:
            return False
        if case is None or any(self._changed_at.get(key, 0) > case.turn for key in self._free(keys)):
            suspects = self._suspects(keys)
            if not suspects:
                return False
            trials = _trials(suspects, frozenset(self._before))
            case = self._cases[place] = _Case(trials, reason, self._turn, item.version, frozenset(suspects))
        case.seen.add(item.version)
        case.version = item.version
        return self._go_on(place, case)

    def look_again(self, targets: Mapping[str, Mapping[str, Resource]], generation: int) -> bool:
        """What a proxy is to have now: where holding back what is held back changed nothing about the resource that is
        refused, the next object is tried. True if something else is to be held back now."""
        moved = False
        for place, case in self._cases.items():
            item = targets.get(place[0], {}).get(place[1])
            if item is not None and item.version == case.version and self._is_tried(case, generation):
                moved |= self._go_on(place, case)
        return moved

    def _is_tried(self, case: _Case, generation: int) -> bool:
        """Whether a generation is without what the case holds back."""
        keys = case.current.keys if case.current is not None else ()
        if any(key in self._held and self._held[key].stand_in is self._table.get(key) for key in keys):
            return False
        return not case.over and all(key in self._held and generation > self._held[key].last for key in keys)

    def _go_on(self, place: tuple[str, str], case: _Case) -> bool:
        """The next trial. After the last one nothing of the case is held back: it would help nobody."""
        if case.over:
            return False
        for key in case.current.keys if case.current is not None else ():
            self._held.pop(key, None)
        case.current = next(case.trials, None)
        case.over = case.current is None
        if case.current is not None:
            for key in case.current.keys:
                self._held[key] = _Held(self._stand_in(key, case.current.out), case.reason, place[1])
        return True

    def _stand_in(self, key: Key, out: bool) -> Object | None:
        if out and key[0] in _NEVER_OUT:
            return self._table.get(key)
        known = None if out else self._before.get(key)
        if known is None and key[0] == "BackendTLSPolicy" and key in self._table:
            # Without it connections would be plaintext; with one that nothing vouches for they fail.
            obj: dict[str, Any] = dict(self._table[key])
            return {**obj, "spec": {**obj["spec"], "validation": {"wellKnownCACertificates": "Refused"}}}
        return known

    def _free(self, keys: Iterable[Key]) -> list[Key]:
        return [key for key in keys if key[0] in KINDS and key in self._table and key not in self._held]

    def _suspects(self, keys: Iterable[Key]) -> tuple[Key, ...]:
        known = self._free(keys)
        known.sort(key=lambda key: -self._changed_at.get(key, 0))
        return tuple(known[:_MOST_SUSPECTS])

    # What is said of it

    def findings(self) -> tuple[Finding, ...]:
        """What is to be said of the objects that are held back."""
        return tuple(_finding(key, self._held[key]) for key in sorted(self._held))

    def reasons(self) -> dict[ObjectRef, str]:
        """The objects that are held back, and why."""
        return {ObjectRef(*key): held.reason for key, held in self._held.items()}


def brief(reason: str) -> str:
    """A proxy's reason without the resource, which Envoy prints before it over many lines."""
    text = reason.rpartition("\n: ")[2] if "\n: " in reason else reason
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST_REASON else f"{text[:_LONGEST_REASON]}…"


def _of(kind: str, stand_ins: Mapping[Key, Object | None]) -> dict[Key, int]:
    return {key: id(obj) for key, obj in stand_ins.items() if key[0] == kind}


def _trials(suspects: tuple[Key, ...], known: Container[Key]) -> Iterator[_Trial]:
    """One after the other as it was before (or without it, if it is new); then each without it; at last without all.
    What is never left out is only accused, and only if nothing else helps."""
    removable = tuple(key for key in suspects if key[0] not in _NEVER_OUT)
    for key in suspects:
        if key in known or key in removable:
            yield _Trial((key,), out=key not in known)
    for key in removable:
        if key in known:
            yield _Trial((key,), out=True)
    if len(removable) > 1:
        yield _Trial(removable, out=True)
    if kept := tuple(key for key in suspects if key not in removable):
        yield _Trial(kept, out=True)


def _finding(key: Key, held: _Held) -> Finding:
    message = f"Envoy refuses what this object makes of {held.place}: {held.reason.rstrip('.')}."
    state = "It stands as it was before the change" if held.stand_in is not None else "It is not in force"
    if key[0] in _NEVER_OUT:
        state = "Proxies keep the policy they have"
    hint = f"{state}; everything else goes on. Correct it to try again."
    return Finding("KAI0801", Severity.ERROR, ObjectRef(*key), "spec", message, hint)
