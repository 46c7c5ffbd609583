"""From receivers to the store: spans wait here, bounded, for one thread that writes them together."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from kaiki.telemetry.traces.span import Span
from kaiki.telemetry.traces.store import TraceStore

logger = logging.getLogger(__name__)
_MAXIMUM_WAITING = 20_000
_GATHERING_SECONDS = 0.1


class Intake:
    """Takes spans; drops (and counts) what comes faster than the disk can take."""

    def __init__(self, store: TraceStore) -> None:
        self._store = store
        self._waiting: list[Span] = []
        self._more = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, "traces")
        self.received = 0
        self.dropped = 0

    def add(self, spans: Iterable[Span]) -> int:
        """Take spans for writing; answers how many had to be dropped."""
        new = list(spans)
        room = max(0, _MAXIMUM_WAITING - len(self._waiting))
        self._waiting += new[:room]
        self.received += len(new)
        dropped = len(new) - len(new[:room])
        self.dropped += dropped
        if self._waiting:
            self._more.set()
        return dropped

    async def run(self) -> None:
        """Write what comes; until cancelled. What still waits then is written by `close`."""
        loop = asyncio.get_running_loop()
        while True:
            await self._more.wait()
            await asyncio.sleep(_GATHERING_SECONDS)
            self._more.clear()
            batch, self._waiting = self._waiting, []
            try:
                await loop.run_in_executor(self._thread, self._store.add, batch)
            except sqlite3.Error as error:
                self.dropped += len(batch)
                logger.error("%d spans cannot be written to disk: %s", len(batch), error)

    def close(self) -> None:
        """Write the rest."""
        self._thread.shutdown(wait=True)
        if self._waiting:
            self._store.add(self._waiting)

    def render(self) -> str:
        """The metrics of this part, in the text format."""
        rows = (
            ("kaiki_traces_spans_received_total", "counter", "Spans that receivers took.", self.received),
            ("kaiki_traces_spans_dropped_total", "counter", "Spans that could not be written.", self.dropped),
            ("kaiki_traces_spans", "gauge", "Spans in the store.", self._store.spans),
        )
        return "".join(
            f"# HELP {name} {text}\n# TYPE {name} {kind}\n{name} {value}\n" for name, kind, text, value in rows
        )
