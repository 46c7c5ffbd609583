"""Aggregation operators: `sum by (x) (…)` and its relatives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from kaiki.telemetry.arrays import BoolArray, FloatArray, IndexArray
from kaiki.telemetry.errors import ExecutionError
from kaiki.telemetry.matchers import NAME
from kaiki.telemetry.promql.numbers import format_digits
from kaiki.telemetry.promql.values import Scalar, Text, Value, Vector, empty, label_key, stacked
from kaiki.telemetry.store.labels import ColumnLabels, Labels

_PICKING = frozenset({"topk", "bottomk", "limitk"})


@dataclass(frozen=True)
class _Groups:
    """Row r of the vector is in group `member[r]`; group g is the rows `order[starts[g]:starts[g + 1]]`."""

    labels: Sequence[Labels]
    member: IndexArray

    @cached_property
    def order(self) -> IndexArray:
        """The rows, group by group, in the order of the vector within each."""
        return np.argsort(self.member, kind="stable")

    @cached_property
    def starts(self) -> IndexArray:
        """Where each group begins in `order`."""
        return np.searchsorted(self.member[self.order], np.arange(len(self.labels)))

    def rows(self, group: int) -> IndexArray:
        end = self.starts[group + 1] if group + 1 < len(self.starts) else len(self.order)
        return self.order[self.starts[group] : end]


def aggregate(operator: str, vector: Vector, parameter: Value | None, modifier: Any) -> Vector:
    """`modifier` is the parser's `by`/`without`, or None. Raises ExecutionError for a wrong parameter."""
    if not vector.labels:
        return vector
    groups = _group(vector, modifier)
    if operator in _PICKING:
        return _pick(operator, vector, groups, _scalar(operator, parameter))
    if operator == "count_values":
        return _count_values(vector, groups, parameter)
    if operator == "sum" and vector.present.shape[1] == 1 and bool(vector.present.all()):
        return Vector(groups.labels, _summed(vector.values, groups), np.ones((len(groups.labels), 1), np.bool_))
    values, present = vector.values[groups.order], vector.present[groups.order]
    counts = np.add.reduceat(present.astype(np.int64), groups.starts, axis=0)
    result = _reduce(operator, values, present, counts, groups, parameter)
    return Vector(groups.labels, result, counts > 0)


def _reduce(
    operator: str, values: FloatArray, present: BoolArray, counts: IndexArray, groups: _Groups, parameter: Value | None
) -> FloatArray:
    starts = groups.starts
    match operator:
        case "sum":
            return _sum(values, present, starts)
        case "avg":
            return _average(values, present, counts, starts)
        case "min":
            return np.fmin.reduceat(np.where(present, values, np.nan), starts, axis=0)
        case "max":
            return np.fmax.reduceat(np.where(present, values, np.nan), starts, axis=0)
        case "count":
            return counts.astype(np.float64)
        case "group":
            return np.ones(counts.shape)
        case "stddev":
            return np.sqrt(_variance(values, present, counts, starts))
        case "stdvar":
            return _variance(values, present, counts, starts)
        case "quantile":
            return _quantile(values, present, counts, starts, _scalar(operator, parameter).values)
    raise ExecutionError(f"the aggregation {operator} is not supported")


def _group(vector: Vector, modifier: Any) -> _Groups:
    by = modifier is not None and str(modifier.type).endswith("By")
    names = sorted(modifier.labels) if modifier is not None else []
    whole = modifier is None and not names
    if (by or whole) and isinstance(vector.labels, ColumnLabels) and not (vector.nameless and NAME in names):
        return _Groups(*vector.labels.grouped(tuple(names)))
    numbers: dict[Any, int] = {}
    labels: list[Labels] = []
    membership = np.zeros(len(vector.labels), np.intp)
    if by or (not names and modifier is None):
        source = vector.final_labels() if NAME in names else vector.labels
        for row, candidate in enumerate(source):
            key = tuple([candidate.get(name, "") for name in names])
            number = numbers.setdefault(key, len(labels))
            if number == len(labels):
                labels.append({name: value for name, value in zip(names, key, strict=True) if value})
            membership[row] = number
    else:
        dropped = {*names, NAME}
        for row, candidate in enumerate(vector.labels):
            rest = {name: value for name, value in candidate.items() if name not in dropped}
            number = numbers.setdefault(label_key(rest), len(labels))
            if number == len(labels):
                labels.append(rest)
            membership[row] = number
    return _Groups(labels, membership)


def _summed(values: FloatArray, groups: _Groups) -> FloatArray:
    """The sums of single values, without putting the rows into order."""
    sums: FloatArray = np.bincount(groups.member, values[:, 0], len(groups.labels)).astype(np.float64)
    return sums[:, None]


def _sum(values: FloatArray, present: BoolArray, starts: IndexArray) -> FloatArray:
    return np.add.reduceat(np.where(present, values, 0.0), starts, axis=0)


