"""Turning protobuf messages into the bytes that proxies get: deterministic, hashed, and shared."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message

from kaiki.model.proxy import Resource

TYPE_PREFIX = "type.googleapis.com/"


def serialize(message: Message) -> bytes:
    """A message's bytes; map fields are ordered, so that equal messages give equal bytes."""
    return bytes(message.SerializeToString(deterministic=True))


def pack(message: Message) -> any_pb2.Any:
    """Wrap a message as Any."""
    return any_pb2.Any(type_url=TYPE_PREFIX + message.DESCRIPTOR.full_name, value=serialize(message))


def pack_empty(type_name: str) -> any_pb2.Any:
    """An Any of a message without any field set, which needs no import of its type."""
    return any_pb2.Any(type_url=TYPE_PREFIX + type_name)


def pack_struct(type_name: str, value: Mapping[str, Any]) -> any_pb2.Any:
    """A config whose schema Envoy knows and our protobuf package does not: as `xds.type.v3.TypedStruct`."""
    from xds.type.v3 import typed_struct_pb2

    struct = typed_struct_pb2.TypedStruct(type_url=TYPE_PREFIX + type_name)
    struct.value.update(value)
    return pack(struct)


def versioned(name: str, type_url: str, body: bytes) -> Resource:
    """A resource whose version is the hash of its bytes."""
    return Resource(name, type_url, hashlib.blake2b(body, digest_size=8).hexdigest(), body)


def resource(name: str, message: Message) -> Resource:
    """Serialize one xDS resource."""
    return versioned(name, TYPE_PREFIX + message.DESCRIPTOR.full_name, serialize(message))


def by_name(resources: Iterable[Resource]) -> dict[str, Resource]:
    """Resources by name, sorted."""
    return {item.name: item for item in sorted(resources, key=lambda item: item.name)}


def duration(seconds: float) -> duration_pb2.Duration:
    """Seconds as protobuf's Duration, to the microsecond."""
    microseconds = round(seconds * 1_000_000)
    return duration_pb2.Duration(seconds=microseconds // 1_000_000, nanos=microseconds % 1_000_000 * 1000)
