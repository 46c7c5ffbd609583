"""Sends what is committed to another store, in order, with a bounded queue.

commit ──▶ queue (oldest dropped beyond `capacity`) ──▶ batches ──POST──▶ 2xx: next
                                                          ▲      5xx, 429, no answer: again, later and later
                                                          └────── 4xx: dropped, counted, logged
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import aiohttp
import cramjam

from kaiki.telemetry.remote.messages import encode_labels, encode_metadata, encode_series
from kaiki.telemetry.rules.manager import close_quietly
from kaiki.telemetry.store.database import LogRecord
from kaiki.telemetry.store.series import SeriesStore

log = logging.getLogger(__name__)
METADATA_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class RemoteWrite:
    """Where to send, and how hard to try. `capacity` and `batch_samples` count samples."""

    url: str
    name: str = ""
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    timeout_seconds: float = 30.0
    capacity: int = 100_000
    batch_samples: int = 2000
    batch_seconds: float = 2.0
    least_pause_seconds: float = 0.03
    most_pause_seconds: float = 5.0


class RemoteWriteSender:
    """Use as an async context manager."""

    def __init__(self, store: SeriesStore, settings: RemoteWrite) -> None:
        self.settings = settings
        self.sent = self.failed = self.dropped = self.retries = self.queued = 0
        self._store = store
        self._queue: deque[tuple[int, list[bytes], list[float]]] = deque()
        self._labels: dict[int, bytes] = {}
        self._generation = store.generation
        self._waiting = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> RemoteWriteSender:
        self._store.followers.append(self._follow)
        self._task = asyncio.create_task(self._run(), name=f"remote write {self.settings.url}")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._store.followers.remove(self._follow)
        if self._task is not None:
            await close_quietly(self._task)

    def _follow(self, records: Sequence[LogRecord]) -> None:
        """Called in the committing thread."""
        self._loop.call_soon_threadsafe(self._take, records)

    def _take(self, records: Sequence[LogRecord]) -> None:
        if self._generation != self._store.generation:
            self._generation = self._store.generation
            self._labels.clear()
        for record in records:
            self._queue.append(
                (record.time_ms, [self._encoded(i) for i in record.ids.tolist()], record.values.tolist())
            )
            self.queued += len(record.ids)
        while self.queued > self.settings.capacity and len(self._queue) > 1:
            lost = len(self._queue.popleft()[1])
            self.queued -= lost
            self.dropped += lost
        self._waiting.set()

    def _encoded(self, series_id: int) -> bytes:
        found = self._labels.get(series_id)
        if found is None:
            found = self._labels[series_id] = encode_labels(self._store.labels_of(series_id).items())
        return found

    async def _run(self) -> None:
        timeout = aiohttp.ClientTimeout(total=self.settings.timeout_seconds)
        told = 0.0
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while True:
                await self._waiting.wait()
                if self.queued < self.settings.batch_samples:
                    await asyncio.sleep(self.settings.batch_seconds)
                body, count = self._batch()
                if time.monotonic() - told > METADATA_SECONDS:
                    told = time.monotonic()
                    metadata = sorted(self._store.metadata.items())
                    body += b"".join(encode_metadata(name, kind, text) for name, (kind, text) in metadata)
                if await self._deliver(session, bytes(cramjam.snappy.compress_raw(body))):
                    self.sent += count
                else:
                    self.failed += count
                if not self._queue:
                    self._waiting.clear()

    def _batch(self) -> tuple[bytes, int]:
        parts: list[bytes] = []
        while self._queue and len(parts) < self.settings.batch_samples:
            moment, labels, values = self._queue.popleft()
            room = self.settings.batch_samples - len(parts)
            parts += [encode_series(a, moment, b) for a, b in zip(labels[:room], values[:room], strict=True)]
            if len(labels) > room:
                self._queue.appendleft((moment, labels[room:], values[room:]))
        self.queued -= len(parts)
        return b"".join(parts), len(parts)

    async def _deliver(self, session: aiohttp.ClientSession, body: bytes) -> bool:
        """Tries until it is taken or refused."""
        pause = self.settings.least_pause_seconds
        while True:
            wait, problem = await self._post(session, body)
            if wait is None:
                if problem:
                    log.error("%s refused samples, they are dropped: %s", self.settings.url, problem)
                return not problem
            if pause >= self.settings.most_pause_seconds or self.retries == 0:
                log.warning("%s does not take samples, trying again: %s", self.settings.url, problem)
            self.retries += 1
            await asyncio.sleep(max(wait, pause))
            pause = min(2 * pause, self.settings.most_pause_seconds)

    async def _post(self, session: aiohttp.ClientSession, body: bytes) -> tuple[float | None, str]:
        """(seconds to wait before another try or None, what was wrong)."""
        try:
            async with session.post(self.settings.url, data=body, headers=_headers(self.settings.headers)) as answer:
                if answer.status < 300:
                    return None, ""
                problem = f"HTTP {answer.status}: {(await answer.text())[:200].strip()}"
                if answer.status >= 500 or answer.status == 429:
                    asked = answer.headers.get("Retry-After", "")
                    return (float(asked) if asked.isdigit() else 0.0), problem
                return None, problem
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return 0.0, str(error) or type(error).__name__


def _headers(own: Sequence[tuple[str, str]]) -> Mapping[str, str]:
    return {
        **dict(own),
        "Content-Encoding": "snappy",
        "Content-Type": "application/x-protobuf",
        "X-Prometheus-Remote-Write-Version": "0.1.0",
    }
