"""Judges objects again only when something they were judged by has changed.

A judgement reads the snapshot by names: this host's service, that host's rules. What it read is noted (that there was
nothing, too); as long as all of it is the same objects, the findings are those of before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, cast

from kaiki.interpret.references import Thing, references
from kaiki.model.finding import Finding, ObjectRef
from kaiki.model.snapshot import MeshSnapshot

_WHOLE = object()
"""Stands for a key where a field was read as a whole."""

Note = tuple[str, Any, Any]
"""The field of the snapshot, the key in it, and what was found there."""


class _Judgement(NamedTuple):
    thing: Thing
    notes: tuple[Note, ...]
    findings: tuple[Finding, ...]

    def holds(self, thing: Thing, snapshot: MeshSnapshot) -> bool:
        return self.thing is thing and all(_read(snapshot, name, key) is seen for name, key, seen in self.notes)


class Judge:
    """The findings about all objects, against the newest snapshot."""

    def __init__(self) -> None:
        self._known: dict[ObjectRef, _Judgement] = {}
        self.judged = 0

    def judge(self, snapshot: MeshSnapshot, things: Iterable[Thing]) -> list[Finding]:
        """What `references` says of these objects. Forgets all others."""
        known: dict[ObjectRef, _Judgement] = {}
        for thing in things:
            before = self._known.get(thing.source)
            known[thing.source] = before if before and before.holds(thing, snapshot) else self._judged(thing, snapshot)
        self._known = known
        return [finding for one in known.values() for finding in one.findings]

    def _judged(self, thing: Thing, snapshot: MeshSnapshot) -> _Judgement:
        self.judged += 1
        reading = Reading(snapshot)
        findings = tuple(references(cast(MeshSnapshot, reading), (thing,)))
        return _Judgement(thing, tuple((name, key, seen) for (name, key), seen in reading.notes.items()), findings)


def _read(snapshot: MeshSnapshot, name: str, key: Any) -> Any:
    value = getattr(snapshot, name)
    return value if key is _WHOLE else value.get(key)


class Reading:
    """A snapshot that notes what is read of it."""

    def __init__(self, snapshot: MeshSnapshot) -> None:
        self._snapshot = snapshot
        self.notes: dict[tuple[str, Any], Any] = {}

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._snapshot, name)
        if isinstance(value, Mapping):
            return _Noted(name, value, self.notes)
        self.notes[name, _WHOLE] = value
        return value


class _Noted(Mapping[Any, Any]):
    """One mapping of a snapshot that notes what is read of it."""

    def __init__(self, name: str, values: Mapping[Any, Any], notes: dict[tuple[str, Any], Any]) -> None:
        self._name, self._values, self._notes = name, values, notes

    def __getitem__(self, key: Any) -> Any:
        self._notes[self._name, key] = self._values.get(key)
        return self._values[key]

    def __contains__(self, key: object) -> bool:
        self._notes[self._name, key] = self._values.get(key)
        return key in self._values

    def __iter__(self) -> Iterator[Any]:
        self._notes[self._name, _WHOLE] = self._values
        return iter(self._values)

    def __len__(self) -> int:
        self._notes[self._name, _WHOLE] = self._values
        return len(self._values)
