"""Watches: the events of a collection as one client wants them, from any revision still held, with bookmarks.

    list (optional) ─▶ events after it ─▶ …wait… ─▶ more events, or a bookmark now and then

Each watch keeps only its revision: events stay in the collection's ring, so a slow client costs no memory, and one that
falls behind the ring is told to list again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from kaiki.apiserver.catalog import ResourceType
from kaiki.apiserver.errors import expired
from kaiki.apiserver.selectors import Selector
from kaiki.apiserver.store import Collection, Event, Record, RevisionExpired, Store

BOOKMARK_SECONDS = 30.0
BATCH_BYTES = 64 << 10
CROWD = 16
PAUSE_SECONDS = 0.01
"""Where more than a few watch, each takes a burst's events together: a write costs more than the events in it."""
INITIAL_EVENTS_END = {"k8s.io/initial-events-end": "true"}
Encode = Callable[[Record], bytes]


@dataclass(frozen=True)
class WatchOptions:
    """What a client asked for. `revision` None starts with the current state as ADDED events.

    `bookmarks` sends the revision now and then; `initial_end` marks the end of the initial state (WatchList).
    """

    namespace: str
    selector: Selector
    revision: int | None
    bookmarks: bool = False
    initial_end: bool = False


async def watch(store: Store, kind: ResourceType, options: WatchOptions, encode: Encode) -> AsyncGenerator[bytes, None]:
    """The watch's lines, until the caller stops. Ends with an ERROR line when the revision has expired.

    Nothing (no bytes) after a long silence: time to look whether the client is still there.
    """
    collection = store.collection(kind.storage)
    wake = asyncio.Event()
    collection.waiters.add(wake)
    try:
        revision = options.revision
        if revision is None:
            revision = store.revision
            for batch in _batches(_initial(store, kind, options, encode)):
                yield batch
            if options.initial_end:
                yield _bookmark(kind, revision, INITIAL_EVENTS_END)
        last = 0.0
        while True:
            if len(collection.waiters) > CROWD:
                last = await _pause(last)
            wake.clear()
            try:
                lines, revision = _news(store, collection, revision, options, encode)
            except RevisionExpired:
                yield _expired(revision)
                return
            if lines:
                yield lines
            if revision < store.revision:
                continue
            await _wait(wake)
            if not wake.is_set():
                revision = store.revision
                yield _bookmark(kind, revision, None) if options.bookmarks else b""
    finally:
        collection.waiters.discard(wake)


async def _pause(last: float) -> float:
    """Let a moment pass since the time of the last news; the first event after a silence waits for nothing."""
    now = asyncio.get_running_loop().time()
    if now - last < PAUSE_SECONDS:
        await asyncio.sleep(PAUSE_SECONDS - (now - last))
        return last + PAUSE_SECONDS
    return now


async def _wait(wake: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(BOOKMARK_SECONDS):
            await wake.wait()
    except TimeoutError:
        pass


def _initial(store: Store, kind: ResourceType, options: WatchOptions, encode: Encode) -> Iterator[bytes]:
    records = [each for each in store.list(kind.storage, options.namespace) if options.selector.matches(each)]
    return (_event_line(b"ADDED", encode(record)) for record in records)


def _batches(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines joined to pieces worth a write, made one at a time: who reads slowly holds one, not all."""
    batch: list[bytes] = []
    size = 0
    for line in lines:
        batch.append(line)
        size += len(line)
        if size >= BATCH_BYTES:
            yield b"".join(batch)
            batch, size = [], 0
    if batch:
        yield b"".join(batch)


def _news(
    store: Store, collection: Collection, revision: int, options: WatchOptions, encode: Encode
) -> tuple[bytes, int]:
    """A piece of what came after a revision, and the revision that it reaches."""
    lines: list[bytes] = []
    size = 0
    for event in collection.events_after(revision):
        if line := _line(event, options, encode):
            lines.append(line)
            size += len(line)
            if size >= BATCH_BYTES:
                return b"".join(lines), event.revision
    return b"".join(lines), store.revision


def _line(event: Event, options: WatchOptions, encode: Encode) -> bytes | None:
    """The event as this watch sees it: an object that enters or leaves the selection is added or deleted."""
    if options.namespace and event.record.namespace != options.namespace:
        return None
    if event.type == "DELETED":
        selected = options.selector.matches(event.previous or event.record)
        return _event_line(b"DELETED", encode(event.record)) if selected else None
    now = options.selector.matches(event.record)
    before = event.previous is not None and options.selector.matches(event.previous)
    if not now and not before:
        return None
    kind = (b"MODIFIED" if before else b"ADDED") if now else b"DELETED"
    return _event_line(kind, encode(event.record))


def _event_line(kind: bytes, body: bytes) -> bytes:
    return b'{"type":"%s","object":%s}\n' % (kind, body)


def _bookmark(kind: ResourceType, revision: int, annotations: dict[str, str] | None) -> bytes:
    metadata: dict[str, Any] = {"resourceVersion": str(revision), "creationTimestamp": None}
    if annotations:
        metadata["annotations"] = annotations
    value = {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": metadata}
    return _event_line(b"BOOKMARK", orjson.dumps(value))


def _expired(revision: int) -> bytes:
    return _event_line(b"ERROR", orjson.dumps(expired(f"too old resource version: {revision}").status()))
