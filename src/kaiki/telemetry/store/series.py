"""The store as its users see it: find or make series, append, commit, select.

    append ──▶ head (visible to queries at once) ──commit──▶ log in SQLite (acknowledged)
                 └── full: rotated ──▶ block of compressed pages, log records dropped

`append` and `series_id` belong to the event loop's thread, `commit` to one writer thread, `select` to any thread.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kaiki.telemetry.arrays import FloatArray, IdArray, IndexArray, TimeArray
from kaiki.telemetry.damage import set_aside
from kaiki.telemetry.errors import ExecutionError
from kaiki.telemetry.matchers import Matcher
from kaiki.telemetry.store.database import Block, Database, LogRecord, NewSeries
from kaiki.telemetry.store.exemplars import ExemplarStore
from kaiki.telemetry.store.head import Head
from kaiki.telemetry.store.index import SeriesIndex
from kaiki.telemetry.store.labels import Labels, PackedLabels
from kaiki.telemetry.store.merging import choose_blocks, merged_pages
from kaiki.telemetry.store.page_reader import PageReader, Piece

log = logging.getLogger(__name__)
_LONG_AGO = -(2**62)
_CROWDED, _ROOMY = 0.9, 0.8
_ENDED_MS = 600_000
_KEPT_CHOICES = 16
_RETIRED = "retired/"


@dataclass(frozen=True, slots=True)
class StoreLimits:
    """What bounds the store. Compressed bytes; the head in memory is bounded by `max_series`."""

    retention_seconds: float = 24 * 3600.0
    retention_bytes: int = 512 << 20
    max_series: int = 50_000


@dataclass(frozen=True, slots=True)
class Selection:
    """Samples of several series: sample j belongs to series `owners[j]`; by series, then by time."""

    labels: Sequence[Labels]
    owners: IndexArray
    times: TimeArray
    values: FloatArray


@dataclass(frozen=True, slots=True)
class StoreStatistics:
    """For `/status/tsdb` and `/metrics`."""

    series: int
    head_samples: int
    blocks: int
    block_bytes: int
    start_ms: int
    end_ms: int
    rejected_series: int
    out_of_order_samples: int
    evicted_series: int = 0
    damaged_pages: int = 0


class SeriesStore:
    """Opens (or makes) the database in the folder `path`, and loads what it holds."""

    _head: Head
    _blocks: list[Block]

    def __init__(self, path: Path, limits: StoreLimits | None = None) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self.limits = limits or StoreLimits()
        self.metadata: dict[str, tuple[str, str]] = {}
        self.exemplars = ExemplarStore()
        self.generation = 0
        self._lock = threading.RLock()
        self._commit_lock = threading.Lock()
        self._new_series: list[NewSeries] = []
        self._records: list[LogRecord] = []
        self._notes: dict[str, bytes | None] = {}
        self._sealing: Head | None = None
        self.followers: list[Callable[[list[LogRecord]], None]] = []
        self._choices: OrderedDict[tuple[Matcher, ...], tuple[int, IdArray, PackedLabels]] = OrderedDict()
        self._merges = 0
        self._rejected = 0
        self._out_of_order = 0
        self._evicted = 0
        self._open(path / "series.sqlite")

    # ---- writing

    def series_id(self, labels: Iterable[tuple[str, str]], *, counter: bool = False) -> int | None:
        """Finds or makes a series.

        None when the store holds `max_series` already (counted, and logged once per doubling).
        """
        pairs = tuple(sorted([pair for pair in labels if pair[1]]))
        with self._lock:
            found = self._index.find(pairs)
            if found is not None:
                return found
            if len(self._index) >= self.limits.max_series:
                self._reject()
                return None
            made = self._index.add(pairs)
            self._register(made, counter, _LONG_AGO)
            self._new_series.append(NewSeries(made, counter, self._index.pairs(made)))
            return made

    def are_counters(self, ids: IdArray) -> IdArray:
        """Those of the given series that only grow, except for resets."""
        return ids[self._counter[ids]]

    def append(self, time_ms: int, ids: IdArray, values: FloatArray) -> int:
        """Appends one sample to each of the distinct series, and returns how many were taken.

        A sample that is not later than its series' last one is dropped and counted. Nothing is acknowledged before
        `commit`.
        """
        with self._lock:
            late = self._last[ids] >= time_ms
            if late.any():
                self._out_of_order += int(late.sum())
                ids, values = ids[~late], values[~late]
            if not len(ids):
                return 0
            self._last[ids] = time_ms
            self._head.append(time_ms, ids, values)
            self._records.append(LogRecord(self._head.generation, time_ms, ids, values))
            return len(ids)

    def last_time_ms(self, series_id: int) -> int:
        """When the series got its last sample; far in the past if never."""
        return int(self._last[series_id]) if series_id >= 0 else _LONG_AGO

    def last_times_ms(self, ids: IdArray) -> TimeArray:
        """`last_time_ms` of several series."""
        return self._last[ids]

    def newest_value(self, series_id: int) -> np.float64 | None:
        """The last sample's value as long as it is in memory, else None."""
        with self._lock:
            return self._head.newest(series_id)

    def labels_of(self, series_id: int) -> Labels:
        with self._lock:
            return self._index.labels(series_id)

    def note(self, key: str, value: bytes | None) -> None:
        """Keeps a small fact with the samples: both are in the file after the same `commit`, or neither.

        None deletes.
        """
        with self._lock:
            self._notes[key] = value

    def notes(self, prefix: str) -> dict[str, bytes]:
        """Committed notes whose key starts with `prefix`."""
        return self._database.read_notes(prefix)

    def commit(self) -> None:
        """Everything appended before the call survives the death of the process after it. Raises sqlite3.Error.

        `followers` are then told what was written, in the calling thread.
        """
        with self._commit_lock:
            with self._lock:
                series, self._new_series = self._new_series, []
                records, self._records = self._records, []
                notes, self._notes = self._notes, {}
                if self._head.full and self._sealing is None:
                    self._sealing, self._head = self._head, Head(self._head.generation + 1)
            try:
                if series or records or notes:
                    self._database.write(series, records, notes.items())
            except BaseException:
                with self._lock:
                    self._new_series[:0], self._records[:0] = series, records
                    self._notes = notes | self._notes
                raise
            self._seal()
        if records:
            for follow in self.followers:
                follow(records)

    def enforce_retention(self, now_ms: int) -> None:
        """Drops what is too old or too much, oldest blocks first, and the series that have no sample left.

        A store that is nearly full of series forgets those that ended ten minutes ago or more, the longest ended
        first, so that there is room for what lives; their samples are not to be found any more.
        """
        with self._commit_lock:
            with self._lock:
                gone = self._expired_blocks(now_ms)
                self._blocks = [block for block in self._blocks if block not in gone]
                released = self._released()
                self._index.release(released)
                dead = self._dead_series() if gone else []
                evicted = self._ended_series(now_ms, len(dead))
                if dead or evicted:
                    self._retired |= {series_id: int(self._last[series_id]) for series_id in evicted}
                    self._index.retire(evicted)
                    self._index.remove([*dead, *evicted])
                    self._evicted += len(evicted)
                    self.generation += 1
            notes: list[tuple[str, bytes | None]] = [(f"{_RETIRED}{one}", None) for one in released]
            notes += [(f"{_RETIRED}{one}", str(self._retired[one]).encode()) for one in evicted]
            if notes:  # First: an id must never be free while blocks hold another series' samples under it.
                self._database.write((), (), notes)
            if gone or dead or evicted:
                self._database.remove([block.number for block in gone], [*dead, *evicted])

    def merge_blocks(self) -> bool:
        """Makes a large block of many small ones, if there are; to be called from one thread, beside all else."""
        with self._lock:
            run = choose_blocks(self._blocks, int(self.limits.retention_seconds * 100))
            if not run:
                return False
            ids = self._index.select([])
            number = min([0, *(block.number for block in self._blocks)]) - 1
        written: list[tuple[int, int, int]] = []
        for page in merged_pages(run, ids, self._reader.everything):
            written += self._database.write_pages(number, len(written), [page])
        start, end = run[0].start_ms, max(block.end_ms for block in run)
        first, last, sizes = (np.array(column, np.int64) for column in zip(*written, strict=True))
        block = Block(number, start, end, first.astype(np.int32), last.astype(np.int32), int(sizes.sum()))
        with self._commit_lock, self._lock:
            # Who reads the old blocks meanwhile sees by `_merges` that it has to read again.
            if any(old not in self._blocks for old in run):
                self._database.remove([number], [])
                return False
            self._database.replace_blocks([old.number for old in run], number, start, end)
            self._blocks = [block, *(other for other in self._blocks if other not in run)]
            self._blocks.sort(key=lambda one: one.start_ms)
            self._merges += 1
        return True

    def close(self) -> None:
        self.commit()
        self._database.close()

    # ---- reading

    def select(
        self,
        matchers: Sequence[Matcher],
        start_ms: int,
        end_ms: int,
        max_samples: int = 1 << 40,
        anchor_ms: int = 0,
    ) -> Selection:
        """Samples in [start, end] of all series that match. Raises ExecutionError beyond `max_samples`.

        With `anchor_ms` also each series' newest sample before the start that is no older; there may be others too.
        """
        while True:
            merges = self._merges
            selection = self._select(matchers, start_ms, end_ms, max_samples, anchor_ms)
            if merges == self._merges:
                return selection

    def _select(
        self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, max_samples: int, anchor_ms: int
    ) -> Selection:
        oldest_ms = start_ms - anchor_ms
        with self._lock:
            ids, labels = self._chosen_series(tuple(matchers))
            heads = [
                head.gather(ids, start_ms, end_ms, anchor_ms)
                for head in (self._sealing, self._head)
                if head is not None
            ]
            blocks = [b for b in self._blocks if b.end_ms >= oldest_ms and b.start_ms <= end_ms]
        pieces: list[Piece] = []
        total = sum(len(head[1]) for head in heads)
        for block in blocks:
            for piece in self._reader.gather(block, ids, oldest_ms, end_ms):
                pieces.append(piece)
                total += len(piece[1])
                if total > max_samples:
                    break
        if total > max_samples:
            raise ExecutionError(
                f"the query would load more than {max_samples} samples: narrow its labels or its time range"
            )
        return _joined(labels, pieces + heads)

    def _chosen_series(self, matchers: tuple[Matcher, ...]) -> tuple[IdArray, PackedLabels]:
        """What matchers choose, kept for the next query as long as no series comes or goes."""
        known = self._choices.get(matchers)
        if known is None or known[0] != self._index.version:
            ids = self._index.select(matchers)
            known = self._index.version, ids, self._index.packed(ids, matchers)
            self._choices[matchers] = known
            while len(self._choices) > _KEPT_CHOICES:
                self._choices.popitem(last=False)
        self._choices.move_to_end(matchers)
        return known[1], known[2]

    def select_series(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[Labels]:
        """Labels of the series that match; without samples in [start, end] a series is left out,
        as far as is cheap to know.
        """
        with self._lock:
            ids = self._living(self._index.select(matchers), start_ms)
            return [self._index.labels(i) for i in ids.tolist()]

    def label_names(self, matchers: Sequence[Matcher] | None, start_ms: int = _LONG_AGO) -> list[str]:
        """Of the series that match (None: all) and have a sample at `start_ms` or later."""
        with self._lock:
            return self._index.names(self._chosen(matchers, start_ms))

    def label_values(self, name: str, matchers: Sequence[Matcher] | None, start_ms: int = _LONG_AGO) -> list[str]:
        """Of the series that match (None: all) and have a sample at `start_ms` or later."""
        with self._lock:
            return self._index.values(name, self._chosen(matchers, start_ms))

    def _chosen(self, matchers: Sequence[Matcher] | None, start_ms: int) -> IdArray | None:
        if matchers is None and start_ms <= _LONG_AGO:
            return None
        return self._living(self._index.select(matchers or []), start_ms)

    def cardinality(self) -> dict[str, dict[str, int]]:
        """label name → value → number of series."""
        with self._lock:
            return self._index.cardinality()

    def statistics(self) -> StoreStatistics:
        with self._lock:
            heads = [head for head in (self._sealing, self._head) if head is not None and head.samples]
            starts = [b.start_ms for b in self._blocks] + [h.min_time_ms for h in heads]
            ends = [b.end_ms for b in self._blocks] + [h.max_time_ms for h in heads]
            return StoreStatistics(
                series=len(self._index),
                head_samples=sum(head.samples for head in heads),
                blocks=len(self._blocks),
                block_bytes=sum(block.size_bytes for block in self._blocks),
                start_ms=min(starts, default=0),
                end_ms=max(ends, default=0),
                rejected_series=self._rejected,
                out_of_order_samples=self._out_of_order,
                evicted_series=self._evicted,
                damaged_pages=len(self._reader.damaged),
            )

    # ---- inside

    def _open(self, path: Path) -> None:
        """Read what is in the file; one that cannot be read is set aside, and a new one begun."""
        try:
            self._load(path)
        except (sqlite3.DatabaseError, ValueError) as error:
            set_aside(path, error)
            self._load(path)

    def _load(self, path: Path) -> None:
        self._database = Database(path)
        self._reader = PageReader(self._database)
        try:
            self._head, self._blocks = self._read()
        except BaseException:
            self._database.close()
            raise

    def _read(self) -> tuple[Head, list[Block]]:
        self._index = SeriesIndex()
        self._last = np.full(1024, _LONG_AGO, np.int64)
        self._counter = np.zeros(1024, np.bool_)
        self._database.remove_orphans()
        blocks = self._database.read_blocks()
        floor = max((block.end_ms for block in blocks), default=_LONG_AGO)
        for series in self._database.read_series():
            self._index.add(series.labels, series.series_id)
            self._register(series.series_id, series.counter, floor)
        notes = self._database.read_notes(_RETIRED)
        self._retired: dict[int, int] = {int(key.removeprefix(_RETIRED)): int(value) for key, value in notes.items()}
        self._index.retire(list(self._retired))
        head = Head(1)
        for record in self._database.read_log():
            head.generation = max(head.generation, record.generation)
            ids, values = record.ids, record.values
            if self._retired:
                known = self._index.holds(ids)
                ids, values = ids[known], values[known]
            head.append(record.time_ms, ids, values)
            self._last[ids] = np.maximum(self._last[ids], record.time_ms)
        self._database.adopt_log(head.generation)
        return head, blocks

    def _register(self, series_id: int, counter: bool, last_ms: int) -> None:
        if series_id >= len(self._last):
            size = max(series_id + 1, 2 * len(self._last))
            last, flags = np.full(size, _LONG_AGO, np.int64), np.zeros(size, np.bool_)
            last[: len(self._last)], flags[: len(self._counter)] = self._last, self._counter
            self._last, self._counter = last, flags
        self._last[series_id] = last_ms
        self._counter[series_id] = counter

    def _reject(self) -> None:
        self._rejected += 1
        if self._rejected & (self._rejected - 1) == 0:
            log.warning(
                "%d new series refused: the store holds its maximum of %d; raise max_series or drop labels",
                self._rejected,
                self.limits.max_series,
            )

    def _seal(self) -> None:
        head = self._sealing
        if head is None:
            return
        block = self._database.seal(head.pages(), head.min_time_ms, head.max_time_ms, head.generation)
        with self._lock:
            self._blocks = [*self._blocks, block]
            self._sealing = None

    def _expired_blocks(self, now_ms: int) -> list[Block]:
        horizon = now_ms - int(self.limits.retention_seconds * 1000)
        gone = [block for block in self._blocks if block.end_ms < horizon]
        rest = [block for block in self._blocks if block.end_ms >= horizon]
        excess = sum(block.size_bytes for block in rest) - self.limits.retention_bytes
        for block in rest:
            if excess <= 0:
                break
            gone.append(block)
            excess -= block.size_bytes
        return gone

    def _dead_series(self) -> list[int]:
        starts = [block.start_ms for block in self._blocks]
        starts += [head.min_time_ms for head in (self._sealing, self._head) if head is not None]
        unsaved = {series.series_id for series in self._new_series}
        ids = self._index.select([])
        dead = ids[self._last[ids] < min(starts)]
        return [i for i in dead.tolist() if i not in unsaved]

    def _ended_series(self, now_ms: int, leaving: int) -> list[int]:
        """Those to forget so that the store is not full; `leaving` are going anyway."""
        most = self.limits.max_series
        if len(self._index) - leaving < most * _CROWDED:
            return []
        unsaved = {series.series_id for series in self._new_series}
        ids = self._index.select([])
        ids = ids[self._last[ids] < now_ms - _ENDED_MS]
        ids = ids[np.argsort(self._last[ids], kind="stable")]
        chosen = [i for i in ids.tolist() if i not in unsaved]
        return chosen[: max(0, len(self._index) - int(most * _ROOMY))]

    def _released(self) -> list[int]:
        """Retired ids that no block and no log holds samples of any more."""
        starts = [block.start_ms for block in self._blocks]
        starts += [head.min_time_ms for head in (self._sealing, self._head) if head is not None]
        free = [series_id for series_id, last in self._retired.items() if last < min(starts)]
        for series_id in free:
            del self._retired[series_id]
        return free

    def _living(self, ids: IdArray, start_ms: int) -> IdArray:
        return ids[self._last[ids] >= start_ms]


def _joined(labels: Sequence[Labels], pieces: list[Piece]) -> Selection:
    """Pieces come oldest first, so a stable sort by series leaves each series ordered by time."""
    owners = np.concatenate([piece[0] for piece in pieces])
    times = np.concatenate([piece[1] for piece in pieces])
    values = np.concatenate([piece[2] for piece in pieces])
    if len(pieces) > 1 and (np.diff(owners) < 0).any():
        order = np.argsort(owners, kind="stable")
        owners, times, values = owners[order], times[order], values[order]
    return Selection(labels, owners, times, values)