def _average(values: FloatArray, present: BoolArray, counts: IndexArray, starts: IndexArray) -> FloatArray:
    """Where the sum is too big for a float, the mean is made of shares."""
    divisor = np.maximum(counts, 1)
    mean = _sum(values, present, starts) / divisor
    if np.isinf(mean).any():
        sizes = np.diff(np.append(starts, len(values)))
        shares = _sum(values / np.repeat(divisor, sizes, axis=0), present, starts)
        mean = np.where(np.isinf(mean), shares, mean)
    return mean


def _variance(values: FloatArray, present: BoolArray, counts: IndexArray, starts: IndexArray) -> FloatArray:
    """From differences to the first present value, so that equal values give exactly zero."""
    sizes = np.diff(np.append(starts, len(values)))
    divisor = np.maximum(counts, 1)
    low = np.fmin.reduceat(np.where(present, values, np.nan), starts, axis=0)
    shifted = np.where(present, values - np.repeat(low, sizes, axis=0), 0.0)
    mean = np.add.reduceat(shifted, starts, axis=0) / divisor
    squares = np.where(present, shifted - np.repeat(mean, sizes, axis=0), 0.0) ** 2
    return np.add.reduceat(squares, starts, axis=0) / divisor


def _quantile(
    values: FloatArray, present: BoolArray, counts: IndexArray, starts: IndexArray, quantiles: FloatArray
) -> FloatArray:
    """NaN sorts below every number, as in Prometheus."""
    result = np.empty((len(starts), values.shape[1]))
    for group, (start, end) in enumerate(zip(starts, np.append(starts[1:], len(values)), strict=True)):
        part, mask = values[start:end], present[start:end]
        order = np.lexsort((part, ~np.isnan(part), ~mask), axis=0)
        ranked = np.take_along_axis(part, order, axis=0)
        result[group] = interpolate(ranked, counts[group], quantiles)
    return result


def interpolate(ranked: FloatArray, counts: IndexArray, quantiles: FloatArray) -> FloatArray:
    """The quantile of the first `counts[t]` rows of each column of `ranked[k, t]`, which ascend."""
    rank = np.clip(np.nan_to_num(quantiles), 0.0, 1.0) * np.maximum(counts - 1, 0)
    low = np.floor(rank).astype(np.intp)
    high = np.minimum(low + 1, np.maximum(counts - 1, 0))
    columns = np.arange(ranked.shape[1])
    weight = rank - low
    lower, upper = ranked[low, columns], ranked[high, columns]
    value = lower * (1 - weight) + upper * weight
    value = np.where(quantiles < 0, -np.inf, np.where(quantiles > 1, np.inf, value))
    return np.where(np.isnan(quantiles), np.nan, value)


def _pick(operator: str, vector: Vector, groups: _Groups, limit: Scalar) -> Vector:
    if np.isnan(limit.values).any():
        raise ExecutionError("Parameter value is NaN")
    chosen = np.zeros(vector.present.shape, np.bool_)
    order: list[int] = []
    for group in range(len(groups.labels)):
        rows = groups.rows(group)
        values, absent = vector.values[rows], ~vector.present[rows]
        if operator == "limitk":
            ranked = np.argsort(absent, axis=0, kind="stable")
        else:
            signed = -values if operator == "topk" else values
            ranked = np.lexsort((signed, np.isnan(values), absent), axis=0)
        places = np.empty_like(ranked)
        np.put_along_axis(places, ranked, np.arange(len(rows))[:, None], axis=0)
        chosen[rows] = (places < np.floor(limit.values)) & ~absent
        order += rows[ranked[:, 0]].tolist() if vector.present.shape[1] == 1 else rows.tolist()
    if vector.present.shape[1] > 1:
        order.sort()
    picked = Vector(vector.labels, vector.values, chosen, vector.nameless)
    return picked.take(order).pruned()


def _count_values(vector: Vector, groups: _Groups, parameter: Value | None) -> Vector:
    if not isinstance(parameter, Text) or not parameter.value:
        raise ExecutionError("count_values needs the name of a label as its first argument")
    steps = vector.present.shape[1]
    counts: dict[tuple[tuple[str, str], ...], tuple[Labels, FloatArray]] = {}
    for group, labels in enumerate(groups.labels):
        for row in groups.rows(group).tolist():
            for column in np.nonzero(vector.present[row])[0].tolist():
                made = {**labels, parameter.value: format_digits(float(vector.values[row, column]))}
                counts.setdefault(label_key(made), (made, np.zeros(steps)))[1][column] += 1
    if not counts:
        return empty(steps)
    found = list(counts.values())
    return stacked([f[0] for f in found], [f[1] for f in found], [f[1] > 0 for f in found], steps)


def _scalar(operator: str, parameter: Value | None) -> Scalar:
    if not isinstance(parameter, Scalar):
        raise ExecutionError(f"expected type scalar in aggregation parameter of {operator}")
    return parameter
