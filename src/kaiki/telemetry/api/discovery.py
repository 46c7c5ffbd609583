"""For a Prometheus of the user's own: where the mesh's targets are, and a way to them.

    GET /sd/targets          what `http_sd_configs` reads
    GET /sd/prometheus.yml   a whole configuration that scrapes the mesh, ready to use
    GET http://pod:port/…    (as a proxy) a target's answer, for a Prometheus that cannot reach pods itself

On one machine pods live in namespaces of their own, so a Prometheus outside needs the proxy (`proxy_url`); on a cluster
it can do without. The proxy leads to discovered targets and nowhere else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import orjson
from aiohttp import web

from kaiki.telemetry.api.answers import Handler, json_response
from kaiki.telemetry.errors import ScrapeError
from kaiki.telemetry.scrape.targets import Target

Fetch = Callable[[str], Awaitable[str]]
_CONFIGURATION = """\
# Scrapes everything in the mesh, with the labels Kaiki's own store has. Start with:
#   prometheus --config.file=prometheus.yml
# `proxy_url` leads to pods that only the mesh's machine can reach; on a cluster, take both lines out.
global:
  scrape_interval: {interval}
scrape_configs:
- job_name: kubernetes-pods
  proxy_url: http://{host}
  http_sd_configs:
  - url: http://{host}/sd/targets
    refresh_interval: 5s
- job_name: kaiki-telemetry
  honor_labels: true
  static_configs:
  - targets: ["{host}"]
"""


class DiscoveryRoutes:
    """`targets` lists what there is to scrape; `fetch` gets a target's answer as text, or raises ScrapeError."""

    def __init__(self, targets: Callable[[], list[Target]], fetch: Fetch, interval_seconds: float) -> None:
        self._targets = targets
        self._fetch = fetch
        self._interval = f"{round(interval_seconds * 1000)}ms"

    def add_to(self, router: web.UrlDispatcher) -> None:
        router.add_get("/sd/targets", self._list)
        router.add_get("/sd/prometheus.yml", self._configuration)

    async def _list(self, _: web.Request) -> web.Response:
        return json_response(orjson.dumps([_group(target) for target in self._targets()]))

    async def _configuration(self, request: web.Request) -> web.Response:
        text = _CONFIGURATION.format(host=request.host, interval=self._interval)
        return web.Response(text=text, content_type="application/yaml")

    @property
    def forward(self) -> Callable[[web.Request, Handler], Awaitable[web.StreamResponse]]:
        """The middleware that answers a proxy's requests."""

        @web.middleware
        async def forward(request: web.Request, handler: Handler) -> web.StreamResponse:
            if not request.raw_path.startswith(("http://", "https://")):
                return await handler(request)
            return await self._forward(request.raw_path)

        return forward

    async def _forward(self, url: str) -> web.Response:
        if url not in {target.url for target in self._targets()}:
            return web.Response(status=403, text=f"{url} is no target of this mesh: see /sd/targets\n")
        try:
            text = await self._fetch(url)
        except ScrapeError as problem:
            return web.Response(status=502, text=f"{problem}\n")
        return web.Response(text=text, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})


def _group(target: Target) -> dict[str, object]:
    url = urlsplit(target.url)
    path = url.path + (f"?{url.query}" if url.query else "")
    labels = {**dict(target.labels), "__scheme__": url.scheme, "__metrics_path__": path}
    return {"targets": [url.netloc], "labels": labels}
