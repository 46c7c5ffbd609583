"""Functions of all samples in a range: `avg_over_time`, `deriv`, `quantile_over_time`, …

A range is a slice of the flat samples. Slices overlap, so they are copied one after the other into `Slices` (in
bounded portions), where one `reduceat` computes a function for many of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from kaiki.telemetry.arrays import BoolArray, FloatArray, IndexArray, TimeArray
from kaiki.telemetry.errors import ExecutionError
from kaiki.telemetry.promql.context import QueryContext
from kaiki.telemetry.promql.values import Vector, Window, empty

_PORTION_SAMPLES = 1 << 20


@dataclass(frozen=True, slots=True)
class Slices:
    """Non-empty ranges, one after the other: range i is `values[starts[i]:starts[i] + counts[i]]`.

    `ends` are the ranges' end times, `parameters[k][i]` the value of the k-th scalar argument for range i.
    """

    times: TimeArray
    values: FloatArray
    starts: IndexArray
    counts: IndexArray
    ends: TimeArray
    parameters: list[FloatArray]

    def sum(self, samples: FloatArray) -> FloatArray:
        return np.add.reduceat(samples, self.starts)

    def spread(self, per_range: FloatArray) -> FloatArray:
        """A value per range, repeated for each of its samples."""
        return np.repeat(per_range, self.counts)


Kernel = Callable[[Slices], FloatArray]


def over_time(function: str, window: Window, parameters: list[FloatArray], context: QueryContext) -> Vector:
    """`parameters` are the scalar arguments, one value per evaluation time."""
    if not len(window.values):
        return empty(len(window.ends))
    present = window.counts >= _MINIMUM_SAMPLES.get(function, 1)
    if function in _EDGES:
        values = _EDGES[function](window)
    else:
        values = np.zeros(window.low.shape)
        for cells, slices in _portions(window, present, parameters):
            context.check()
            values.reshape(-1)[cells] = KERNELS[function](slices)
    vector = Vector(window.labels, values, present, window.nameless).pruned()
    return vector if function in ("last_over_time", "first_over_time") else vector.without_name()


def _portions(window: Window, present: BoolArray, parameters: list[FloatArray]) -> Iterator[tuple[IndexArray, Slices]]:
    cells = np.nonzero(present.reshape(-1))[0]
    if not len(cells):
        return
    counts, low = window.counts.reshape(-1)[cells], window.low.reshape(-1)[cells]
    bounds = np.searchsorted(np.cumsum(counts), np.arange(0, counts.sum(), _PORTION_SAMPLES), "left")
    steps = window.low.shape[1]
    for begin, end in zip(bounds, np.append(bounds[1:], len(cells)), strict=True):
        if begin == end:
            continue
        size = counts[begin:end]
        starts = np.cumsum(size) - size
        index = np.arange(int(size.sum())) - np.repeat(starts - low[begin:end], size)
        column = cells[begin:end] % steps
        arguments = [parameter[column] for parameter in parameters]
        slices = Slices(window.times[index], window.values[index], starts, size, window.ends[column], arguments)
        yield cells[begin:end], slices


def _at(window: Window, positions: IndexArray) -> IndexArray:
    return np.clip(positions, 0, max(len(window.values) - 1, 0))


def _stamp(window: Window, positions: IndexArray) -> FloatArray:
    return window.times[_at(window, positions)] / 1000.0


def _average(slices: Slices) -> FloatArray:
    """Where the sum is too big for a float, the mean is made of shares."""
    mean = slices.sum(slices.values) / slices.counts
    if np.isinf(mean).any():
        mean = np.where(np.isinf(mean), slices.sum(slices.values / np.repeat(slices.counts, slices.counts)), mean)
    return mean


def _variance(slices: Slices) -> FloatArray:
    shifted = slices.values - slices.spread(np.fmin.reduceat(slices.values, slices.starts))
    mean = slices.sum(shifted) / slices.counts
    return slices.sum((shifted - slices.spread(mean)) ** 2) / slices.counts


def _pairs(slices: Slices, differs: BoolArray) -> FloatArray:
    """How many neighbours within a range differ; `differs[i]` compares samples i and i + 1."""
    flags = np.zeros(len(slices.values))
    flags[1:] = differs
    flags[slices.starts] = 0
    return slices.sum(flags)


def _changes(slices: Slices) -> FloatArray:
    before, after = slices.values[:-1], slices.values[1:]
    return _pairs(slices, (before != after) & ~(np.isnan(before) & np.isnan(after)))


def _resets(slices: Slices) -> FloatArray:
    return _pairs(slices, slices.values[1:] < slices.values[:-1])


def _ranked(slices: Slices, values: FloatArray) -> FloatArray:
    owner = np.repeat(np.arange(len(slices.starts)), slices.counts)
    return values[np.lexsort((values, ~np.isnan(values), owner))]


def _rank(slices: Slices, values: FloatArray, quantiles: FloatArray) -> FloatArray:
    ranked = _ranked(slices, values)
    rank = np.clip(np.nan_to_num(quantiles), 0.0, 1.0) * (slices.counts - 1)
    low = np.floor(rank).astype(np.intp)
    high = np.minimum(low + 1, slices.counts - 1)
    weight = rank - low
    lower, upper = ranked[slices.starts + low], ranked[slices.starts + high]
    value = lower * (1 - weight) + upper * weight
    value = np.where(quantiles < 0, -np.inf, np.where(quantiles > 1, np.inf, value))
    return np.where(np.isnan(quantiles), np.nan, value)


def _median_deviation(slices: Slices) -> FloatArray:
    half = np.full(len(slices.starts), 0.5)
    median = _rank(slices, slices.values, half)
    return _rank(slices, np.abs(slices.values - slices.spread(median)), half)


def _regression(slices: Slices, origins: TimeArray) -> tuple[FloatArray, FloatArray]:
    """(slope per second, value at the origin) of the line through each range."""
    seconds = (slices.times - np.repeat(origins, slices.counts)) / 1000.0
    base = slices.values[slices.starts]
    values = slices.values - slices.spread(base)
    count = slices.counts
    sum_x, sum_y = slices.sum(seconds), slices.sum(values)
    covariance = slices.sum(seconds * values) - sum_x * sum_y / count
    variance = slices.sum(seconds * seconds) - sum_x * sum_x / count
    constant = np.fmax.reduceat(np.abs(values), slices.starts) == 0
    slope = np.where(constant, np.where(np.isfinite(base), 0.0, np.nan), covariance / variance)
    return slope, base + sum_y / count - slope * sum_x / count


def _derivative(slices: Slices) -> FloatArray:
    return _regression(slices, slices.times[slices.starts])[0]


def _prediction(slices: Slices) -> FloatArray:
    slope, intercept = _regression(slices, slices.ends)
    return slope * slices.parameters[0] + intercept


def _smoothed(slices: Slices) -> FloatArray:
    factors, trends = slices.parameters
    if ((factors < 0) | (factors > 1) | (trends < 0) | (trends > 1)).any():
        raise ExecutionError("invalid smoothing or trend factor: both must lie between 0 and 1")
    result = np.empty(len(slices.starts))
    for i, (start, count) in enumerate(zip(slices.starts.tolist(), slices.counts.tolist(), strict=True)):
        result[i] = _smooth(slices.values[start : start + count].tolist(), float(factors[i]), float(trends[i]))
    return result


def _smooth(values: list[float], factor: float, trend: float) -> float:
    before, level, slope = 0.0, values[0], values[1] - values[0]
    for position, value in enumerate(values[1:], 1):
        if position > 1:
            slope = trend * (level - before) + (1 - trend) * slope
        before, level = level, factor * value + (1 - factor) * (level + slope)
    return level


def _time_of(slices: Slices, extreme: FloatArray) -> FloatArray:
    """The time of the last sample that equals its range's extreme."""
    wanted = slices.spread(extreme)
    hit = (slices.values == wanted) | (np.isnan(slices.values) & np.isnan(wanted))
    return np.maximum.reduceat(np.where(hit, slices.times, -(2**62)), slices.starts) / 1000.0


