"""`POST /api/v1/write`: others' samples, acknowledged when they are in the file.

A sample that its series has already is taken as the repetition it is. One that is older than its series' last, or has
the same time and another value, is refused with HTTP 400 as Prometheus does; unlike there, the rest of the request is
kept.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import cramjam
import numpy as np
from aiohttp import web
from google.protobuf.message import DecodeError

from kaiki.telemetry.api.answers import failure
from kaiki.telemetry.arrays import FloatArray, IdArray, TimeArray
from kaiki.telemetry.matchers import NAME
from kaiki.telemetry.remote.messages import METADATA_TYPES, write_request_class
from kaiki.telemetry.store.exemplars import Exemplar
from kaiki.telemetry.store.series import SeriesStore

FUTURE_TOLERANCE_MS = 600_000
DECODED_LIMIT_BYTES = 128 << 20


@dataclass(slots=True)
class Refusals:
    """What was not taken from one request."""

    out_of_order: int = 0
    duplicate: int = 0
    out_of_bounds: int = 0
    over_limit: int = 0

    def describe(self) -> str:
        causes = {
            "out of order sample": self.out_of_order,
            "duplicate sample for timestamp": self.duplicate,
            "out of bounds": self.out_of_bounds,
            "the store holds its maximum of series": self.over_limit,
        }
        return "; ".join(f"{cause} ({count} samples)" for cause, count in causes.items() if count)


class RemoteWriteReceiver:
    """`committed` waits until everything appended so far is in the file."""

    def __init__(
        self,
        store: SeriesStore,
        committed: Callable[[], Awaitable[None]],
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._store = store
        self._committed = committed
        self._clock_ms = clock_ms
        self.samples = self.refused = self.invalid_series = 0

    def add_to(self, router: web.UrlDispatcher) -> None:
        router.add_post("/api/v1/write", self._write)

    async def _write(self, request: web.Request) -> web.Response:
        kind = request.headers.get("Content-Type", "application/x-protobuf").replace(" ", "")
        if not kind.startswith("application/x-protobuf") or "proto=io.prometheus" in kind:
            return failure(415, "bad_data", f"{kind!r} is not supported, only remote write 1.0 is")
        if request.headers.get("Content-Encoding", "snappy") != "snappy":
            return failure(415, "bad_data", "only the snappy content encoding is supported")
        body = await request.read()
        try:
            message = await asyncio.to_thread(_decode, body)
        except (cramjam.DecompressionError, DecodeError, ValueError) as problem:
            return failure(400, "bad_data", f"the request cannot be decoded: {problem}")
        refusals = Refusals()
        if any(series.histograms for series in message.timeseries):
            return failure(400, "bad_data", "native histograms are not supported")
        self._take(message, refusals)
        await self._committed()
        problems = refusals.describe()
        if problems:
            self.refused += refusals.out_of_order + refusals.duplicate + refusals.out_of_bounds + refusals.over_limit
            return failure(400, "bad_data", problems)
        return web.Response(status=204)

    def _take(self, message: Any, refusals: Refusals) -> None:
        for entry in message.metadata:
            kind = METADATA_TYPES[entry.type] if entry.type < len(METADATA_TYPES) else "unknown"
            self._store.metadata[entry.family] = (kind, entry.help)
        now = self._clock_ms()
        earliest, latest = now - int(self._store.limits.retention_seconds * 1000), now + FUTURE_TOLERANCE_MS
        ids: list[int] = []
        times: list[int] = []
        values: list[float] = []
        for series in message.timeseries:
            series_id = self._series_id(series, refusals)
            if series_id is not None:
                ids += [series_id] * len(series.samples)
                times += [sample.timestamp for sample in series.samples]
                values += [sample.value for sample in series.samples]
                self._take_exemplars(series)
        all_ids, all_times = np.array(ids, np.int32), np.array(times, np.int64)
        inside = (all_times >= earliest) & (all_times <= latest)
        refusals.out_of_bounds += int((~inside).sum())
        self._append_all(all_ids[inside], all_times[inside], np.array(values)[inside], refusals)

    def _take_exemplars(self, series: Any) -> None:
        """What is out of order, or there already, is passed over, as Prometheus does; the samples are what counts."""
        if not series.exemplars:
            return
        owner = tuple(sorted((label.name, label.value) for label in series.labels))
        for one in series.exemplars:
            labels = tuple((label.name, label.value) for label in one.labels)
            self._store.exemplars.add(owner, Exemplar(labels, one.value, one.timestamp), timed=True)

    def _append_all(self, ids: IdArray, times: TimeArray, values: FloatArray, refusals: Refusals) -> None:
        """By time, then by series; of two samples of one series and time the first counts."""
        if not len(ids):
            return
        order = np.lexsort((ids, times))
        ids, times, values = ids[order], times[order], values[order]
        again = np.zeros(len(ids), np.bool_)
        again[1:] = (ids[1:] == ids[:-1]) & (times[1:] == times[:-1])
        bits = values.view(np.uint64)
        refusals.duplicate += int((again[1:] & (bits[1:] != bits[:-1])).sum())
        ids, times, values = ids[~again], times[~again], values[~again]
        starts = np.nonzero(np.diff(times, prepend=times[:1] - 1))[0]
        for start, end in zip(starts.tolist(), [*starts[1:].tolist(), len(times)], strict=True):
            self._append(int(times[start]), ids[start:end], values[start:end], refusals)

    def _series_id(self, series: Any, refusals: Refusals) -> int | None:
        pairs = [(label.name, label.value) for label in series.labels]
        names = {name for name, _ in pairs}
        if NAME not in names or "" in names or len(names) < len(pairs):
            self.invalid_series += 1
            return None
        found = self._store.series_id(pairs)
        if found is None:
            refusals.over_limit += len(series.samples)
        return found

    def _append(self, time_ms: int, ids: IdArray, values: FloatArray, refusals: Refusals) -> None:
        last = self._store.last_times_ms(ids)
        refusals.out_of_order += int((last > time_ms).sum())
        for series_id, value in zip(ids[last == time_ms].tolist(), values[last == time_ms], strict=True):
            newest = self._store.newest_value(series_id)
            refusals.duplicate += newest is not None and newest.tobytes() != value.tobytes()
        fresh = last < time_ms
        self.samples += self._store.append(time_ms, ids[fresh], values[fresh]) if fresh.any() else 0


def _decode(body: bytes) -> Any:
    size = cramjam.snappy.decompress_raw_len(body) if body else 0
    if size > DECODED_LIMIT_BYTES:
        raise ValueError(f"{size} bytes, more than {DECODED_LIMIT_BYTES}")
    return write_request_class().FromString(bytes(cramjam.snappy.decompress_raw(body)) if body else b"")
