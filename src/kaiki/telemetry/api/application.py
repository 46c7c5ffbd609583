"""The aiohttp application: queries, and the routes of all other parts."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

from aiohttp import web

from kaiki.telemetry.api.answers import Parameters, finish, json_response, read_parameters, success
from kaiki.telemetry.api.parameters import parse_duration, parse_limit, parse_time
from kaiki.telemetry.api.render import RenderOptions, render_answer
from kaiki.telemetry.api.series import SeriesRoutes
from kaiki.telemetry.api.status import StatusRoutes, StatusSources
from kaiki.telemetry.errors import BadQueryError
from kaiki.telemetry.matchers import Matcher
from kaiki.telemetry.promql.context import QuerySettings
from kaiki.telemetry.promql.evaluate import Answer, parse, query_instant, query_range, selectors_of
from kaiki.telemetry.promql.numbers import format_number
from kaiki.telemetry.scrape.scraper import IDENTITY_HEADER
from kaiki.telemetry.store.series import SeriesStore

Result = TypeVar("Result")
BODY_LIMIT_BYTES = 32 << 20
_PAGE = """<!doctype html><meta charset="utf-8"><title>Kaiki metrics</title>
<style>body{font:15px
system-ui;margin:2rem;max-width:70rem}input{width:40rem;font:inherit}pre{white-space:pre-wrap}</style> <h1>Kaiki
metrics</h1><p>A Prometheus-compatible API. Try a query:</p> <form id=f><input id=q value="sum by
(destination_service) (rate(istio_requests_total[1m]))"> <button>Run</button></form> <pre id=o></pre><script>
f.onsubmit=async e=>{e.preventDefault(); const r=await fetch('api/v1/query?query='+encodeURIComponent(q.value));const
j=await r.json(); o.textContent=j.error||j.data.result.map(s=>JSON.stringify(s.metric||'')+'
'+(s.value?s.value[1]:JSON.stringify(s.values||s))
).join('\\n')||'no data'}</script>"""


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """`configuration` is what `/status/config` shows; `flags` what `/status/flags` does."""

    query: QuerySettings = field(default_factory=QuerySettings)
    query_threads: int = 2


class Routes(Protocol):
    """A part of the API that registers itself."""

    def add_to(self, router: web.UrlDispatcher) -> None: ...


class Api:
    """`exposition` writes the process's own metrics as text.

    Its argument is the identity a scraper has told (see `ScrapeSettings`), or empty. `parts` are further routes.
    """

    def __init__(
        self,
        store: SeriesStore,
        settings: ApiSettings,
        sources: StatusSources | None = None,
        exposition: Callable[[str], str] = str,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        parts: tuple[Routes, ...] = (),
        middlewares: tuple[Any, ...] = (),
    ) -> None:
        self._store = store
        self._settings = settings
        self._exposition = exposition
        self._middlewares = middlewares
        self._clock_ms = clock_ms
        self._threads = ThreadPoolExecutor(settings.query_threads, "query")
        self._parts: tuple[Routes, ...] = (
            SeriesRoutes(store, settings.query.lookback_ms, clock_ms, self._in_thread),
            StatusRoutes(store, sources or StatusSources(), clock_ms),
            *parts,
        )

    def application(self) -> web.Application:
        application = web.Application(client_max_size=BODY_LIMIT_BYTES, middlewares=[*self._middlewares, finish])
        application.on_cleanup.append(self._close)
        queries = {
            "query": self._query,
            "query_range": self._query_range,
            "query_exemplars": self._exemplars,
            "format_query": self._format_query,
        }
        for path, handler in queries.items():
            application.router.add_get(f"/api/v1/{path}", handler)
            application.router.add_post(f"/api/v1/{path}", handler)
        for part in self._parts:
            part.add_to(application.router)
        application.router.add_get("/metrics", self._metrics)
        for path in ("/", "/graph", "/query"):
            application.router.add_get(path, _page)
        application.router.add_get("/-/healthy", functools.partial(_state, "healthy"))
        application.router.add_get("/-/ready", functools.partial(_state, "ready"))
        return application

    async def _close(self, _: web.Application) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _in_thread(self, function: Callable[..., Result], *arguments: Any) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, functools.partial(function, *arguments))

    async def _query(self, request: web.Request) -> web.Response:
        given = await read_parameters(request)
        moment = parse_time(given["time"], "time") if given.get("time") else self._clock_ms()
        settings, options = self._query_settings(given), _render_options(given, instant=True)
        query = given.get("query", "")
        work = functools.partial(query_instant, self._store, query, moment, settings)
        return json_response(await self._in_thread(_rendered, work, options))

    async def _query_range(self, request: web.Request) -> web.Response:
        given = await read_parameters(request)
        start, end = (parse_time(given.get(name, ""), name) for name in ("start", "end"))
        step = parse_duration(given.get("step", ""), "step")
        settings, options = self._query_settings(given), _render_options(given, instant=False)
        query = given.get("query", "")
        work = functools.partial(query_range, self._store, query, start, end, step, settings)
        return json_response(await self._in_thread(_rendered, work, options))

    def _query_settings(self, given: Parameters) -> QuerySettings:
        settings = self._settings.query
        if given.get("timeout"):
            wanted = parse_duration(given["timeout"], "timeout") / 1000
            settings = replace(settings, timeout_seconds=min(settings.timeout_seconds, wanted))
        if given.get("lookback_delta"):
            lookback = parse_duration(given["lookback_delta"], "lookback_delta")
            settings = replace(settings, lookback_ms=lookback or settings.lookback_ms)
        if given.get("increase"):
            if given["increase"] not in ("exact", "extrapolated"):
                raise BadQueryError('invalid parameter "increase": expected `exact` or `extrapolated`')
            settings = replace(settings, exact_increase=given["increase"] == "exact")
        return settings

    async def _format_query(self, request: web.Request) -> web.Response:
        given = await read_parameters(request)
        return success(str(parse(given.get("query", "")).prettify()))

    async def _exemplars(self, request: web.Request) -> web.Response:
        given = await read_parameters(request)
        start, end = (
            parse_time(given[name], name) if given.get(name) else bound
            for name, bound in (("start", -(2**62)), ("end", 2**62))
        )
        if end < start:
            raise BadQueryError('invalid parameter "end": end timestamp must not be before start time')
        selectors = selectors_of(parse(given.get("query", "")))
        return success(await self._in_thread(_described_exemplars, self._store, selectors, start, end))

    async def _metrics(self, request: web.Request) -> web.Response:
        text = self._exposition(request.headers.get(IDENTITY_HEADER, ""))
        return web.Response(text=text, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})


def _rendered(work: Callable[[], Answer], options: RenderOptions) -> bytes:
    begun = time.perf_counter()
    answer = work()
    return render_answer(answer, options, time.perf_counter() - begun)


def _described_exemplars(
    store: SeriesStore, selectors: list[list[Matcher]], start_ms: int, end_ms: int
) -> list[dict[str, Any]]:
    found = store.exemplars.select(selectors, start_ms, end_ms)
    return [
        {
            "seriesLabels": dict(series),
            "exemplars": [
                {"labels": dict(one.labels), "value": format_number(one.value), "timestamp": one.time_ms / 1000}
                for one in exemplars
            ],
        }
        for series, exemplars in found
    ]


def _render_options(given: Parameters, *, instant: bool) -> RenderOptions:
    shape = given.get("format", "")
    if shape and not (shape in ("columns", "packed") and instant):
        raise BadQueryError('invalid parameter "format": expected `columns` or `packed`, of an instant query')
    return RenderOptions(
        instant, parse_limit(given.get("limit")), bool(given.get("stats")), shape, given.get("pivot", "")
    )


async def _state(word: str, _: web.Request) -> web.Response:
    return web.Response(text=f"Kaiki's metrics store is {word}.\n")


async def _page(_: web.Request) -> web.Response:
    return web.Response(text=_PAGE, content_type="text/html")