def _low(slices: Slices) -> FloatArray:
    return np.fmin.reduceat(slices.values, slices.starts)


def _high(slices: Slices) -> FloatArray:
    return np.fmax.reduceat(slices.values, slices.starts)


_EDGES: dict[str, Callable[[Window], FloatArray]] = {
    "last_over_time": lambda window: window.values[_at(window, window.high - 1)],
    "first_over_time": lambda window: window.values[_at(window, window.low)],
    "count_over_time": lambda window: window.counts.astype(np.float64),
    "present_over_time": lambda window: np.ones(window.low.shape),
    "ts_of_first_over_time": lambda window: _stamp(window, window.low),
    "ts_of_last_over_time": lambda window: _stamp(window, window.high - 1),
}
KERNELS: dict[str, Kernel] = {
    "sum_over_time": lambda slices: slices.sum(slices.values),
    "avg_over_time": _average,
    "min_over_time": _low,
    "max_over_time": _high,
    "stdvar_over_time": _variance,
    "stddev_over_time": lambda slices: np.sqrt(_variance(slices)),
    "quantile_over_time": lambda slices: _rank(slices, slices.values, slices.parameters[0]),
    "mad_over_time": _median_deviation,
    "changes": _changes,
    "resets": _resets,
    "deriv": _derivative,
    "predict_linear": _prediction,
    "double_exponential_smoothing": _smoothed,
    "ts_of_min_over_time": lambda slices: _time_of(slices, _low(slices)),
    "ts_of_max_over_time": lambda slices: _time_of(slices, _high(slices)),
}
_MINIMUM_SAMPLES = {"deriv": 2, "predict_linear": 2, "double_exponential_smoothing": 2}
OVER_TIME = frozenset(_EDGES) | frozenset(KERNELS)
