"""Remote write with the real Prometheus at the other end, in both directions; what is refused; retries and bounds."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import cramjam
import numpy as np
import pytest
from aiohttp import web

from kaiki.telemetry.arrays import STALE
from kaiki.telemetry.matchers import NAME
from kaiki.telemetry.remote.messages import encode_labels, encode_metadata, encode_series, write_request_class
from kaiki.telemetry.remote.sender import RemoteWrite, RemoteWriteSender
from kaiki.telemetry.server import MetricsSettings, running
from kaiki.telemetry.store.series import SeriesStore

from .real_prometheus import ask, running_prometheus

HEADERS = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}


def _body(*samples: tuple[dict[str, str], int, float]) -> bytes:
    parts = [encode_series(encode_labels(labels.items()), moment, value) for labels, moment, value in samples]
    return bytes(cramjam.snappy.compress_raw(b"".join(parts)))


@contextlib.asynccontextmanager
async def _server(path: Path, **settings: Any) -> AsyncIterator[aiohttp.ClientSession]:
    made = MetricsSettings(data_path=path, listen=("127.0.0.1", 0), collector_listen=None, **settings)
    async with running(made) as (host, port), aiohttp.ClientSession(f"http://{host}:{port}") as session:
        yield session


async def _values(session: aiohttp.ClientSession, query: str) -> list[list[Any]]:
    async with session.get("/api/v1/query", params={"query": query}) as answer:
        return [row.get("values") or row["value"] for row in (await answer.json())["data"]["result"]]


def test_messages_are_read_as_written() -> None:
    body = encode_series(encode_labels([("b", "2"), (NAME, "x")]), -5, float(STALE[0]))
    body += encode_metadata("x", "counter", "Text.")
    message = write_request_class().FromString(body)
    (series,) = message.timeseries
    assert [(label.name, label.value) for label in series.labels] == [(NAME, "x"), ("b", "2")]
    assert series.samples[0].timestamp == -5
    assert np.float64(series.samples[0].value).tobytes() == STALE.tobytes()
    assert (message.metadata[0].type, message.metadata[0].family, message.metadata[0].help) == (1, "x", "Text.")


async def test_what_is_taken_and_what_is_refused(tmp_path: Path) -> None:
    now = int(time.time() * 1000) // 1000 * 1000
    x, y = {NAME: "x", "a": "1"}, {NAME: "y"}
    async with _server(tmp_path) as session:

        async def write(body: bytes, **headers: str) -> tuple[int, str]:
            async with session.post("/api/v1/write", data=body, headers=HEADERS | headers) as answer:
                return answer.status, await answer.text()

        assert (await write(_body((x, now - 2000, 1), (x, now - 1000, 2), (y, now - 1500, 3))))[0] == 204
        assert (await write(_body((x, now - 1000, 2))))[0] == 204, "the same sample again"
        status, text = await write(_body((x, now - 1000, 5), (x, now - 5000, 1), (y, now, 7), (y, now + 10**7, 1)))
        assert status == 400
        assert all(cause in text for cause in ("out of order sample (1", "duplicate sample", "out of bounds (1"))
        assert (await write(_body(({"a": "1"}, now, 1))))[0] == 204, "a series without a name is passed over"
        assert (await write(b"not snappy"))[0] == 400
        assert (await write(bytes(cramjam.snappy.compress_raw(b"\xff\xff\xff"))))[0] == 400
        kind = "application/x-protobuf;proto=io.prometheus.write.v2.Request"
        assert (await write(_body((x, now, 1)), **{"Content-Type": kind}))[0] == 415
        assert await _values(session, "x[1m]") == [[[now // 1000 - 2, "1"], [now // 1000 - 1, "2"]]]
        assert await _values(session, "y[1m]") == [[[now / 1000 - 1.5, "3"], [now // 1000, "7"]]]
    async with _server(tmp_path) as session:
        assert len((await _values(session, "x[1m]"))[0]) == 2, "acknowledged is kept"


@pytest.fixture
async def target() -> AsyncIterator[str]:
    """The address of a counter that grows at each scrape."""
    count = 0

    async def answer(_: web.Request) -> web.Response:
        nonlocal count
        count += 1
        text = f'# HELP seen_total Scrapes.\n# TYPE seen_total counter\nseen_total{{path="/é \\"x\\""}} {count}\n'
        return web.Response(text=text, headers={"Content-Type": "text/plain; version=0.0.4"})

    application = web.Application()
    application.router.add_get("/metrics", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_prometheus_writes_to_us(tmp_path: Path, target: str) -> None:
    (tmp_path / "real").mkdir()
    async with _server(tmp_path / "ours") as ours:
        configuration = f"""
