"""Jaeger's query API over HTTP: `/api/…`, and the same below `/jaeger`, where Istio's sample add-on has it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import orjson
from aiohttp import web

from kaiki.telemetry.traces.jaeger import (
    BadParameter,
    Json,
    answer,
    dependency_json,
    failure,
    trace_json,
    trace_query,
)
from kaiki.telemetry.traces.store import TraceStore

Found = TypeVar("Found")
_PREFIXES = ("", "/jaeger")
_DAY_MS = 24 * 3_600_000


class QueryApi:
    """The handlers. One thread reads, so that a slow search holds up neither the process nor what is written."""

    def __init__(self, store: TraceStore, now_us: Callable[[], int] = lambda: time.time_ns() // 1000) -> None:
        self._store = store
        self._now_us = now_us
        self._thread = ThreadPoolExecutor(1, "traces-query")

    def add_routes(self, application: web.Application) -> None:
        routes = (
            ("/api/services", self._services),
            ("/api/services/{service}/operations", self._service_operations),
            ("/api/operations", self._operations),
            ("/api/traces", self._search),
            ("/api/traces/{trace}", self._trace),
            ("/api/dependencies", self._dependencies),
        )
        for prefix in _PREFIXES:
            for path, handler in routes:
                application.router.add_get(prefix + path, handler)

    def close(self) -> None:
        self._thread.shutdown(wait=True)

    async def _read(self, work: Callable[..., Found], *arguments: Any) -> Found:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)

    async def _services(self, _: web.Request) -> web.Response:
        return _json(answer(await self._read(self._store.services)))

    async def _service_operations(self, request: web.Request) -> web.Response:
        found = await self._read(self._store.operations, request.match_info["service"])
        return _json(answer(list(dict.fromkeys(name for name, _ in found))))

    async def _operations(self, request: web.Request) -> web.Response:
        service = request.query.get("service", "")
        if not service:
            return _json(failure(400, "parameter 'service' is required"), 400)
        found = await self._read(self._store.operations, service, request.query.get("spanKind", ""))
        return _json(answer([{"name": name, "spanKind": kind} for name, kind in found]))

    async def _search(self, request: web.Request) -> web.Response:
        parameters = {name: request.query.getall(name) for name in request.query}
        ids = [one.lower().rjust(32, "0") for one in parameters.get("traceID") or ()]
        if not ids:
            try:
                query = trace_query(parameters, self._now_us())
            except BadParameter as error:
                return _json(failure(400, str(error)), 400)
            ids = await self._read(self._store.search, query)
        return _json(answer([found for one in ids if (found := await self._read(self._rendered, one))]))

    async def _trace(self, request: web.Request) -> web.Response:
        found = await self._read(self._rendered, request.match_info["trace"].lower().rjust(32, "0"))
        return _json(answer([found])) if found else _json(failure(404, "trace not found"), 404)

    def _rendered(self, trace: str) -> Json | None:
        spans = self._store.trace(trace)
        return trace_json(trace, spans) if spans else None

    async def _dependencies(self, request: web.Request) -> web.Response:
        try:
            end = int(request.query.get("endTs") or self._now_us() // 1000)
            lookback = int(request.query.get("lookback") or _DAY_MS)
        except ValueError:
            return _json(failure(400, "parameters 'endTs' and 'lookback' must be milliseconds"), 400)
        found = await self._read(self._store.dependencies, (end - lookback) * 1000, end * 1000)
        return _json(answer([dependency_json(one) for one in found]))


def _json(document: Json, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(document), status=status, content_type="application/json")
