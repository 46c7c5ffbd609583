"""A tiny in-memory API server whose failures the tests choose: dropped streams, lost history, 5xx."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from aiohttp import web

from kaiki.kube.client import KubeClient
from kaiki.kube.config import KubeConfig

Object = dict[str, Any]


class FakeServer:
    """Keeps objects by path, numbers every write, and streams the log of writes to watches."""

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.version = 1
        self.log: list[tuple[int, str, str, Object]] = []  # version, collection, type, object
        self.forgotten = 0
        self.refusals: list[int] = []
        self.requests: list[tuple[str, str, dict[str, str], Any]] = []
        self.answers: dict[tuple[str, str], Object] = {}
        self.changed = asyncio.Event()
        self.streams: set[web.StreamResponse] = set()
        self.url = ""

    def put(self, path: str, obj: Object) -> Object:
        collection, _, name = path.rpartition("/")
        self.version += 1
        obj = orjson.loads(orjson.dumps(obj))
        metadata = obj.setdefault("metadata", {})
        metadata |= {"name": name, "resourceVersion": str(self.version)}
        kind = "MODIFIED" if path in self.objects else "ADDED"
        self.objects[path] = obj
        self._record(collection, kind, obj)
        return obj

    def remove(self, path: str) -> Object:
        self.version += 1
        obj = self.objects.pop(path)
        obj = obj | {"metadata": obj["metadata"] | {"resourceVersion": str(self.version)}}
        self._record(path.rpartition("/")[0], "DELETED", obj)
        return obj

    def _record(self, collection: str, kind: str, obj: Object) -> None:
        self.log.append((self.version, collection, kind, obj))
        self.wake()

    def wake(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()

    def forget_history(self) -> None:
        self.forgotten = self.version
        self.log.clear()

    def drop_streams(self) -> None:
        for stream in self.streams:
            request = stream._req
            if request is not None and request.transport is not None:
                request.transport.close()
        self.streams.clear()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = orjson.loads(await request.read() or b"null")
        path = request.path
        self.requests.append((request.method, path, dict(request.query), body))
        if self.refusals and (code := self.refusals.pop(0)):
            return self.failure(code, "refused by the test")
        if (request.method, path) in self.answers:
            return web.json_response(self.answers[request.method, path])
        if request.query.get("watch"):
            return await self.watch(request)
        return self.answer(request, path, body)

    def answer(self, request: web.Request, path: str, body: Any) -> web.Response:
        if request.method == "POST":
            target = f"{path}/{body['metadata']['name']}"
            if target in self.objects:
                return self.failure(409, f"{target} is there", "AlreadyExists")
            return web.json_response(self.put(target, body))
        if request.method == "GET" and path not in self.objects and not path.rpartition("/")[2].startswith("x"):
            return self.listing(request, path)
        if path not in self.objects and request.method != "PATCH":
            return self.failure(404, f"{path} not found", "NotFound")
        if request.method == "GET":
            return web.json_response(self.objects[path])
        if request.method == "DELETE":
            return web.json_response(self.remove(path))
        return web.json_response(self.put(path, self.objects.get(path, {}) | body))

    def listing(self, request: web.Request, path: str) -> web.Response:
        paths = sorted(p for p in self.objects if p.rpartition("/")[0] == path)
        start, limit = int(request.query.get("continue", 0)), int(request.query.get("limit", 500))
        metadata: Object = {"resourceVersion": str(self.version)}
        if start + limit < len(paths):
            metadata["continue"] = str(start + limit)
        return web.json_response(
            {"metadata": metadata, "items": [self.objects[p] for p in paths[start : start + limit]]}
        )

    async def watch(self, request: web.Request) -> web.StreamResponse:
        seen = int(request.query["resourceVersion"])
        stream = web.StreamResponse()
        await stream.prepare(request)
        self.streams.add(stream)
        while stream in self.streams:
            if seen < self.forgotten:
                status = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}
                await stream.write(orjson.dumps({"type": "ERROR", "object": status}) + b"\n")
                return stream
            changed = self.changed
            for version, collection, kind, obj in list(self.log):
                if version > seen and collection == request.path:
                    await stream.write(orjson.dumps({"type": kind, "object": obj}) + b"\n")
            seen = self.version
            bookmark = {"metadata": {"resourceVersion": str(seen)}}
            await stream.write(orjson.dumps({"type": "BOOKMARK", "object": bookmark}) + b"\n")
            await changed.wait()
        return stream

    @staticmethod
    def failure(code: int, message: str, reason: str = "") -> web.Response:
        return web.json_response({"kind": "Status", "code": code, "message": message, "reason": reason}, status=code)


async def start_fake() -> tuple[FakeServer, web.AppRunner]:
    fake = FakeServer()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", fake.handle)
    runner = web.AppRunner(application, shutdown_timeout=0.05, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    return fake, runner


@pytest.fixture
async def fake() -> AsyncIterator[FakeServer]:
    server, runner = await start_fake()
    yield server
    await runner.cleanup()


@pytest.fixture
def start_fake_server() -> Any:
    """For property tests, which need a server per example."""
    return start_fake


@pytest.fixture
async def client(fake: FakeServer) -> AsyncIterator[KubeClient]:
    async with KubeClient(KubeConfig(fake.url, token="secret")) as kube:
        yield kube
