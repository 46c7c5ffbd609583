"""A console that runs against a Prometheus and a Kubernetes API made of numbers, and a client of it."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import fake_mesh

from kaiki.console.server import running
from kaiki.console.settings import ConsoleSettings
from kaiki.kube.config import KubeConfig

TOKEN = "a-token-for-tests"


class Console:
    """A running console, with a client that has the token (`ask`) and one that has nothing (`client`)."""

    def __init__(self, url: str, client: aiohttp.ClientSession, prometheus: Any, kubernetes: Any) -> None:
        self.url = url
        self.client = client
        self.prometheus = prometheus
        self.kubernetes = kubernetes

    async def ask(self, path: str, status: int = 200) -> Any:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with self.client.get(self.url + path, headers=headers) as answer:
            assert answer.status == status, await answer.text()
            return await answer.json()

    async def text(self, path: str) -> str:
        async with self.client.get(self.url + path, headers={"Authorization": f"Bearer {TOKEN}"}) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.text()

    async def wait_for_kubernetes(self) -> None:
        while (await self.ask("/api/namespaces"))["warnings"]:
            await asyncio.sleep(0.01)


@asynccontextmanager
async def started(*, kubernetes: bool = True, **settings: Any) -> AsyncIterator[Console]:
    prometheus = fake_mesh.FakePrometheus()
    api = fake_mesh.FakeKubernetes(base64.b64encode(TOKEN.encode()).decode())
    async with (
        fake_mesh.listening(prometheus.application()) as metrics_url,
        fake_mesh.listening(api.application()) as kubernetes_url,
        running(
            ConsoleSettings(
                listen=("127.0.0.1", 0),
                metrics_url=metrics_url,
                kube=KubeConfig(server=kubernetes_url) if kubernetes else None,
                **({"token": TOKEN} | settings),
            )
        ) as (host, port),
        aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as client,
    ):
        yield Console(f"http://{host}:{port}", client, prometheus, api)
