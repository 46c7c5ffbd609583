"""Mappings that never change once made, and know how they differ from the one they were made from.

A mesh of ten thousand services is a few such tables. One changed entry makes a new table (a copy of references, not of
values); whoever follows a table asks for the names that differ, which costs what has changed and not what there is.

    updated      a table with some entries replaced, added or taken away; the very same table if nothing differs
    differences  the keys at which two tables differ
    Overlay      one table laid over another, kept up to date by what changed in either
"""

from __future__ import annotations

import weakref
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class Table(dict[Key, Value]):
    """A mapping sorted by its keys. Nobody changes it after it was made."""

    __slots__ = ("__weakref__", "_before", "_changed")
    _before: weakref.ref[Table[Key, Value]] | None
    _changed: Collection[Key]

    def __init__(self, entries: Mapping[Key, Value] | Iterable[tuple[Key, Value]] = ()) -> None:
        super().__init__(entries)
        self._before, self._changed = None, ()

    def changed_since(self, other: Mapping[Key, Value]) -> Collection[Key] | None:
        """The keys at which this table differs from the one it was made from; None for any other."""
        return self._changed if self._before is not None and self._before() is other else None


def table_of(entries: Mapping[Key, Value]) -> Table[Key, Value]:
    """Entries in the order of their keys."""
    return Table((key, entries[key]) for key in sorted(entries))  # type: ignore[type-var]


def updated(before: Table[Key, Value], changes: Mapping[Key, Value | None]) -> Table[Key, Value]:
    """`before` with some entries replaced, added, or (None) taken away. Values are compared by identity."""
    differing = {key: value for key, value in changes.items() if before.get(key) is not value}
    if not differing:
        return before
    after = Table(before)
    for key, value in differing.items():
        if value is None:
            del after[key]
        else:
            after[key] = value
    if any(value is not None and key not in before for key, value in differing.items()):
        after = table_of(after)
    after._before, after._changed = weakref.ref(before), tuple(differing)
    return after


def differences(one: Mapping[Key, Value], other: Mapping[Key, Value]) -> Collection[Key]:
    """The keys at which two mappings differ, by identity of the values."""
    if one is other:
        return ()
    if isinstance(other, Table) and (known := other.changed_since(one)) is not None:
        return known
    if isinstance(one, Table) and (known := one.changed_since(other)) is not None:
        return known
    missing: Any = None
    found = [key for key, value in other.items() if one.get(key, missing) is not value]
    return [*found, *(key for key in one if key not in other)]


class Overlay(Generic[Key, Value]):
    """One mapping over another as one table. Keeps the last result, and asks only for what changed since."""

    def __init__(self) -> None:
        self._below: Mapping[Key, Value] = {}
        self._above: Mapping[Key, Value] = {}
        self._result: Table[Key, Value] = Table()

    def of(self, below: Mapping[Key, Value], above: Mapping[Key, Value]) -> Table[Key, Value]:
        """All entries of both; those of `above` win."""
        keys = {*differences(self._below, below), *differences(self._above, above)}
        changes = {key: above[key] if key in above else below.get(key) for key in keys}
        self._result = updated(self._result, changes)
        self._below, self._above = below, above
        return self._result
