"""Looking things up in schemas: one small vocabulary over Kubernetes's definitions and over CRD schemas.

Definitions are loaded at first use (a few MB as dicts, without descriptions). A reference is the definition's bare
name; beside it may stand the extensions (`x-kubernetes-…`) of the property that refers.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import orjson

from kaiki.apiserver.catalog import ResourceType

Schema = Mapping[str, Any]
DATA = Path(__file__).parent / "data"
OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
ANYTHING: Schema = {"x-kubernetes-preserve-unknown-fields": True}
_TYPE_META: Schema = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"$ref": OBJECT_META}}
# Definitions whose content is free JSON.
_FREE = ("RawExtension", "FieldsV1", "JSON", "JSONSchemaPropsOrBool", "JSONSchemaPropsOrArray")


@cache
def _definitions() -> dict[str, Any]:
    pool: dict[str, Any] = orjson.loads(gzip.decompress((DATA / "schemas.json.gz").read_bytes()))
    for name in pool:
        if name.rpartition(".")[2] in _FREE:
            pool[name] = ANYTHING
    return pool


def resolve(schema: Schema) -> Schema:
    """The schema itself, or the definition it refers to (an unknown one allows anything)."""
    while "$ref" in schema:
        schema = _definitions().get(schema["$ref"], ANYTHING)
    return schema


def definition(name: str) -> Schema:
    """The definition of this name; one that allows anything when there is none."""
    return resolve({"$ref": name})


_roots: WeakKeyDictionary[ResourceType, Schema] = WeakKeyDictionary()


def _custom_root(kind: ResourceType) -> Schema:
    root = _roots.get(kind)
    if root is None:
        schema = dict(kind.schema or ANYTHING)
        root = schema | {"type": "object", "properties": {**schema.get("properties", {}), **_TYPE_META}}
        _roots[kind] = root
    return root


def schema_of(kind: ResourceType) -> Schema:
    """The schema of whole objects of this kind, with metadata."""
    if kind.custom:
        return _custom_root(kind)
    return definition(kind.definition)


def property_of(schema: Schema, key: str) -> Schema | None:
    """The schema of one field: of a named property, or of a map's values. None when the field is unknown."""
    resolved = resolve(schema)
    found = resolved.get("properties", {}).get(key)
    if found is None:
        found = resolved.get("additionalProperties")
        if found is True:
            return ANYTHING
    return found if isinstance(found, Mapping) else None


def items_of(schema: Schema | None) -> Schema:
    """The schema of a list's elements."""
    items = resolve(schema or {}).get("items")
    return items if isinstance(items, Mapping) else ANYTHING


def is_free(schema: Schema) -> bool:
    """Whether unknown fields below this schema are kept without looking at them."""
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return True
    return not any(key in schema for key in ("type", "properties", "items", "oneOf", "anyOf", "$ref"))


def annotation(schema: Schema | None, key: str) -> Any:
    """An extension (`x-kubernetes-list-type`…) of a property: beside its reference, or in what it refers to."""
    if schema is None:
        return None
    return schema.get(key, resolve(schema).get(key))


def map_keys(schema: Schema | None) -> tuple[str, ...]:
    """The fields that identify an element of a list of type `map`."""
    return tuple(annotation(schema, "x-kubernetes-list-map-keys") or ())


def element_key(element: Any, schema: Schema | None, keys: tuple[str, ...]) -> tuple[Any, ...]:
    """An element's identity within a list of type `map`, with defaults for keys left out (a port's protocol)."""
    properties = resolve(items_of(schema)).get("properties", {})
    result = []
    for key in keys:
        value = element.get(key) if isinstance(element, dict) else None
        if value is None:
            value = properties.get(key, {}).get("default", "TCP" if key == "protocol" else None)
        result.append(value)
    return tuple(result)
