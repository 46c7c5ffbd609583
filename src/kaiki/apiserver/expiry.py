"""What is for the moment only: Event objects, forgotten after an hour, and what watches can be told of the past.

Both as Kubernetes does it: `--event-ttl` is an hour, etcd is compacted every five minutes up to where it was the time
before, so that a watch can go on from anything of the last five minutes at least.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from kaiki.apiserver.store import Record, RevisionMismatch, Store

EVENTS = "/events"
LIFE_SECONDS = 3600.0
LIMIT = 5000
"""How many are kept at most: a burst (a pod that fails a thousand times) must not fill the memory for an hour."""
EVERY_SECONDS = 60.0
COMPACTION_SECONDS = 300.0


async def expire_events(store: Store) -> None:
    """Forget old events for ever, a few times an hour."""
    while True:
        await asyncio.sleep(EVERY_SECONDS)
        remove_expired(store, datetime.now(UTC))


async def compact_forever(store: Store) -> None:
    """Forget what happened before the compaction before, for ever."""
    while True:
        before = store.revision
        await asyncio.sleep(COMPACTION_SECONDS)
        store.compact(before)


def remove_expired(store: Store, now: datetime) -> int:
    """Remove the events that nobody has written for an hour, and the oldest beyond the limit; answers how many."""
    records = sorted(store.list(EVENTS), key=lambda record: record.revision, reverse=True)
    oldest = now - timedelta(seconds=LIFE_SECONDS)
    expired = [record for at, record in enumerate(records) if at >= LIMIT or _last_time(record) < oldest]
    for record in expired:
        try:
            store.delete(EVENTS, record.namespace, record.name, record.load(), record.revision)
        except RevisionMismatch:
            continue
    return len(expired)


def _last_time(record: Record) -> datetime:
    """When the event was last said to happen; that of one without any readable time is its creation."""
    value = record.load()
    series = value.get("series") or {}
    told = (series.get("lastObservedTime"), value.get("lastTimestamp"), value.get("deprecatedLastTimestamp"))
    for text in (*told, value.get("eventTime"), value["metadata"].get("creationTimestamp")):
        try:
            return datetime.fromisoformat(str(text)).astimezone(UTC)
        except ValueError:
            continue
    return datetime.min.replace(tzinfo=UTC)
