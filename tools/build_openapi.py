"""Build the API server's OpenAPI data from the development dependency `kubernetes-validate` (Apache-2.0).

    python tools/build_openapi.py

Writes `src/kaiki/apiserver/data/`:

- `schemas.json.gz`: the definitions without descriptions, for validation, patches and server-side apply.
- `openapi.zip`: one member per group-version, the very bytes served at `/openapi/v3/…` to clients that accept gzip,
  so that serving one needs neither parsing nor memory; and `index.json`, the content hash of each.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zipfile
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Any

from kaiki.apiserver.catalog import BUILT_IN, EXTRA_DEFINITIONS
from kaiki.apiserver.openapi import describe_paths

KUBERNETES_VERSION = "1.36.0"
DATA = Path(__file__).parent.parent / "src" / "kaiki" / "apiserver" / "data"
META = "io.k8s.apimachinery.pkg.apis.meta.v1."
PREFIX_SOURCE = "#/$defs/"
PREFIX_SERVED = "#/components/schemas/"
Schema = dict[str, Any]


def load_definitions() -> dict[str, Schema]:
    folder = resources.files("kubernetes_validate") / "kubernetes-json-schema" / f"v{KUBERNETES_VERSION}-local"
    definitions: dict[str, Schema] = json.loads((folder / "_definitions.json").read_text())["$defs"]
    return {name: special(name) or clean(schema) for name, schema in definitions.items()}


def special(name: str) -> Schema | None:
    """Types whose JSON form is a scalar of two kinds."""
    if name.endswith(".IntOrString"):
        return {"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]}
    if name.endswith(".Quantity"):
        return {"oneOf": [{"type": "string"}, {"type": "number"}]}
    return None


def clean(value: Any, in_properties: bool = False) -> Any:
    """Take out what kubernetes-validate adds for its own use: nullable types, enums of apiVersion and kind."""
    if isinstance(value, list):
        return [clean(item) for item in value]
    if not isinstance(value, dict):
        return value
    result: Schema = {}
    for key, item in value.items():
        if not in_properties and key == "type" and isinstance(item, list):
            kept = [name for name in item if name != "null"]
            result[key] = kept[0] if len(kept) == 1 else kept
        elif not in_properties and key == "enum":
            continue
        else:
            result[key] = clean(item, key == "properties" and not in_properties)
    return result


def references(schema: Any) -> Iterable[str]:
    if isinstance(schema, dict):
        for key, item in schema.items():
            if key == "$ref" and isinstance(item, str):
                yield item.rpartition("/")[2]
            else:
                yield from references(item)
    elif isinstance(schema, list):
        for item in schema:
            yield from references(item)


def closure(names: Iterable[str], pool: dict[str, Schema]) -> dict[str, Schema]:
    """The definitions of these names and all they refer to."""
    found: dict[str, Schema] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found and name in pool:
            found[name] = pool[name]
            waiting.extend(references(pool[name]))
    return dict(sorted(found.items()))


def without_descriptions(value: Any, in_properties: bool = False) -> Any:
    if isinstance(value, list):
        return [without_descriptions(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: without_descriptions(item, key == "properties" and not in_properties)
        for key, item in value.items()
        if in_properties or key not in ("description", "x-kubernetes-group-version-kind")
    }


def as_served(value: Any) -> Any:
    """References as OpenAPI v3 writes them: under components, with siblings moved beside an `allOf`."""
    if isinstance(value, list):
        return [as_served(item) for item in value]
    if not isinstance(value, dict):
        return value
    result = {key: as_served(item) for key, item in value.items()}
    reference = result.get("$ref")
    if isinstance(reference, str):
        del result["$ref"]
        target = {"$ref": reference.replace(PREFIX_SOURCE, PREFIX_SERVED)}
        return {**result, "allOf": [target]} if result else target
    return result


def build_documents(definitions: dict[str, Schema]) -> dict[str, bytes]:
    versions = sorted({(kind.group, kind.version) for kind in BUILT_IN} | set(EXTRA_DEFINITIONS))
    documents = {}
    for group, version in versions:
        kinds = [kind for kind in BUILT_IN if (kind.group, kind.version) == (group, version)]
        names = [kind.definition for kind in kinds] + list(EXTRA_DEFINITIONS.get((group, version), ()))
        names += [f"{kind.definition}List" for kind in kinds if "list" in kind.verbs]
        names += [f"{META}{name}" for name in ("DeleteOptions", "Status", "Patch", "WatchEvent")]
        document = {
            "openapi": "3.0.0",
            "info": {"title": "Kubernetes", "version": f"v{KUBERNETES_VERSION}"},
            "paths": describe_paths(kinds),
            "components": {"schemas": as_served(closure(names, definitions))},
        }
        path = f"apis/{group}/{version}" if group else f"api/{version}"
        documents[path] = json.dumps(document, separators=(",", ":")).encode()
    return documents


def write(documents: dict[str, bytes], definitions: dict[str, Schema]) -> None:
    DATA.mkdir(parents=True, exist_ok=True)
    names = [kind.definition for kind in BUILT_IN] + [name for extra in EXTRA_DEFINITIONS.values() for name in extra]
    names += [f"{META}{name}" for name in ("ObjectMeta", "DeleteOptions")]
    pool = without_descriptions(closure(names, definitions))
    packed = json.dumps(pool, separators=(",", ":")).replace(PREFIX_SOURCE, "").encode()
    (DATA / "schemas.json.gz").write_bytes(gzip.compress(packed, 9, mtime=0))
    index = {path: hashlib.sha256(body).hexdigest()[:32].upper() for path, body in documents.items()}
    with zipfile.ZipFile(DATA / "openapi.zip", "w", zipfile.ZIP_STORED) as archive:
        members = {"index.json": json.dumps({"version": KUBERNETES_VERSION, "hashes": index}).encode()}
        members |= {path: gzip.compress(body, 9, mtime=0) for path, body in documents.items()}
        for name, body in members.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), body)


def main() -> None:
    definitions = load_definitions()
    write(build_documents(definitions), definitions)
    for path in sorted(DATA.iterdir()):
        print(f"{path.name}: {path.stat().st_size // 1024} KB")


if __name__ == "__main__":
    main()
