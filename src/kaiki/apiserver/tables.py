"""Tables: what `kubectl get` prints. The server chooses the columns; kubectl only lines them up."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kaiki.apiserver.catalog import PrinterColumn, ResourceType
from kaiki.apiserver.durations import since
from kaiki.apiserver.printers import PRINTERS

Object = dict[str, Any]


@dataclass(frozen=True)
class Column:
    """A column's head; `priority` 1 shows only with `-o wide`."""

    name: str
    type: str = "string"
    priority: int = 0
    format: str = ""
    description: str = ""


@dataclass(frozen=True)
class Printer:
    """How one kind is printed."""

    columns: tuple[Column, ...]
    cells: Callable[[Object], list[Any]]


def printer_of(kind: ResourceType) -> Printer:
    """The printer of a kind: Kubernetes's own for the built-in ones, the CRD's for custom resources, else name and
    age.
    """
    if kind.custom:
        return _custom_printer(kind.columns)
    described = PRINTERS.get(kind.qualified_name)
    if described is None:
        return Printer((_NAME, _AGE), lambda value: [value["metadata"]["name"], age(value)])
    names, cells = described
    columns = tuple(_column(name) for name in names)
    return Printer(columns, lambda value: [each if each != "" else "" for each in cells(value)])


_NAME = Column("Name", format="name", description="Name must be unique within a namespace.")
_AGE = Column("Age", description="Time since the object was created.")


def _column(name: str) -> Column:
    """`+Name` is a wide column, `#Name` a number."""
    priority = 1 if name.startswith("+") else 0
    name = name.lstrip("+")
    if name == "Name":
        return Column("Name", priority=1, format="name") if priority else _NAME
    return Column(name.lstrip("#"), "integer" if name.startswith("#") else "string", priority)


def _custom_printer(columns: tuple[PrinterColumn, ...]) -> Printer:
    heads = (_NAME, *(Column(each.name, each.type, each.priority, each.format, each.description) for each in columns))
    paths = [(parse_path(each.path), each.type) for each in columns]

    def cells(value: Object) -> list[Any]:
        return [value["metadata"]["name"], *(_custom_cell(value, path, kind) for path, kind in paths)]

    return Printer(heads, cells)


def _custom_cell(value: Object, path: list[str | tuple[str, str]], kind: str) -> Any:
    found = find_path(value, path)
    if not found:
        return None if kind != "date" else "<unknown>"
    if kind == "date":
        return since(str(found[0]))
    if kind == "string" and len(found) == 1:
        return _go_text(found[0])
    return found[0] if len(found) == 1 else ",".join(_go_text(each) for each in found)


def _go_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | dict):
        import orjson

        return orjson.dumps(value).decode()
    return str(value)


def parse_path(text: str) -> list[str | tuple[str, str]]:
    """A JSONPath of the kind CRDs use: `.a.b[0]`, `.a[*].b`, `.conditions[?(@.type=="Ready")].status`."""
    import re

    steps: list[str | tuple[str, str]] = []
    pattern = (
        r"""\[\?\(@\.([\w.-]+)\s*==\s*["']([^"']*)["']\)\]|\[(\*|-?\d+)\]|\['([^']*)'\]|\.?((?:\\.|[^.\[\]\\])+)"""
    )
    for match in re.finditer(pattern, text):
        field, wanted, index, quoted, name = match.groups()
        if field is not None:
            steps.append((field, wanted))
        elif index is not None:
            steps.append(f"[{index}]")
        else:
            steps.append((quoted or name).replace("\\.", "."))
    return steps


def find_path(value: Any, steps: list[str | tuple[str, str]]) -> list[Any]:
    """Every value a parsed path leads to."""
    found = [value]
    for step in steps:
        found = [each for held in found for each in _step(held, step)]
    return found


def _step(value: Any, step: str | tuple[str, str]) -> list[Any]:
    if isinstance(step, tuple):
        return [each for each in value or () if isinstance(each, dict) and str(each.get(step[0])) == step[1]]
    if step == "[*]":
        return list(value.values() if isinstance(value, dict) else value or ())
    if step.startswith("["):
        index = int(step[1:-1])
        return [value[index]] if isinstance(value, list) and -len(value) <= index < len(value) else []
    return [value[step]] if isinstance(value, dict) and value.get(step) is not None else []


def age(value: Object) -> str:
    return since(value["metadata"].get("creationTimestamp") or "")


def table(kind: ResourceType, values: Iterable[Object], metadata: Object, include: str) -> Object:
    """A `meta.k8s.io/v1 Table`; `include` says what each row carries: Metadata (usual), Object or None."""
    printer = printer_of(kind)
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": [_head(column) for column in printer.columns],
        "rows": [{"cells": printer.cells(value), **_carried(value, include)} for value in values],
    }


def _head(column: Column) -> Object:
    return {
        "name": column.name,
        "type": column.type,
        "format": column.format,
        "description": column.description or column.name,
        "priority": column.priority,
    }


def _carried(value: Object, include: str) -> Object:
    if include == "None":
        return {}
    if include == "Object":
        return {"object": value}
    metadata = value["metadata"]
    return {"object": {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata}}


def now() -> datetime:
    return datetime.now(UTC)
