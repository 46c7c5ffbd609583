"""What Kaiki's own store answers to `format=packed`: each text once, of histograms a row each, numbers as their bytes.

Described where the store makes it: `kaiki.telemetry.api.columns`.
"""

from __future__ import annotations

import msgspec
import numpy as np

from kaiki.graph import Column, HistogramTable, Table, upper_bound


class _Column(msgspec.Struct, gc=False):
    texts: list[str]
    of: bytes


class _Columns(msgspec.Struct, tag_field="resultType", tag="packed"):
    """`values` are numbers, or with `pivot` rows of them; msgspec reads the base64 of bytes."""

    labels: dict[str, _Column]
    values: bytes
    pivot: list[str] | None = None


class _Answer(msgspec.Struct):
    data: _Columns


_decoder = msgspec.json.Decoder(_Answer)


def read_columns(text: bytes) -> _Columns | None:
    """The columns of an answer; None when it is anything else."""
    try:
        return _decoder.decode(text).data
    except msgspec.DecodeError:
        return None


def samples_of(columns: _Columns) -> Table:
    """An instant vector; values that are no numbers are left out."""
    values = np.frombuffer(columns.values, "<f8")
    table = Table(_labels(columns), values)
    finite = np.isfinite(values)
    return table if finite.all() else table.where(finite)


def histograms_of(columns: _Columns) -> HistogramTable:
    """Histograms, from an answer with `pivot=le`."""
    bounds = [upper_bound(text) for text in columns.pivot or ()]
    counts = np.frombuffer(columns.values, "<f8").reshape(-1, len(bounds)) if bounds else np.zeros((0, 0))
    return HistogramTable(_labels(columns), bounds, counts)


def _labels(columns: _Columns) -> dict[str, Column]:
    return {
        name: Column(column.texts, np.frombuffer(column.of, "<u4").astype(np.int64))
        for name, column in columns.labels.items()
    }
