"""OpenAPI v3 as kubectl asks for it: an index with content hashes, and one document per group-version.

Documents of built-in groups are prebuilt by tools/build_openapi.py and served as they lie in the archive, compressed.
Those of custom resources are built from their CRDs when asked for.
"""

from __future__ import annotations

import gzip
import hashlib
import zipfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from kaiki.apiserver.catalog import ResourceType

DATA = Path(__file__).parent / "data"
_META = "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1."
_QUERY = {
    "create": ("dryRun", "fieldManager", "fieldValidation"),
    "update": ("dryRun", "fieldManager", "fieldValidation"),
    "patch": ("dryRun", "fieldManager", "fieldValidation", "force"),
    "delete": ("dryRun", "gracePeriodSeconds", "propagationPolicy"),
    "get": (),
    "list": ("continue", "fieldSelector", "labelSelector", "limit", "resourceVersion", "watch"),
    "deletecollection": ("dryRun", "fieldSelector", "labelSelector"),
}
_METHODS = {"create": "post", "update": "put", "patch": "patch", "delete": "delete", "get": "get"}
_COLLECTION_METHODS = {"create": "post", "list": "get", "deletecollection": "delete"}
_PATCH_TYPES = ("application/apply-patch+yaml", "application/json-patch+json", "application/merge-patch+json")
_STRATEGIC = "application/strategic-merge-patch+json"


def describe_paths(kinds: Iterable[ResourceType]) -> dict[str, Any]:
    """The `paths` of one group-version: as much as kubectl reads (methods, query parameters, patch types, kinds)."""
    paths: dict[str, Any] = {}
    for kind in kinds:
        root = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
        collection = f"{root}/namespaces/{{namespace}}/{kind.plural}" if kind.namespaced else f"{root}/{kind.plural}"
        paths[collection] = _operations(kind, _COLLECTION_METHODS)
        if "get" not in kind.verbs:
            continue
        paths[collection + "/{name}"] = _operations(kind, _METHODS, skip=("create",))
        if kind.namespaced:
            paths[f"{root}/{kind.plural}"] = _operations(kind, {"list": "get"})
    return paths


def _operations(kind: ResourceType, methods: dict[str, str], skip: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        method: _operation(kind, verb) for verb, method in methods.items() if verb in kind.verbs and verb not in skip
    }


def _operation(kind: ResourceType, verb: str) -> dict[str, Any]:
    body: dict[str, Any] = {}
    reference = {"schema": {"$ref": _schema_reference(kind)}}
    if verb in ("create", "update"):
        body = {"requestBody": {"content": {"*/*": reference}}}
    elif verb == "patch":
        types = _PATCH_TYPES if kind.custom else (*_PATCH_TYPES, _STRATEGIC)
        patch = {"schema": {"$ref": f"{_META}Patch"}}
        body = {"requestBody": {"content": dict.fromkeys(types, patch)}}
    return {
        "operationId": f"{verb}{kind.version.capitalize()}{kind.kind}",
        "parameters": [{"name": name, "in": "query", "schema": {"type": "string"}} for name in _QUERY[verb]],
        **body,
        "responses": {"200": {"description": "OK", "content": {"application/json": reference}}},
        "x-kubernetes-action": {"create": "post", "update": "put"}.get(verb, verb),
        "x-kubernetes-group-version-kind": {"group": kind.group, "version": kind.version, "kind": kind.kind},
    }


def _schema_reference(kind: ResourceType) -> str:
    return f"#/components/schemas/{kind.definition or custom_definition_name(kind)}"


def custom_definition_name(kind: ResourceType) -> str:
    """The definition's name as Kubernetes forms it: the group reversed, the version, the kind."""
    return ".".join([*reversed(kind.group.split(".")), kind.version, kind.kind])


@cache
def _archive_index() -> dict[str, Any]:
    with zipfile.ZipFile(DATA / "openapi.zip") as archive:
        index: dict[str, Any] = orjson.loads(archive.read("index.json"))
    return index


def kubernetes_version() -> str:
    """The Kubernetes version whose API is served, such as `1.34.0`."""
    return str(_archive_index()["version"])


def document_paths(custom: Iterable[ResourceType]) -> dict[str, Any]:
    """The answer to `/openapi/v3`: every group-version with the hash of its document."""
    hashes: dict[str, str] = dict(_archive_index()["hashes"])
    for path, kinds in _by_version(custom).items():
        joined = ",".join(f"{kind.kind}={kind.schema_hash}" for kind in kinds)
        hashes[path] = hashlib.sha256(joined.encode()).hexdigest()[:32].upper()
    return {
        "paths": {
            path: {"serverRelativeURL": f"/openapi/v3/{path}?hash={digest}"} for path, digest in sorted(hashes.items())
        }
    }


def _by_version(custom: Iterable[ResourceType]) -> dict[str, list[ResourceType]]:
    grouped: dict[str, list[ResourceType]] = {}
    for kind in sorted(custom, key=lambda each: each.kind):
        grouped.setdefault(f"apis/{kind.group}/{kind.version}", []).append(kind)
    return grouped


def compressed_document(path: str, custom: Iterable[ResourceType]) -> bytes | None:
    """The gzip-compressed OpenAPI document of `api/v1` or `apis/<group>/<version>`; None when there is no such one."""
    if path in _archive_index()["hashes"]:
        with zipfile.ZipFile(DATA / "openapi.zip") as archive:
            return archive.read(path)
    kinds = _by_version(custom).get(path)
    return gzip.compress(orjson.dumps(_custom_document(kinds)), 5) if kinds else None


def _custom_document(kinds: list[ResourceType]) -> dict[str, Any]:
    shared = _shared_schemas()
    schemas: dict[str, Any] = dict(shared)
    for kind in kinds:
        name = custom_definition_name(kind)
        identity = [{"group": kind.group, "version": kind.version, "kind": kind.kind}]
        schemas[name] = {
            **_typed(kind.load_schema() if kind.load_schema else None),
            "x-kubernetes-group-version-kind": identity,
        }
        schemas[f"{name}List"] = {
            "type": "object",
            "required": ["items"],
            "properties": {
                **_TYPE_META,
                "metadata": {"$ref": f"{_META}ListMeta"},
                "items": {"type": "array", "items": {"$ref": f"#/components/schemas/{name}"}},
            },
            "x-kubernetes-group-version-kind": [{**identity[0], "kind": kind.collection_kind}],
        }
    info = {"title": "Kubernetes CRD Swagger", "version": "v0.1.0"}
    return {"openapi": "3.0.0", "info": info, "paths": describe_paths(kinds), "components": {"schemas": schemas}}


_TYPE_META: dict[str, Any] = {
    "apiVersion": {"type": "string", "description": "The versioned schema of this object."},
    "kind": {"type": "string", "description": "The kind of this object."},
}


def _typed(schema: Any) -> dict[str, Any]:
    schema = dict(schema or {"x-kubernetes-preserve-unknown-fields": True})
    metadata = {"allOf": [{"$ref": f"{_META}ObjectMeta"}], "description": "Standard object's metadata."}
    schema["properties"] = {**schema.get("properties", {}), **_TYPE_META, "metadata": metadata}
    return {"type": "object", **schema}


def _shared_schemas() -> dict[str, Any]:
    """The metadata types every custom resource refers to, from a small built-in document that holds them all."""
    with zipfile.ZipFile(DATA / "openapi.zip") as archive:
        document = orjson.loads(gzip.decompress(archive.read("apis/coordination.k8s.io/v1")))
    schemas: dict[str, Any] = document["components"]["schemas"]
    return {name: schema for name, schema in schemas.items() if ".apimachinery." in name}
