"""What one query carries along: the store, its evaluation times, its limits and its deadline."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from kaiki.telemetry.arrays import TimeArray
from kaiki.telemetry.errors import ExecutionError, QueryTimeoutError
from kaiki.telemetry.matchers import Matcher
from kaiki.telemetry.store.series import Selection


class SampleSource(Protocol):
    """The part of the store that queries read."""

    def select(
        self,
        matchers: Sequence[Matcher],
        start_ms: int,
        end_ms: int,
        max_samples: int = ...,
        anchor_ms: int = ...,
    ) -> Selection: ...


@dataclass(frozen=True, slots=True)
class QuerySettings:
    """`closed_ranges` gives Prometheus 2's meaning of ranges and lookback (both ends included) instead of 3's.

    `exact_increase` makes `increase` what was counted, without extrapolation (`rates.counted`).
    """

    lookback_ms: int = 300_000
    default_step_ms: int = 60_000
    timeout_seconds: float = 30.0
    max_samples: int = 5_000_000
    max_cells: int = 10_000_000
    max_steps: int = 11_000
    closed_ranges: bool = False
    exact_increase: bool = False


@dataclass(slots=True)
class QueryContext:
    """`times` are the evaluation times of the (sub)query at hand; start and end are those of the whole query."""

    source: SampleSource
    settings: QuerySettings
    times: TimeArray
    start_ms: int
    end_ms: int
    deadline: float
    clock: Callable[[], float] = field(default=time.monotonic)
    samples_read: list[int] = field(default_factory=lambda: [0])

    @property
    def steps(self) -> int:
        return len(self.times)

    def at_times(self, times: TimeArray) -> QueryContext:
        """The same query at other times, for subqueries."""
        return replace(self, times=times)

    def check(self, cells: int = 0) -> None:
        """Raises QueryTimeoutError past the deadline, ExecutionError when an intermediate result would be too big."""
        if self.clock() > self.deadline:
            raise QueryTimeoutError(f"query timed out after {self.settings.timeout_seconds:g} s")
        if cells > self.settings.max_cells:
            raise ExecutionError(
                f"the query would compute {cells} values at once, more than {self.settings.max_cells}: "
                "aggregate earlier, narrow the labels or take a longer step"
            )


def evaluation_times(start_ms: int, end_ms: int, step_ms: int) -> TimeArray:
    return np.arange(start_ms, end_ms + 1, step_ms, dtype=np.int64)
