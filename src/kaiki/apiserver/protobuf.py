"""Decoding the protobuf bodies that kubectl sends, with a small field table instead of generated code.

The envelope is four magic bytes and an `Unknown` message: apiVersion and kind, then the object's own bytes. Answers
are always JSON; kubectl accepts them.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Any

from kaiki.apiserver.errors import ApiError, bad_request
from kaiki.apiserver.protobuf_fields import MESSAGES

MAGIC = b"k8s\x00"
Object = dict[str, Any]
Wire = int | bytes
_ALWAYS_SENT = frozenset(
    {"ObjectMeta", "ResourceRequirements", "DeploymentStrategy", "PodSpec", "ServiceSpec", "NamespaceSpec"}
)
"""Parts that are no pointers in Go: they come empty where nobody has said anything."""


def decode(body: bytes) -> Object:
    """A body as the object it stands for. ApiError 415 for a kind without a field table, 400 for damaged bytes."""
    if not body.startswith(MAGIC):
        raise bad_request("the body does not start with Kubernetes's protobuf prefix")
    try:
        envelope = dict(_wire_fields(body[len(MAGIC) :]))
        identity = {number: _text(value) for number, value in _wire_fields(_raw(envelope.get(1, b"")))}
        kind = identity.get(2, "")
        versioned = f"{identity.get(1, '')}.{kind}"
        message_name = versioned if versioned in MESSAGES else kind
        if message_name not in MESSAGES:
            message = f'kind "{kind}" cannot be read as protobuf here; send it as JSON (kubectl apply -f does)'
            raise ApiError(415, "UnsupportedMediaType", message)
        decoded = _decode_message(message_name, _raw(envelope.get(2, b"")), whole=True)
        return {"apiVersion": identity.get(1, ""), "kind": kind, **decoded}
    except (IndexError, ValueError, TypeError) as error:
        raise bad_request(f"the protobuf body cannot be read: {error}") from error


@cache
def _fields(message: str) -> dict[int, tuple[str, str]]:
    """Field number → (name, type)."""
    table = {}
    for entry in MESSAGES[message].split(", "):
        number, name, *kind = entry.split(" ", 2)
        table[int(number)] = name, kind[0] if kind else ""
    return table


def _decode_message(message: str, data: bytes, whole: bool = False) -> Object:
    """A message by its table. Of a whole object, what the table leaves out (its status) is not read."""
    table = _fields(message)
    result: Object = {}
    for number, value in _wire_fields(data):
        if number not in table:
            if not whole and not _is_blank(value):
                told = f"field {number} of {message} cannot be read as protobuf here; send it as JSON"
                raise ApiError(415, "UnsupportedMediaType", f"{told} (kubectl apply -f does)")
            continue
        name, kind = table[number]
        if kind == "-":
            continue
        if kind == "[int]":
            result.setdefault(name, []).append(_single("int?", value))
        elif kind.startswith("inline "):
            result.update(_decode_message(kind.removeprefix("inline "), _raw(value)))
        elif kind.startswith("["):
            element = kind[1:-1]
            result.setdefault(name, []).append(_decode_message(element, _raw(value)) if element else _text(value))
        elif kind.endswith("map"):
            key, item = _entry(kind, _raw(value))
            result.setdefault(name, {})[key] = item
        else:
            single = _single(kind, value)
            if single not in (None, "") and (single != {} or kind not in _ALWAYS_SENT):
                result[name] = single
    return result


def _is_blank(value: Wire) -> bool:
    """Whether a field says nothing: clients written in Go send those that are no pointers, empty or not."""
    if not value:
        return True
    try:
        return isinstance(value, bytes) and all(_is_blank(each) for _, each in _wire_fields(value))
    except (IndexError, ValueError):
        return False


def _single(kind: str, value: Wire) -> Any:
    match kind:
        case "" | "string?":
            return _text(value)
        case "Quantity":
            return _text(dict(_wire_fields(_raw(value))).get(1, b""))
        case "int" | "int?":
            number = value if isinstance(value, int) else int.from_bytes(value)
            number -= (1 << 64) if number >= 1 << 63 else 0
            return number or (0 if kind == "int?" else None)
        case "bytes":
            return base64.b64encode(_raw(value)).decode()
        case "bool" | "bool?":
            return bool(value) or (False if kind == "bool?" else None)
        case "Time":
            return _time(_raw(value))
        case "IntOrString":
            fields = dict(_wire_fields(_raw(value)))
            return _text(fields.get(3, b"")) if fields.get(1) else fields.get(2, 0) or None
        case _:
            return _decode_message(kind, _raw(value))


def _entry(kind: str, data: bytes) -> tuple[str, Any]:
    fields = dict(_wire_fields(data))
    key, value = _text(fields.get(1, b"")), _raw(fields.get(2, b""))
    if kind == "bytesmap":
        return key, base64.b64encode(value).decode()
    if kind == "quantitymap":
        return key, _text(dict(_wire_fields(value)).get(1, b""))
    return key, _text(value)


def _time(data: bytes) -> str | None:
    seconds = dict(_wire_fields(data)).get(1, 0)
    if not isinstance(seconds, int) or not 0 < seconds < 1 << 40:
        return None
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _wire_fields(data: bytes) -> Iterator[tuple[int, Wire]]:
    """The fields of a message as they come: number and value (an integer, or the bytes)."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        match tag & 7:
            case 0:
                value, at = _varint(data, at)
                yield tag >> 3, value
            case 2:
                length, at = _varint(data, at)
                if at + length > len(data):
                    raise ValueError("a field is longer than the message")
                yield tag >> 3, data[at : at + length]
                at += length
            case 1:
                yield tag >> 3, data[at : at + 8]
                at += 8
            case 5:
                yield tag >> 3, data[at : at + 4]
                at += 4
            case other:
                raise ValueError(f"wire type {other}")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    result = shift = 0
    while True:
        byte = data[at]
        at += 1
        result |= (byte & 127) << shift
        if byte < 128:
            return result, at
        shift += 7
        if shift > 63:
            raise ValueError("a number is longer than 64 bits")


def _raw(value: Wire) -> bytes:
    if isinstance(value, int):
        raise TypeError("a number where a message belongs")
    return value


def _text(value: Wire) -> str:
    return _raw(value).decode()


def check_tables() -> list[str]:
    """Types the tables name and do not describe; for the tests."""
    words = "- string? Quantity [int] int int? bool bool? bytes [] map bytesmap quantitymap Time IntOrString"
    plain = set(words.split())
    named = {kind for message in MESSAGES for _, kind in _fields(message).values()} - plain - {""}
    return sorted(name for kind in named if (name := re.sub(r"inline |[\[\]]", "", kind)) not in MESSAGES)
