"""Delta discovery messages on the wire.

A resource is serialized once, when it is built, so a response is put together from finished bytes instead of through
protobuf objects: most of a push is then copying. Field numbers are those of
`envoy.service.discovery.v3.DeltaDiscoveryResponse` and `Resource`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from kaiki.model.proxy import SECRET_TYPE, Resource

_SYSTEM_VERSION, _RESOURCES, _TYPE_URL, _NONCE, _REMOVED = 1, 2, 4, 5, 6
_RESOURCE_VERSION, _RESOURCE_BODY, _RESOURCE_NAME = 1, 2, 3
_ANY_TYPE_URL, _ANY_VALUE = 1, 2


@dataclass(frozen=True, slots=True)
class DiscoveryRequest:
    """What a proxy said. `rejection` is the text of a NACK, None for an ACK or a request of its own accord."""

    type_url: str
    nonce: str = ""
    subscribe: tuple[str, ...] = ()
    unsubscribe: tuple[str, ...] = ()
    initial_versions: Mapping[str, str] = field(default_factory=dict)
    rejection: str | None = None
    node_id: str = ""
    proxy_version: str = ""


@dataclass(frozen=True, slots=True)
class DiscoveryResponse:
    """What a proxy is told: resources it should have, and names that are no more."""

    type_url: str
    nonce: str
    resources: tuple[Resource, ...]
    removed: tuple[str, ...] = ()


class MalformedRequest(Exception):
    """The bytes of a request are not a DeltaDiscoveryRequest."""


def parse_request(data: bytes) -> DiscoveryRequest:
    """Decode a DeltaDiscoveryRequest. Raises MalformedRequest."""
    from envoy.service.discovery.v3 import discovery_pb2
    from google.protobuf.message import DecodeError

    try:
        message = discovery_pb2.DeltaDiscoveryRequest.FromString(data)
    except DecodeError as error:
        raise MalformedRequest(str(error)) from error
    rejected = message.HasField("error_detail")
    return DiscoveryRequest(
        type_url=message.type_url,
        nonce=message.response_nonce,
        subscribe=tuple(message.resource_names_subscribe),
        unsubscribe=tuple(message.resource_names_unsubscribe),
        initial_versions=dict(message.initial_resource_versions),
        rejection=(message.error_detail.message or "rejected without a reason") if rejected else None,
        node_id=message.node.id if message.HasField("node") else "",
        proxy_version=_version(message.node.user_agent_build_version.version) if message.HasField("node") else "",
    )


def _version(number: Any) -> str:
    """`1.40.0`; empty when the proxy does not say."""
    told = number.major_number, number.minor_number, number.patch
    return ".".join(map(str, told)) if any(told) else ""


class Encoder:
    """Encodes responses; what many proxies are told alike is put together once. Secrets are never kept.

    `version` is of the moment: what was told under another one is forgotten.
    """

    def __init__(self, most_bytes: int = 8_000_000) -> None:
        self._most_bytes = most_bytes
        self._version = ""
        self._size = 0
        self._known: dict[tuple[object, ...], tuple[DiscoveryResponse, bytes]] = {}

    def encode(self, response: DiscoveryResponse, version: str) -> bytes:
        """A DeltaDiscoveryResponse; the order of fields on the wire is free, so the nonce comes last."""
        if response.type_url == SECRET_TYPE:
            return encode_response(response, version)
        if version != self._version or self._size > self._most_bytes:
            self._version, self._size = version, 0
            self._known.clear()
        key = (response.type_url, response.removed, *map(id, response.resources))
        known = self._known.get(key)
        if known is None:
            body = encode_response(replace(response, nonce=""), version)
            known = self._known[key] = response, body
            self._size += len(body)
        parts = [known[1]]
        _append(parts, _NONCE, response.nonce.encode())
        return b"".join(parts)


def encode_response(response: DiscoveryResponse, version: str = "") -> bytes:
    """A DeltaDiscoveryResponse. `version` is for people who read a proxy's config dump."""
    parts: list[bytes] = []
    if version:
        _append(parts, _SYSTEM_VERSION, version.encode())
    for resource in response.resources:
        _append(parts, _RESOURCES, _resource(resource))
    _append(parts, _TYPE_URL, response.type_url.encode())
    if response.nonce:
        _append(parts, _NONCE, response.nonce.encode())
    for name in response.removed:
        _append(parts, _REMOVED, name.encode())
    return b"".join(parts)


def _resource(resource: Resource) -> bytes:
    parts: list[bytes] = []
    if resource.version:
        _append(parts, _RESOURCE_VERSION, resource.version.encode())
    body = _join((_ANY_TYPE_URL, resource.type_url.encode()), (_ANY_VALUE, resource.body))
    _append(parts, _RESOURCE_BODY, body)
    _append(parts, _RESOURCE_NAME, resource.name.encode())
    return b"".join(parts)


def _join(*fields: tuple[int, bytes]) -> bytes:
    parts: list[bytes] = []
    for number, value in fields:
        _append(parts, number, value)
    return b"".join(parts)


def _append(parts: list[bytes], number: int, value: bytes) -> None:
    parts += (bytes((number << 3 | 2,)), _varint(len(value)), value)


def _varint(value: int) -> bytes:
    if value < 0x80:
        return bytes((value,))
    digits = bytearray()
    while value > 0x7F:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    digits.append(value)
    return bytes(digits)


def size_of(resources: Iterable[Resource]) -> int:
    """About how many bytes these resources take in a response."""
    return sum(len(resource.body) + len(resource.name) + 128 for resource in resources)
