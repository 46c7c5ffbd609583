"""The newest samples, in memory: one row per active series, appended to by whole scrapes at once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kaiki.telemetry.arrays import FloatArray, IdArray, IndexArray, TimeArray
from kaiki.telemetry.store.pages import PAGE_SERIES, Page

FULL_SAMPLES = 120
_FIRST_ROWS = 256


class Head:
    """`generation` names the log records that hold the same samples on disk.

    Times and values are kept by sample, then by series: what one scrape brings lies side by side, and so does what a
    query reads, for it asks for the same few samples of many series.
    """

    def __init__(self, generation: int) -> None:
        self.generation = generation
        self.samples = 0
        self.rows = 0
        self.min_time_ms = 2**62
        self.max_time_ms = -(2**62)
        self.fullest = 0
        self._row_of = np.full(_FIRST_ROWS, -1, np.int32)
        self._times = np.empty((FULL_SAMPLES, _FIRST_ROWS), np.int64)
        self._values = np.empty((FULL_SAMPLES, _FIRST_ROWS), np.float64)
        self._counts = np.zeros(_FIRST_ROWS, np.int32)
        self._ids = np.empty(_FIRST_ROWS, np.int32)

    @property
    def full(self) -> bool:
        return self.fullest >= FULL_SAMPLES

    def append(self, time_ms: int, ids: IdArray, values: FloatArray) -> None:
        """One sample for each of the (distinct) ids, all at one time, later than what each series has."""
        if not len(ids):
            return
        rows = self._rows_for(ids)
        positions = self._counts[rows]
        newest = int(positions.max()) + 1
        if newest > len(self._times):
            self._deepen()
        self._times[positions, rows] = time_ms
        self._values[positions, rows] = values
        self._counts[rows] = positions + 1
        self.samples += len(ids)
        self.fullest = max(self.fullest, newest)
        self.min_time_ms = min(self.min_time_ms, time_ms)
        self.max_time_ms = max(self.max_time_ms, time_ms)

    def newest(self, series_id: int) -> np.float64 | None:
        row = int(self._row_of[series_id]) if series_id < len(self._row_of) else -1
        if row < 0 or not self._counts[row]:
            return None
        newest: np.float64 = self._values[self._counts[row] - 1, row]
        return newest

    def gather(
        self, ids: IdArray, start_ms: int, end_ms: int, anchor_ms: int = 0
    ) -> tuple[IndexArray, TimeArray, FloatArray]:
        """Samples in [start, end] of the given series: (position in `ids`, time, value), by series, then by time.

        With `anchor_ms` also the newest sample of each before the start, if it is no older than that.
        """
        known = ids < len(self._row_of)
        rows = np.where(known, self._row_of[np.where(known, ids, 0)], -1)
        owners = np.nonzero(rows >= 0)[0]
        rows = rows[owners].astype(np.intp)
        low, high = self._places(rows, start_ms), self._places(rows, end_ms + 1)
        if anchor_ms:
            low = np.maximum(low - 1, self._places(rows, start_ms - anchor_ms))
        sizes = np.maximum(high - low, 0)
        which = np.repeat(np.arange(len(rows)), sizes)
        places = (low - (np.cumsum(sizes) - sizes))[which] + np.arange(len(which))
        flat = places * self._times.shape[1] + rows[which]
        found: IndexArray = owners[which]
        return found, self._times.reshape(-1)[flat], self._values.reshape(-1)[flat]

    def _places(self, rows: IndexArray, time_ms: int) -> IndexArray:
        """How many samples of each row are older than a time."""
        if not len(rows):
            return np.zeros(0, np.intp)
        counts = self._counts[rows].astype(np.intp)
        # Most series are scraped together, so what holds for one holds for nearly all.
        middle = len(rows) // 2
        places: IndexArray = np.minimum(
            self._bisect(rows[middle : middle + 1], counts[middle : middle + 1], time_ms)[0], counts
        )
        last = np.maximum(counts - 1, 0)
        wrong = (places > 0) & (self._times[np.maximum(places - 1, 0), rows] >= time_ms)
        wrong |= (places < counts) & (self._times[np.minimum(places, last), rows] < time_ms)
        others = np.nonzero(wrong)[0]
        if len(others):
            places[others] = self._bisect(rows[others], counts[others], time_ms)
        return places

    def _bisect(self, rows: IndexArray, counts: IndexArray, time_ms: int) -> IndexArray:
        low, high = np.zeros(len(rows), np.intp), counts.copy()
        while bool((low < high).any()):
            middle = (low + high) // 2
            older = (low < high) & (self._times[np.minimum(middle, len(self._times) - 1), rows] < time_ms)
            high = np.where(older | (low >= high), high, middle)
            low = np.where(older, middle + 1, low).astype(np.intp)
        return low

    def pages(self) -> Iterator[Page]:
        """Everything in the head, in pages of ascending series ids."""
        order = np.argsort(self._ids[: self.rows], kind="stable")
        for start in range(0, len(order), PAGE_SERIES):
            rows = order[start : start + PAGE_SERIES]
            counts = self._counts[rows]
            which, place = np.nonzero(np.arange(len(self._times)) < counts[:, None])
            picked = rows[which]
            yield Page(self._ids[rows], counts, self._times[place, picked], self._values[place, picked])

    def _rows_for(self, ids: IdArray) -> IdArray:
        highest = int(ids.max())
        if highest >= len(self._row_of):
            grown = np.full(max(highest + 1, 2 * len(self._row_of)), -1, np.int32)
            grown[: len(self._row_of)] = self._row_of
            self._row_of = grown
        rows = self._row_of[ids]
        missing = np.nonzero(rows < 0)[0]
        if len(missing):
            first, self.rows = self.rows, self.rows + len(missing)
            self._lengthen()
            fresh = np.arange(first, self.rows, dtype=np.int32)
            self._ids[fresh] = ids[missing]
            self._row_of[ids[missing]] = fresh
            rows[missing] = fresh
        return rows

    def _lengthen(self) -> None:
        depth, have = self._times.shape
        if self.rows <= have:
            return
        rows = max(self.rows, have + have // 2)
        for name in ("_times", "_values"):
            old = getattr(self, name)
            new = np.empty((depth, rows), old.dtype)
            new[: self.fullest, :have] = old[: self.fullest]
            setattr(self, name, new)
        self._counts = np.concatenate([self._counts, np.zeros(rows - have, np.int32)])
        self._ids = np.concatenate([self._ids, np.empty(rows - have, np.int32)])

    def _deepen(self) -> None:
        self._times = np.concatenate([self._times, np.empty_like(self._times)])
        self._values = np.concatenate([self._values, np.empty_like(self._values)])
