"""`rate`, `increase`, `delta` and their kin: the change across a range.

Prometheus estimates the change over the whole range from the samples inside it: the change between the first and the
last sample is extended to the ends of the range where samples come close to them (within 1.1 sample distances), else
by half a distance; a counter is never extended below zero.
"""

from __future__ import annotations

import numpy as np

from kaiki.telemetry.arrays import BoolArray, FloatArray, IndexArray
from kaiki.telemetry.promql.values import Vector, Window, empty

EXTRAPOLATED = frozenset({"rate", "increase", "delta"})
INSTANT = frozenset({"irate", "idelta"})


def extrapolated(function: str, window: Window, closed_ranges: bool) -> Vector:
    """`function` is one of EXTRAPOLATED."""
    if not len(window.values):
        return empty(len(window.ends))
    present = window.counts >= 2
    first, last = _ends(window)
    counter = function != "delta"
    change = window.values[last] - window.values[first]
    if counter:
        change = _without_resets(window, change, first, last)
    factor = _extension(window, first, last, change, counter, closed_ranges)
    if function == "rate":
        factor = factor / (window.range_ms / 1000.0)
    return _vector(window, change * factor, present)


def counted(window: Window) -> Vector:
    """The increase that was seen: from the sample before each range (`select_window(anchored)`) to its last.

    Nothing is estimated, so increases of neighbouring ranges add up to the increase of both. The price is that a range
    begins and ends at the samples before its ends.
    """
    if not len(window.values):
        return empty(len(window.ends))
    first, last = _ends(window)
    change = _without_resets(window, window.values[last] - window.values[first], first, last)
    return _vector(window, change, window.counts >= 2)


def _without_resets(window: Window, change: FloatArray, first: IndexArray, last: IndexArray) -> FloatArray:
    """The change with what was lost at resets added."""
    corrections = _reset_corrections(window)
    if corrections is not None:
        finite, infinite = corrections
        change = change + (finite[last] - finite[first])
        if infinite is not None:
            change = np.where(infinite[last] > infinite[first], change + np.inf, change)
    return change


def _extension(
    window: Window, first: IndexArray, last: IndexArray, change: FloatArray, counter: bool, closed_ranges: bool
) -> FloatArray:
    """By how much the change between two samples is stretched to cover the range."""
    sampled = (window.times[last] - window.times[first]) / 1000.0
    to_start = (window.times[first] - (window.ends - window.range_ms)) / 1000.0
    to_end = (window.ends - window.times[last]) / 1000.0
    distance = sampled / np.maximum(window.counts - 1, 1)
    threshold = distance * 1.1
    to_zero = np.where((change > 0) & (window.values[first] >= 0), sampled * (window.values[first] / change), np.inf)
    if closed_ranges:
        to_start = np.minimum(to_start, to_zero) if counter else to_start
        to_start = np.where(to_start < threshold, to_start, distance / 2)
    else:
        to_start = np.where(to_start < threshold, to_start, distance / 2)
        to_start = np.minimum(to_start, to_zero) if counter else to_start
    to_end = np.where(to_end < threshold, to_end, distance / 2)
    result: FloatArray = (sampled + to_start + to_end) / sampled
    return result


def _reset_corrections(window: Window) -> tuple[FloatArray, IndexArray | None] | None:
    """Running sum of what was lost at resets, and the running number of infinite losses; None without any.

    Summed per series, so that one series' size costs no other's digits.
    """
    values = window.values
    falls = values[1:] < values[:-1]
    falls[window.first[(window.first > 0) & (window.first < len(values))] - 1] = False
    drops = np.nonzero(falls)[0] + 1
    if not len(drops):
        return None
    lost = np.zeros(len(values))
    lost[drops] = np.where(np.isfinite(values[drops - 1]), values[drops - 1], 0.0)
    running = np.zeros(len(values))
    starts = np.unique(np.append(window.first, len(values)))
    for series in np.unique(np.searchsorted(starts, drops, "right") - 1).tolist():
        low, high = int(starts[series]), int(starts[series + 1])
        running[low:high] = np.cumsum(lost[low:high])
    endless = np.zeros(len(values), np.intp)
    endless[drops] = ~np.isfinite(values[drops - 1])
    return running, np.cumsum(endless) if endless.any() else None


def last_two(function: str, window: Window) -> Vector:
    """`irate` and `idelta`: from the last two samples only."""
    if not len(window.values):
        return empty(len(window.ends))
    _, last = _ends(window)
    before = np.maximum(last - 1, 0)
    newest, older = window.values[last], window.values[before]
    seconds = (window.times[last] - window.times[before]) / 1000.0
    present = (window.counts >= 2) & (seconds != 0)
    if function == "idelta":
        return _vector(window, newest - older, present)
    return _vector(window, np.where(newest < older, newest, newest - older) / seconds, present)


def _ends(window: Window) -> tuple[IndexArray, IndexArray]:
    """Positions of the first and last sample of each range; meaningless where it is empty."""
    top = max(len(window.values) - 1, 0)
    return np.clip(window.low, 0, top), np.clip(window.high - 1, 0, top)


def _vector(window: Window, values: FloatArray, present: BoolArray) -> Vector:
    return Vector(window.labels, values, present, window.nameless).pruned().without_name()
