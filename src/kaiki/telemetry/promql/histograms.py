"""Quantiles from classic histograms: series whose `le` label is a bucket's upper bound."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from kaiki.telemetry.arrays import BoolArray, FloatArray
from kaiki.telemetry.matchers import NAME
from kaiki.telemetry.promql.values import Vector, label_key, stacked
from kaiki.telemetry.store.labels import Labels


@dataclass(slots=True)
class _Histogram:
    """The buckets of one histogram: upper bounds and the rows they are in."""

    labels: Labels
    buckets: list[tuple[float, int]] = field(default_factory=list)


def histogram_quantile(quantiles: FloatArray, vector: Vector) -> Vector:
    """One value per histogram and time; `quantiles` has one per time."""
    labels: list[Labels] = []
    rows: list[FloatArray] = []
    masks: list[BoolArray] = []
    for histogram in _histograms(vector):
        histogram.buckets.sort()
        bounds = np.array([bound for bound, _ in histogram.buckets])
        picked = [row for _, row in histogram.buckets]
        counts, present = vector.values[picked], vector.present[picked]
        labels.append(histogram.labels)
        rows.append(_quantiles(quantiles, bounds, counts, present))
        masks.append(np.asarray(present.any(axis=0)))
    return stacked(labels, rows, masks, vector.values.shape[1])


def histogram_fraction(lower: FloatArray, upper: FloatArray, vector: Vector) -> Vector:
    """The share of observations between two bounds."""
    labels: list[Labels] = []
    rows: list[FloatArray] = []
    masks: list[BoolArray] = []
    for histogram in _histograms(vector):
        histogram.buckets.sort()
        bounds = np.array([bound for bound, _ in histogram.buckets])
        picked = [row for _, row in histogram.buckets]
        present = vector.present[picked]
        values = np.full(vector.values.shape[1], np.nan)
        for column in np.nonzero(present.any(axis=0))[0].tolist():
            mask = present[:, column]
            values[column] = _fraction(
                float(lower[column]), float(upper[column]), bounds[mask], vector.values[picked, column][mask]
            )
        labels.append(histogram.labels)
        rows.append(values)
        masks.append(np.asarray(present.any(axis=0)))
    return stacked(labels, rows, masks, vector.values.shape[1])


def _histograms(vector: Vector) -> list[_Histogram]:
    """Series without a readable `le` are left out."""
    found: dict[tuple[tuple[str, str], ...], _Histogram] = {}
    for row, labels in enumerate(vector.labels):
        try:
            bound = float(labels["le"])
        except (KeyError, ValueError):
            continue
        rest = {name: value for name, value in labels.items() if name not in ("le", NAME)}
        found.setdefault(label_key(rest), _Histogram(rest)).buckets.append((bound, row))
    return list(found.values())


def _quantiles(quantiles: FloatArray, bounds: FloatArray, counts: FloatArray, present: BoolArray) -> FloatArray:
    used = present.any(axis=0)
    if present[:, used].all() and (np.diff(bounds) > 0).all():
        return _interpolate(quantiles, bounds, np.where(used, counts, 0.0))
    result = np.full(counts.shape[1], np.nan)
    for column in np.nonzero(used)[0].tolist():
        mask = present[:, column]
        distinct, places = np.unique(bounds[mask], return_inverse=True)
        total = np.bincount(places, counts[mask, column], len(distinct)).astype(np.float64)
        result[column] = _interpolate(quantiles[column : column + 1], distinct, total[:, None])[0]
    return result


def _interpolate(quantiles: FloatArray, bounds: FloatArray, counts: FloatArray) -> FloatArray:
    """`bounds` ascend strictly; `counts[b, t]` are cumulative, and repaired where a scrape caught them in between."""
    outside = np.where(quantiles < 0, -np.inf, np.where(quantiles > 1, np.inf, np.nan))
    if len(bounds) < 2 or bounds[-1] != np.inf:
        return outside
    counts = _monotonic(counts)
    observations = counts[-1]
    rank = quantiles * observations
    bucket = np.minimum((~(counts[:-1] >= rank)).sum(axis=0), len(bounds) - 1)
    columns = np.arange(counts.shape[1])
    below = np.maximum(bucket - 1, 0)
    start = np.where(bucket > 0, bounds[below], 0.0)
    count_below = np.where(bucket > 0, counts[below, columns], 0.0)
    value = start + (bounds[bucket] - start) * ((rank - count_below) / (counts[bucket, columns] - count_below))
    value = np.where((bucket == 0) & (bounds[0] <= 0), bounds[0], value)
    value = np.where(bucket == len(bounds) - 1, bounds[-2], value)
    value = np.where(observations == 0, np.nan, value)
    return np.where((quantiles >= 0) & (quantiles <= 1), value, outside)


def _monotonic(counts: FloatArray) -> FloatArray:
    """A bucket never holds less than the one below it; what is not a number stays so, and starts anew."""
    raised = counts.copy()
    for row in range(1, len(raised)):
        raised[row] = np.where(raised[row] < raised[row - 1], raised[row - 1], raised[row])
    return raised


def _fraction(lower: float, upper: float, bounds: FloatArray, counts: FloatArray) -> float:
    distinct, places = np.unique(bounds, return_inverse=True)
    cumulative = np.maximum.accumulate(np.bincount(places, counts, len(distinct)))
    if len(distinct) < 2 or distinct[-1] != np.inf or np.isnan(lower) or np.isnan(upper) or cumulative[-1] == 0:
        return float("nan")
    if lower >= upper:
        return 0.0
    total = float(cumulative[-1])
    return (_count_below(upper, distinct, cumulative) - _count_below(lower, distinct, cumulative)) / total


def _count_below(bound: float, bounds: FloatArray, cumulative: FloatArray) -> float:
    bucket = int(np.searchsorted(bounds, bound, "left"))
    if bound == np.inf:
        return float(cumulative[-1])
    start = float(bounds[bucket - 1]) if bucket else (0.0 if bounds[0] > 0 else -np.inf)
    before = float(cumulative[bucket - 1]) if bucket else 0.0
    if bounds[bucket] == np.inf or bound <= start:
        return before
    if start == -np.inf:
        return float(cumulative[bucket]) if bound >= bounds[bucket] else before
    share = (bound - start) / (float(bounds[bucket]) - start)
    return before + (float(cumulative[bucket]) - before) * share
