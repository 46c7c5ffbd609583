"""Spans on disk: SQLite, newest kept, bounded by number and by bytes.

    spans        one row a span; what is searched by index is a column, the rest is one msgpack value
    operations   (service, operation, kind) seen, and when last

Traces come sampled, a few hundred spans a second at most, so a row each is affordable, and what was acknowledged
survives a restart. When the store is full the oldest tenth of it goes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from kaiki.telemetry.damage import set_aside
from kaiki.telemetry.traces.span import Details, Span

_SCHEMA = """
CREATE TABLE IF NOT EXISTS spans (
    id INTEGER PRIMARY KEY, trace TEXT NOT NULL, span TEXT NOT NULL, parent TEXT NOT NULL, service TEXT NOT NULL,
    operation TEXT NOT NULL, kind TEXT NOT NULL, start INTEGER NOT NULL, duration INTEGER NOT NULL,
    details BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS spans_by_trace ON spans (trace);
CREATE INDEX IF NOT EXISTS spans_by_service ON spans (service, start);
CREATE TABLE IF NOT EXISTS operations (
    service TEXT NOT NULL, operation TEXT NOT NULL, kind TEXT NOT NULL, seen INTEGER NOT NULL,
    PRIMARY KEY (service, operation, kind)) WITHOUT ROWID;
"""
_COLUMNS = "trace, span, parent, service, operation, kind, start, duration, details"
_SHARE_DROPPED = 10
_MAXIMUM_SCANNED = 50_000
_DECODER = msgspec.msgpack.Decoder(Details)
_ENCODER = msgspec.msgpack.Encoder()


@dataclass(frozen=True, slots=True)
class TraceLimits:
    """How much is kept."""

    spans: int = 200_000
    bytes: int = 128 << 20


@dataclass(frozen=True, slots=True)
class TraceQuery:
    """What a search is for. Times and durations in microseconds; every tag must be on the span or its process."""

    service: str
    operation: str = ""
    start_us: int = 0
    end_us: int = 1 << 62
    minimum_us: int = 0
    maximum_us: int = 1 << 62
    tags: tuple[tuple[str, str], ...] = ()
    limit: int = 20


@dataclass(frozen=True, slots=True)
class Dependency:
    """How often one service called another, as far as sampled."""

    parent: str
    child: str
    calls: int


@dataclass(slots=True)
class TraceStore:
    """The store. Its methods block: call them in a thread, those that write in one thread only."""

    path: Path
    limits: TraceLimits = field(default_factory=TraceLimits)
    _writer: sqlite3.Connection = field(init=False)
    _reader: sqlite3.Connection = field(init=False)
    spans: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._open()
        except sqlite3.DatabaseError as error:
            # Traces are samples: a file that cannot be read is no reason to stop.
            set_aside(self.path, error)
            self._open()

    def _open(self) -> None:
        self._writer = self._connect()
        self._writer.executescript(_SCHEMA)
        self._reader = self._connect()
        self.spans = int(self._writer.execute("SELECT count(*) FROM spans").fetchone()[0])

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, check_same_thread=False, isolation_level=None)
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "auto_vacuum=NONE", "cache_size=-1024"):
            connection.execute(f"PRAGMA {pragma}")
        return connection

    def close(self) -> None:
        self._reader.close()
        self._writer.close()

    def add(self, spans: Sequence[Span]) -> None:
        """Write spans; when this returns they survive the process."""
        rows = [
            (
                one.trace,
                one.span,
                one.parent,
                one.service,
                one.operation,
                one.kind,
                one.start_us,
                one.duration_us,
                _ENCODER.encode(one.details),
            )
            for one in spans
        ]
        seen = {(one.service, one.operation, one.kind): one.start_us for one in spans}
        with self._transaction() as writer:
            writer.executemany(f"INSERT INTO spans ({_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?)", rows)
            writer.executemany(
                "INSERT INTO operations VALUES (?,?,?,?) ON CONFLICT DO UPDATE SET seen = max(seen, excluded.seen)",
                [(*key, start) for key, start in seen.items()],
            )
        self.spans += len(rows)
        if self.spans > self.limits.spans or self.used_bytes() > self.limits.bytes:
            self._drop_oldest()

    def _transaction(self) -> _Transaction:
        return _Transaction(self._writer)

    def used_bytes(self) -> int:
        """The bytes in use, without pages that are free again."""
        pages, free, size = (
            int(self._writer.execute(f"PRAGMA {name}").fetchone()[0])
            for name in ("page_count", "freelist_count", "page_size")
        )
        return (pages - free) * size

    def _drop_oldest(self) -> None:
        writer = self._writer
        while self.spans and (self.spans > self.limits.spans or self.used_bytes() > self.limits.bytes):
            first, last = writer.execute("SELECT min(id), max(id) FROM spans").fetchone()
            bound = first + max(1, (last - first + 1) // _SHARE_DROPPED)
            with self._transaction():
                self.spans -= writer.execute("DELETE FROM spans WHERE id < ?", (bound,)).rowcount
                oldest = writer.execute("SELECT min(start) FROM spans").fetchone()[0]
                writer.execute("DELETE FROM operations WHERE seen < ?", (oldest if oldest is not None else 1 << 62,))

    def services(self) -> list[str]:
        """The names of all services with spans, sorted."""
        return [row[0] for row in self._reader.execute("SELECT DISTINCT service FROM operations ORDER BY service")]

    def operations(self, service: str, kind: str = "") -> list[tuple[str, str]]:
        """(operation, kind) of a service, sorted."""
        rows = self._reader.execute(
            "SELECT operation, kind FROM operations WHERE service = ? ORDER BY operation, kind", (service,)
        )
        return [(name, found) for name, found in rows if not kind or found == kind]

    def trace(self, trace: str) -> list[Span]:
        """All spans of a trace, in order of their start."""
        rows = self._reader.execute(f"SELECT {_COLUMNS} FROM spans WHERE trace = ? ORDER BY start, id", (trace,))
        return list(map(_span, rows))

    def search(self, query: TraceQuery) -> list[str]:
        """The ids of traces with a span that answers the query, the newest first.

        Of tags at most the newest 50,000 candidates are looked at.
        """
        found: dict[str, None] = {}
        for trace in self._matching(query):
            found[trace] = None
            if len(found) >= query.limit:
                break
        return list(found)

    def _matching(self, query: TraceQuery) -> Iterator[str]:
        condition, values = "service = ? AND start BETWEEN ? AND ?", [query.service, query.start_us, query.end_us]
        if query.operation:
            condition += " AND operation = ?"
            values.append(query.operation)
        condition += " AND duration BETWEEN ? AND ?"
        values += [query.minimum_us, query.maximum_us]
        rows = self._reader.execute(
            f"SELECT trace, details FROM spans WHERE {condition} ORDER BY start DESC LIMIT {_MAXIMUM_SCANNED}", values
        )
        for trace, details in rows:
            if not query.tags or has_tags(_DECODER.decode(details), query.tags):
                yield trace

    def dependencies(self, start_us: int, end_us: int) -> list[Dependency]:
        """Calls between services: spans whose parent belongs to another service."""
        rows = self._reader.execute(
            "SELECT parent.service, child.service, count(*) FROM spans AS child JOIN spans AS parent"
            " ON parent.trace = child.trace AND parent.span = child.parent"
            " WHERE child.parent != '' AND child.start BETWEEN ? AND ? AND parent.service != child.service"
            " GROUP BY 1, 2 ORDER BY 1, 2",
            (start_us, end_us),
        )
        return [Dependency(*row) for row in rows]


class _Transaction:
    """All of it or nothing."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> sqlite3.Connection:
        self._connection.execute("BEGIN IMMEDIATE")
        return self._connection

    def __exit__(self, failed: object, *_: object) -> None:
        self._connection.execute("ROLLBACK" if failed else "COMMIT")


def _span(row: tuple[str, str, str, str, str, str, int, int, bytes]) -> Span:
    return Span(*row[:8], details=_DECODER.decode(row[8]))


def has_tags(details: Details, wanted: Iterable[tuple[str, str]]) -> bool:
    """Whether each of the tags is on the span, on its process or in one of its events; values compare as text."""
    every = [*details.tags, *details.process_tags, *(one for event in details.events for one in event.fields)]
    present = {(key, _text(value)) for key, _, value in every}
    return all((key, value) in present for key, value in wanted)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
