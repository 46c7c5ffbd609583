"""Answers in columns, as Kaiki's own store gives them."""

from __future__ import annotations

import math

import orjson

from kaiki.console.column_answer import histograms_of, read_columns, samples_of
from kaiki.graph import Histogram, Sample


def _answer(**data: object) -> bytes:
    return orjson.dumps({"status": "success", "data": {"resultType": "columns", **data}})


LABELS = {"a": {"texts": ["x", "y"], "of": [1, 0]}, "b": {"texts": ["", "z"], "of": [0, 1]}}


def test_a_vector() -> None:
    columns = read_columns(_answer(labels=LABELS, values=[2, 0.5]))
    assert columns is not None
    assert list(samples_of(columns)) == [Sample({"a": "y"}, 2.0), Sample({"a": "x", "b": "z"}, 0.5)]


def test_what_is_no_number_is_left_out() -> None:
    columns = read_columns(_answer(labels=LABELS, values=[None, 0.5]))
    assert columns is not None
    assert list(samples_of(columns)) == [Sample({"a": "x", "b": "z"}, 0.5)]


def test_histograms_lack_what_the_store_lacks() -> None:
    columns = read_columns(_answer(labels=LABELS, pivot=["10", "+Inf"], values=[[1, 3], [None, 4]]))
    assert columns is not None
    assert list(histograms_of(columns)) == [
        Histogram({"a": "y"}, {10.0: 1.0, math.inf: 3.0}),
        Histogram({"a": "x", "b": "z"}, {math.inf: 4.0}),
    ]


def test_everything_else_is_none() -> None:
    vector = orjson.dumps({"status": "success", "data": {"resultType": "vector", "result": []}})
    refused = orjson.dumps({"status": "error", "errorType": "bad_data", "error": "no"})
    assert read_columns(vector) is read_columns(refused) is read_columns(b"<html>") is None
