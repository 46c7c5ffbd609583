"""The store's file: SQLite in WAL mode.

    series(id, labels)                      labels as a JSON list of pairs
    log(sequence, generation, time, …)      one row per appended batch; lives until its head is sealed into a block
    block(id, start, end), page(block, …)   sealed samples
    note(key, value)                        small facts of other parts (the collector's connections)

A commit reaches the operating system before it returns, so acknowledged samples survive `kill -9`; the file is not
synced at each commit, so a power cut may cost the last seconds, never the file.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson

from kaiki.telemetry.arrays import FloatArray, IdArray
from kaiki.telemetry.store.pages import Page, encode_page

_SCHEMA = """
CREATE TABLE IF NOT EXISTS series (id INTEGER PRIMARY KEY, counter INTEGER NOT NULL, labels BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS log (sequence INTEGER PRIMARY KEY, generation INTEGER NOT NULL, time INTEGER NOT NULL,
  ids BLOB NOT NULL, samples BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS block (id INTEGER PRIMARY KEY, start INTEGER NOT NULL, end INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS page (block INTEGER NOT NULL, number INTEGER NOT NULL, first INTEGER NOT NULL,
  last INTEGER NOT NULL, samples BLOB NOT NULL, PRIMARY KEY (block, number));
CREATE TABLE IF NOT EXISTS note (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class LogRecord:
    """Samples of one append: one time, many series."""

    generation: int
    time_ms: int
    ids: IdArray
    values: FloatArray


@dataclass(frozen=True, slots=True)
class NewSeries:
    """A series not yet in the file."""

    series_id: int
    counter: bool
    labels: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Block:
    """A sealed stretch of time. Page i holds ids from `first[i]` to `last[i]`; `size_bytes` is compressed."""

    number: int
    start_ms: int
    end_ms: int
    first: IdArray
    last: IdArray
    size_bytes: int


class Database:
    """Two connections, so that a query that reads pages never waits for a commit."""

    def __init__(self, path: Path) -> None:
        self._writer = _connect(path)
        try:
            self._writer.executescript(_SCHEMA)
            self._reader = _connect(path)
        except sqlite3.DatabaseError:
            self._writer.close()
            raise
        self._write_lock = threading.Lock()
        self._read_lock = threading.Lock()

    def close(self) -> None:
        self._reader.close()
        self._writer.close()

    def write(
        self, series: Iterable[NewSeries], records: Iterable[LogRecord], notes: Iterable[tuple[str, bytes | None]]
    ) -> None:
        """All in one transaction. A note of None is deleted."""
        with self._write_lock, self._writer:
            self._writer.executemany(
                "INSERT OR REPLACE INTO series VALUES (?, ?, ?)",
                ((s.series_id, int(s.counter), orjson.dumps(s.labels)) for s in series),
            )
            self._writer.executemany(
                "INSERT INTO log (generation, time, ids, samples) VALUES (?, ?, ?, ?)",
                ((r.generation, r.time_ms, r.ids.tobytes(), r.values.tobytes()) for r in records),
            )
            notes = list(notes)
            kept = [note for note in notes if note[1] is not None]
            gone = [(key,) for key, value in notes if value is None]
            self._writer.executemany("INSERT OR REPLACE INTO note VALUES (?, ?)", kept)
            self._writer.executemany("DELETE FROM note WHERE key = ?", gone)

    def seal(self, pages: Iterable[Page], start_ms: int, end_ms: int, generation: int) -> Block:
        """Writes a block and drops the log of the generation it came from, in one transaction."""
        first: list[int] = []
        last: list[int] = []
        size = 0
        encoded = [(int(page.ids[0]), int(page.ids[-1]), encode_page(page)) for page in pages]
        with self._write_lock, self._writer:
            number = self._writer.execute("INSERT INTO block (start, end) VALUES (?, ?)", (start_ms, end_ms)).lastrowid
            assert number is not None
            for position, (low, high, blob) in enumerate(encoded):
                self._writer.execute("INSERT INTO page VALUES (?, ?, ?, ?, ?)", (number, position, low, high, blob))
                first.append(low)
                last.append(high)
                size += len(blob)
            self._writer.execute("DELETE FROM log WHERE generation = ?", (generation,))
        return Block(number, start_ms, end_ms, np.array(first, np.int32), np.array(last, np.int32), size)

    def write_pages(self, number: int, first: int, pages: Iterable[Page]) -> list[tuple[int, int, int]]:
        """Pages of a block that is not there yet; gives (first id, last id, bytes) of each."""
        encoded = [(int(page.ids[0]), int(page.ids[-1]), encode_page(page)) for page in pages]
        with self._write_lock, self._writer:
            for position, (low, high, blob) in enumerate(encoded, first):
                self._writer.execute("INSERT INTO page VALUES (?, ?, ?, ?, ?)", (number, position, low, high, blob))
        return [(low, high, len(blob)) for low, high, blob in encoded]

    def replace_blocks(self, old: Iterable[int], number: int, start_ms: int, end_ms: int) -> None:
        """The block whose pages were written takes the place of others, in one transaction."""
        numbers = [(one,) for one in old]
        with self._write_lock, self._writer:
            self._writer.execute("INSERT INTO block VALUES (?, ?, ?)", (number, start_ms, end_ms))
            self._writer.executemany("DELETE FROM page WHERE block = ?", numbers)
            self._writer.executemany("DELETE FROM block WHERE id = ?", numbers)

    def remove_orphans(self) -> None:
        """Pages of a merge that did not come to its end."""
        with self._write_lock, self._writer:
            self._writer.execute("DELETE FROM page WHERE block NOT IN (SELECT id FROM block)")

    def page(self, block: int, number: int) -> bytes | None:
        """None when retention has removed the block meanwhile."""
        with self._read_lock:
            row = self._reader.execute(
                "SELECT samples FROM page WHERE block = ? AND number = ?", (block, number)
            ).fetchone()
        return None if row is None else bytes(row[0])

    def remove(self, blocks: Iterable[int], series: Iterable[int]) -> None:
        """Drops blocks and the series that have no sample left."""
        with self._write_lock, self._writer:
            numbers = [(number,) for number in blocks]
            self._writer.executemany("DELETE FROM page WHERE block = ?", numbers)
            self._writer.executemany("DELETE FROM block WHERE id = ?", numbers)
            self._writer.executemany("DELETE FROM series WHERE id = ?", [(number,) for number in series])

    def adopt_log(self, generation: int) -> None:
        """After a restart the whole log belongs to the one new head."""
        with self._write_lock, self._writer:
            self._writer.execute("UPDATE log SET generation = ?", (generation,))

    def read_series(self) -> Iterator[NewSeries]:
        for number, counter, labels in self._reader.execute("SELECT id, counter, labels FROM series ORDER BY id"):
            yield NewSeries(number, bool(counter), tuple((name, value) for name, value in orjson.loads(labels)))

    def read_log(self) -> Iterator[LogRecord]:
        rows = self._reader.execute("SELECT generation, time, ids, samples FROM log ORDER BY sequence")
        for generation, time_ms, ids, values in rows:
            yield LogRecord(generation, time_ms, np.frombuffer(ids, np.int32), np.frombuffer(values, np.float64))

    def read_blocks(self) -> list[Block]:
        """Oldest first."""
        blocks = []
        for number, start, end in self._reader.execute(
            "SELECT id, start, end FROM block ORDER BY start, id"
        ).fetchall():
            query = "SELECT first, last, length(samples) FROM page WHERE block = ? ORDER BY number"
            pages = np.array(self._reader.execute(query, (number,)).fetchall(), np.int64).reshape(-1, 3)
            first, last = pages[:, 0].astype(np.int32), pages[:, 1].astype(np.int32)
            blocks.append(Block(number, start, end, first, last, int(pages[:, 2].sum())))
        return blocks

    def read_notes(self, prefix: str) -> dict[str, bytes]:
        rows = self._reader.execute("SELECT key, value FROM note WHERE substr(key, 1, ?) = ?", (len(prefix), prefix))
        return {key: bytes(value) for key, value in rows.fetchall()}


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, check_same_thread=False, timeout=30)
    settings = ("journal_mode = WAL", "synchronous = NORMAL", "cache_size = -1024", "journal_size_limit = 4194304")
    try:
        for setting in settings:
            connection.execute(f"PRAGMA {setting}")
    except sqlite3.DatabaseError:
        connection.close()
        raise
    return connection
