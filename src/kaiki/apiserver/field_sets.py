"""Sets of fields, as `managedFields` write them, and which fields two states of an object differ in.

A set is a tree of steps: `{"f:spec": {"f:ports": {".": {}, 'k:{"port":80}': {…}}}}`. A step with nothing below is a
member of the set; one with something below is a member itself only where `.` stands in it. The rules of what is one
field (atomic lists and maps, lists whose elements have keys) come from the schemas, after Kubernetes's
structured-merge-diff. Trees are shared between sets and never changed in place.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from kaiki.apiserver.schemas import Schema, annotation, element_key, items_of, map_keys, property_of, resolve

Object = dict[str, Any]
Fields = dict[str, Any]
Path = tuple[str, ...]
MEMBER: Fields = {}
_KEYED_LISTS = ("map", "set")
_UNOWNED_METADATA = frozenset(
    ("name", "namespace", "uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "selfLink",
     "deletionTimestamp", "deletionGracePeriodSeconds")
)  # fmt: skip
# What a new object holds before anybody has written a field: in Go these are structs, not pointers to them.
_STRUCTS = frozenset(
    ("metadata", "spec", "status", "template", "jobTemplate", "strategy", "updateStrategy", "loadBalancer", "names")
)


def union(one: Fields, other: Fields) -> Fields:
    """The fields that are in either set."""
    result = dict(one)
    for step, below in other.items():
        held = result.get(step)
        result[step] = below if held is None else _joined(held, below)
    return result


def _joined(one: Fields, other: Fields) -> Fields:
    if one == other:
        return one
    if not one:
        return as_member(other)
    return union(one, other) if other else as_member(one)


def as_member(node: Fields) -> Fields:
    """The same fields, and the one that holds them."""
    return node if not node or "." in node else {".": MEMBER, **node}


def is_member(node: Fields) -> bool:
    """Whether the field that holds these is in the set itself."""
    return not node or "." in node


def difference(one: Fields, other: Fields) -> Fields:
    """The fields of one set that are not in the other."""
    result = {}
    for step, below in one.items():
        taken = other.get(step)
        left = below if taken is None else _without(below, taken)
        if left is not None:
            result[step] = left
    return result


def _without(node: Fields, taken: Fields) -> Fields | None:
    if not node:
        return None if is_member(taken) else node
    return _node(difference(node, taken or {".": MEMBER}))


def _node(found: Fields) -> Fields | None:
    """Fields found below a step as a node of a tree: None when there are none."""
    if not found:
        return None
    return MEMBER if len(found) == 1 and "." in found else found


def intersection(one: Fields, other: Fields) -> Fields:
    """The fields that are in both sets."""
    result = {}
    for step, below in one.items():
        also = other.get(step)
        both = None if also is None else _common(below, also)
        if both is not None:
            result[step] = both
    return result


def _common(node: Fields, also: Fields) -> Fields | None:
    if not node:
        return MEMBER if is_member(also) else None
    return _node(intersection(node, also or {".": MEMBER}))


def paths(fields: Fields, at: Path = ()) -> Iterator[Path]:
    """Every member, those nearest to the root first."""
    steps = sorted(step for step in fields if step != ".")
    for step in steps:
        if is_member(fields[step]):
            yield (*at, step)
    for step in steps:
        yield from paths(fields[step], (*at, step))


def dotted(path: Path) -> str:
    """A path as Kubernetes writes it in messages: `.spec.containers[name="x"].image`."""
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


def ownable(value: Object, without_status: bool = False) -> Object:
    """The part of an object whose fields can have owners: no identity, nothing that only the server writes."""
    left = {key: item for key, item in value.items() if key not in ("apiVersion", "kind")}
    if without_status:
        left.pop("status", None)
    metadata = value.get("metadata") or {}
    left["metadata"] = {key: item for key, item in metadata.items() if key not in _UNOWNED_METADATA}
    return left


def blank(value: Object, schema: Schema | None, custom: bool) -> Object:
    """What an object like this is before its first field is written. Custom resources begin with nothing."""
    if custom:
        return {"metadata": {}}
    begun: Object = {}
    required = resolve(schema or {}).get("required") or ()
    for key, item in value.items():
        if key in _STRUCTS and isinstance(item, dict):
            begun[key] = blank(item, property_of(schema, key) if schema else None, False)
        elif isinstance(item, list) and key in required:
            begun[key] = []
    return begun


def stated(value: Object, schema: Schema | None) -> Fields:
    """The fields an applied configuration states."""
    fields = _stated(value, schema) or {}
    return fields if fields.get("f:metadata") else {step: fields[step] for step in fields if step != "f:metadata"}


def _stated(value: Any, schema: Schema | None) -> Fields | None:
    if isinstance(value, dict) and value and not _is_atomic(schema):
        declared = resolve(schema or {}).get("properties") or {}
        found: Fields = {}
        for key, item in value.items():
            below = _stated(item, property_of(schema, key) if schema else None)
            if below is not None:
                found[f"f:{key}"] = below if key in declared else as_member(below)
        return found or None
    if isinstance(value, list) and (kind := annotation(schema, "x-kubernetes-list-type")) in _KEYED_LISTS:
        items = items_of(schema)
        below_items = {step: _stated(each, items) for step, each in elements(value, schema, kind).items()}
        return {step: as_member(below or MEMBER) for step, below in below_items.items()} or None
    return MEMBER


def _is_atomic(schema: Schema | None) -> bool:
    return bool(annotation(schema, "x-kubernetes-map-type") == "atomic")


def elements(value: list[Any], schema: Schema | None, kind: str) -> dict[str, Any]:
    """The elements of a list of type `map` or `set`, by the step that leads to each."""
    if kind == "set":
        return {"v:" + orjson.dumps(each).decode(): each for each in value}
    keys = map_keys(schema)
    found = {}
    for each in value:
        pairs = dict(zip(keys, element_key(each, schema, keys), strict=True))
        found["k:" + orjson.dumps(pairs, option=orjson.OPT_SORT_KEYS).decode()] = each
    return found


def compare(old: Object, new: Object, schema: Schema | None) -> tuple[Fields, Fields]:
    """The fields that are new or different in `new`, and those that it no longer has."""
    changed: Fields = {}
    removed: Fields = {}
    for key, item in new.items():
        if key not in old:
            changed[f"f:{key}"] = _whole(item, property_of(schema, key) if schema else None)
        elif (before := old[key]) is not item and before != item:
            _note(f"f:{key}", before, item, property_of(schema, key) if schema else None, changed, removed)
    for key, before in old.items():
        if key not in new:
            removed[f"f:{key}"] = _whole(before, property_of(schema, key) if schema else None)
    return changed, removed


def _note(step: str, before: Any, item: Any, schema: Schema | None, changed: Fields, removed: Fields) -> None:
    """Put what differs between two values of one field into the sets."""
    if isinstance(before, dict) and isinstance(item, dict) and not _is_atomic(schema):
        more, less = compare(before, item, schema)
    elif (
        isinstance(before, list)
        and isinstance(item, list)
        and (kind := annotation(schema, "x-kubernetes-list-type")) in _KEYED_LISTS
    ):
        more, less = _compared_lists(elements(before, schema, kind), elements(item, schema, kind), items_of(schema))
    else:
        changed[step] = MEMBER
        return
    if more:
        changed[step] = more
    if less:
        removed[step] = less


def _compared_lists(old: Object, new: Object, schema: Schema) -> tuple[Fields, Fields]:
    changed: Fields = {}
    removed: Fields = {}
    for step, item in new.items():
        if step not in old:
            changed[step] = _whole(item, schema)
        elif old[step] != item:
            _note(step, old[step], item, schema, changed, removed)
    for step, before in old.items():
        if step not in new:
            removed[step] = _whole(before, schema)
    return changed, removed


def _whole(value: Any, schema: Schema | None) -> Fields:
    """A value that came or went as a whole: everything in it, and each thing that holds others."""
    if isinstance(value, dict):
        if not value or _is_atomic(schema):
            return MEMBER
        found: Fields = {".": MEMBER}
        for key, item in value.items():
            found[f"f:{key}"] = _whole(item, property_of(schema, key) if schema else None)
        return found
    if isinstance(value, list) and value and (kind := annotation(schema, "x-kubernetes-list-type")) in _KEYED_LISTS:
        items = items_of(schema)
        return {".": MEMBER} | {step: _whole(each, items) for step, each in elements(value, schema, kind).items()}
    return MEMBER
