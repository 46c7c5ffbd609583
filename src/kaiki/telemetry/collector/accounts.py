"""Counts bytes of TCP connections, and messages of gRPC calls, into Istio's counters.

Envoy tells cumulative bytes per connection; what counts is the difference to the last entry of the same connection.
Totals and each connection's last numbers are written to the store together, so a restart neither loses nor counts
twice: what was not committed is simply part of the next difference.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import orjson

from kaiki.telemetry.arrays import STALE, IdArray
from kaiki.telemetry.exposition import render_series
from kaiki.telemetry.matchers import NAME
from kaiki.telemetry.promql.numbers import format_number
from kaiki.telemetry.store.series import SeriesStore

log = logging.getLogger(__name__)
RECEIVED = "istio_tcp_received_bytes_total"
SENT = "istio_tcp_sent_bytes_total"
BYTES = (RECEIVED, SENT)
MESSAGES = ("istio_request_messages_total", "istio_response_messages_total")
JOB = ("job", "kaiki-telemetry")
FLUSH_SECONDS = 2.0
_CONNECTION_NOTE = "tcp/connection/"
_TOTAL_NOTE = "tcp/total/"
_FORGET_CONNECTION_SECONDS = 600.0
_FORGET_TOTAL_SECONDS = 3600.0
_MAXIMUM_CONNECTIONS = 200_000
LabelSet = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ConnectionEntry:
    """One log entry: cumulative bytes of a connection, from the proxy's downstream side, and the metric's labels.

    Of a gRPC call (its label `request_protocol` says so): messages received and sent.
    """

    connection: str
    labels: LabelSet
    received: int
    sent: int
    ended: bool


@dataclass(slots=True)
class _Connection:
    received: int
    sent: int
    seen: float


@dataclass(slots=True)
class _Total:
    received: int
    sent: int
    changed: float
    ids: IdArray | None = None
    generation: int = -1


class TcpAccounts:
    """The event loop's own; `changed` asks for a commit of the store."""

    def __init__(
        self,
        store: SeriesStore,
        changed: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._changed = changed
        self._clock = clock
        self._connections: dict[str, _Connection] = {}
        self._totals: dict[LabelSet, _Total] = {}
        self._ignored = 0
        self._flushed_ms = 0
        self._load()

    def add(self, entries: Iterable[ConnectionEntry]) -> None:
        """Counts entries; they are safe after the store's next commit."""
        now = self._clock()
        touched: set[LabelSet] = set()
        for entry in entries:
            if not entry.connection or len(self._connections) >= _MAXIMUM_CONNECTIONS:
                self._ignored += 1
                continue
            self._count(entry, now)
            touched.add(entry.labels)
        for labels in touched:
            total = self._totals[labels]
            self._store.note(_TOTAL_NOTE + orjson.dumps(labels).decode(), orjson.dumps([total.received, total.sent]))
        if touched:
            self._changed()

    def flush(self) -> None:
        """Appends every counter to the store, and forgets what has been silent for long."""
        now = self._clock()
        now_ms = int(now * 1000)
        for labels, total in self._totals.items():
            ids = self._series(labels, total)
            if total.changed + _FORGET_TOTAL_SECONDS < now:
                self._store.append(now_ms, ids, np.repeat(STALE, len(ids)))
                self._store.note(_TOTAL_NOTE + orjson.dumps(labels).decode(), None)
                continue
            self._start(ids, now_ms)
            self._store.append(now_ms, ids, np.array([total.received, total.sent], np.float64)[: len(ids)])
        horizon = now - _FORGET_TOTAL_SECONDS
        self._totals = {labels: total for labels, total in self._totals.items() if total.changed >= horizon}
        for key in [k for k, c in self._connections.items() if c.seen + _FORGET_CONNECTION_SECONDS < now]:
            self._forget(key)
        self._flushed_ms = now_ms
        if self._totals:
            self._changed()

    async def run(self) -> None:
        """Flushes until cancelled."""
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            try:
                self.flush()
            except Exception:
                log.exception("TCP counters could not be appended; trying again")

    def render(self, *, totals: bool = True) -> str:
        """The counters in the text format, for a Prometheus of the user's own."""
        lines = [
            "# TYPE kaiki_collector_connections gauge",
            f"kaiki_collector_connections {len(self._connections)}",
            "# TYPE kaiki_collector_ignored_entries_total counter",
            f"kaiki_collector_ignored_entries_total {self._ignored}",
        ]
        for name in (*BYTES, *MESSAGES) if totals else ():
            lines.append(f"# TYPE {name} counter")
            for labels, total in sorted(self._totals.items()):
                if name in (names := _names(labels)):
                    number = format_number(float((total.received, total.sent)[names.index(name)]))
                    lines.append(f"{render_series(name, list(labels))} {number}")
        return "\n".join(lines) + "\n"

    # ---- inside

    def _count(self, entry: ConnectionEntry, now: float) -> None:
        before = self._connections.get(entry.connection)
        received = entry.received - (before.received if before else 0)
        sent = entry.sent - (before.sent if before else 0)
        total = self._totals.get(entry.labels)
        if total is None:
            total = self._totals[entry.labels] = _Total(0, 0, now)
        total.received += max(received, 0)
        total.sent += max(sent, 0)
        total.changed = now
        if entry.ended:
            if before is not None:
                self._forget(entry.connection)
            return
        self._connections[entry.connection] = _Connection(entry.received, entry.sent, now)
        self._store.note(_CONNECTION_NOTE + entry.connection, orjson.dumps([entry.received, entry.sent]))

    def _forget(self, connection: str) -> None:
        self._connections.pop(connection, None)
        self._store.note(_CONNECTION_NOTE + connection, None)

    def _series(self, labels: LabelSet, total: _Total) -> IdArray:
        """Ids of (received, sent); fewer when the store is full."""
        if total.ids is None or total.generation != self._store.generation:
            base = [*labels, JOB]
            made = [self._store.series_id([*base, (NAME, name)], counter=True) for name in _names(labels)]
            total.ids = np.array([i for i in made if i is not None], np.int32)
            total.generation = self._store.generation
        return total.ids

    def _start(self, ids: IdArray, now_ms: int) -> None:
        """A counter's first sample is a zero at the flush before: see `scrape.ingest` on births."""
        zero_ms = max(self._flushed_ms, now_ms - int(FLUSH_SECONDS * 1000))
        fresh = ids[self._store.last_times_ms(ids) < 0]
        if len(fresh) and zero_ms < now_ms:
            self._store.append(zero_ms, fresh, np.zeros(len(fresh)))

    def _load(self) -> None:
        now = self._clock()
        for key, value in self._store.notes(_CONNECTION_NOTE).items():
            received, sent = orjson.loads(value)
            self._connections[key.removeprefix(_CONNECTION_NOTE)] = _Connection(received, sent, now)
        for key, value in self._store.notes(_TOTAL_NOTE).items():
            received, sent = orjson.loads(value)
            labels = tuple((name, text) for name, text in orjson.loads(key.removeprefix(_TOTAL_NOTE)))
            self._totals[labels] = _Total(received, sent, now)


def _names(labels: LabelSet) -> tuple[str, str]:
    """The two counters that entries with these labels add to."""
    return MESSAGES if ("request_protocol", "grpc") in labels else BYTES


def label_set(tags: Mapping[str, str]) -> LabelSet:
    """Custom tags as labels; a tag without a value is no label."""
    return tuple(sorted((name, value) for name, value in tags.items() if value))
