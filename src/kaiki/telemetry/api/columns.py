"""An instant vector as columns, which a store of Kaiki's gives who asks with `format=columns`.

Prometheus' shape says each label of each series anew: two hundred megabytes for the latencies of five thousand
workloads, of which a hundred thousandth is news. Here every text is there once:

    {"resultType": "columns", "labels": {"reporter": {"texts": ["destination", "source"], "of": [1, 0, …]}, …},
     "values": [3.0, …]}

`of` says which text each row has ("" where the label is missing). With `pivot=le`, rows that differ in that label alone
are one row, its texts are `pivot`, and `values` is a list for each row: null where there is no such series. Numbers are
JSON's; null stands for those JSON has not.

With `format=packed` (`resultType` packed too) every list of numbers is the base64 of its bytes: `of` of 32-bit unsigned
integers, `values` of 64-bit floats, row after row, little-endian. Nobody reads half a million numbers as text; to write
and parse them so takes longer than to find them.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kaiki.telemetry.arrays import FloatArray
from kaiki.telemetry.promql.values import Vector
from kaiki.telemetry.store.labels import CodedLabels, Labels, PairTable


def columns_of(vector: Vector, pivot: str = "", packed: bool = False) -> dict[str, Any]:
    """The answer's `data`, for orjson with numpy."""
    kind, pack = ("packed", _packed) if packed else ("columns", np.ascontiguousarray)
    labels, values = _coded(vector.labels), vector.values[:, 0]
    if not pivot:
        described = _described(labels, labels.names, pack)
        return {"resultType": kind, "labels": described, "values": pack(values)}
    rest = tuple(name for name in labels.names if name != pivot)
    rows, member = labels.grouped(rest)
    words, place = labels.texts(pivot)
    table: FloatArray = np.full((len(rows), len(words)), np.nan)
    table[member, place] = values
    return {"resultType": kind, "labels": _described(rows, rest, pack), "pivot": words, "values": pack(table)}


def _described(labels: CodedLabels, names: tuple[str, ...], pack: Callable[[Any], Any]) -> dict[str, Any]:
    found = {name: labels.texts(name) for name in names}
    return {name: {"texts": words, "of": pack(which.astype("<u4"))} for name, (words, which) in found.items()}


def _packed(numbers: Any) -> str:
    little = numbers.astype(numbers.dtype.newbyteorder("<"), copy=False)
    return base64.b64encode(little.tobytes()).decode("ascii")


def _coded(labels: Sequence[Labels]) -> CodedLabels:
    """Labels as columns, whatever they were."""
    if isinstance(labels, CodedLabels):
        return labels
    names = sorted({name for one in labels for name in one})
    numbers: dict[tuple[str, str], int] = {}
    rows = [
        [numbers.setdefault((name, one[name]), len(numbers)) if name in one else -1 for name in names] for one in labels
    ]
    table = PairTable(list(numbers), np.zeros(0, np.intp), {})
    return CodedLabels(table, tuple(names), np.array(rows, np.int32).reshape(len(rows), len(names)))
