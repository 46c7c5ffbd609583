"""The whole process: a real target, scraped, queried, killed, and back again."""

import asyncio
import contextlib
import json
import signal
import socket
import sys
import urllib.parse
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from kaiki.telemetry.server import MetricsSettings, running

_PROCESS = """
import asyncio, json, sys
from pathlib import Path
from kaiki.telemetry.server import MetricsSettings, serve
path, port, target = sys.argv[1:]
asyncio.run(serve(MetricsSettings(Path(path), ("127.0.0.1", int(port)), ("127.0.0.1", 0),
  scrape_interval_seconds=0.2, static_targets=(target,))))
"""


class FakeTarget:
    """A counter that grows by one at each scrape, unless told to fail."""

    def __init__(self) -> None:
        self.scrapes = 0
        self.failing = False
        self.address = ""

    async def answer(self, _: web.Request) -> web.Response:
        if self.failing:
            return web.Response(status=503)
        self.scrapes += 1
        extra = f'late_total{{code="200"}} {self.scrapes}\n' if self.scrapes > 2 else ""
        text = f"# TYPE scrapes_total counter\nscrapes_total {self.scrapes}\n# TYPE late_total counter\n{extra}"
        return web.Response(text=text)


@pytest.fixture
async def target() -> AsyncIterator[FakeTarget]:
    fake = FakeTarget()
    application = web.Application()
    application.router.add_get("/metrics", fake.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    fake.address = f"127.0.0.1:{runner.addresses[0][1]}"
    yield fake
    await runner.cleanup()


async def _query(session: aiohttp.ClientSession, base: str, query: str) -> list[Any]:
    url = f"{base}/api/v1/query?query={urllib.parse.quote(query)}"
    async with session.get(url) as answer:
        return list(json.loads(await answer.text())["data"]["result"])


async def _until(session: aiohttp.ClientSession, base: str, query: str, good: Callable[[list[Any]], bool]) -> list[Any]:
    for _ in range(400):
        with contextlib.suppress(aiohttp.ClientError):
            result = await _query(session, base, query)
            if good(result):
                return result
        await asyncio.sleep(0.05)
    raise AssertionError(f"{query} stays at {result}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_scrapes_and_answers(tmp_path: Path, target: FakeTarget) -> None:
    settings = MetricsSettings(
        tmp_path, ("127.0.0.1", 0), ("127.0.0.1", 0), scrape_interval_seconds=0.1, static_targets=(target.address,)
    )
    async with running(settings) as (host, port), aiohttp.ClientSession() as session:
        base = f"http://{host}:{port}"
        await _until(session, base, "late_total", lambda result: bool(result) and float(result[0]["value"][1]) > 4)
        [born] = await _query(session, base, "late_total[1m]")
        assert [value for _, value in born["values"][:2]] == ["0", "3"]
        [up] = await _query(session, base, "up")
        assert up["metric"] == {"__name__": "up", "instance": target.address, "job": "static"}
        async with session.get(f"{base}/api/v1/targets") as answer:
            [active] = (await answer.json())["data"]["activeTargets"]
        assert active["health"] == "up"
        target.failing = True
        await _until(session, base, "up == 0 unless scrapes_total", lambda result: len(result) == 1)
        target.failing = False
        await _until(session, base, "up == 1 and on () scrapes_total", lambda result: len(result) == 1)


async def test_a_killed_process_comes_back_with_its_samples(tmp_path: Path, target: FakeTarget) -> None:
    port = _free_port()
    base = f"http://127.0.0.1:{port}"
    arguments = [sys.executable, "-c", _PROCESS, str(tmp_path), str(port), target.address]
    async with aiohttp.ClientSession() as session:
        process = await asyncio.create_subprocess_exec(*arguments)
        await _until(session, base, "scrapes_total", lambda result: bool(result) and float(result[0]["value"][1]) >= 5)
        [before] = await _query(session, base, "scrapes_total[5m]")
        await asyncio.sleep(0.3)
        process.kill()
        await process.wait()
        process = await asyncio.create_subprocess_exec(*arguments)
        await _until(session, base, "scrapes_total", bool)
        [after] = await _query(session, base, "scrapes_total[5m]")
        assert after["values"][: len(before["values"])] == before["values"]
        assert all(float(value) > 0 for _, value in after["values"])
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 20) == 0
