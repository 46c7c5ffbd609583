"""The console on Kaiki's own metrics store: every query it sends is one the store understands."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import aiohttp
import fake_mesh
import pytest
from aiohttp import web

from kaiki.console.server import running as console_running
from kaiki.console.settings import ConsoleSettings
from kaiki.telemetry.server import MetricsSettings
from kaiki.telemetry.server import running as store_running


class Proxies:
    """One scrape target with the counters of every proxy, growing by their rates from one scrape to the next."""

    def __init__(self) -> None:
        self.scrapes = 0

    async def answer(self, _: web.Request) -> web.Response:
        self.scrapes += 1
        lines = [
            f"{metric}{{{','.join(f'{name}={chr(34)}{value}{chr(34)}' for name, value in labels.items())}}} "
            f"{rate * self.scrapes}"
            for metric, labels, rate in fake_mesh.rows()
        ]
        return web.Response(text="\n".join(lines) + "\n")


@pytest.fixture
def proxies() -> Proxies:
    return Proxies()


async def test_graph_and_plots_from_scraped_counters(tmp_path: Path, proxies: Proxies) -> None:
    application = web.Application()
    application.router.add_get("/metrics", proxies.answer)
    async with fake_mesh.listening(application) as target:
        store = MetricsSettings(
            tmp_path,
            ("127.0.0.1", 0),
            None,
            scrape_interval_seconds=0.2,
            static_targets=(target.removeprefix("http://"),),
        )
        async with store_running(store) as (host, port):
            settings = ConsoleSettings(("127.0.0.1", 0), f"http://{host}:{port}", token="token")
            async with console_running(settings) as address:
                await check(f"http://{address[0]}:{address[1]}", proxies)


async def check(url: str, proxies: Proxies) -> None:
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer token"}) as client:
        while proxies.scrapes < 5:
            await asyncio.sleep(0.05)
        async with client.get(f"{url}/api/graph?duration=60s") as answer:
            assert answer.status == 200, await answer.text()
            graph = await answer.json()
        edges = {edge["id"]: edge for edge in graph["edges"]}
        edge = edges["workload:default/productpage-v1>workload:default/reviews-v3|http"]
        assert edge["requestCount"] > 0
        assert edge["errorRatio"] == pytest.approx(0.14)
        assert edge["mtlsRatio"] == 1
        assert edge["p50Milliseconds"] == pytest.approx(15.25, abs=0.1)
        tcp = edges["workload:default/ratings-v1>workload:default/mongodb-v1|tcp"]
        assert tcp["bytesSentPerSecond"] > 0
        now = int(time.time()) + 1
        subject = "node=workload:default/reviews-v3&direction=inbound"
        async with client.get(f"{url}/api/series?{subject}&from={now - 30}&to={now}&step=1") as answer:
            assert answer.status == 200, await answer.text()
            plot = await answer.json()
        assert any(value for value in plot["requestsPerSecond"]["serverError"])
        assert any(value for value in plot["latencyMilliseconds"]["p95"])
