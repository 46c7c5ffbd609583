"""Server-side apply, after Kubernetes's structured-merge-diff.

Applying merges the given fields, takes away those the manager applied before and no longer does, and refuses to change
what another manager owns unless forced.

    applied ─▶ merge with what is there ─▶ take away what is no longer applied ─▶ compare: conflicts, new owners
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import orjson

from kaiki.apiserver.field_sets import (
    Fields,
    compare,
    difference,
    dotted,
    elements,
    intersection,
    ownable,
    paths,
    stated,
    union,
)
from kaiki.apiserver.ownership import UPDATE, Manager, entries_of, write_entries
from kaiki.apiserver.schemas import Schema, annotation, element_key, items_of, map_keys, property_of

Object = dict[str, Any]
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
KUBECTL = "kubectl"
"""The manager for which objects of client-side apply are taken over: kubectl's own name when it applies server-side."""

_IDENTITY: Fields = {"f:metadata": {"f:name": {}}}


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

    @property
    def message(self) -> str:
        """Kubernetes's sentence: one line for one conflict, a list by manager for more."""
        if len(self.conflicts) == 1:
            only = self.conflicts[0]
            return f"Apply failed with 1 conflict: conflict with {only.manager}: {only.field}"
        lines: list[str] = []
        for manager in sorted({each.manager for each in self.conflicts}):
            lines.append(f"conflicts with {manager}:")
            lines += [f"- {each.field}" for each in self.conflicts if each.manager == manager]
        return f"Apply failed with {len(self.conflicts)} conflicts: " + "\n".join(lines)


def server_side_apply(current: Object | None, applied: Object, schema: Schema, manager: Manager, force: bool) -> Object:
    """The object after applying; ApplyConflict when other managers own what would change and `force` is not given."""
    entries = entries_of(current)
    others = [entry for entry in entries if not manager.matches(entry)]
    mine = next((entry for entry in entries if manager.matches(entry)), None)
    live = current or {"apiVersion": applied["apiVersion"], "kind": applied["kind"], "metadata": {}}
    fields = stated(ownable(applied), schema)
    result: Object = _merge(copy.deepcopy(live), applied, schema)
    if mine:
        kept = union(fields, _IDENTITY)
        for entry in others:
            kept = union(kept, entry["fieldsV1"])
        _prune(result, schema, mine["fieldsV1"], kept, "")
    changed, removed = compare(ownable(live), ownable(result), schema)
    conflicts = [(entry, common) for entry in others if (common := intersection(entry["fieldsV1"], changed))]
    if conflicts and not force:
        _refuse(conflicts, _taken_over(manager, live, schema))
    entry = manager.entry(fields, None if changed or removed or not current else (mine or {}).get("time", ""))
    left = [each for each in (_after(other, union(changed, removed)) for other in others) if each]
    write_entries(result, [*left, *([entry] if fields else [])])
    _keep_last_applied(result, applied, manager)
    return result


def _after(entry: Object, lost: Fields) -> Object | None:
    """Another manager's entry without what this apply has changed."""
    fields = difference(entry["fieldsV1"], lost)
    return {**entry, "fieldsV1": fields} if fields else None


def _refuse(conflicts: list[tuple[Object, Fields]], allowed: Fields) -> None:
    """ApplyConflict, unless every conflict is allowed."""
    left = ((entry, path) for entry, fields in conflicts for path in paths(difference(fields, allowed)))
    refused = [FieldConflict(_describe(entry), dotted(path)) for entry, path in left]
    if refused:
        raise ApplyConflict(refused)


def _taken_over(manager: Manager, live: Object, schema: Schema) -> Fields:
    """The fields kubectl may change though it does not own them: what it applied client-side and is still so."""
    text = (live["metadata"].get("annotations") or {}).get(LAST_APPLIED)
    if manager.name != KUBECTL or not text:
        return {}
    try:
        last = ownable(orjson.loads(text))
    except (ValueError, AttributeError):
        return {}
    changed, removed = compare(last, ownable(live), schema)
    return difference(stated(last, schema), union(changed, removed))


def _keep_last_applied(result: Object, applied: Object, manager: Manager) -> None:
    """Who goes back to client-side apply finds what kubectl has applied since."""
    annotations = result["metadata"].get("annotations") or {}
    if manager.name == KUBECTL and LAST_APPLIED in annotations:
        metadata = dict(applied["metadata"])
        own = {key: text for key, text in (metadata.pop("annotations", None) or {}).items() if key != LAST_APPLIED}
        metadata |= {"annotations": own} if own else {}
        text = orjson.dumps({**applied, "metadata": metadata}, option=orjson.OPT_SORT_KEYS).decode()
        result["metadata"]["annotations"] = {**annotations, LAST_APPLIED: text + "\n"}


def _prune(value: Any, schema: Schema | None, last: Fields, kept: Fields, at: str) -> None:
    """Take away what the manager stated before and nobody states now: whole elements, lists and maps where nobody
    else owns anything in them. `at` is the step that leads here.
    """
    for step, below in last.items():
        held = kept.get(step)
        if step == "." or _is_key(at, step):
            continue
        if held is None:
            _drop(value, schema, step)
        elif below:
            child, child_schema = _child(value, schema, step)
            if isinstance(child, dict | list) and child:
                _prune(child, child_schema, below, held, step)
                if not child:
                    _drop(value, schema, step)


def _is_key(at: str, step: str) -> bool:
    """Whether the field is part of what identifies its list element: it goes only with the element."""
    return at.startswith("k:") and step.startswith("f:") and step[2:] in orjson.loads(at[2:])


def _child(value: Any, schema: Schema | None, step: str) -> tuple[Any, Schema | None]:
    if step.startswith("f:"):
        found = value.get(step[2:]) if isinstance(value, dict) else None
        return found, property_of(schema, step[2:]) if schema else None
    return _by_step(value, schema).get(step), items_of(schema)


def _by_step(value: Any, schema: Schema | None) -> Object:
    kind = annotation(schema, "x-kubernetes-list-type")
    return elements(value, schema, kind) if isinstance(value, list) and kind in ("map", "set") else {}


def _drop(value: Any, schema: Schema | None, step: str) -> None:
    if step.startswith("f:"):
        if isinstance(value, dict):
            value.pop(step[2:], None)
        return
    found = _by_step(value, schema)
    if step in found:
        value[:] = [each for each in value if each is not found[step]]


def _describe(entry: Object) -> str:
    name = orjson.dumps(entry.get("manager")).decode()
    if entry.get("subresource"):
        name += f' with subresource "{entry["subresource"]}"'
    if entry.get("operation") == UPDATE:
        name += f" using {entry.get('apiVersion')}"
    return name


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
