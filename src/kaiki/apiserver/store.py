"""The versioned store: every object of the API, in memory as the bytes that are served, on disk in SQLite.

    put/delete ──▶ SQLite (committed) ──▶ memory ──▶ event ring of the collection ──▶ watchers wake up

An object is kept as JSON bytes, so a GET costs a dictionary look-up and a list costs a join. A write reaches the disk's
write-ahead log before it is acknowledged: a killed process loses nothing that was answered (a power cut may lose
the last moments; that is the price of not waiting for the disk at each write, and a mesh on one machine ends with
it anyway).

Revisions are one counter for the whole store, as etcd's are. Each collection keeps its last events in a ring, from
which a watch can start at any revision still held; an older one is told that it expired and lists again.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

RING_LENGTH = 2048
RING_BYTES = 8 << 20
INCREMENTAL = 2
JOURNAL_BYTES = 8 << 20
SPARE_PAGES, PAGES_AT_ONCE = 256, 2048
"""Of 4 KB. What is free is used again; only more than a megabyte is given back, 8 MB at once, so that nobody waits."""
Object = dict[str, Any]


class RevisionExpired(Exception):
    """The revision asked for is older than the oldest event still held."""


class RevisionMismatch(Exception):
    """The object is not at the revision the writer expected (or exists, or is gone)."""


class StoreDamaged(Exception):
    """The database file cannot be read: damaged, or no database at all."""

    def __init__(self, path: Path | str, cause: Exception) -> None:
        advice = (
            f"the API's database {path} cannot be read ({cause}). To keep what can be saved: "
            f"`sqlite3 {path} .recover | sqlite3 recovered.sqlite`, then put recovered.sqlite in its place. "
            f"To begin anew: move {path}, {path}-wal and {path}-shm away, start again and apply your files again"
        )
        super().__init__(advice)


def check_database(path: Path) -> None:
    """StoreDamaged when there is a database file and it cannot be read."""
    if not path.exists():
        return
    database = sqlite3.connect(str(path))
    try:
        (found,) = database.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        raise StoreDamaged(path, error) from error
    finally:
        database.close()
    if found != "ok":
        raise StoreDamaged(path, ValueError(" ".join(str(found).split())))


def keep_private(path: Path) -> None:
    """Secrets are in it: it is its owner's alone, wherever its folder is. SQLite makes the files beside it alike."""
    with contextlib.suppress(OSError):  # what cannot be opened is told by SQLite
        path.touch(mode=0o600)
        for each in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
            if each.exists():
                each.chmod(0o600)


@dataclass(frozen=True, slots=True)
class Record:
    """One object at one revision. `body` is its JSON, which starts with `{"apiVersion":"…","kind":"…","metadata":`."""

    namespace: str
    name: str
    revision: int
    body: bytes
    labels: dict[str, str]

    def load(self) -> Object:
        """A fresh dict of the object; the caller may change it."""
        result: Object = orjson.loads(self.body)
        return result

    def body_without_owners(self) -> bytes:
        """The JSON without `managedFields`, which are written last but for the revision, and cut out unread."""
        end = self.body.find(b'],"resourceVersion":"%d"' % self.revision)
        start = self.body.find(b',"managedFields":[', 0, end) if end >= 0 else -1
        return self.body if start < 0 else self.body[:start] + self.body[end + 1 :]


@dataclass(frozen=True, slots=True)
class Event:
    """One change. `type` is ADDED, MODIFIED or DELETED; `previous` is what was there before, None for ADDED."""

    revision: int
    type: str
    record: Record
    previous: Record | None


