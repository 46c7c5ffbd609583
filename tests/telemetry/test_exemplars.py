"""Exemplars: from OpenMetrics and remote write, bounded, and answered as Prometheus does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import cramjam
import pytest
from aiohttp import web

from kaiki.telemetry.errors import ExpositionError
from kaiki.telemetry.exposition import split_exemplar
from kaiki.telemetry.matchers import NAME, Matcher
from kaiki.telemetry.remote.messages import encode_exemplar, encode_labels, encode_series
from kaiki.telemetry.scrape.ingest import TargetIngest
from kaiki.telemetry.scrape.targets import Target
from kaiki.telemetry.server import MetricsSettings, running
from kaiki.telemetry.store.exemplars import Exemplar, ExemplarStore
from kaiki.telemetry.store.series import SeriesStore

from .real_prometheus import ask, running_prometheus

SERIES = ((NAME, "x"),)
BOUNDS = (-(2**62), 2**62)
OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


def test_bounded_in_order_and_without_repetition() -> None:
    store = ExemplarStore(most=3)
    assert store.add(SERIES, Exemplar((("trace", "1"),), 1.0, 10), timed=False)
    assert not store.add(SERIES, Exemplar((("trace", "1"),), 1.0, 20), timed=False), "the same at the next scrape"
    assert not store.add(SERIES, Exemplar((("trace", "2"),), 1.0, 10), timed=True), "out of order"
    assert not store.add(SERIES, Exemplar((("trace", "x" * 130),), 1.0, 30), timed=True), "labels too long"
    for moment in (20, 30, 40):
        assert store.add(SERIES, Exemplar((("trace", str(moment)),), 1.0, moment), timed=True)
    ((labels, found),) = store.select([[Matcher(NAME, "=", "x")]], *BOUNDS)
    assert (labels, [one.time_ms for one in found]) == (SERIES, [20, 30, 40])
    assert store.select([[Matcher(NAME, "=", "y")], [Matcher(NAME, "=~", "x|z")]], 25, 35)[0][1][0].time_ms == 30
    assert (store.taken, store.refused, len(store)) == (4, 2, 3)


def test_lines() -> None:
    sample, exemplar = split_exemplar('a_bucket{le="1"} 8 # {trace_id="a # {b}"} 0.5 1700000000.25')
    assert (sample, exemplar) is not None and exemplar is not None
    assert (sample, exemplar.labels) == ('a_bucket{le="1"} 8', (("trace_id", "a # {b}"),))
    assert (exemplar.value, exemplar.time_ms) == (0.5, 1_700_000_000_250)
    assert split_exemplar('a{b="# {"} 1') == ('a{b="# {"} 1', None)
    with pytest.raises(ExpositionError):
        split_exemplar('a 1 # {b="c"} much')


def test_open_metrics_is_read(tmp_path: Path) -> None:
    store = SeriesStore(tmp_path)
    ingest = TargetIngest(store, Target("t", "http://t/metrics", (("job", "j"),)), 100)
    for scrape in (1, 2):
        text = (
            f'# TYPE calls counter\ncalls_total {scrape} # {{trace="{scrape}"}} 1\nheat 3 170000000{scrape}.5\n# EOF\n'
        )
        ingest.accept(text, 1_700_000_000_000 + scrape * 1000, 0.01)
    ((_, found),) = store.exemplars.select([[Matcher(NAME, "=", "calls_total")]], *BOUNDS)
    assert [(one.labels, one.time_ms % 10_000) for one in found] == [
        ((("trace", "1"),), 1000),
        ((("trace", "2"),), 2000),
    ]
    assert [m % 10_000 for m in store.select([Matcher(NAME, "=", "heat")], *BOUNDS).times.tolist()] == [1500, 2500]
    assert len(store.are_counters(store._index.select([Matcher(NAME, "=", "calls_total")]))) == 1
    store.close()


@pytest.fixture
async def target() -> AsyncIterator[str]:
    """A target that answers in OpenMetrics to those who ask for it: its exemplars have the same times for all."""
    begun = int(time.time()) - 60

    async def answer(request: web.Request) -> web.Response:
        if "openmetrics" not in request.headers["Accept"]:
            return web.Response(text="seen_bucket 1\n")
        lines = ["# TYPE seen histogram"]
        for bound, value in (("1", 0.5), ("+Inf", 7)):
            lines.append(f'seen_bucket{{le="{bound}"}} 8 # {{trace_id="t{bound}",span_id="é"}} {value} {begun}.125')
        lines += [
            "seen_sum 8",
            "seen_count 8",
            "# TYPE hits counter",
            f'hits_total 3 # {{trace_id="h"}} 1 {begun}',
            "# EOF",
        ]
        return web.Response(body="\n".join(lines).encode() + b"\n", headers={"Content-Type": OPEN_METRICS})

    application = web.Application()
    application.router.add_get("/metrics", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_answers_are_prometheus(tmp_path: Path, target: str) -> None:
    (tmp_path / "real").mkdir()
    configuration = f"""
