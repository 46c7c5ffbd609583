"""Quantiles of merged histograms: buckets are added over all series first, the quantile is taken once, from the sum.

Taking a quantile per series and then one of them, or their mean, gives numbers that belong to no request.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence


def quantile(buckets: Mapping[float, float], share: float) -> float | None:
    """The value below which `share` (0 to 1) of the observations lie; None without observations.

    `buckets` are cumulative counts by upper bound, with +Inf. Rule: Prometheus' `histogram_quantile`: linear inside a
    bucket, the first bucket starts at 0, and what falls into the +Inf bucket answers the highest finite bound.
    """
    return quantiles(buckets, (share,))[0]


def quantiles(buckets: Mapping[float, float], shares: Sequence[float]) -> list[float | None]:
    """`quantile` for several shares, which costs little more than for one."""
    bounds = sorted(buckets)
    if len(bounds) < 2 or not math.isinf(bounds[-1]) or buckets[bounds[-1]] <= 0:
        return [None] * len(shares)
    total = buckets[bounds[-1]]
    return [_at_rank(buckets, bounds, share * total) for share in shares]


def _at_rank(buckets: Mapping[float, float], bounds: Sequence[float], rank: float) -> float:
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
