"""What the control plane shows of itself over plain HTTP: /metrics, /debug/syncz, /debug/distribution and /ready.

/debug/syncz lists proxies, as Istio's does; with `?by=object` it counts them for each object, as /debug/distribution.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from aiohttp import web

from kaiki.discovery.metrics import Metrics


class MonitoringServer:
    """Serves the pages. `is_ready` is asked at every request for /ready."""

    def __init__(
        self,
        metrics: Metrics,
        describe_proxies: Callable[[], list[dict[str, Any]]],
        is_ready: Callable[[], bool],
        describe_objects: Callable[[], list[dict[str, Any]]] = list,
    ) -> None:
        self._metrics = metrics
        self._describe_proxies = describe_proxies
        self._is_ready = is_ready
        self._describe_objects = describe_objects
        application = web.Application()
        application.router.add_get("/metrics", self._show_metrics)
        application.router.add_get("/debug/syncz", self._show_proxies)
        application.router.add_get("/debug/distribution", self._show_objects)
        application.router.add_get("/ready", self._show_readiness)
        self._runner = web.AppRunner(application, access_log=None)

    async def start(self, host: str, port: int) -> int:
        """Listen; returns the port."""
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Close the listener and every connection."""
        await self._runner.cleanup()

    async def _show_metrics(self, _: web.Request) -> web.Response:
        text = self._metrics.render().encode()
        return web.Response(body=text, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    async def _show_proxies(self, request: web.Request) -> web.Response:
        if request.query.get("by") == "object":
            return await self._show_objects(request)
        return web.json_response(self._describe_proxies(), dumps=lambda value: json.dumps(value, indent=2))

    async def _show_objects(self, _: web.Request) -> web.Response:
        return web.json_response(self._describe_objects(), dumps=lambda value: json.dumps(value, indent=2))

    async def _show_readiness(self, _: web.Request) -> web.Response:
        ready = self._is_ready()
        return web.Response(status=200 if ready else 503, text="ready\n" if ready else "caches are being filled\n")
