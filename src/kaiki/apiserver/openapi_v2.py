"""OpenAPI v2, which kubectl still asks for where v3 says nothing: before it takes a `kind: List` apart.

kubectl wants it as protobuf (`openapi.v2.Document` of gnostic) and looks up the kind of each item in it. What an item
may hold is checked by this server when the item arrives (`fieldValidation=Strict`), so a definition here says only that
its kind exists; its content is left open.

    Document.definitions = 9 → Definitions.additional_properties = 1 → NamedSchema{name = 1, value = 2}
    Schema{type = 22, vendor_extension = 31} → NamedAny{name = 1, value = 2} → Any{yaml = 2}
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kaiki.apiserver.catalog import ResourceType

# Clients ask for `…spec.v2@v1.0+protobuf`; the answer says `.` because `@` may not stand in a media type (RFC 6838).
REQUESTED = "com.github.proto-openapi.spec.v2"
MEDIA_TYPE = f"application/{REQUESTED}.v1.0+protobuf"


def json_document(version: str, kinds: Iterable[ResourceType]) -> dict[str, Any]:
    """The document as JSON."""
    return {
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": version},
        "paths": {},
        "definitions": {
            _name(kind): {
                "type": "object",
                "x-kubernetes-group-version-kind": [
                    {"group": kind.group, "version": kind.version, "kind": kind.kind},
                ],
            }
            for kind in _distinct(kinds)
        },
    }


def protobuf_document(version: str, kinds: Iterable[ResourceType]) -> bytes:
    """The document as protobuf."""
    info = _field(1, b"Kubernetes") + _field(2, version.encode())
    definitions = b"".join(_field(1, _definition(kind)) for kind in _distinct(kinds))
    return _field(1, b"2.0") + _field(2, info) + _field(8, b"") + _field(9, definitions)


def _definition(kind: ResourceType) -> bytes:
    text = f"- group: {kind.group!r}\n  version: {kind.version!r}\n  kind: {kind.kind!r}\n"
    extension = _field(1, b"x-kubernetes-group-version-kind") + _field(2, _field(2, text.encode()))
    schema = _field(22, _field(1, b"object")) + _field(31, extension)
    return _field(1, _name(kind).encode()) + _field(2, schema)


def _distinct(kinds: Iterable[ResourceType]) -> list[ResourceType]:
    """One entry a kind: several resources may serve the same one."""
    found = {(kind.group, kind.version, kind.kind): kind for kind in kinds}
    return [found[key] for key in sorted(found)]


def _name(kind: ResourceType) -> str:
    group = kind.group or "core"
    return f"{group}.{kind.version}.{kind.kind}"


def _field(number: int, content: bytes) -> bytes:
    """One length-delimited field."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
