"""How the process is: targets, build, configuration, flags, the store's cardinality."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from aiohttp import web

import kaiki
from kaiki.telemetry.api.answers import failure, success
from kaiki.telemetry.api.parameters import parse_limit
from kaiki.telemetry.cardinality import cardinality_finding
from kaiki.telemetry.errors import BadQueryError
from kaiki.telemetry.matchers import NAME
from kaiki.telemetry.promql.evaluate import parse_selector
from kaiki.telemetry.scrape.scraper import TargetHealth
from kaiki.telemetry.scrape.targets import Target
from kaiki.telemetry.store.series import SeriesStore

TargetMetadata = Mapping[str, tuple[str, str]]


@dataclass(frozen=True, slots=True)
class StatusSources:
    """Where the state comes from. `metadata` gives metric → (type, help) of each target."""

    targets: Callable[[], list[tuple[Target, TargetHealth]]] = list
    metadata: Callable[[], Sequence[tuple[Target, TargetMetadata]]] = list
    configuration: str = ""
    flags: tuple[tuple[str, str], ...] = ()
    scrape_interval_seconds: float = 3.0
    scrape_timeout_seconds: float = 2.5
    alertmanagers: Callable[[], tuple[str, ...]] = tuple


class StatusRoutes:
    """Handlers over the process's state."""

    def __init__(self, store: SeriesStore, sources: StatusSources, clock_ms: Callable[[], int]) -> None:
        self._store = store
        self._sources = sources
        self._started_ms = clock_ms()

    def add_to(self, router: web.UrlDispatcher) -> None:
        routes = {
            "/api/v1/targets": self._targets,
            "/api/v1/targets/metadata": self._targets_metadata,
            "/api/v1/scrape_pools": self._scrape_pools,
            "/api/v1/alertmanagers": self._alertmanagers,
            "/api/v1/status/{what}": self._status,
        }
        for path, handler in routes.items():
            router.add_get(path, handler)
        router.add_route("*", "/api/v1/admin/tsdb/{what}", _no_administration)
        for path in ("/-/reload", "/-/quit"):
            router.add_route("*", path, _no_lifecycle)

    async def _targets(self, request: web.Request) -> web.Response:
        state, pool = request.query.get("state", "any").lower(), request.query.get("scrapePool")
        found = self._sources.targets() if state != "dropped" else []
        active = [self._describe(t, health) for t, health in found if not pool or dict(t.labels).get("job") == pool]
        return success({"activeTargets": active, "droppedTargets": [], "droppedTargetCounts": {}})

    def _describe(self, target: Target, health: TargetHealth) -> dict[str, object]:
        labels = dict(target.labels)
        discovered = {**labels, "__address__": labels.get("instance", ""), "__scheme__": target.url.partition(":")[0]}
        return {
            "discoveredLabels": discovered | {"__metrics_path__": "/" + target.url.split("/", 3)[-1]},
            "labels": labels,
            "scrapePool": labels.get("job", ""),
            "scrapeUrl": target.url,
            "globalUrl": target.url,
            "lastError": health.error,
            "lastScrape": rfc3339(health.time_ms),
            "lastScrapeDuration": health.duration_seconds,
            "health": "unknown" if health.up is None else "up" if health.up else "down",
            "scrapeInterval": f"{self._sources.scrape_interval_seconds:g}s",
            "scrapeTimeout": f"{self._sources.scrape_timeout_seconds:g}s",
        }

    async def _targets_metadata(self, request: web.Request) -> web.Response:
        wanted, limit = request.query.get("metric"), parse_limit(request.query.get("limit"))
        matchers = parse_selector(request.query["match_target"]) if request.query.get("match_target") else []
        tests = [(matcher.name, matcher.predicate()) for matcher in matchers]
        rows: list[dict[str, object]] = []
        for target, metrics in self._sources.metadata():
            labels = dict(target.labels)
            if not all(accepts(labels.get(name, "")) for name, accepts in tests):
                continue
            for metric, (kind, text) in sorted(metrics.items()):
                if not wanted or metric == wanted:
                    named = {} if wanted else {"metric": metric}
                    rows.append({"target": labels, **named, "type": kind, "help": text, "unit": ""})
        return success(rows[: limit or None])

    async def _scrape_pools(self, _: web.Request) -> web.Response:
        return success({"scrapePools": sorted({dict(t.labels).get("job", "") for t, _ in self._sources.targets()})})

    async def _alertmanagers(self, _: web.Request) -> web.Response:
        active = [{"url": f"{url}/api/v2/alerts"} for url in self._sources.alertmanagers()]
        return success({"activeAlertmanagers": active, "droppedAlertmanagers": []})

    async def _status(self, request: web.Request) -> web.Response:
        match request.match_info["what"]:
            case "buildinfo":
                return success(_build_information())
            case "config":
                return success({"yaml": self._sources.configuration})
            case "flags":
                return success(dict(self._sources.flags))
            case "runtimeinfo":
                return success(self._runtime_information())
            case "walreplay":
                return success({"min": 0, "max": 0, "current": 0, "state": "done"})
            case "tsdb":
                return success(self._store_information(_top(request.query.get("limit"))))
        raise web.HTTPNotFound

    def _runtime_information(self) -> dict[str, object]:
        flags = dict(self._sources.flags)
        return {
            "startTime": rfc3339(self._started_ms),
            "CWD": "/",
            "hostname": "",
            "serverTime": rfc3339(time.time_ns() // 1_000_000),
            "reloadConfigSuccess": True,
            "lastConfigTime": rfc3339(self._started_ms),
            "corruptionCount": 0,
            "goroutineCount": 0,
            "GOMAXPROCS": 1,
            "GOMEMLIMIT": 0,
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
            "finding": cardinality_finding(
                cardinality, statistics.series, self._store.limits.max_series, statistics.rejected_series
            ),
        }


def _top(text: str | None) -> int:
    if text is not None and (not text.isdecimal() or int(text) < 1):
        raise BadQueryError("limit must be a positive number")
    return int(text or 10)


async def _no_administration(_: web.Request) -> web.Response:
    return failure(500, "unavailable", "admin APIs disabled")


async def _no_lifecycle(_: web.Request) -> web.Response:
    return web.Response(status=403, text="Lifecycle API is not enabled.")


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


def rfc3339(time_ms: int) -> str:
    """Milliseconds since 1970 as Prometheus writes times in JSON."""
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time_ms / 1000))
    return f"{whole}.{time_ms % 1000:03d}Z"
