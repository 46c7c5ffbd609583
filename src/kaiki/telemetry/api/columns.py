"""An instant vector as columns, which a store of Kaiki's gives who asks with `format=columns`.

Prometheus' shape says each label of each series anew: two hundred megabytes for the latencies of five thousand
workloads, of which a hundred thousandth is news. Here every text is there once:

    {"resultType": "columns", "labels": {"reporter": {"texts": ["destination", "source"], "of": [1, 0, …]}, …},
     "values": [3.0, …]}

`of` says which text each row has ("" where the label is missing). With `pivot=le`, rows that differ in that label alone
are one row, its texts are `pivot`, and `values` is a list for each row: null where there is no such series. Numbers are
JSON's; null stands for those JSON has not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kaiki.telemetry.arrays import FloatArray
from kaiki.telemetry.promql.values import Vector
from kaiki.telemetry.store.labels import CodedLabels, Labels, PairTable


def columns_of(vector: Vector, pivot: str = "") -> dict[str, Any]:
    """The answer's `data`, for orjson with numpy."""
    labels, values = _coded(vector.labels), vector.values[:, 0]
    if not pivot:
        described = _described(labels, labels.names)
        return {"resultType": "columns", "labels": described, "values": np.ascontiguousarray(values)}
    rest = tuple(name for name in labels.names if name != pivot)
    rows, member = labels.grouped(rest)
    words, place = labels.texts(pivot)
    table: FloatArray = np.full((len(rows), len(words)), np.nan)
    table[member, place] = values
    return {"resultType": "columns", "labels": _described(rows, rest), "pivot": words, "values": table}


def _described(labels: CodedLabels, names: tuple[str, ...]) -> dict[str, Any]:
    found = {name: labels.texts(name) for name in names}
    return {name: {"texts": words, "of": np.ascontiguousarray(which)} for name, (words, which) in found.items()}


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