global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}
scrape_configs: [{{job_name: static, static_configs: [{{targets: ["{target}"]}}]}}]
"""
    begun = int(time.time()) - 120
    bounds = {"start": str(begun), "end": str(begun + 3600)}
    queries = [
        "seen_bucket",
        'histogram_quantile(0.9, sum by (le) (rate(seen_bucket{job="static"}[5m])))',
        '{__name__=~"seen_bucket|hits_total"} > 3',
        'seen_bucket{le="1"} / on () hits_total',
        "none",
    ]
    settings = MetricsSettings(
        data_path=tmp_path / "ours",
        listen=("127.0.0.1", 0),
        collector_listen=None,
        static_targets=(target,),
        scrape_interval_seconds=0.2,
    )
    enabled = "--enable-feature=exemplar-storage"
    with await asyncio.to_thread(_entered, running_prometheus(tmp_path / "real", configuration, enabled)) as real:
        async with running(settings) as (host, port), aiohttp.ClientSession(f"http://{host}:{port}") as session:

            async def ours(method: str, **parameters: str) -> Any:
                async with session.request(method, "/api/v1/query_exemplars", params=parameters) as answer:
                    return (await answer.json())["data"]

            async def theirs(**parameters: str) -> Any:
                return (await asyncio.to_thread(ask, real.url, "/api/v1/query_exemplars", **parameters))["data"]

            for _ in range(300):
                query = {"query": queries[2], **bounds}
                if len(await ours("GET", **query)) == len(await theirs(**query)) == 3:
                    break
                await asyncio.sleep(0.1)
            for expression in queries:
                expected = await theirs(query=expression, **bounds)
                for method in ("GET", "POST"):
                    found = await ours(method, query=expression, **bounds)
                    assert _ordered(found) == _ordered(expected), expression
            assert await ours("GET", query="seen_bucket", start="1", end="2") == []
            async with session.get(
                "/api/v1/query_exemplars", params={"query": "x", "start": "2", "end": "1"}
            ) as answer:
                assert (answer.status, (await answer.json())["errorType"]) == (400, "bad_data")


def _ordered(rows: list[Any]) -> list[Any]:
    for row in rows:
        row["seriesLabels"].pop("instance", None)
    return sorted(rows, key=lambda row: str(sorted(row["seriesLabels"].items())))


class _Entered:
    """A context manager that was entered in a thread."""

    def __init__(self, manager: Any) -> None:
        self._manager = manager
        self.url: str = manager.__enter__()

    def __enter__(self) -> _Entered:
        return self

    def __exit__(self, *_: object) -> None:
        self._manager.__exit__(None, None, None)


def _entered(manager: Any) -> _Entered:
    return _Entered(manager)


async def test_remote_write_brings_exemplars(tmp_path: Path) -> None:
    now = int(time.time() * 1000)
    series = encode_labels([(NAME, "sent"), ("a", "1")]) + encode_exemplar([("trace_id", "abc")], 2.5, now - 500)
    body = bytes(cramjam.snappy.compress_raw(encode_series(series, now, 1.0)))
    headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
    settings = MetricsSettings(data_path=tmp_path, listen=("127.0.0.1", 0), collector_listen=None)
    async with running(settings) as (host, port), aiohttp.ClientSession(f"http://{host}:{port}") as session:
        async with session.post("/api/v1/write", data=body, headers=headers) as answer:
            assert answer.status == 204
        async with session.get("/api/v1/query_exemplars", params={"query": "rate(sent[5m])"}) as answer:
            (found,) = (await answer.json())["data"]
    assert found["seriesLabels"] == {NAME: "sent", "a": "1"}
    assert found["exemplars"] == [{"labels": {"trace_id": "abc"}, "value": "2.5", "timestamp": (now - 500) / 1000}]
