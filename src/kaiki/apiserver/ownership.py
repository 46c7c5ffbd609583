"""Who owns which fields of an object: the entries of `metadata.managedFields`, kept as Kubernetes keeps them.

Every write that is not an apply gives its writer the fields it has changed, and takes them from everybody else; what is
removed belongs to nobody. What an apply does is in `apply.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from kaiki.apiserver.field_sets import Fields, compare, difference, ownable, union
from kaiki.apiserver.schemas import Schema

Object = dict[str, Any]
APPLY, UPDATE = "Apply", "Update"
UPDATERS, ANCIENT = 10, "ancient-changes"
"""So many Update entries are kept apart; the oldest beyond them are joined under that name."""
NAME_LENGTH = 128


@dataclass(frozen=True)
class Manager:
    """Who writes, and how: `operation` is Apply or Update; `subresource` is "" for the object itself."""

    name: str
    operation: str
    api_version: str
    time: str
    subresource: str = ""

    def matches(self, entry: Object) -> bool:
        """Whether the entry is this manager's. Who applies is the same manager in every version."""
        return (
            entry.get("manager") == self.name
            and entry.get("operation") == self.operation
            and entry.get("subresource", "") == self.subresource
            and (self.operation == APPLY or entry.get("apiVersion") == self.api_version)
        )

    def entry(self, fields: Fields, time: str | None = None) -> Object:
        """The `managedFields` entry that says this manager owns these fields, since now or another time ("": none)."""
        time = self.time if time is None else time
        entry: Object = {"manager": self.name, "operation": self.operation, "apiVersion": self.api_version}
        entry |= {"time": time} if time else {}
        entry |= {"fieldsType": "FieldsV1", "fieldsV1": fields}
        return entry | ({"subresource": self.subresource} if self.subresource else {})


def manager_name(asked: str, agent: str) -> str:
    """What a writer is called: as it asks for, or by its program's name."""
    name = asked or "".join(each for each in agent.partition("/")[0] if each.isprintable())[:NAME_LENGTH]
    return name or "unknown"


def entries_of(value: Object | None) -> list[Object]:
    """The entries an object carries."""
    return ((value or {}).get("metadata") or {}).get("managedFields") or []


def entries_to_keep(old: Object | None, new: Object, own: bool) -> list[Object]:
    """The entries to go on with: those written into the new object (`own`: that is possible), or else the old ones.

    Clients may edit them; `[{}]` clears them all. What cannot be read, or is not there, leaves the old ones.
    """
    given = entries_of(new) if own else []
    if len(given) == 1 and not any(given[0].values()):
        return []
    if given and all(_is_readable(entry) for entry in given):
        return [entry for entry in given if entry.get("fieldsV1")]
    return entries_of(old)


def _is_readable(entry: Object) -> bool:
    return (
        entry.get("operation") in (APPLY, UPDATE)
        and entry.get("fieldsType") == "FieldsV1"
        and isinstance(entry.get("fieldsV1", {}), dict)
        and isinstance(entry.get("time", ""), str)
    )


def write_entries(value: Object, entries: list[Object]) -> None:
    """Put entries into an object, in Kubernetes's order; none at all leave no field."""
    if entries:
        value["metadata"]["managedFields"] = sorted(entries, key=_order)
    else:
        value["metadata"].pop("managedFields", None)


def _order(entry: Object) -> tuple[str, ...]:
    return tuple(str(entry.get(key) or "") for key in ("operation", "time", "manager", "apiVersion", "subresource"))


def after_update(
    entries: Iterable[Object], old: Object, new: Object, schema: Schema, manager: Manager, without_status: bool = False
) -> list[Object]:
    """The entries after a write that is not an apply has made `new` of `old`."""
    changed, removed = compare(ownable(old, without_status), ownable(new, without_status), schema)
    if not changed and not removed:
        return list(entries)
    kept, mine = _left(entries, union(changed, removed) if removed else changed, removed, manager)
    if mine or changed:
        fields = union(mine["fieldsV1"], changed) if mine else changed
        kept.append(manager.entry(fields, None if changed else (mine or {}).get("time", "")))
    return _capped(kept)


def _left(
    entries: Iterable[Object], lost: Fields, removed: Fields, manager: Manager
) -> tuple[list[Object], Object | None]:
    """What others still own, and what the writer owned already."""
    kept, mine = [], None
    for entry in entries:
        is_mine = manager.matches(entry)
        fields = difference(entry["fieldsV1"], removed if is_mine else lost)
        if not fields:
            continue
        if is_mine:
            mine = {**entry, "fieldsV1": fields}
        else:
            kept.append({**entry, "fieldsV1": fields})
    return kept, mine


def _capped(entries: list[Object]) -> list[Object]:
    """At most so many Update entries: the oldest of each version are joined, under the time of the youngest of them."""
    updaters = sorted((each for each in entries if each["operation"] == UPDATE), key=_order)
    excess = len(updaters) - UPDATERS
    if excess <= 0:
        return entries
    result = [each for each in entries if each["operation"] != UPDATE]
    first: dict[str, Object] = {}
    for entry in updaters:
        version = entry.get("apiVersion", "")
        bucket = first.get(version)
        if excess <= 0:
            result.append(entry)
        elif bucket is None:
            first[version] = dict(entry)
        else:
            bucket.pop("subresource", None)
            bucket |= {"manager": ANCIENT, "fieldsV1": union(bucket["fieldsV1"], entry["fieldsV1"])}
            bucket |= {"time": entry["time"]} if "time" in entry else {}
            excess -= 1
    return result + list(first.values())


def track_update(current: Object | None, updated: Object, schema: Schema, manager: Manager) -> None:
    """Write into `updated` who owns what after a write that is not an apply: the writer owns what it changed."""
    entries = after_update(entries_of(current), current or {}, updated, schema, manager)
    write_entries(updated, entries)
