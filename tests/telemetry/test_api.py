"""The HTTP API in Prometheus' shapes."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from aiohttp.test_utils import TestClient, TestServer

from kaiki.telemetry.api.application import Api, ApiSettings
from kaiki.telemetry.api.parameters import parse_duration, parse_time
from kaiki.telemetry.api.rules import RuleRoutes
from kaiki.telemetry.api.status import StatusSources
from kaiki.telemetry.arrays import STALE
from kaiki.telemetry.errors import BadQueryError
from kaiki.telemetry.matchers import NAME
from kaiki.telemetry.promql.context import QuerySettings
from kaiki.telemetry.promql.numbers import format_number
from kaiki.telemetry.store.series import SeriesStore

NOW_MS = 1_700_000_060_000
Client = TestClient[Any, Any]


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    store = SeriesStore(tmp_path)
    store.metadata["calls_total"] = ("counter", "Calls.")
    for app in ("a", "b"):
        ids = np.array([store.series_id([(NAME, "calls_total"), ("app", app)])], np.int32)
        for second in range(0, 61, 5):
            store.append(NOW_MS - 60_000 + second * 1000, ids, np.array([second * (2.5 if app == "a" else 1)]))
    ended = np.array([store.series_id([(NAME, "ended")])], np.int32)
    store.append(NOW_MS - 20_000, ended, np.ones(1))
    store.append(NOW_MS - 10_000, ended, STALE)
    settings = ApiSettings(query=QuerySettings(max_samples=1000))
    sources = StatusSources(configuration="global: {}\n", flags=(("x", "y"),))
    asked = "from 1 # {}\n".format
    api = Api(store, settings, sources, asked, lambda: NOW_MS, (RuleRoutes(),))
    async with TestClient(TestServer(api.application())) as made:
        yield made
    store.close()


async def _data(client: Client, path: str, **parameters: str) -> Any:
    async with client.get(path, params=parameters) as answer:
        assert answer.status == 200, await answer.text()
        document = await answer.json()
    assert document["status"] == "success"
    return document["data"]


async def test_instant_query(client: Client) -> None:
    data = await _data(client, "/api/v1/query", query='rate(calls_total{app="a"}[30s])')
    assert data == {"resultType": "vector", "result": [{"metric": {"app": "a"}, "value": [1_700_000_060, "2.5"]}]}


async def test_other_kinds_of_answers(client: Client) -> None:
    assert await _data(client, "/api/v1/query", query="1/0", time="7.5") == {
        "resultType": "scalar",
        "result": [7.5, "+Inf"],
    }
    assert await _data(client, "/api/v1/query", query='"hi"', time="7") == {"resultType": "string", "result": [7, "hi"]}
    data = await _data(client, "/api/v1/query", query='calls_total{app="b"}[10s]')
    assert data["resultType"] == "matrix"
    assert data["result"][0]["values"] == [[1_700_000_055, "55"], [1_700_000_060, "60"]]


async def test_range_query_by_post(client: Client) -> None:
    form = {"query": "sum(calls_total)", "start": "1700000000", "end": "2023-11-14T22:13:50Z", "step": "15s"}
    async with client.post("/api/v1/query_range", data=form) as answer:
        document = await answer.json()
    assert document["data"] == {
        "resultType": "matrix",
        "result": [
            {
                "metric": {},
                "values": [[1_700_000_000, "0"], [1_700_000_015, "52.5"], [1_700_000_030, "105"]],
            }
        ],
    }


async def test_a_series_that_ended_is_not_there(client: Client) -> None:
    assert (await _data(client, "/api/v1/query", query="ended"))["result"] == []
    before = await _data(client, "/api/v1/query", query="ended", time=str(NOW_MS / 1000 - 15))
    assert len(before["result"]) == 1


@pytest.mark.parametrize(
    ("path", "parameters", "status", "kind"),
    [
        ("query", {"query": "sum("}, 400, "bad_data"),
        ("query", {}, 400, "bad_data"),
        ("query", {"query": "up", "time": "yesterday"}, 400, "bad_data"),
        ("query", {"query": 'calls_total{app=~"("}'}, 400, "bad_data"),
        ("query", {"query": 'label_replace(calls_total, "a", "b", "c", "(")'}, 422, "execution"),
        ("query", {"query": "calls_total + on () group_left () calls_total"}, 422, "execution"),
        ("query", {"query": "calls_total", "timeout": "0"}, 503, "timeout"),
        ("query_range", {"query": "up", "start": "0", "end": "1e6", "step": "1"}, 400, "bad_data"),
        ("query_range", {"query": "up", "start": "2", "end": "1", "step": "1"}, 400, "bad_data"),
        ("query_range", {"query": "up", "start": "1", "end": "2", "step": "0"}, 400, "bad_data"),
        ("query_range", {"query": "up[5m]", "start": "1", "end": "2", "step": "1"}, 400, "bad_data"),
        ("series", {}, 400, "bad_data"),
        ("nothing", {}, 404, "not_found"),
    ],
)
async def test_errors(client: Client, path: str, parameters: dict[str, str], status: int, kind: str) -> None:
    async with client.get(f"/api/v1/{path}", params=parameters) as answer:
        document = await answer.json()
        assert (answer.status, document["status"], document["errorType"]) == (status, "error", kind)
        assert document["error"]


async def test_series_and_labels(client: Client) -> None:
    series = await _data(client, "/api/v1/series", **{"match[]": "calls_total"})
    assert series == [{NAME: "calls_total", "app": "a"}, {NAME: "calls_total", "app": "b"}]
    assert await _data(client, "/api/v1/labels") == [NAME, "app"]
    assert await _data(client, f"/api/v1/label/{NAME}/values") == ["calls_total", "ended"]
    assert await _data(client, "/api/v1/label/app/values", **{"match[]": "ended"}) == []
    assert await _data(client, "/api/v1/label/app/values", limit="1") == ["a"]


async def test_state(client: Client) -> None:
    assert (await _data(client, "/api/v1/metadata"))["calls_total"][0]["type"] == "counter"
    assert (await _data(client, "/api/v1/status/buildinfo"))["version"].startswith("3.")
    assert await _data(client, "/api/v1/status/config") == {"yaml": "global: {}\n"}
    assert await _data(client, "/api/v1/status/flags") == {"x": "y"}
    assert "storageRetention" in await _data(client, "/api/v1/status/runtimeinfo")
    assert (await _data(client, "/api/v1/status/tsdb"))["headStats"]["numSeries"] == 3
    assert await _data(client, "/api/v1/rules") == {"groups": []}
    assert await _data(client, "/api/v1/alerts") == {"alerts": []}
    assert await _data(client, "/api/v1/query_exemplars", query="up") == []
    assert (await _data(client, "/api/v1/targets"))["activeTargets"] == []
    for path in ("/-/healthy", "/-/ready", "/"):
        async with client.get(path) as answer:
            assert answer.status == 200


async def test_federation_and_own_metrics(client: Client) -> None:
    async with client.get("/federate", params={"match[]": '{__name__=~".+"}'}) as answer:
        assert (await answer.text()).splitlines() == [
            "# TYPE calls_total untyped",
            f'calls_total{{app="a",instance=""}} 150 {NOW_MS}',
            f'calls_total{{app="b",instance=""}} 60 {NOW_MS}',
        ]
    async with client.get("/metrics", headers={"X-Kaiki-Store": "me"}) as answer:
        assert await answer.text() == "from 1 # me\n"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "-0"),
        (1.0, "1"),
        (-12.5, "-12.5"),
        (1e20, "100000000000000000000"),
        (1.5e20, "150000000000000000000"),
        (1e21, "1e+21"),
        (1.25e22, "1.25e+22"),
        (0.000001, "0.000001"),
        (1.5e-5, "0.000015"),
        (1e-7, "1e-07"),
        (0.1 + 0.2, "0.30000000000000004"),
        (float("inf"), "+Inf"),
        (float("-inf"), "-Inf"),
        (float("nan"), "NaN"),
        (1e15, "1000000000000000"),
        (123456789012345680.0, "123456789012345680"),
    ],
)
def test_numbers(value: float, text: str) -> None:
    assert format_number(value) == text


def test_times_and_durations() -> None:
    assert parse_time("1.5", "t") == 1500
    assert parse_time("1970-01-01T00:00:01.250Z", "t") == 1250
    assert parse_duration("1m30s", "d") == 90_000
    assert parse_duration("250ms", "d") == 250
    assert parse_duration("1d", "d") == 86_400_000
    assert parse_duration("2.5", "d") == 2500
    for wrong in ("", "5", "1x", "m"):
        if wrong != "5":
            with pytest.raises(BadQueryError):
                parse_duration(wrong, "d")
    with pytest.raises(BadQueryError):
        parse_time("1970-01-01T00:00:01", "t")


async def test_a_slow_reader_does_not_stop_others(client: Client) -> None:
    """Queries run in threads: the event loop answers health checks meanwhile."""
    query = "sum_over_time(vector(1)[1000000s:1s])"
    async with aiohttp.ClientSession() as session:
        url = client.make_url("/api/v1/query")
        async with session.get(url, params={"query": query}) as slow, client.get("/-/healthy") as healthy:
            assert healthy.status == 200
            assert slow.status == 200


async def test_exact_increase_is_what_was_counted(tmp_path: Path) -> None:
    store = SeriesStore(tmp_path)
    ids = np.array([store.series_id([(NAME, "calls_total")])], np.int32)
    for second, value in ((1, 0.0), (4, 5.0), (7, 9.0), (10, 2.0), (13, 3.0)):  # Reset between 7 and 10.
        store.append(second * 1000, ids, np.array([value]))
    async with TestClient(TestServer(Api(store, ApiSettings()).application())) as client:

        async def increase(seconds: int, until: float) -> float | None:
            query = f"increase(calls_total[{seconds}s])"
            data = await _data(client, "/api/v1/query", query=query, time=str(until), increase="exact")
            return float(data["result"][0]["value"][1]) if data["result"] else None

        assert await increase(60, 13) == 12
        assert await increase(3, 8) == 4, "the sample before the range is where it begins"
        assert [await increase(3, until) for until in (4, 7, 10, 13)] == [5, 4, 2, 1], "neighbours add up"
        assert await increase(3, 1) is None
        assert await increase(60, 400) is None, "older than the lookback"
        async with client.get("/api/v1/query", params={"query": "1", "increase": "rough"}) as answer:
            assert answer.status == 400
    store.close()
