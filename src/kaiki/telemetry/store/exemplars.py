"""Exemplars: single observations behind a sample, most often a request's trace. The newest of them, in memory.

As in Prometheus they are kept in one ring for all series; a series' own exemplars come in the order of their times.
Rules: Prometheus, "Exemplars storage", and OpenMetrics, "Exemplars".
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from kaiki.telemetry.matchers import Matcher

MOST_EXEMPLARS = 20_000
LONGEST_LABELS = 128
Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Exemplar:
    """`time_ms` is the exemplar's own time, or that of the scrape that brought it."""

    labels: Pairs
    value: float
    time_ms: int


class ExemplarStore:
    """Filled by the event loop's thread, read by any."""

    def __init__(self, most: int = MOST_EXEMPLARS) -> None:
        self._most = most
        self._ring: deque[tuple[Pairs, Exemplar]] = deque()
        self._last: dict[Pairs, Exemplar] = {}
        self._lock = threading.Lock()
        self.taken = self.refused = 0

    def __len__(self) -> int:
        return len(self._ring)

    def add(self, series: Pairs, exemplar: Exemplar, *, timed: bool) -> bool:
        """Whether it was taken: not one again, nor older than its series' last, nor with labels that are too long.

        `series` is sorted by name. `timed` says that the exemplar brought its own time.
        """
        if sum(len(name) + len(value) for name, value in exemplar.labels) > LONGEST_LABELS:
            self.refused += 1
            return False
        with self._lock:
            last = self._last.get(series)
            if last is not None:
                same = (last.labels, last.value) == (exemplar.labels, exemplar.value)
                if same and (not timed or last.time_ms == exemplar.time_ms):
                    return False
                if exemplar.time_ms <= last.time_ms:
                    self.refused += 1
                    return False
            self._ring.append((series, exemplar))
            self._last[series] = exemplar
            self.taken += 1
            while len(self._ring) > self._most:
                owner, oldest = self._ring.popleft()
                if self._last.get(owner) is oldest:
                    del self._last[owner]
        return True

    def select(
        self, selectors: Sequence[Sequence[Matcher]], start_ms: int, end_ms: int
    ) -> list[tuple[Pairs, list[Exemplar]]]:
        """By series, sorted by its labels, what lies in [start, end] of those that fit one of the selectors."""
        tests = [[(matcher.name, matcher.predicate()) for matcher in matchers] for matchers in selectors]
        found: dict[Pairs, list[Exemplar]] = {}
        fits: dict[Pairs, bool] = {}
        with self._lock:
            held = list(self._ring)
        for series, exemplar in held:
            if not start_ms <= exemplar.time_ms <= end_ms:
                continue
            if series not in fits:
                labels = dict(series)
                fits[series] = any(all(accepts(labels.get(name, "")) for name, accepts in one) for one in tests)
            if fits[series]:
                found.setdefault(series, []).append(exemplar)
        return sorted(found.items())
