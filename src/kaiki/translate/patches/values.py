"""Envoy's messages from JSON, with the types that stand inside Any found by name."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from typing import Any, TypeVar

from google.protobuf import any_pb2, json_format, symbol_database
from google.protobuf.message import Message

AnyMessage = TypeVar("AnyMessage", bound=Message)
_PREFIX = "type.googleapis.com/"
_WRAPPERS = ("Bool", "Int32", "Int64", "UInt32", "UInt64", "Float", "Double", "String", "Bytes")
_ONE_VALUE = frozenset(
    f"google.protobuf.{name}" for name in ("Duration", "Timestamp", *(f"{one}Value" for one in _WRAPPERS))
)
"""Messages that are one value in JSON."""


class BadValue(Exception):
    """A value is not the message it should be; the text says what Envoy's definition says."""


def parse(value: Mapping[str, Any], kind: type[AnyMessage]) -> AnyMessage:
    """A message from JSON. Raises BadValue."""
    load_types(value)
    try:
        return json_format.ParseDict(dict(value), kind())
    except (json_format.ParseError, TypeError, ValueError) as error:
        raise BadValue(str(error)) from error


def load_types(value: Any) -> None:
    """Import the modules of every `@type` within a value. Raises BadValue for one nobody knows."""
    if isinstance(value, Mapping):
        name = value.get("@type")
        if isinstance(name, str):
            message_type(name)
        for item in value.values():
            load_types(item)
    elif isinstance(value, list):
        for item in value:
            load_types(item)


def message_type(url: str) -> type[Message]:
    """The class of a type URL. Raises BadValue."""
    name = url.rpartition("/")[2]
    database = symbol_database.Default()
    try:
        return database.GetSymbol(name)
    except KeyError:
        _import(name.rpartition(".")[0])
    try:
        return database.GetSymbol(name)
    except KeyError:
        raise BadValue(f"the type {name} is not known") from None


def _import(package: str) -> None:
    if package.split(".")[0] not in ("envoy", "xds", "udpa", "google"):
        return
    try:
        parent = importlib.import_module(package)
    except ImportError:
        return
    for module in pkgutil.iter_modules(parent.__path__):
        if module.name.endswith("_pb2"):
            importlib.import_module(f"{package}.{module.name}")


def merge(target: Message, change: Message) -> None:
    """Merge as Envoy's JSON would be overlaid: lists grow, what is packed in an Any of the same type is merged within.

    What is one value in JSON is replaced as one: 2 s over 1.5 s are not 2.5 s, and false replaces true.
    """
    for field, value in list(change.ListFields()):
        if field.message_type is None or field.is_repeated or not target.HasField(field.name):
            continue
        mine, kind = getattr(target, field.name), field.message_type.full_name
        if kind == "google.protobuf.Any":
            mine.CopyFrom(merge_any(mine, value))
        elif kind in _ONE_VALUE:
            mine.CopyFrom(value)
        else:
            merge(mine, value)
        change.ClearField(field.name)
    target.MergeFrom(change)


def merge_any(mine: any_pb2.Any, theirs: any_pb2.Any) -> any_pb2.Any:
    """Both messages in one, or the newer if they are of different types."""
    if mine.type_url != theirs.type_url:
        return theirs
    kind = message_type(mine.type_url)
    base, change = kind.FromString(mine.value), kind.FromString(theirs.value)
    merge(base, change)
    return any_pb2.Any(type_url=mine.type_url, value=base.SerializeToString(deterministic=True))
