"""The aiohttp application: routes, parameters, HTTP codes."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import orjson
from aiohttp import web
from multidict import MultiDict

import kaiki
from kaiki.telemetry.api.parameters import parse_duration, parse_limit, parse_time
from kaiki.telemetry.api.render import render_answer
from kaiki.telemetry.arrays import is_stale
from kaiki.telemetry.errors import BadQueryError, ExecutionError, QueryError, QueryTimeoutError
from kaiki.telemetry.exposition import render_series
from kaiki.telemetry.matchers import NAME, Matcher
from kaiki.telemetry.promql.context import QuerySettings
from kaiki.telemetry.promql.evaluate import parse, parse_selector, query_instant, query_range
from kaiki.telemetry.promql.numbers import format_number
from kaiki.telemetry.scrape.scraper import IDENTITY_HEADER, TargetHealth
from kaiki.telemetry.scrape.targets import Target
from kaiki.telemetry.store.index import Labels
from kaiki.telemetry.store.series import SeriesStore

log = logging.getLogger(__name__)
Parameters = Any
Result = TypeVar("Result")
_ALWAYS_MS = 2**61
_STATUS = {BadQueryError: 400, ExecutionError: 422, QueryTimeoutError: 503}
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
    configuration: str = ""
    flags: tuple[tuple[str, str], ...] = ()
    query_threads: int = 2


class Api:
    """`targets` lists the scraper's targets; `exposition` writes the process's own metrics as text.

    Its argument is the identity a scraper has told (see `ScrapeSettings`), or empty.
    """

    def __init__(
        self,
        store: SeriesStore,
        settings: ApiSettings,
        targets: Callable[[], list[tuple[Target, TargetHealth]]] = list,
        exposition: Callable[[str], str] = str,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._store = store
        self._settings = settings
        self._targets = targets
        self._exposition = exposition
        self._clock_ms = clock_ms
        self._started_ms = clock_ms()
        self._threads = ThreadPoolExecutor(settings.query_threads, "query")

    def application(self) -> web.Application:
        application = web.Application(client_max_size=16 << 20, middlewares=[_errors])
        application.on_cleanup.append(self._close)
        both: list[tuple[str, Callable[[web.Request], Awaitable[web.StreamResponse]]]] = [
            ("/api/v1/query", self._query),
            ("/api/v1/query_range", self._query_range),
            ("/api/v1/query_exemplars", self._exemplars),
            ("/api/v1/series", self._series),
            ("/api/v1/labels", self._label_names),
            ("/api/v1/format_query", self._format_query),
        ]
        for path, handler in both:
            application.router.add_get(path, handler)
            application.router.add_post(path, handler)
        application.router.add_get("/api/v1/label/{name}/values", self._label_values)
        application.router.add_get("/api/v1/metadata", self._metadata)
        application.router.add_get("/api/v1/targets", self._active_targets)
        application.router.add_get("/api/v1/status/{what}", self._status)
        application.router.add_get("/federate", self._federate)
        application.router.add_get("/metrics", self._metrics)
        application.router.add_get("/", _page)
        for path, empty in _EMPTY.items():
            application.router.add_get(path, functools.partial(_constant, empty))
        for path in ("/-/healthy", "/-/ready"):
            application.router.add_get(path, _healthy)
        return application

    async def _close(self, _: web.Application) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _in_thread(self, function: Callable[..., Result], *arguments: Any) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, functools.partial(function, *arguments))

    # ---- queries

    async def _query(self, request: web.Request) -> web.Response:
        given = await _parameters(request)
        moment = parse_time(given["time"], "time") if given.get("time") else self._clock_ms()
        settings = self._query_settings(given)
        body = await self._in_thread(self._run_instant, given.get("query", ""), moment, settings)
        return web.Response(body=body, content_type="application/json")

    def _run_instant(self, query: str, time_ms: int, settings: QuerySettings) -> bytes:
        return render_answer(query_instant(self._store, query, time_ms, settings), instant=True)

    async def _query_range(self, request: web.Request) -> web.Response:
        given = await _parameters(request)
        start, end = (parse_time(given.get(name, ""), name) for name in ("start", "end"))
        step = parse_duration(given.get("step", ""), "step")
        settings = self._query_settings(given)
        body = await self._in_thread(self._run_range, given.get("query", ""), start, end, step, settings)
        return web.Response(body=body, content_type="application/json")

    def _run_range(self, query: str, start_ms: int, end_ms: int, step_ms: int, settings: QuerySettings) -> bytes:
        return render_answer(query_range(self._store, query, start_ms, end_ms, step_ms, settings), instant=False)

    def _query_settings(self, given: Parameters) -> QuerySettings:
        settings = self._settings.query
        if given.get("timeout"):
            wanted = parse_duration(given["timeout"], "timeout") / 1000
            settings = replace(settings, timeout_seconds=min(settings.timeout_seconds, wanted))
        if given.get("lookback_delta"):
            settings = replace(settings, lookback_ms=parse_duration(given["lookback_delta"], "lookback_delta"))
        if given.get("increase"):
            if given["increase"] not in ("exact", "extrapolated"):
                raise BadQueryError('invalid parameter "increase": expected `exact` or `extrapolated`')
            settings = replace(settings, exact_increase=given["increase"] == "exact")
        return settings

    async def _format_query(self, request: web.Request) -> web.Response:
        given = await _parameters(request)
        return _success(str(parse(given.get("query", "")).prettify()))

    async def _exemplars(self, request: web.Request) -> web.Response:
        given = await _parameters(request)
        parse(given.get("query", ""))
        return _success([])

    # ---- series and labels

    async def _series(self, request: web.Request) -> web.Response:
        given = await _parameters(request)
        selectors = _selectors(given)
        if not selectors:
            raise BadQueryError("no match[] parameter provided")
        start, end = _span(given)
        found: dict[int, Labels] = {}
        for matchers in selectors:
            for labels in self._store.select_series(matchers, start, end):
                found[id(labels)] = labels
        rows = sorted(found.values(), key=lambda labels: sorted(labels.items()))
        distinct = [row for i, row in enumerate(rows) if i == 0 or row != rows[i - 1]]
        return _success(_limited(distinct, given))

    async def _label_names(self, request: web.Request) -> web.Response:
        given = await _parameters(request)
        names: set[str] = set()
        selectors: list[list[Matcher]] | list[None] = _selectors(given) or [None]
        for matchers in selectors:
            names.update(self._store.label_names(matchers))
        return _success(_limited(sorted(names), given))

    async def _label_values(self, request: web.Request) -> web.Response:
        values: set[str] = set()
        selectors: list[list[Matcher]] | list[None] = _selectors(request.query) or [None]
        for matchers in selectors:
            values.update(self._store.label_values(request.match_info["name"], matchers))
        return _success(_limited(sorted(values), request.query))

    async def _metadata(self, request: web.Request) -> web.Response:
        wanted = request.query.get("metric")
        found = {
            name: [{"type": kind, "help": text, "unit": ""}]
            for name, (kind, text) in sorted(self._store.metadata.items())
            if not wanted or name == wanted
        }
        limit = parse_limit(request.query.get("limit"))
        return _success(dict(list(found.items())[:limit]) if limit else found)

    async def _federate(self, request: web.Request) -> web.Response:
        """The newest sample of every series that matches, in the text format."""
        now = self._clock_ms()
        lines = await self._in_thread(self._newest, _selectors(request.query), now)
        return web.Response(text="".join(lines), content_type="text/plain", charset="utf-8")

    def _newest(self, selectors: list[list[Matcher]], now_ms: int) -> list[str]:
        lines: dict[str, None] = {}
        for matchers in selectors:
            found = self._store.select(matchers, now_ms - self._settings.query.lookback_ms, now_ms)
            stale = is_stale(found.values)
            last = {int(owner): position for position, owner in enumerate(found.owners.tolist())}
            for owner, position in last.items():
                if not stale[position]:
                    pairs = [(k, v) for k, v in found.labels[owner].items() if k != NAME]
                    series = render_series(found.labels[owner].get(NAME, ""), pairs)
                    number = format_number(float(found.values[position]))
                    lines[f"{series} {number} {found.times[position]}\n"] = None
        return sorted(lines)

    # ---- state

    async def _active_targets(self, request: web.Request) -> web.Response:
        active = [_describe_target(target, health) for target, health in self._targets()]
        shown = request.query.get("state", "any") in ("any", "active")
        return _success({"activeTargets": active if shown else [], "droppedTargets": [], "droppedTargetCounts": {}})

    async def _status(self, request: web.Request) -> web.Response:
        match request.match_info["what"]:
            case "buildinfo":
                return _success(_build_information())
            case "config":
                return _success({"yaml": self._settings.configuration})
            case "flags":
                return _success(dict(self._settings.flags))
            case "runtimeinfo":
                return _success(self._runtime_information())
            case "tsdb":
                return _success(self._store_information(parse_limit(request.query.get("limit")) or 10))
        raise web.HTTPNotFound

    def _runtime_information(self) -> dict[str, object]:
        flags = dict(self._settings.flags)
        return {
            "startTime": _rfc3339(self._started_ms),
            "CWD": "/",
            "reloadConfigSuccess": True,
            "lastConfigTime": _rfc3339(self._started_ms),
            "corruptionCount": 0,
            "goroutineCount": 0,
            "GOMAXPROCS": 1,
            "GOGC": "",
            "GODEBUG": "",
            "storageRetention": flags.get("storage.tsdb.retention.time", ""),
        }

    def _store_information(self, limit: int) -> dict[str, object]:
        statistics, cardinality = self._store.statistics(), self._store.cardinality()

        def top(counts: dict[str, int]) -> list[dict[str, object]]:
            ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:limit]
            return [{"name": name, "value": value} for name, value in ranked]

        pairs = {f"{name}={value}": n for name, values in cardinality.items() for value, n in values.items()}
        return {
            "headStats": {
                "numSeries": statistics.series,
                "numLabelPairs": len(pairs),
                "chunkCount": statistics.blocks,
                "minTime": statistics.start_ms,
                "maxTime": statistics.end_ms,
            },
            "seriesCountByMetricName": top(cardinality.get(NAME, {})),
            "labelValueCountByLabelName": top({name: len(values) for name, values in cardinality.items()}),
            "memoryInBytesByLabelName": top({name: sum(map(len, values)) for name, values in cardinality.items()}),
            "seriesCountByLabelValuePair": top(pairs),
        }

    async def _metrics(self, request: web.Request) -> web.Response:
        text = self._exposition(request.headers.get(IDENTITY_HEADER, ""))
        return web.Response(text=text, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})


_EMPTY: dict[str, object] = {
    "/api/v1/rules": {"groups": []},
    "/api/v1/alerts": {"alerts": []},
    "/api/v1/alertmanagers": {"activeAlertmanagers": [], "droppedAlertmanagers": []},
    "/api/v1/targets/metadata": [],
}


@web.middleware
async def _errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except QueryError as error:
        return _failure(_STATUS.get(type(error), 500), error.kind, str(error))
    except web.HTTPNotFound:
        if request.path.startswith("/api/"):
            return _failure(404, "not_found", f"no such path: {request.path}")
        raise
    except web.HTTPException:
        raise
    except Exception as error:
        log.exception("%s %s failed", request.method, request.path)
        return _failure(500, "internal", f"{type(error).__name__}: {error}")


def _failure(status: int, kind: str, message: str) -> web.Response:
    body = orjson.dumps({"status": "error", "errorType": kind, "error": message})
    return web.Response(status=status, body=body, content_type="application/json")


def _success(data: object) -> web.Response:
    body = orjson.dumps({"status": "success", "data": data})
    return web.Response(body=body, content_type="application/json")


async def _constant(data: object, _: web.Request) -> web.Response:
    return _success(data)


async def _healthy(_: web.Request) -> web.Response:
    return web.Response(text="Kaiki's metrics store is healthy and ready.\n")


async def _page(_: web.Request) -> web.Response:
    return web.Response(text=_PAGE, content_type="text/html")


async def _parameters(request: web.Request) -> Parameters:
    """Query string and form together, as Prometheus takes them."""
    if request.method != "POST":
        return request.query
    given = MultiDict(request.query)
    with contextlib.suppress(ValueError):
        given.extend((name, value) for name, value in (await request.post()).items() if isinstance(value, str))
    return given


def _selectors(given: Parameters) -> list[list[Matcher]]:
    return [parse_selector(text) for text in given.getall("match[]", [])]


def _span(given: Parameters) -> tuple[int, int]:
    start = parse_time(given["start"], "start") if given.get("start") else -_ALWAYS_MS
    end = parse_time(given["end"], "end") if given.get("end") else _ALWAYS_MS
    return start, end


def _limited(rows: list[Result], given: Parameters) -> list[Result]:
    limit = parse_limit(given.get("limit"))
    return rows[:limit] if limit else rows


def _describe_target(target: Target, health: TargetHealth) -> dict[str, object]:
    labels = dict(target.labels)
    return {
        "discoveredLabels": {"__address__": labels.get("instance", ""), "job": labels.get("job", "")},
        "labels": labels,
        "scrapePool": labels.get("job", ""),
        "scrapeUrl": target.url,
        "globalUrl": target.url,
        "lastError": health.error,
        "lastScrape": _rfc3339(health.time_ms),
        "lastScrapeDuration": health.duration_seconds,
        "health": "unknown" if health.up is None else "up" if health.up else "down",
    }


def _build_information() -> dict[str, str]:
    """Clients look at the major version for what the API can do; `revision` says who really answers."""
    return {
        "version": f"3.0.0-kaiki.{kaiki.__version__}",
        "revision": f"kaiki-{kaiki.__version__}",
        "branch": "embedded",
        "buildUser": "kaiki",
        "buildDate": "",
        "goVersion": "",
    }


def _rfc3339(time_ms: int) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time_ms / 1000))
    return f"{whole}.{time_ms % 1000:03d}Z"
