"""Histograms from a store's answer: the fast way gives what the plain way gives."""

from __future__ import annotations

import json

import pytest

from kaiki.console.bucket_answer import read_histograms
from kaiki.graph import Sample, gather_histograms

LABELS = [
    {"le": "0.5", "reporter": "source", "source_workload": 'odd "le":"7" name'},
    {"le": "+Inf", "reporter": "source", "source_workload": 'odd "le":"7" name'},
    {"reporter": "source", "le": "5"},
    {"reporter": "source", "zone": "é,", "le": "5"},
    {"a": "1", "le": "1e+06", "z": "2"},
    {"le": "1"},
]


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_same_as_series_by_series(separators: tuple[str, str]) -> None:
    rows = [{"metric": labels, "value": [1.5, str(number + 1)]} for number, labels in enumerate(LABELS)]
    rows.append({"metric": {"le": "2"}, "value": [1.5, "NaN"]})
    body = {"status": "success", "data": {"resultType": "vector", "result": rows}}
    found = read_histograms(json.dumps(body, separators=separators).encode())
    assert found is not None
    plain = gather_histograms(Sample(labels, number + 1.0) for number, labels in enumerate(LABELS))
    assert [(dict(one.labels), dict(one.buckets)) for one in found] == [(one.labels, one.buckets) for one in plain]


@pytest.mark.parametrize(
    "text",
    [b"", b"<html>", b'{"status":"error","error":"loading"}', b'{"status":"success","data":{"result":[[1]]}}'],
)
def test_what_is_no_vector(text: bytes) -> None:
    assert read_histograms(text) is None
