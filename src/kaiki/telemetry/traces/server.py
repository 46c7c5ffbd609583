"""The traces' part of the `kaiki metrics` process: receivers, store and query API, joined.

4317   OTLP over gRPC          4318   OTLP over HTTP (/v1/traces)
9411   Zipkin (/api/v2/spans)  16686  Jaeger's query API (/api/…)
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from kaiki.telemetry.traces.intake import Intake
from kaiki.telemetry.traces.query import QueryApi
from kaiki.telemetry.traces.receivers import add_http_receivers, receiving_grpc
from kaiki.telemetry.traces.store import TraceLimits, TraceStore

_BODY_BYTES = 16 << 20
FILE = "traces.sqlite"


@dataclass(frozen=True, slots=True)
class TraceSettings:
    """Where traces are received, kept and asked for. Ports of 0 take any free one (tests)."""

    data_path: Path
    host: str = "0.0.0.0"
    grpc_port: int = 4317
    http_port: int = 4318
    zipkin_port: int = 9411
    query_port: int = 16686
    limits: TraceLimits = field(default_factory=TraceLimits)


@dataclass(frozen=True, slots=True)
class Traces:
    """What runs: the ports it is reached at, and its intake, which counts."""

    grpc_port: int
    http_port: int
    zipkin_port: int
    query_port: int
    intake: Intake


@contextlib.asynccontextmanager
async def serving_traces(settings: TraceSettings) -> AsyncIterator[Traces]:
    """Receive, keep and answer, while inside."""
    store = await asyncio.to_thread(TraceStore, settings.data_path / FILE, settings.limits)
    intake, query = Intake(store), QueryApi(store)
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(store.close)
        stack.callback(intake.close)
        stack.callback(query.close)
        writing = asyncio.create_task(intake.run(), name="traces")
        stack.push_async_callback(_ended, writing)
        grpc_port = await stack.enter_async_context(receiving_grpc(intake, (settings.host, settings.grpc_port)))
        application = web.Application(client_max_size=_BODY_BYTES)
        add_http_receivers(application, intake)
        query.add_routes(application)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=2.0)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        for port in (settings.http_port, settings.zipkin_port, settings.query_port):
            await web.TCPSite(runner, settings.host, port).start()
        http_port, zipkin_port, query_port = (int(address[1]) for address in runner.addresses)
        yield Traces(grpc_port, http_port, zipkin_port, query_port, intake)


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
