"""Traces for the user interface, from whoever answers Jaeger's query API: the embedded store or one's own backend.

    /api/tracing/services      /api/tracing/services/{service}/operations      /api/tracing/dependencies
    /api/tracing/traces?service=…&operation=…&tags={…}&minDuration=…&start=…&end=…&limit=…   /api/tracing/traces/{id}

Parameters and answers are Jaeger's own; only these are asked for, so that the console is no way to anything else there.
"""

from __future__ import annotations

from urllib.parse import quote

import aiohttp
from aiohttp import web

from kaiki.console.errors import TracesUnavailable

_PREFIX = "/api/tracing"
_LARGEST_ANSWER_BYTES = 32 << 20


class TracesClient:
    """Asks one backend. `url` is what `/api/traces` follows."""

    def __init__(self, url: str, timeout_seconds: float) -> None:
        self._url = url.rstrip("/")
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Drop connections."""
        if self._session is not None:
            await self._session.close()

    @property
    def url(self) -> str:
        """Where the backend is; empty for none."""
        return self._url

    async def ask(self, path: str, parameters: list[tuple[str, str]]) -> tuple[int, bytes]:
        """The status and the JSON of an answer. Raises TracesUnavailable where there is none."""
        if not self._url:
            raise TracesUnavailable("no tracing backend is configured", "Start the console with --tracing-url.")
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=self._timeout)
        url = f"{self._url}/api/{path}"
        try:
            async with self._session.get(url, params=parameters) as answer:
                body = await answer.content.read(_LARGEST_ANSWER_BYTES + 1)
                while len(body) <= _LARGEST_ANSWER_BYTES and (more := await answer.content.read(1 << 20)):
                    body += more
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            cause = str(error) or type(error).__name__
            raise TracesUnavailable(f"{self._url} does not answer: {cause}", "Is the tracing backend up?") from error
        if len(body) > _LARGEST_ANSWER_BYTES:
            raise TracesUnavailable("the answer is too large", "Ask for fewer traces, or for less time.")
        if "json" not in answer.content_type:
            raise TracesUnavailable(f"{url} does not answer as Jaeger does", "Check --tracing-url.")
        return answer.status, body


class TraceHandlers:
    """The operations about traces."""

    def __init__(self, traces: TracesClient) -> None:
        self._traces = traces

    def routes(self) -> list[web.AbstractRouteDef]:
        """What to mount."""
        paths = ("services", "services/{service}/operations", "dependencies", "traces", "traces/{trace}")
        return [web.get(f"{_PREFIX}/{path}", self.forward) for path in paths]

    async def forward(self, request: web.Request) -> web.Response:
        """Jaeger's answer, as it is."""
        names = {name: quote(value, safe="") for name, value in request.match_info.items()}
        resource = request.match_info.route.resource
        assert resource is not None
        path = resource.canonical.removeprefix(f"{_PREFIX}/").format(**names)
        status, body = await self._traces.ask(path, list(request.query.items()))
        return web.Response(status=status, body=body, content_type="application/json")