@dataclass
class Collection:
    """The objects of one kind, the ring of their last events, and who waits for more."""

    records: dict[tuple[str, str], Record] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    ring_bytes: int = 0
    floor: int = 0
    waiters: set[asyncio.Event] = field(default_factory=set)
    _ordered: list[tuple[str, str]] | None = None

    def ordered_keys(self) -> list[tuple[str, str]]:
        """The keys of all records in order of namespace and name; sorted again only after one came or went."""
        if self._ordered is None:
            self._ordered = sorted(self.records)
        return self._ordered

    def records_at(self, revision: int) -> dict[tuple[str, str], Record]:
        """The records as they were at a revision; RevisionExpired when the events since are no longer held."""
        records = dict(self.records)
        for event in reversed(self.events_after(revision)):
            key = event.record.namespace, event.record.name
            if event.previous is None:
                del records[key]
            else:
                records[key] = event.previous
        return records

    def events_after(self, revision: int) -> list[Event]:
        """The events later than this revision; RevisionExpired when some of them are no longer held."""
        if revision < self.floor:
            raise RevisionExpired(self.floor)
        return self.events[bisect_right(self.events, revision, key=lambda event: event.revision) :]

    def append(self, event: Event) -> None:
        if event.type != "MODIFIED":
            self._ordered = None
        self.events.append(event)
        self.ring_bytes += len(event.record.body)
        if len(self.events) > RING_LENGTH or self.ring_bytes > RING_BYTES:
            self._forget_oldest(max(1, len(self.events) // 4))
        for waiter in self.waiters:
            waiter.set()

    def forget_until(self, revision: int) -> None:
        """Drop the events up to a revision; a watch from before the last of them is told that it has expired."""
        count = bisect_right(self.events, revision, key=lambda event: event.revision)
        if count:
            self._forget_oldest(count)

    def _forget_oldest(self, count: int) -> None:
        dropped = self.events[:count]
        self.floor = dropped[-1].revision
        self.ring_bytes -= sum(len(event.record.body) for event in dropped)
        del self.events[:count]


class Store:
    """All collections. Not thread-safe: one event loop owns it. `path` is a file, or ":memory:" in tests."""

    def __init__(self, path: Path | str) -> None:
        """StoreDamaged when the file is there and cannot be read."""
        self._collections: dict[str, Collection] = {}
        self.listeners: list[Callable[[str, Event], None]] = []
        if path != ":memory:":
            keep_private(Path(path))
        self._database = sqlite3.connect(str(path), isolation_level=None)
        try:
            self._prepare()
            self.revision = self._load()
        except (sqlite3.DatabaseError, ValueError) as error:
            self._database.close()
            raise StoreDamaged(path, error) from error

    def _prepare(self) -> None:
        (vacuum,) = self._database.execute("PRAGMA auto_vacuum").fetchone()
        if vacuum != INCREMENTAL:
            self._database.execute(f"PRAGMA auto_vacuum={INCREMENTAL}")
            self._database.execute("VACUUM")  # only this changes the setting of a file that has tables; once
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=NORMAL")
        self._database.execute(f"PRAGMA journal_size_limit={JOURNAL_BYTES}")
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS objects (collection TEXT, namespace TEXT, name TEXT, revision INTEGER, "
            "body BLOB, PRIMARY KEY (collection, namespace, name)) WITHOUT ROWID"
        )
        self._database.execute("CREATE TABLE IF NOT EXISTS counter (id INTEGER PRIMARY KEY, revision INTEGER)")

    def _load(self) -> int:
        revision = 0
        for name, namespace, key, at, body in self._database.execute("SELECT * FROM objects"):
            labels = orjson.loads(body).get("metadata", {}).get("labels") or {}
            self.collection(name).records[namespace, key] = Record(namespace, key, at, body, labels)
            revision = max(revision, at)
        row = self._database.execute("SELECT revision FROM counter").fetchone()
        revision = max(revision, row[0] if row else 0)
        for collection in self._collections.values():
            collection.floor = revision
        self._loaded_revision = revision
        return revision

    def close(self) -> None:
        self._database.close()

    def compact(self, revision: int) -> None:
        """Forget the events up to a revision, and give back a piece of the file that deleted objects left."""
        for collection in self._collections.values():
            collection.forget_until(revision)
        (free,) = self._database.execute("PRAGMA freelist_count").fetchone()
        if free > SPARE_PAGES:
            # By a script: a plain execute() takes the first step of many, one page.
            self._database.executescript(f"PRAGMA incremental_vacuum({min(free - SPARE_PAGES, PAGES_AT_ONCE)})")

    def collection(self, name: str) -> Collection:
        """The collection of this name; made when first asked for."""
        found = self._collections.get(name)
        if found is None:
            found = self._collections[name] = Collection(floor=getattr(self, "_loaded_revision", 0))
        return found

    def get(self, collection: str, namespace: str, name: str) -> Record | None:
        return self.collection(collection).records.get((namespace, name))

    def list(self, collection: str, namespace: str = "") -> Iterator[Record]:
        """The records of a namespace ("" for all), in order of namespace and name."""
        held = self.collection(collection)
        records = held.records
        for key in held.ordered_keys():
            if not namespace or key[0] == namespace:
                yield records[key]

    def list_at(self, collection: str, namespace: str, revision: int) -> Iterator[Record]:
        """The same as it was at a revision; RevisionExpired when that can no longer be told."""
        records = self.collection(collection).records_at(revision)
        for key in sorted(records):
            if not namespace or key[0] == namespace:
                yield records[key]

    def put(self, collection: str, namespace: str, name: str, value: Object, expected: int) -> Record:
        """Write an object and answer its new record; sets its resourceVersion.

        `expected` is the revision the writer has seen, 0 when there must be none; RevisionMismatch otherwise.
        """
        held = self.collection(collection)
        previous = held.records.get((namespace, name))
        if (previous.revision if previous else 0) != expected:
            raise RevisionMismatch(name)
        record = self._encode(namespace, name, value)
        self._database.execute(
            "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?)",
            (collection, namespace, name, record.revision, record.body),
        )
        self.revision = record.revision
        held.records[namespace, name] = record
        kind = "MODIFIED" if previous else "ADDED"
        self._publish(collection, held, Event(record.revision, kind, record, previous))
        return record

    def delete(self, collection: str, namespace: str, name: str, value: Object, expected: int) -> Record:
        """Remove an object; `value` is its last state, which watchers see under the deletion's revision."""
        held = self.collection(collection)
        previous = held.records.get((namespace, name))
        if previous is None or previous.revision != expected:
            raise RevisionMismatch(name)
        record = self._encode(namespace, name, value)
        self._database.execute("BEGIN")
        try:
            self._database.execute(
                "DELETE FROM objects WHERE collection = ? AND namespace = ? AND name = ?", (collection, namespace, name)
            )
            self._database.execute("INSERT OR REPLACE INTO counter VALUES (1, ?)", (record.revision,))
        except sqlite3.Error:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")
        self.revision = record.revision
        del held.records[namespace, name]
        self._publish(collection, held, Event(record.revision, "DELETED", record, previous))
        return record

    def _encode(self, namespace: str, name: str, value: Object) -> Record:
        revision = self.revision + 1
        metadata = value["metadata"]
        metadata.pop("resourceVersion", None)
        if (entries := metadata.pop("managedFields", None)) is not None:
            metadata["managedFields"] = entries
        metadata["resourceVersion"] = str(revision)
        ordered = {"apiVersion": value["apiVersion"], "kind": value["kind"], "metadata": metadata, **value}
        return Record(namespace, name, revision, orjson.dumps(ordered), metadata.get("labels") or {})

    def _publish(self, name: str, collection: Collection, event: Event) -> None:
        collection.append(event)
        for listener in self.listeners:
            listener(name, event)
