"""Reading an object by its schema: unknown fields are found and dropped, wrong types refused, as Kubernetes's
decoder does.

`prune` is what `fieldValidation` (Strict, Warn, Ignore) rests on; it answers a clean copy and the unknown paths.
"""

from __future__ import annotations

from typing import Any

from kaiki.apiserver.catalog import ResourceType
from kaiki.apiserver.errors import ApiError, bad_request
from kaiki.apiserver.schemas import ANYTHING, OBJECT_META, Schema, is_free, items_of, property_of, resolve, schema_of

Object = dict[str, Any]
_SCALARS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "object": (dict,),
    "array": (list,),
}
_GO_SCALARS = {"boolean": "bool", "number": "float64"}
_GO_KINDS = {str: "string", bool: "bool", int: "number", float: "number", dict: "object", list: "array"}


class WrongType(Exception):
    """A value whose JSON type is not the field's."""

    def __init__(self, path: str, value: Any, schema: Schema, owner: str) -> None:
        super().__init__(f"{path}: {value!r}")
        self.path, self.value, self.schema, self.owner = path, value, schema, owner


def read_fields(kind: ResourceType, value: Object) -> tuple[Object, list[str]]:
    """The object without unknown fields, and their paths. ApiError 400 for a built-in kind's field of a wrong type.

    Types within custom resources are not looked at here: their schemas say more, and are checked after defaulting.
    """
    unknown: list[str] = []
    try:
        return _object(value, schema_of(kind), "", unknown, not kind.custom, kind.kind), unknown
    except WrongType as wrong:
        raise _decoding_error(kind, wrong) from None


def read_definition(kind: ResourceType, value: Any) -> Object:
    """A body that is no stored object (options, scales…), without unknown fields; ApiError 400 for wrong types."""
    if not isinstance(value, dict):
        raise bad_request("the object provided is unrecognized (must be of type Object)")
    return read_fields(kind, value)[0]


def _decoding_error(kind: ResourceType, wrong: WrongType) -> ApiError:
    received = _GO_KINDS.get(type(wrong.value), "object")
    message = f"json: cannot unmarshal {received} into Go struct field {wrong.owner}.{wrong.path} of type "
    message += _go_type(wrong.schema)
    return bad_request(f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: {message}')


def _go_type(schema: Schema) -> str:
    reference = schema.get("$ref", "")
    schema = resolve(schema)
    kind = str(schema.get("type") or "")
    if kind == "integer":
        return str(schema.get("format", "int64"))
    if kind == "array":
        return f"[]{_go_type(items_of(schema))}"
    if kind == "object":
        values = schema.get("additionalProperties")
        if values:
            return f"map[string]{_go_type(values)}"
        return "v1." + str(reference).rpartition(".")[2]
    return _GO_SCALARS.get(kind, kind)


def _object(value: Object, schema: Schema, path: str, unknown: list[str], typed: bool, owner: str) -> Object:
    result: Object = {}
    preserve = schema.get("x-kubernetes-preserve-unknown-fields")
    embedded = schema.get("x-kubernetes-embedded-resource")
    for key, item in value.items():
        field = property_of(schema, key)
        at = f"{path}.{key}" if path else key
        if field is None and embedded and key in ("apiVersion", "kind", "metadata"):
            field = {"$ref": OBJECT_META} if key == "metadata" else {"type": "string"}
        if field is None:
            if not preserve:
                unknown.append(at)
                continue
            field = ANYTHING
        if item is None:
            if resolve(field).get("nullable"):
                result[key] = None
            continue
        result[key] = _value(item, field, at, unknown, typed, owner)
    return result


def _value(value: Any, field: Schema, path: str, unknown: list[str], typed: bool, owner: str) -> Any:
    schema = resolve(field)
    if typed or "$ref" in field:
        _check_type(value, field, schema, path, owner)
    if isinstance(value, dict):
        if is_free(schema) and not schema.get("properties"):
            return value
        owner = field.get("$ref", owner).rpartition(".")[2]
        return _object(value, schema, path, unknown, typed, owner)
    if isinstance(value, list):
        items = items_of(schema)
        if typed:  # Go reads null as an element's zero value
            empty: dict[Any, Any] = {"object": {}, "string": "", "array": []}
            zero = empty.get(resolve(items).get("type"), 0)
            value = [zero if item is None else item for item in value]
        return [_value(item, items, f"{path}[{at}]", unknown, typed, owner) for at, item in enumerate(value)]
    return value


def _check_type(value: Any, field: Schema, schema: Schema, path: str, owner: str) -> None:
    kind = schema.get("type")
    if value is None or not isinstance(kind, str):
        if schema.get("oneOf") and isinstance(value, dict | list | bool):
            raise WrongType(path, value, {"type": "intstr.IntOrString"}, owner)
        return
    allowed = _SCALARS[kind]
    if not isinstance(value, allowed) or (isinstance(value, bool) and kind in ("integer", "number")):
        raise WrongType(path, value, field, owner)


def unknown_field_message(paths: list[str]) -> str:
    """Kubernetes's sentence about unknown fields, without the `strict decoding error: ` before it."""
    return ", ".join(f'unknown field "{path}"' for path in paths)


def apply_schema_defaults(value: Any, schema: Schema) -> None:
    """Write the defaults a CRD's schema declares into the value, in place."""
    if isinstance(value, dict):
        for key, field in schema.get("properties", {}).items():
            if key not in value and "default" in field:
                default = field["default"]
                value[key] = _copy(default)
            if key in value:
                apply_schema_defaults(value[key], field)
        values = schema.get("additionalProperties")
        if isinstance(values, dict):
            for key in value.keys() - schema.get("properties", {}).keys():
                apply_schema_defaults(value[key], values)
    elif isinstance(value, list) and isinstance(schema.get("items"), dict):
        for item in value:
            apply_schema_defaults(item, schema["items"])


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value
