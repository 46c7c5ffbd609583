"""Server-side apply and field ownership (`metadata.managedFields`), after Kubernetes's structured-merge-diff.

A field set is a set of paths; a path is a tuple of steps as `fieldsV1` writes them: `f:name`, `k:{"name":"x"}`,
`v:value`. Applying merges the given fields, takes away those the manager applied before and no longer does, and
refuses to change what another manager owns unless forced.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from kaiki.apiserver.schemas import Schema, annotation, element_key, items_of, map_keys, property_of

Object = dict[str, Any]
Path = tuple[str, ...]
_UNOWNED_METADATA = (
    "name", "namespace", "uid", "resourceVersion", "creationTimestamp", "generation", "managedFields",
    "generateName", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink",
)  # fmt: skip
_UNOWNED: frozenset[Path] = frozenset(
    {("f:apiVersion",), ("f:kind",), ("f:metadata",), *(("f:metadata", f"f:{name}") for name in _UNOWNED_METADATA)}
)


@dataclass(frozen=True)
class Manager:
    """Who writes, and how: `operation` is Apply or Update; `subresource` is "" for the object itself."""

    name: str
    operation: str
    api_version: str
    time: str
    subresource: str = ""

    def matches(self, entry: Object) -> bool:
        return (
            entry.get("manager") == self.name
            and entry.get("operation") == self.operation
            and entry.get("subresource", "") == self.subresource
        )

    def entry(self, fields: Iterable[Path]) -> Object:
        """The `managedFields` entry that says this manager owns these fields."""
        entry: Object = {
            "manager": self.name,
            "operation": self.operation,
            "apiVersion": self.api_version,
            "time": self.time,
        }
        entry |= {"fieldsType": "FieldsV1", "fieldsV1": _tree(fields)}
        return entry | ({"subresource": self.subresource} if self.subresource else {})


@dataclass(frozen=True)
class FieldConflict:
    """A field that another manager owns."""

    manager: str
    field: str


class ApplyConflict(Exception):
    """Applying would change fields of other managers."""

    def __init__(self, conflicts: list[FieldConflict]) -> None:
        super().__init__(f"{len(conflicts)} conflicts")
        self.conflicts = conflicts


def field_set(value: Object, schema: Schema | None) -> set[Path]:
    """The paths of all fields an object states, without those nobody owns (name, uid…)."""
    return {path for path in _paths(value, schema, ()) if path and path not in _UNOWNED}


def _paths(value: Any, schema: Schema | None, at: Path) -> Iterator[Path]:
    if isinstance(value, dict) and value and annotation(schema, "x-kubernetes-map-type") != "atomic":
        for key, item in value.items():
            yield from _paths(item, property_of(schema, key) if schema else None, (*at, f"f:{key}"))
    elif isinstance(value, list) and (kind := annotation(schema, "x-kubernetes-list-type")) in ("map", "set"):
        yield at
        for element in value:
            step = (*at, _step(element, schema, kind))
            yield step
            if kind == "map":
                yield from _paths(element, items_of(schema), step)
    else:
        yield at


def _step(element: Any, schema: Schema | None, kind: str) -> str:
    if kind == "set":
        return "v:" + orjson.dumps(element).decode()
    keys = map_keys(schema)
    pairs = dict(zip(keys, element_key(element, schema, keys), strict=True))
    return "k:" + orjson.dumps(pairs, option=orjson.OPT_SORT_KEYS).decode()


def _tree(paths: Iterable[Path]) -> Object:
    tree: Object = {}
    listed = list(paths)
    for path in listed:
        node = tree
        for step in path:
            node = node.setdefault(step, {})
    for path in listed:
        node = tree
        for step in path:
            node = node[step]
        if node:
            node["."] = {}
    return tree


def _untree(tree: Object, at: Path = ()) -> Iterator[Path]:
    for step, below in tree.items():
        if step == ".":
            yield at
        elif below:
            yield from _untree(below, (*at, step))
        else:
            yield (*at, step)


def _owned(entry: Object) -> set[Path]:
    return set(_untree(entry.get("fieldsV1") or {}))


def value_at(value: Any, path: Path, schema: Schema | None) -> Any:
    """What an object holds at a path; None when there is nothing."""
    for step in path:
        if value is None:
            return None
        if step.startswith("f:"):
            value = value.get(step[2:]) if isinstance(value, dict) else None
            schema = property_of(schema, step[2:]) if schema else None
        else:
            value = _element_at(value, step, schema)
            schema = items_of(schema)
    return value


def _element_at(value: Any, step: str, schema: Schema | None) -> Any:
    wanted = orjson.loads(step[2:])
    if not isinstance(value, list):
        return None
    if step.startswith("v:"):
        return wanted if wanted in value else None
    return next((each for each in value if _matches(each, wanted, schema)), None)


def _matches(element: Any, wanted: Object, schema: Schema | None) -> bool:
    keys = tuple(wanted)
    return element_key(element, schema, keys) == tuple(wanted.values())


def _remove(value: Any, path: Path, schema: Schema | None) -> None:
    parent = value_at(value, path[:-1], schema)
    step = path[-1]
    if step.startswith("f:") and isinstance(parent, dict):
        parent.pop(step[2:], None)
        if not parent and len(path) > 2:
            _remove(value, path[:-1], schema)
    elif isinstance(parent, list):
        parent_schema = _schema_at(path[:-1], schema)
        element = _element_at(parent, step, parent_schema)
        if element in parent:
            parent.remove(element)


def _schema_at(path: Path, schema: Schema | None) -> Schema | None:
    for step in path:
        if schema is None:
            return None
        schema = property_of(schema, step[2:]) if step.startswith("f:") else items_of(schema)
    return schema


def _is_container(path: Path, fields: set[Path]) -> bool:
    """Whether the field only holds others: a list of type map, or one of its elements."""
    return any(len(other) > len(path) and other[: len(path)] == path for other in fields)


def server_side_apply(current: Object | None, applied: Object, schema: Schema, manager: Manager, force: bool) -> Object:
    """The object after applying; ApplyConflict when other managers own what would change and `force` is not given."""
    entries = copy.deepcopy(((current or {}).get("metadata") or {}).get("managedFields") or [])
    mine = next((entry for entry in entries if manager.matches(entry)), None)
    others = [entry for entry in entries if entry is not mine]
    fields = field_set(applied, schema)
    base = (
        copy.deepcopy(current) if current else {key: applied[key] for key in ("apiVersion", "kind")} | {"metadata": {}}
    )
    _settle_conflicts(base, applied, fields, others, schema, force)
    kept = set().union(*(_owned(entry) for entry in others))
    _remove_abandoned(base, (_owned(mine) if mine else set()) - fields, kept | fields, schema)
    result: Object = _merge(base, applied, schema)
    entry = manager.entry(fields)
    if mine and mine.get("fieldsV1") == entry["fieldsV1"]:
        entry["time"] = mine.get("time", entry["time"])
    result["metadata"]["managedFields"] = [each for each in others if each.get("fieldsV1")] + [entry]
    return result


def _remove_abandoned(base: Object, abandoned: set[Path], kept: set[Path], schema: Schema) -> None:
    """Take away what the manager stated before and nobody states now, whole elements and lists first."""
    for path in sorted(abandoned, key=len):
        if path not in kept and not _is_container(path, kept) and not _is_key(path):
            _remove(base, path, schema)


def _is_key(path: Path) -> bool:
    """Whether the field is part of what identifies its list element: it goes only with the element."""
    return len(path) > 1 and path[-2].startswith("k:") and path[-1][2:] in orjson.loads(path[-2][2:])


def _settle_conflicts(
    base: Object, applied: Object, fields: set[Path], others: list[Object], schema: Schema, force: bool
) -> None:
    conflicts = []
    for entry in others:
        owned = _owned(entry)
        for path in sorted(owned & fields):
            if _is_container(path, owned | fields) or value_at(base, path, schema) == value_at(applied, path, schema):
                continue
            conflicts.append((entry, path))
    if conflicts and not force:
        raise ApplyConflict([FieldConflict(_describe(entry), _dotted(path)) for entry, path in conflicts])
    for entry, path in conflicts:
        entry["fieldsV1"] = _tree(_owned(entry) - {path})


def _describe(entry: Object) -> str:
    name = f'"{entry.get("manager")}"'
    if entry.get("subresource"):
        name += f' with subresource "{entry["subresource"]}"'
    if entry.get("operation") == "Update":
        name += f" using {entry.get('apiVersion')}"
    return name


def _dotted(path: Path) -> str:
    """A path as Kubernetes writes it in conflicts: `.spec.containers[name="x"].image`."""
    result = ""
    for step in path:
        if step.startswith("f:"):
            result += f".{step[2:]}"
        elif step.startswith("k:"):
            pairs = orjson.loads(step[2:])
            result += "[" + ",".join(f"{key}={orjson.dumps(value).decode()}" for key, value in pairs.items()) + "]"
        else:
            result += f"[={step[2:]}]"
    return result


def _merge(base: Any, applied: Any, schema: Schema | None) -> Any:
    if isinstance(applied, dict) and isinstance(base, dict):
        if annotation(schema, "x-kubernetes-map-type") == "atomic":
            return copy.deepcopy(applied)
        result = dict(base)
        for key, value in applied.items():
            result[key] = _merge(base.get(key), value, property_of(schema, key) if schema else None)
        return result
    if isinstance(applied, list) and isinstance(base, list):
        return _merge_list(base, applied, schema)
    return copy.deepcopy(applied)


def _merge_list(base: list[Any], applied: list[Any], schema: Schema | None) -> list[Any]:
    kind = annotation(schema, "x-kubernetes-list-type")
    if kind == "set":
        return base + [each for each in applied if each not in base]
    if kind != "map":
        return copy.deepcopy(applied)
    keys = map_keys(schema)
    result = list(base)
    index = {element_key(each, schema, keys): at for at, each in enumerate(result)}
    for element in applied:
        at = index.get(element_key(element, schema, keys))
        if at is None:
            result.append(copy.deepcopy(element))
        else:
            result[at] = _merge(result[at], element, items_of(schema))
    return result


def track_update(current: Object | None, updated: Object, schema: Schema, manager: Manager) -> None:
    """Write into `updated` who owns what after a write that is not an apply: the writer owns what it changed."""
    before = field_set(current or {}, schema)
    after = field_set(updated, schema)
    changed = {
        path
        for path in after
        if path not in before
        or (not _is_container(path, after) and value_at(current, path, schema) != value_at(updated, path, schema))
    }
    entries = []
    mine = None
    for entry in copy.deepcopy(((current or {}).get("metadata") or {}).get("managedFields") or []):
        if manager.matches(entry):
            mine = entry
            continue
        owned = (_owned(entry) & after) - {path for path in changed if path in before}
        if owned:
            entries.append(entry | {"fieldsV1": _tree(owned)})
    owned = ((_owned(mine) & after) if mine else set()) | changed
    if owned:
        entries.append(manager.entry(owned) | ({} if changed or not mine else {"time": mine["time"]}))
    updated["metadata"]["managedFields"] = entries
