"""What expressions evaluate to. S series, T evaluation times, N samples.

Vector   values[S, T], present[S, T]     an instant vector at each of the T times
Scalar   values[T]
Text     a string
Window   low[S, T], high[S, T] into flat samples: the samples of a range at each of the T times
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from kaiki.telemetry.arrays import BoolArray, FloatArray, IndexArray, TimeArray
from kaiki.telemetry.errors import ExecutionError
from kaiki.telemetry.matchers import NAME
from kaiki.telemetry.store.labels import CodedLabels, ColumnLabels, Labels

DUPLICATE = "vector cannot contain metrics with the same labelset"


@dataclass(frozen=True, slots=True)
class Vector:
    """`nameless`: the metric name in `labels` does not count any more; it is taken away when labels are compared."""

    labels: Sequence[Labels]
    values: FloatArray
    present: BoolArray
    nameless: bool = False

    def take(self, rows: IndexArray | list[int]) -> Vector:
        """Only these series, in this order."""
        picked = np.asarray(rows, np.intp)
        every = self.labels
        labels = every.take(picked) if isinstance(every, ColumnLabels) else [every[i] for i in picked.tolist()]
        return Vector(labels, self.values[picked], self.present[picked], self.nameless)

    def pruned(self) -> Vector:
        """Without the series that are nowhere present."""
        kept = self.present.any(axis=1)
        return self if kept.all() else self.take(np.nonzero(kept)[0])

    def final_labels(self) -> Sequence[Labels]:
        """The labels as they count."""
        if not self.nameless:
            return self.labels
        return [{k: v for k, v in labels.items() if k != NAME} for labels in self.labels]

    def named(self) -> Vector:
        """The same with `nameless` worked into the labels."""
        return replace(self, labels=self.final_labels(), nameless=False) if self.nameless else self

    def without_name(self) -> Vector:
        """What functions do to the metric name. Raises ExecutionError when series become the same by it."""
        if self.nameless:
            return self
        nameless = replace(self, nameless=True)
        one_name = isinstance(self.labels, ColumnLabels) and self.labels.one_name
        if not one_name and len({labels.get(NAME) for labels in self.labels}) > 1:
            return merged(nameless.named())
        return nameless


@dataclass(frozen=True, slots=True)
class Scalar:
    values: FloatArray


@dataclass(frozen=True, slots=True)
class Text:
    value: str


Value = Vector | Scalar | Text


@dataclass(frozen=True, slots=True)
class Window:
    """Samples `low[s, t]:high[s, t]` of `times` and `values` lie in the range of `range_ms` that ends at `ends[t]`.

    `first[s]` is where the samples of series s begin.
    """

    labels: Sequence[Labels]
    nameless: bool
    times: TimeArray
    values: FloatArray
    low: IndexArray
    high: IndexArray
    first: IndexArray
    ends: TimeArray
    range_ms: int

    @property
    def counts(self) -> IndexArray:
        return self.high - self.low


def empty(steps: int) -> Vector:
    return Vector([], np.zeros((0, steps)), np.zeros((0, steps), np.bool_))


def label_key(labels: Labels) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(labels.items()))


def merged(vector: Vector, complaint: str = DUPLICATE) -> Vector:
    """Series with the same labels become one; at one time only one of them may be present, else ExecutionError."""
    if isinstance(vector.labels, CodedLabels):
        return vector
    groups: dict[frozenset[tuple[str, str]], list[int]] = {}
    for row, labels in enumerate(vector.final_labels()):
        groups.setdefault(frozenset(labels.items()), []).append(row)
    if len(groups) == len(vector.labels):
        return vector
    values, present = vector.values.copy(), vector.present.copy()
    for rows in groups.values():
        first = rows[0]
        for row in rows[1:]:
            if (present[first] & present[row]).any():
                raise ExecutionError(complaint)
            values[first] = np.where(present[row], values[row], values[first])
            present[first] |= present[row]
    return replace(vector, values=values, present=present).take([rows[0] for rows in groups.values()])


def stacked(labels: Sequence[Labels], values: Iterable[FloatArray], present: Iterable[BoolArray], steps: int) -> Vector:
    """Builds a vector from one row per series."""
    rows = np.array(list(values), np.float64).reshape(len(labels), steps)
    mask = np.array(list(present), np.bool_).reshape(len(labels), steps)
    return Vector(labels, rows, mask)
