"""Quantiles of merged histograms: buckets are added over all series first, the quantile is taken once, from the sum.

Taking a quantile per series and then one of them, or their mean, gives numbers that belong to no request.
"""

from __future__ import annotations

import math
from collections.abc import Mapping


def quantile(buckets: Mapping[float, float], share: float) -> float | None:
    """The value below which `share` (0 to 1) of the observations lie; None without observations.

    `buckets` are cumulative counts by upper bound, with +Inf. Rule: Prometheus' `histogram_quantile`: linear inside a
    bucket, the first bucket starts at 0, and what falls into the +Inf bucket answers the highest finite bound.
    """
    bounds = sorted(buckets)
    if not bounds or not math.isinf(bounds[-1]):
        return None
    total = buckets[bounds[-1]]
    if total <= 0 or len(bounds) < 2:
        return None
    rank = share * total
    lower_bound, below = 0.0, 0.0
    for bound in bounds[:-1]:
        count = max(buckets[bound], below)  # Scrapes are not atomic: keep the counts monotonic.
        if count >= rank and count > below:
            return lower_bound + (bound - lower_bound) * (rank - below) / (count - below)
        lower_bound, below = bound, count
    return lower_bound


def observation_count(buckets: Mapping[float, float]) -> float:
    """How many observations the cumulative buckets hold."""
    return buckets.get(math.inf, 0.0)
