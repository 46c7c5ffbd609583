"""Validation of custom resources by their CRD's schema: compiled once per kind by jsonschema-rs, answered as 422
causes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

from kaiki.apiserver.catalog import ResourceType
from kaiki.apiserver.errors import FieldCause, invalid_value, quoted, required, unsupported_value

_validators: WeakKeyDictionary[ResourceType, Any] = WeakKeyDictionary()
_KEPT = frozenset(
    {
        "type", "properties", "required", "items", "additionalProperties", "enum", "pattern", "minimum", "maximum",
        "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength", "minItems", "maxItems", "uniqueItems",
        "minProperties", "maxProperties", "multipleOf", "oneOf", "anyOf", "allOf", "not",
    }
)  # fmt: skip


def check_custom(kind: ResourceType, value: Mapping[str, Any]) -> list[FieldCause]:
    """What the schema finds wrong with the object; empty when nothing."""
    if kind.schema is None:
        return []
    validator = _validators.get(kind)
    if validator is None:
        import jsonschema_rs

        validator = _validators[kind] = jsonschema_rs.Draft4Validator(_as_json_schema(kind.schema))
    if validator.is_valid(value):
        return []
    return [_cause(error, value) for error in validator.iter_errors(value)]


def schema_problem(schema: Any) -> str:
    """Why no object could be checked by a CRD's schema (a pattern that is no regular expression…); "" when all can."""
    import jsonschema_rs

    try:
        jsonschema_rs.Draft4Validator(_as_json_schema(schema))
    except (jsonschema_rs.ValidationError, ValueError) as error:
        message: str = getattr(error, "message", str(error))
        where = dotted(getattr(error, "instance_path", ()))
        return f"{where}: {message}" if where else message
    return ""


def _as_json_schema(schema: Any) -> Any:
    """A structural schema as plain JSON Schema: Kubernetes's extensions said in JSON Schema's own words."""
    if not isinstance(schema, dict):
        return schema
    result = {key: _convert(key, item) for key, item in schema.items() if key in _KEPT}
    if schema.get("x-kubernetes-int-or-string"):
        result.pop("type", None)
        result["type"] = ["integer", "string"]
    if schema.get("nullable") and isinstance(result.get("type"), str):
        result["type"] = [result["type"], "null"]
        if "enum" in result and None not in result["enum"]:
            result["enum"] = [*result["enum"], None]
    return result


def _convert(key: str, item: Any) -> Any:
    if key == "properties":
        return {name: _as_json_schema(each) for name, each in item.items()}
    if key in ("oneOf", "anyOf", "allOf"):
        return [_as_json_schema(each) for each in item]
    return _as_json_schema(item) if key in ("items", "additionalProperties", "not") else item


def _cause(error: Any, value: Any) -> FieldCause:
    path = dotted(error.instance_path)
    keyword = error.schema_path[-1] if error.schema_path else ""
    if keyword == "required":
        missing = error.kind.property
        return required(f"{path}.{missing}" if path else missing)
    if keyword == "enum":
        return unsupported_value(path, error.instance, error.kind.options)
    if keyword == "type":
        expected = _type_names(error)
        received = _json_type(error.instance)
        why = f"{path} in body must be of type {expected}: {quoted(received)}"
        return FieldCause(path, "FieldValueTypeInvalid", f"Invalid value: {quoted(received)}: {why}")
    if keyword == "pattern":
        return invalid_value(path, error.instance, f"{path} in body should match '{error.kind.pattern}'")
    return invalid_value(path or "<nil>", error.instance, f"{path} in body: {_without_value(error.message)}")


def _without_value(message: str) -> str:
    return message if len(message) < 400 else message[-200:]


def _type_names(error: Any) -> str:
    message: str = error.message
    names = message.rpartition("of type ")[2] or message.rpartition("types ")[2]
    return names.strip('"').replace('"', "")


def _json_type(value: Any) -> str:
    names = {str: "string", bool: "boolean", int: "integer", float: "number", dict: "object", list: "array"}
    return names.get(type(value), "null")


def dotted(path: Iterable[str | int]) -> str:
    """A path as Kubernetes writes it: `spec.hosts[0]`."""
    result = ""
    for part in path:
        result += f"[{part}]" if isinstance(part, int) else (f".{part}" if result else part)
    return result
