"""What Kaiki's own store answers to `format=columns`: each text once, and of histograms a row of numbers each."""

from __future__ import annotations

import math

import msgspec

from kaiki.graph import Histogram, HistogramTable, Sample, Table, upper_bound


class _Column(msgspec.Struct, gc=False):
    texts: list[str]
    of: list[int]


class _Columns(msgspec.Struct, tag_field="resultType", tag="columns"):
    """`values` are numbers, or with `pivot` lists of them."""

    labels: dict[str, _Column]
    values: list[float | list[float | None] | None]
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


def samples_of(columns: _Columns) -> Table | tuple[Sample, ...]:
    """An instant vector; values that are no numbers are left out."""
    values = [value for value in columns.values if isinstance(value, float) and math.isfinite(value)]
    table = Table(_texts(columns), [value if isinstance(value, float) else math.nan for value in columns.values])
    return table if len(values) == len(columns.values) else tuple(one for one in table if math.isfinite(one.value))


def histograms_of(columns: _Columns) -> HistogramTable | tuple[Histogram, ...]:
    """Histograms, from an answer with `pivot=le`."""
    counts = [row for row in columns.values if isinstance(row, list)]
    return HistogramTable(_texts(columns), [upper_bound(text) for text in columns.pivot or ()], counts)


def _texts(columns: _Columns) -> dict[str, list[str]]:
    return {name: [column.texts[place] for place in column.of] for name, column in columns.labels.items()}