global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}
remote_write: [{{url: "{str(ours._base_url).rstrip("/")}/api/v1/write", queue_config: {{batch_send_deadline: 100ms}}}}]
scrape_configs: [{{job_name: one, static_configs: [{{targets: ["{target}"]}}]}}]
"""
        with await asyncio.to_thread(_entered, stack := contextlib.ExitStack(), tmp_path / "real", configuration):
            real = stack.url  # type: ignore[attr-defined]
            for _ in range(300):
                rows = await _values(ours, 'seen_total{job="one"}[5m]')
                if rows and len(rows[0]) >= 5:
                    break
                await asyncio.sleep(0.1)
            theirs = await asyncio.to_thread(ask, real, "/api/v1/query", query='seen_total{job="one"}[5m]')
            held = theirs["data"]["result"][0]["values"]
            assert rows[0][:5] == held[:5]


async def test_we_write_to_prometheus(tmp_path: Path, target: str) -> None:
    (tmp_path / "real").mkdir()
    stack = contextlib.ExitStack()
    flag = "--web.enable-remote-write-receiver"
    with await asyncio.to_thread(_entered, stack, tmp_path / "real", "global: {}\n", flag):
        real = stack.url  # type: ignore[attr-defined]
        settings: dict[str, Any] = {"static_targets": (target,), "scrape_interval_seconds": 0.2}
        async with _server(tmp_path / "ours", remote_writes=(f"{real}/api/v1/write",), **settings) as ours:
            query = 'seen_total{job="static"}[5m]'
            for _ in range(300):
                theirs = (await asyncio.to_thread(ask, real, "/api/v1/query", query=query))["data"]["result"]
                if theirs and len(theirs[0]["values"]) >= 5:
                    break
                await asyncio.sleep(0.1)
            rows = await _values(ours, query)
            assert rows[0][:5] == theirs[0]["values"][:5]
            assert theirs[0]["metric"]["path"] == '/é "x"'


def _entered(
    stack: contextlib.ExitStack, folder: Path, configuration: str, *flags: str
) -> contextlib.AbstractContextManager[Any]:
    """Starts Prometheus in a thread, so that the event loop can serve it meanwhile."""
    stack.url = stack.enter_context(running_prometheus(folder, configuration, *flags))  # type: ignore[attr-defined]
    return stack


class Picky:
    """A receiver that answers as it is told, and counts samples."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.samples = 0

    async def take(self, request: web.Request) -> web.Response:
        status = self.answers.pop(0) if self.answers else 204
        if status < 300:
            body = bytes(cramjam.snappy.decompress_raw(await request.read()))
            self.samples += sum(len(series.samples) for series in write_request_class().FromString(body).timeseries)
        return web.Response(status=status, text="as told")


async def test_the_sender_tries_again_and_is_bounded(tmp_path: Path) -> None:
    picky = Picky()
    application = web.Application()
    application.router.add_post("/write", picky.take)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    store = SeriesStore(tmp_path)
    ids = np.array([store.series_id([(NAME, "x"), ("n", str(n))]) for n in range(10)], np.int32)
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/write"
    settings = RemoteWrite(url, capacity=50, batch_samples=20, batch_seconds=0.01, least_pause_seconds=0.01)
    picky.answers = [503, 429, 204, 400]
    async with RemoteWriteSender(store, settings) as sender:
        for step in range(9):
            store.append(1000 + step, ids, np.ones(10))
        store.commit()
        for _ in range(500):
            if sender.sent + sender.failed + sender.dropped == 90:
                break
            await asyncio.sleep(0.01)
        assert (sender.dropped, sender.failed, sender.sent) == (40, 20, 30)
        assert sender.retries == 2
        assert picky.samples == 30
    store.close()
    await runner.cleanup()
