"""Quantiles of merged histograms: buckets are added over all series first, the quantile is taken once, from the sum.

Taking a quantile per series and then one of them, or their mean, gives numbers that belong to no request.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from kaiki.graph.numbers import FloatArray


def quantile(buckets: Mapping[float, float], share: float) -> float | None:
    """The value below which `share` (0 to 1) of the observations lie; None without observations.

    `buckets` are cumulative counts by upper bound, with +Inf. Rule: Prometheus' `histogram_quantile`: linear inside a
    bucket, the first bucket starts at 0, and what falls into the +Inf bucket answers the highest finite bound.
    """
    bounds = sorted(buckets)
    found = float(many_quantiles(bounds, np.array([[buckets[bound] for bound in bounds]]), (share,))[0, 0])
    return None if math.isnan(found) else found


def many_quantiles(bounds: Sequence[float], counts: FloatArray, shares: Sequence[float]) -> FloatArray:
    """`quantile` of many histograms at once: a row of cumulative counts for each, by ascending bounds.

    A count is NaN where a histogram has no such bucket. Answers a row for each, a column for each share; NaN is none.
    """
    found: FloatArray = np.full((len(counts), len(shares)), np.nan)
    if len(bounds) < 2 or not math.isinf(bounds[-1]):
        return found
    rows = np.flatnonzero((counts[:, -1] > 0) & ~np.isnan(counts[:, :-1]).all(axis=1))
    finite, total = counts[rows, :-1], counts[rows, -1]
    known = ~np.isnan(finite)
    # Scrapes are not atomic: keep the counts monotonic. A bucket that is not there adds nothing and has no bound.
    count = np.maximum.accumulate(np.where(known, np.maximum(finite, 0.0), 0.0), axis=1)
    upper = np.where(known, np.asarray(bounds[:-1]), 0.0)
    lower_bound = np.hstack([np.zeros((len(rows), 1)), np.maximum.accumulate(upper, axis=1)])
    below = np.hstack([np.zeros((len(rows), 1)), count])
    for column, share in enumerate(shares):
        rank = share * total
        fits = known & (count >= rank[:, None]) & (count > below[:, :-1])
        place, row = fits.argmax(axis=1), np.arange(len(rows))
        start, first = lower_bound[row, place], below[row, place]
        with np.errstate(all="ignore"):  # Rows that nothing fits are not looked at.
            inside = start + (upper[row, place] - start) * (rank - first) / (count[row, place] - first)
        found[rows, column] = np.where(fits.any(axis=1), inside, lower_bound[:, -1])
    return found
