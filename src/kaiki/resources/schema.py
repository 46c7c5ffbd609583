"""Types → structural OpenAPI v3 schemas, so that what a CRD accepts and what the code reads can never differ."""

from __future__ import annotations

import inspect
from typing import Any

import msgspec.inspect as types

from kaiki.resources.istio.common import ApiType

Schema = dict[str, Any]


def schema_of(kind: type[ApiType]) -> Schema:
    """The structural schema of a type."""
    return _schema(types.type_info(kind))


def _schema(info: types.Type) -> Schema:
    match info:
        case types.StructType():
            return _object(info)
        case types.UnionType():
            return _schema(next(item for item in info.types if not isinstance(item, types.NoneType)))
        case types.VarTupleType():
            return {"type": "array", "items": _schema(info.item_type)}
        case types.DictType(value_type=types.AnyType()):
            return {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        case types.DictType():
            return {"type": "object", "additionalProperties": _schema(info.value_type)}
        case types.LiteralType():
            return {"type": "string", "enum": list(info.values)}
        case types.Metadata():
            return _schema(info.type)
        case _:
            return _scalar(info)


def _scalar(info: types.Type) -> Schema:
    match info:
        case types.StrType():
            return {"type": "string"} | ({"pattern": info.pattern} if info.pattern else {})
        case types.BoolType():
            return {"type": "boolean"}
        case types.IntType():
            return {"type": "integer"} | _limits(info)
        case types.FloatType():
            return {"type": "number"} | _limits(info)
    raise TypeError(f"no schema is known for {info}; teach resources.schema about it")


def _limits(info: types.IntType | types.FloatType) -> Schema:
    found: Schema = {}
    if info.ge is not None:
        found["minimum"] = info.ge
    if info.le is not None:
        found["maximum"] = info.le
    return found


def _object(info: types.StructType) -> Schema:
    kind = info.cls
    found: Schema = {
        "type": "object",
        "description": _description(kind),
        "properties": {field.encode_name: _schema(field.type) for field in info.fields},
    }
    required = [field.encode_name for field in info.fields if field.required]
    if required:
        found["required"] = required
    groups = [_at_most_one(group) for group in getattr(kind, "ONE_OF", ())]
    if len(groups) == 1:
        found.update(groups[0])
    elif groups:
        found["allOf"] = groups
    return found


def _at_most_one(names: tuple[str, ...]) -> Schema:
    """None of some fields, or exactly one of them."""
    each: list[Schema] = [{"required": [name]} for name in names]
    return {"oneOf": [{"not": {"anyOf": each}}, *each]}


def _description(kind: type[Any]) -> str:
    return " ".join((inspect.getdoc(kind) or "").split("\n\n")[0].split())
