"""The three patch types of PATCH: JSON patch, JSON merge patch, and Kubernetes's strategic merge patch.

All are functions of values: nothing given is changed. Strategic merge is driven by the schema's
`x-kubernetes-patch-strategy` and `x-kubernetes-patch-merge-key`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import orjson

from kaiki.apiserver.schemas import Schema, annotation, items_of, property_of

Object = dict[str, Any]
_ORDER = "$setElementOrder/"
_DELETE_PRIMITIVES = "$deleteFromPrimitiveList/"
_RETAIN = "$retainKeys"


class PatchError(ValueError):
    """A patch that cannot be read or does not fit the object; the message says which operation."""


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


def json_patch(target: Any, operations: Any) -> Any:
    """RFC 6902; PatchError names the operation that does not fit."""
    if not isinstance(operations, list):
        raise PatchError("a JSON patch is a list of operations")
    holder = {"": copy.deepcopy(target)}
    for operation in operations:
        try:
            _apply_operation(holder, operation)
        except (KeyError, IndexError, ValueError, TypeError, AttributeError) as error:
            if isinstance(error, PatchError):
                raise
            raise PatchError(f"operation {orjson.dumps(operation).decode()} does not fit the object") from error
    return holder[""]


def _apply_operation(holder: Object, operation: Object) -> None:
    kind = operation["op"]
    path = _pointer(operation["path"])
    if kind in ("add", "replace"):
        _add(holder, path, copy.deepcopy(operation["value"]), kind == "replace")
    elif kind == "remove":
        _remove(holder, path)
    elif kind == "test":
        if _look_up(holder, path) != operation.get("value"):
            raise PatchError(f"testing value {operation['path']} failed")
    elif kind in ("move", "copy"):
        source = _pointer(operation["from"])
        value = copy.deepcopy(_look_up(holder, source))
        if kind == "move":
            _remove(holder, source)
        _add(holder, path, value, False)
    else:
        raise PatchError(f"unexpected kind of operation: {kind}")


def _pointer(path: str) -> list[str]:
    """The steps of a JSON pointer, starting at the holder's empty key."""
    if path and not path.startswith("/"):
        raise PatchError(f'JSON pointer "{path}" must start with "/"')
    return [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")]


def _look_up(value: Any, path: Sequence[str]) -> Any:
    for part in path:
        value = value[_index(part, len(value))] if isinstance(value, list) else value[part]
    return value


def _index(part: str, length: int) -> int:
    index = int(part)
    if not 0 <= index < length:
        raise IndexError(part)
    return index


def _add(holder: Object, path: Sequence[str], value: Any, must_exist: bool) -> None:
    parent = _look_up(holder, path[:-1])
    key = path[-1]
    if isinstance(parent, list):
        if must_exist:
            parent[_index(key, len(parent))] = value
        else:
            parent.insert(len(parent) if key == "-" else _index(key, len(parent) + 1), value)
    elif must_exist and key not in parent:
        raise KeyError(key)
    else:
        parent[key] = value


def _remove(holder: Object, path: Sequence[str]) -> None:
    parent = _look_up(holder, path[:-1])
    if isinstance(parent, list):
        del parent[_index(path[-1], len(parent))]
    else:
        del parent[path[-1]]


def strategic_merge(target: Object | None, patch: Object, schema: Schema | None) -> Object:
    """Kubernetes's strategic merge patch, directives included (`$patch`, `$retainKeys`, `$setElementOrder/…`)."""
    directive = patch.get("$patch")
    if directive == "replace":
        replaced: Object = _without_directives({key: value for key, value in patch.items() if key != "$patch"})
        return replaced
    if directive == "delete":
        return {}
    result = dict(target or {})
    if _RETAIN in patch:
        result = {key: value for key, value in result.items() if key in patch[_RETAIN]}
    for key, value in patch.items():
        if key.startswith(_DELETE_PRIMITIVES):
            field = key.removeprefix(_DELETE_PRIMITIVES)
            result[field] = [each for each in result.get(field) or [] if each not in value]
        elif not key.startswith("$"):
            _merge_field(result, key, value, schema, patch.get(_ORDER + key))
    for key, order in patch.items():
        field = key.removeprefix(_ORDER)
        if key.startswith(_ORDER) and field not in patch and isinstance(result.get(field), list):
            field_schema = property_of(schema, field) if schema else None
            result[field] = _reorder(result[field], order, annotation(field_schema, "x-kubernetes-patch-merge-key"))
    return result


def _merge_field(result: Object, key: str, value: Any, schema: Schema | None, order: Any) -> None:
    field_schema = property_of(schema, key) if schema else None
    current = result.get(key)
    if value is None:
        result.pop(key, None)
    elif isinstance(value, dict):
        result[key] = strategic_merge(current if isinstance(current, dict) else None, value, field_schema)
    elif isinstance(value, list):
        strategy = annotation(field_schema, "x-kubernetes-patch-strategy") or ""
        if "merge" in strategy.split(","):
            result[key] = _merge_list(current or [], value, field_schema, order)
        else:
            result[key] = _without_directives(value)
    else:
        result[key] = value


def _merge_list(current: list[Any], patch: list[Any], schema: Schema | None, order: Any) -> list[Any]:
    key = annotation(schema, "x-kubernetes-patch-merge-key")
    if not key:
        merged = current + [each for each in patch if each not in current]
        return _reorder(merged, order, None) if order else merged
    if any(each.get("$patch") == "replace" for each in patch):
        replaced: list[Any] = _without_directives([each for each in patch if each.get("$patch") != "replace"])
        return replaced
    result = list(current)
    for element in patch:
        _merge_element(result, element, key, items_of(schema))
    return _reorder(result, order, key) if order else result


def _merge_element(result: list[Any], element: Object, key: str, schema: Schema) -> None:
    if key not in element:
        raise PatchError(f"map: {orjson.dumps(element).decode()} does not contain declared merge key: {key}")
    index = next((at for at, each in enumerate(result) if each.get(key) == element[key]), None)
    if element.get("$patch") == "delete":
        if index is not None:
            del result[index]
    elif index is None:
        result.append(_without_directives(element))
    else:
        result[index] = strategic_merge(result[index], element, schema)


def _reorder(elements: list[Any], order: list[Any], key: str | None) -> list[Any]:
    """Elements named in `order` take that order among themselves; the others keep their places."""
    identify: Callable[[Any], bytes] = lambda each: orjson.dumps(each.get(key) if key else each)  # noqa: E731
    rank = {identify(each): at for at, each in enumerate(order)}
    named = iter(sorted((each for each in elements if identify(each) in rank), key=lambda each: rank[identify(each)]))
    return [next(named) if identify(each) in rank else each for each in elements]


def _without_directives(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: _without_directives(item)
            for key, item in value.items()
            if item is not None and key != "$patch" and not key.startswith((_ORDER, _DELETE_PRIMITIVES, _RETAIN))
        }
    return [_without_directives(item) for item in value] if isinstance(value, list) else value
