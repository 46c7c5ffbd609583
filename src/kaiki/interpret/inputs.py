"""The inputs of interpretation as a value that shares what did not change with the value before.

One changed object makes a new list of its kind only; lists of the other kinds are the very objects they were, which is
how interpretation knows, without looking at ten thousand pods, that no pod has changed.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from typing import Any

from kaiki.model.table import Table, table_of, updated

Key = tuple[str, str, str]
Object = Mapping[str, Any]


class _Lists(Mapping[str, list[Object]]):
    """The objects of each kind in a list, made when it is asked for: nobody lists ten thousand EndpointSlices."""

    def __init__(
        self, tables: Mapping[str, Table[Key, Object]], made: Mapping[str, list[Object]] | None = None
    ) -> None:
        self._tables = tables
        self._made = dict(made or {})

    def made_but(self, kinds: Container[str]) -> dict[str, list[Object]]:
        """The lists that were asked for, of other kinds."""
        return {kind: found for kind, found in self._made.items() if kind not in kinds}

    def __getitem__(self, kind: str) -> list[Object]:
        found = self._made.get(kind)
        if found is None:
            found = self._made[kind] = list(self._tables[kind].values())
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._tables)

    def __len__(self) -> int:
        return len(self._tables)


class InputTable(Mapping[Key, Object]):
    """(kind, namespace, name) → object. Never changes; `changed` gives the next one."""

    def __init__(self, objects: Mapping[Key, Object] | None = None) -> None:
        found: dict[str, dict[Key, Object]] = {}
        for key, obj in (objects or {}).items():
            found.setdefault(key[0], {})[key] = obj
        self._objects: dict[str, Table[Key, Object]] = {kind: table_of(found[kind]) for kind in found}
        self.by_kind = _Lists(self._objects)

    def of_kind(self, kind: str) -> Table[Key, Object]:
        """The objects of a kind by their keys: a table that knows how it differs from the one before."""
        return self._objects.get(kind) or Table()

    def changed(self, changes: Mapping[Key, Object | None]) -> InputTable:
        """This table with some objects replaced, added, or (None) taken away; itself if nothing differs."""
        by_kind: dict[str, dict[Key, Object | None]] = {}
        for key, obj in changes.items():
            if self.of_kind(key[0]).get(key) is not obj:
                by_kind.setdefault(key[0], {})[key] = obj
        if not by_kind:
            return self
        return self._next({kind: updated(self.of_kind(kind), found) for kind, found in by_kind.items()}, {})

    def taking(self, kind: str, other: InputTable) -> InputTable:
        """This table with the very objects of a kind that another one has."""
        return self._next({kind: other.of_kind(kind)}, {kind: other.by_kind[kind]})

    def _next(self, tables: Mapping[str, Table[Key, Object]], lists: Mapping[str, list[Object]]) -> InputTable:
        table = InputTable()
        table._objects = {**self._objects, **tables}
        table.by_kind = _Lists(table._objects, {**self.by_kind.made_but(tables), **lists})
        return table

    def with_kind(self, kind: str, objects: Mapping[Key, Object]) -> InputTable:
        """This table with all objects of a kind replaced."""
        gone: dict[Key, Object | None] = dict.fromkeys(self._objects.get(kind, {}))
        return self.changed({**gone, **objects})

    def __getitem__(self, key: Key) -> Object:
        return self._objects[key[0]][key]

    def __iter__(self) -> Iterator[Key]:
        return (key for found in self._objects.values() for key in found)

    def __len__(self) -> int:
        return sum(map(len, self._objects.values()))
