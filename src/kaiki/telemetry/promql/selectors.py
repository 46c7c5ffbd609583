"""Selectors: from the store's samples to values at the evaluation times.

All series' samples lie one after the other; adding `series × span` to each time makes one ascending sequence of them,
in which a single `searchsorted` finds the place of every (series, time) pair.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import promql_parser

from kaiki.telemetry.arrays import IndexArray, TimeArray, is_stale
from kaiki.telemetry.errors import BadQueryError
from kaiki.telemetry.matchers import NAME, Matcher
from kaiki.telemetry.promql.context import QueryContext
from kaiki.telemetry.promql.values import Vector, Window, empty
from kaiki.telemetry.store.series import Selection

_OPERATORS = {"Equal": "=", "NotEqual": "!=", "Re": "=~", "NotRe": "!~"}


def milliseconds(duration: timedelta | None) -> int:
    return 0 if duration is None else round(duration.total_seconds() * 1000)


def matchers_of(selector: Any) -> list[Matcher]:
    """The conditions of a vector selector, its name included."""
    if selector.matchers.or_matchers:
        raise BadQueryError("`or` between matchers is not PromQL: combine two selectors with the `or` operator")
    found = [Matcher(m.name, _OPERATORS[_enum_name(m.op)], m.value) for m in selector.matchers.matchers]
    return [Matcher(NAME, "=", selector.name), *found] if selector.name else found


def shifted_times(node: Any, context: QueryContext) -> TimeArray:
    """Evaluation times after `@` and `offset`."""
    times = context.times
    if node.at is not None:
        kind = _enum_name(node.at.type)
        if kind == "Start":
            fixed = context.start_ms
        elif kind == "End":
            fixed = context.end_ms
        else:
            fixed = _fixed_time(node.at)
        times = np.full(len(times), fixed, np.int64)
    return times - milliseconds(node.offset)


def _fixed_time(at: Any) -> int:
    try:
        seconds: float = at.at.timestamp()
    except BaseException as problem:
        if type(problem).__name__ != "PanicException":  # The Rust parser's, which is no Exception.
            raise
        raise BadQueryError("`@` cannot name a time before 1970 here") from None
    return round(seconds * 1000)


def select_instant(selector: Any, context: QueryContext, timestamps: bool = False) -> Vector:
    """The newest sample of each series within the lookback; its time in seconds instead, with `timestamps`."""
    times = shifted_times(selector, context)
    lookback = context.settings.lookback_ms
    selection = _select(matchers_of(selector), int(times.min()) - lookback, int(times.max()), context)
    series = len(selection.labels)
    context.check(series * context.steps)
    if not len(selection.times):
        return empty(context.steps)
    found = _positions(selection, np.broadcast_to(times, (series, len(times))), "right") - 1
    starts = np.searchsorted(selection.owners, np.arange(series), "left")[:, None]
    present = found >= starts
    found = np.where(present, found, 0)
    oldest = times - lookback
    sample_times = selection.times[found]
    present &= (sample_times >= oldest) if context.settings.closed_ranges else (sample_times > oldest)
    values = selection.values[found]
    present &= ~is_stale(values)
    return Vector(selection.labels, sample_times / 1000.0 if timestamps else values, present).pruned()


def select_window(node: Any, context: QueryContext, anchored: bool = False) -> Window:
    """The samples of `selector[range]`, stale markers left out.

    `anchored`: and the newest sample before each range, if it lies within the lookback.
    """
    selector, range_ms = node.vector_selector, milliseconds(node.range)
    ends = shifted_times(selector, context)
    lookback = context.settings.lookback_ms if anchored else 0
    selection = _select(matchers_of(selector), int(ends.min()) - range_ms, int(ends.max()), context, lookback)
    kept = ~is_stale(selection.values)
    if not kept.all():
        selection = Selection(selection.labels, selection.owners[kept], selection.times[kept], selection.values[kept])
    window = window_over(selection, False, ends, range_ms, context)
    return _anchored(window, lookback) if anchored else window


def _anchored(window: Window, lookback_ms: int) -> Window:
    before = window.low - 1
    times = window.times[np.maximum(before, 0)] if len(window.times) else before
    held = (before >= window.first[:, None]) & (times > window.ends - window.range_ms - lookback_ms)
    return replace(window, low=np.where(held, before, window.low))


def window_over(selection: Selection, nameless: bool, ends: TimeArray, range_ms: int, context: QueryContext) -> Window:
    """Cuts the samples of each series into the ranges that end at `ends`."""
    series = len(selection.labels)
    context.check(series * len(ends))
    every_end = np.broadcast_to(ends, (series, len(ends)))
    side = "left" if context.settings.closed_ranges else "right"
    low = _positions(selection, every_end - range_ms, side)
    high = _positions(selection, every_end, "right")
    first = np.searchsorted(selection.owners, np.arange(series), "left")
    last = np.append(first[1:], len(selection.owners))
    low = np.clip(low, first[:, None], last[:, None])
    high = np.clip(high, first[:, None], last[:, None])
    high = np.maximum(low, high)
    return Window(selection.labels, nameless, selection.times, selection.values, low, high, first, ends, range_ms)


def subquery_times(node: Any, context: QueryContext) -> tuple[TimeArray, TimeArray]:
    """(the ends of the ranges, the times at which the inner expression is evaluated: multiples of its step)."""
    ends = shifted_times(node, context)
    step = milliseconds(node.step) or context.settings.default_step_ms
    begin = int(ends.min()) - milliseconds(node.range)
    first = -(-begin // step) * step
    if first == begin and not context.settings.closed_ranges:
        first += step
    context.check((int(ends.max()) - first) // step)
    return ends, np.arange(first, int(ends.max()) + 1, step, dtype=np.int64)


def samples_of(vector: Vector, times: TimeArray) -> Selection:
    """A vector evaluated at many times, as samples."""
    owners, columns = np.nonzero(vector.present)
    return Selection(vector.labels, owners, times[columns], vector.values[owners, columns])


def _select(
    matchers: list[Matcher], start_ms: int, end_ms: int, context: QueryContext, anchor_ms: int = 0
) -> Selection:
    context.check()
    selection = context.source.select(matchers, start_ms, end_ms, context.settings.max_samples, anchor_ms)
    context.samples_read[0] += len(selection.times)
    return selection


def _positions(selection: Selection, wanted: TimeArray, side: Any) -> IndexArray:
    times = selection.times
    if not len(times) or not wanted.size:
        return np.zeros(wanted.shape, np.intp)
    origin = min(int(times.min()), int(wanted.min())) - 1
    span = max(int(times.max()), int(wanted.max())) - origin + 2
    keys = selection.owners * span + (times - origin)
    sought = np.arange(wanted.shape[0], dtype=np.int64)[:, None] * span + (wanted - origin)
    return np.searchsorted(keys, sought.ravel(), side).reshape(wanted.shape)


def _enum_name(member: Any) -> str:
    return str(member).rpartition(".")[2]


def is_range(node: Any) -> bool:
    return isinstance(node, promql_parser.MatrixSelector | promql_parser.SubqueryExpr)
