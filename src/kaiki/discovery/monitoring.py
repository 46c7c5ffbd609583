"""What the control plane shows of itself over plain HTTP: /metrics, /ready and pages under /debug.

/debug/syncz lists proxies, as Istio's does; with `?by=object` it counts them for each object, as /debug/distribution.
/debug/config_dump?proxyID=<pod>.<namespace> tells all that a proxy has been told, keys excepted, so it wants the token
of a pod of the control plane's own namespace.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from aiohttp import web

from kaiki.discovery.authentication import Caller, Unauthenticated
from kaiki.discovery.metrics import Metrics

Admit = Callable[[Iterable[tuple[str, str]]], Awaitable[Caller]]
"""The headers of a request → who asks; raises Unauthenticated."""
Describe = Callable[[str], dict[str, Any] | None]


class MonitoringServer:
    """Serves the pages. `is_ready` is asked at every request for /ready."""

    def __init__(
        self,
        metrics: Metrics,
        describe_proxies: Callable[[], list[dict[str, Any]]],
        is_ready: Callable[[], bool],
        describe_objects: Callable[[], list[dict[str, Any]]] = list,
        describe_configuration: Describe = lambda _: None,
        admit: Admit | None = None,
    ) -> None:
        self._describe_configuration = describe_configuration
        self._admit = admit
        self._metrics = metrics
        self._describe_proxies = describe_proxies
        self._is_ready = is_ready
        self._describe_objects = describe_objects
        application = web.Application()
        application.router.add_get("/metrics", self._show_metrics)
        application.router.add_get("/debug/syncz", self._show_proxies)
        application.router.add_get("/debug/distribution", self._show_objects)
        application.router.add_get("/debug/config_dump", self._show_configuration)
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

    async def _show_configuration(self, request: web.Request) -> web.Response:
        try:
            if self._admit is None:
                raise Unauthenticated("nobody may read configurations here")
            await self._admit(request.headers.items())
        except Unauthenticated as error:
            return web.Response(status=401, text=f"{error}\n", headers={"WWW-Authenticate": "Bearer"})
        except Exception as error:
            return web.Response(status=503, text=f"the token cannot be reviewed now: {error}\n")
        name = request.query.get("proxyID", "")
        described = self._describe_configuration(name)
        if described is None:
            return web.Response(status=404, text=f"no proxy {name!r} is connected to this replica\n")
        return web.json_response(described)

    async def _show_readiness(self, _: web.Request) -> web.Response:
        ready = self._is_ready()
        return web.Response(status=200 if ready else 503, text="ready\n" if ready else "caches are being filled\n")
