"""Answers in packed columns, as Kaiki's own store gives them."""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Sequence

import orjson

from kaiki.console.column_answer import histograms_of, read_columns, samples_of
from kaiki.graph import Histogram, Sample


def _answer(values: list[float], **data: object) -> bytes:
    data |= {"resultType": "packed", "values": _packed("d", values)}
    return orjson.dumps({"status": "success", "data": data})


def _packed(kind: str, numbers: Sequence[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}{kind}", *numbers)).decode()


LABELS = {
    "a": {"texts": ["x", "y"], "of": _packed("I", [1, 0])},
    "b": {"texts": ["", "z"], "of": _packed("I", [0, 1])},
}


def test_a_vector() -> None:
    columns = read_columns(_answer(labels=LABELS, values=[2, 0.5]))
    assert columns is not None
    assert list(samples_of(columns)) == [Sample({"a": "y"}, 2.0), Sample({"a": "x", "b": "z"}, 0.5)]


def test_what_is_no_number_is_left_out() -> None:
    columns = read_columns(_answer(labels=LABELS, values=[math.nan, 0.5]))
    assert columns is not None
    assert list(samples_of(columns)) == [Sample({"a": "x", "b": "z"}, 0.5)]


def test_histograms_lack_what_the_store_lacks() -> None:
    columns = read_columns(_answer(labels=LABELS, pivot=["10", "+Inf"], values=[1, 3, math.nan, 4]))
    assert columns is not None
    assert list(histograms_of(columns)) == [
        Histogram({"a": "y"}, {10.0: 1.0, math.inf: 3.0}),
        Histogram({"a": "x", "b": "z"}, {math.inf: 4.0}),
    ]


def test_everything_else_is_none() -> None:
    vector = orjson.dumps({"status": "success", "data": {"resultType": "vector", "result": []}})
    refused = orjson.dumps({"status": "error", "errorType": "bad_data", "error": "no"})
    assert read_columns(vector) is read_columns(refused) is read_columns(b"<html>") is None
