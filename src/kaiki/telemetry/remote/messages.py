"""The protobuf messages of remote write 1.0: read with generated classes, written by hand.

Writing by hand lets a series' labels be encoded once and used for each of its samples.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterable
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

Pairs = Iterable[tuple[str, str]]
METADATA_TYPES = ("unknown", "counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset")
_DOUBLE, _INT64, _UINT32, _STRING, _MESSAGE = 1, 3, 13, 9, 11
_FIELDS: dict[str, tuple[tuple[str, int, int, str], ...]] = {
    "Label": (("name", 1, _STRING, ""), ("value", 2, _STRING, "")),
    "Sample": (("value", 1, _DOUBLE, ""), ("timestamp", 2, _INT64, "")),
    "Exemplar": (("labels", 1, _MESSAGE, "Label"), ("value", 2, _DOUBLE, ""), ("timestamp", 3, _INT64, "")),
    "Histogram": (),
    "TimeSeries": (
        ("labels", 1, _MESSAGE, "Label"),
        ("samples", 2, _MESSAGE, "Sample"),
        ("exemplars", 3, _MESSAGE, "Exemplar"),
        ("histograms", 4, _MESSAGE, "Histogram"),
    ),
    "Metadata": (
        ("type", 1, _UINT32, ""),
        ("family", 2, _STRING, ""),
        ("help", 4, _STRING, ""),
        ("unit", 5, _STRING, ""),
    ),
    "WriteRequest": (("timeseries", 1, _MESSAGE, "TimeSeries"), ("metadata", 3, _MESSAGE, "Metadata")),
}


@functools.cache
def write_request_class() -> Any:
    """The class of `WriteRequest`, made on first use."""
    file = descriptor_pb2.FileDescriptorProto(name="kaiki/remote.proto", package="kaiki.remote", syntax="proto3")
    for message, fields in _FIELDS.items():
        entry = file.message_type.add(name=message)
        for name, number, kind, of in fields:
            label = 3 if kind == _MESSAGE else 1
            made = entry.field.add(name=name, number=number, type=kind, label=label)
            if of:
                made.type_name = f".kaiki.remote.{of}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("kaiki.remote.WriteRequest"))


def encode_labels(pairs: Pairs) -> bytes:
    """The label fields of a TimeSeries; names ascend."""
    parts = []
    for name, value in sorted(pairs):
        inner = _field(1, name.encode()) + _field(2, value.encode())
        parts.append(_field(1, inner))
    return b"".join(parts)


def encode_series(labels: bytes, time_ms: int, value: float) -> bytes:
    """One TimeSeries of a WriteRequest with one sample; the bits of NaN survive."""
    sample = b"\x09" + struct.pack("<d", value) + b"\x10" + _varint(time_ms & 0xFFFFFFFFFFFFFFFF)
    return _field(1, labels + _field(2, sample))


def encode_metadata(name: str, kind: str, text: str) -> bytes:
    """One entry of a WriteRequest's metadata."""
    number = METADATA_TYPES.index(kind) if kind in METADATA_TYPES else 0
    return _field(3, b"\x08" + _varint(number) + _field(2, name.encode()) + _field(4, text.encode()))


def encode_exemplar(labels: Pairs, value: float, time_ms: int) -> bytes:
    """The field of a TimeSeries."""
    number = b"\x11" + struct.pack("<d", value) + b"\x18" + _varint(time_ms & 0xFFFFFFFFFFFFFFFF)
    return _field(3, encode_labels(labels) + number)


def _field(number: int, content: bytes) -> bytes:
    return bytes((number << 3 | 2,)) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    made.append(number)
    return bytes(made)
