"""A Prometheus of the user's own finds the targets, and reaches them through us when it cannot by itself."""

import asyncio
import http.client
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import yaml
from aiohttp import web

from kaiki.telemetry.server import MetricsSettings, running


@pytest.fixture
async def target() -> AsyncIterator[str]:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text="x 1\n")

    application = web.Application()
    application.router.add_get("/stats", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_targets_configuration_and_proxy(tmp_path: Path, target: str) -> None:
    settings = MetricsSettings(
        data_path=tmp_path,
        listen=("127.0.0.1", 0),
        collector_listen=None,
        static_targets=(f"{target}/stats",),
        scrape=False,
    )
    async with running(settings) as (host, port), aiohttp.ClientSession(f"http://{host}:{port}") as session:
        async with session.get("/sd/targets") as answer:
            (group,) = await answer.json()
        assert group["targets"] == [target]
        assert group["labels"] == {
            "__scheme__": "http",
            "__metrics_path__": "/stats",
            "instance": target,
            "job": "static",
        }
        async with session.get("/sd/prometheus.yml") as answer:
            configuration = yaml.safe_load(await answer.text())
        assert configuration["scrape_configs"][0]["proxy_url"] == f"http://{host}:{port}"
        assert await asyncio.to_thread(_through, host, port, f"http://{target}/stats") == (200, "x 1\n")
        assert (await asyncio.to_thread(_through, host, port, f"http://{target}/other"))[0] == 403
        async with session.get("/api/v1/query?query=x") as answer:
            assert (await answer.json())["data"]["result"] == [], "listed, not scraped"
        async with session.get("/api/v1/targets") as answer:
            (active,) = (await answer.json())["data"]["activeTargets"]
        assert active["health"] == "unknown"


def _through(host: str, port: int, url: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection(host, port)
    try:
        connection.request("GET", url)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()
