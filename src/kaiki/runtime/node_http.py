"""The node's own HTTP, on a unix socket: logs of containers and streams into them, as the kubelet serves them.

Its metrics, and nothing else, are on a port that pods reach too.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path

from aiohttp import web

from kaiki.runtime.agent import Agent
from kaiki.runtime.logs import LogQuery, read_log
from kaiki.runtime.streams import PodStreams

logger = logging.getLogger(__name__)


def _number(request: web.Request, name: str) -> int | None:
    text = request.query.get(name, "")
    return int(text) if text.isdecimal() else None


def _flag(request: web.Request, name: str) -> bool:
    return request.query.get(name, "").lower() in ("true", "1")


def _query(request: web.Request) -> LogQuery:
    return LogQuery(
        follow=_flag(request, "follow"),
        tail_lines=_number(request, "tailLines"),
        since_seconds=_number(request, "sinceSeconds"),
        timestamps=_flag(request, "timestamps"),
        limit_bytes=_number(request, "limitBytes"),
    )


class NodeHttp:
    """Serves `GET /containerLogs/{namespace}/{pod}/{container}`."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._runner: web.AppRunner | None = None
        self._metrics: web.AppRunner | None = None

    async def start(self, path: Path) -> None:
        """Listen on a unix socket."""
        path.unlink(missing_ok=True)
        app = web.Application()
        app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", self._serve_logs)
        app.router.add_get("/healthz", self._serve_health)
        PodStreams(self._agent).add_routes(app)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.UnixSite(self._runner, str(path)).start()

    async def start_metrics(self, address: str, port: int) -> None:
        """Listen for scrapes; without the port the node does without."""
        app = web.Application()
        app.router.add_get("/metrics", self._serve_metrics)
        self._metrics = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.5)
        await self._metrics.setup()
        try:
            await web.TCPSite(self._metrics, address, port).start()
        except OSError as error:
            logger.warning("the node's metrics are not served: %s", error)

    async def stop(self) -> None:
        """Close."""
        for runner in (self._runner, self._metrics):
            if runner:
                await runner.cleanup()

    async def _serve_health(self, _: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def _serve_metrics(self, _: web.Request) -> web.Response:
        headers = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        return web.Response(text=self._agent.render_measurements(), headers=headers)

    async def _serve_logs(self, request: web.Request) -> web.StreamResponse:
        place = request.match_info
        previous = _flag(request, "previous")
        found = self._agent.find_log(place["namespace"], place["pod"], place["container"], previous)
        name = f'container "{place["container"]}" in pod "{place["pod"]}"'
        if found is None:
            what = f"previous terminated {name} not found" if previous else f"{name} has written nothing yet"
            return web.Response(status=400, text=what)
        response = web.StreamResponse(headers={"Content-Type": "text/plain; charset=utf-8"})
        await response.prepare(request)
        with contextlib.suppress(ConnectionResetError, asyncio.CancelledError):
            async for piece in read_log(*found, _query(request)):
                await response.write(piece)
            await response.write_eof()
        return response
