"""A real API server on a free loopback port, and a small HTTP client for it."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from kaiki.apiserver import credentials
from kaiki.apiserver.server import ApiServer, ApiServerSettings

MERGE = "application/merge-patch+json"


class Client:
    """Requests with a token; every answer is (status, parsed body)."""

    def __init__(self, url: str, home: Path, session: aiohttp.ClientSession) -> None:
        self.url, self.home, self.session = url, home, session
        self.token = credentials.admin_token(home)
        self.warnings: list[str] = []
        self.store: Any = None

    async def call(
        self, method: str, path: str, body: Any = None, content_type: str = "application/json", accept: str = "*/*"
    ) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": content_type, "Accept": accept}
        data = None if body is None else orjson.dumps(body)
        async with self.session.request(method, self.url + path, data=data, headers=headers) as response:
            self.warnings = response.headers.getall("Warning", [])
            text = await response.read()
            return response.status, orjson.loads(text) if text.startswith((b"{", b"[")) else text.decode()

    async def get(self, path: str, accept: str = "*/*") -> tuple[int, Any]:
        return await self.call("GET", path, accept=accept)

    async def post(self, path: str, body: Any) -> tuple[int, Any]:
        return await self.call("POST", path, body)

    async def put(self, path: str, body: Any) -> tuple[int, Any]:
        return await self.call("PUT", path, body)

    async def patch(self, path: str, body: Any, content_type: str = MERGE) -> tuple[int, Any]:
        return await self.call("PATCH", path, body, content_type)

    async def delete(self, path: str, body: Any = None) -> tuple[int, Any]:
        return await self.call("DELETE", path, body)

    async def watch(self, path: str) -> AsyncIterator[dict[str, Any]]:
        headers = {"Authorization": f"Bearer {self.token}"}
        async with self.session.get(self.url + path, headers=headers) as response:
            assert response.status == 200, await response.text()
            async for line in response.content:
                yield orjson.loads(line)


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Client]:
    settings = ApiServerSettings(home=tmp_path, listen_addresses=(("127.0.0.1", 0),))
    async with ApiServer(settings) as server:
        url = f"https://127.0.0.1:{server.ports[0]}"
        credentials.write_kubeconfig(tmp_path, url)
        context = ssl.create_default_context(cadata=credentials.authority_certificate(tmp_path))
        connector = aiohttp.TCPConnector(ssl=context)
        async with aiohttp.ClientSession(connector=connector) as session:
            client = Client(url, tmp_path, session)
            client.store = server.store
            yield client
