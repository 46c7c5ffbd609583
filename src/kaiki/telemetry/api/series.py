"""What there is: series, labels, metadata, and federation."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

from aiohttp import web

from kaiki.telemetry.api.answers import Parameters, limited, read_parameters, read_selectors, success
from kaiki.telemetry.api.parameters import parse_limit, parse_time
from kaiki.telemetry.arrays import is_stale
from kaiki.telemetry.errors import BadQueryError
from kaiki.telemetry.exposition import render_series
from kaiki.telemetry.matchers import NAME, Matcher
from kaiki.telemetry.promql.numbers import format_number
from kaiki.telemetry.store.labels import Labels
from kaiki.telemetry.store.series import SeriesStore

_ALWAYS_MS = 2**62
_ESCAPED = re.compile(r"_([0-9a-fA-F]+)_|__")
InThread = Callable[..., Awaitable[list[str]]]


class SeriesRoutes:
    """Handlers over the store's index."""

    def __init__(self, store: SeriesStore, lookback_ms: int, clock_ms: Callable[[], int], in_thread: InThread) -> None:
        self._store = store
        self._lookback_ms = lookback_ms
        self._clock_ms = clock_ms
        self._in_thread = in_thread

    def add_to(self, router: web.UrlDispatcher) -> None:
        for path, handler in (("series", self._series), ("labels", self._label_names)):
            router.add_get(f"/api/v1/{path}", handler)
            router.add_post(f"/api/v1/{path}", handler)
        router.add_get("/api/v1/label/{name}/values", self._label_values)
        router.add_get("/api/v1/metadata", self._metadata)
        router.add_get("/federate", self._federate)

    async def _series(self, request: web.Request) -> web.Response:
        given = await read_parameters(request)
        selectors = read_selectors(given)
        if not selectors:
            raise BadQueryError("no match[] parameter provided")
        start, end = _span(given)
        found: dict[int, Labels] = {}
        for matchers in selectors:
            for labels in self._store.select_series(matchers, start, end):
                found[id(labels)] = labels
        rows = sorted(found.values(), key=lambda labels: sorted(labels.items()))
        return limited([row for i, row in enumerate(rows) if i == 0 or row != rows[i - 1]], given)

    async def _label_names(self, request: web.Request) -> web.Response:
        given = await read_parameters(request)
        start, _ = _span(given)
        names: set[str] = set()
        for matchers in _alternatives(given):
            names.update(self._store.label_names(matchers, start))
        return limited(sorted(names), given)

    async def _label_values(self, request: web.Request) -> web.Response:
        given = request.query
        start, _ = _span(given)
        name = _unescaped(request.match_info["name"])
        if not name:
            raise BadQueryError(f"invalid label name: {name!r}")
        values: set[str] = set()
        for matchers in _alternatives(given):
            values.update(self._store.label_values(name, matchers, start))
        return limited(sorted(values), given)

    async def _metadata(self, request: web.Request) -> web.Response:
        wanted = request.query.get("metric")
        limit, per_metric = (parse_limit(request.query.get(name)) for name in ("limit", "limit_per_metric"))
        found = {
            name: [{"type": kind, "help": text, "unit": ""}][: per_metric or None]
            for name, (kind, text) in sorted(self._store.metadata.items())
            if not wanted or name == wanted
        }
        return success(dict(list(found.items())[:limit]) if limit else found)

    async def _federate(self, request: web.Request) -> web.Response:
        """The newest sample of every series that matches, in the text format."""
        lines = await self._in_thread(self._newest, read_selectors(request.query), self._clock_ms())
        return web.Response(text="".join(lines), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    def _newest(self, selectors: list[list[Matcher]], now_ms: int) -> list[str]:
        lines: dict[tuple[str, str], str] = {}
        for matchers in selectors:
            found = self._store.select(matchers, now_ms - self._lookback_ms, now_ms)
            stale = is_stale(found.values)
            last = {int(owner): position for position, owner in enumerate(found.owners.tolist())}
            for owner, position in last.items():
                if not stale[position]:
                    name = found.labels[owner].get(NAME, "")
                    # An empty `instance` keeps the scraper from adding its own, as Prometheus has it.
                    pairs = sorted(({"instance": ""} | dict(found.labels[owner])).items())
                    series = render_series(name, [pair for pair in pairs if pair[0] != NAME])
                    number = format_number(float(found.values[position]))
                    lines[name, series] = f"{series} {number} {found.times[position]}\n"
        return _with_types(lines)


def _with_types(lines: dict[tuple[str, str], str]) -> list[str]:
    written, before = [], None
    for (name, _), line in sorted(lines.items()):
        if name != before:
            written.append(f"# TYPE {name} untyped\n")
            before = name
        written.append(line)
    return written


def _alternatives(given: Parameters) -> list[list[Matcher]] | list[None]:
    return read_selectors(given) or [None]


def _span(given: Parameters) -> tuple[int, int]:
    start = parse_time(given["start"], "start") if given.get("start") else -_ALWAYS_MS
    end = parse_time(given["end"], "end") if given.get("end") else _ALWAYS_MS
    if end < start:
        raise BadQueryError("end timestamp must not be before start timestamp")
    return start, end


def _unescaped(name: str) -> str:
    """Names outside the old alphabet come as `U__…` with `_2e_` for a dot and `__` for an underscore."""
    if not name.startswith("U__"):
        return name
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)) if found[1] else "_", name[3:])
