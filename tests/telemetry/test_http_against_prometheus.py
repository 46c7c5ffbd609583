"""Paths, parameters, codes and shapes of the HTTP API are Prometheus's; `promtool query` works against both."""

import json
import subprocess
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import web

from kaiki.telemetry.api.application import Api, ApiSettings
from kaiki.telemetry.api.rules import RuleRoutes
from kaiki.telemetry.store.series import SeriesStore

from .dataset import END_MS, START_MS, fill, make_series, write_openmetrics
from .real_prometheus import find_tool, free_port, running_prometheus

END, START = str(END_MS // 1000), str(START_MS // 1000)
GOOD = [
    ("/api/v1/query", {"query": "requests_total", "time": END}),
    ("/api/v1/query", {"query": "sum(requests_total)", "time": "2023-11-14T22:43:00.5Z"}),
    ("/api/v1/query", {"query": "1", "time": END}),
    ("/api/v1/query", {"query": '"a"', "time": END}),
    ("/api/v1/query_range", {"query": "sum(requests_total)", "start": START, "end": END, "step": "60"}),
    ("/api/v1/query_range", {"query": "1", "start": START, "end": END, "step": "1m30s"}),
    ("/api/v1/query_exemplars", {"query": "requests_total", "start": START, "end": END}),
    ("/api/v1/format_query", {"query": "sum(rate(x[5m]))by(a)"}),
    ("/api/v1/series", {"match[]": "requests_total", "start": START, "end": END}),
    ("/api/v1/series", {"match[]": 'requests_total{app="none"}', "start": START, "end": END}),
    ("/api/v1/labels", {}),
    ("/api/v1/labels", {"match[]": "owner_info", "start": START, "end": END}),
    ("/api/v1/label/app/values", {}),
    ("/api/v1/label/__name__/values", {"match[]": '{team="web"}'}),
    ("/api/v1/label/none/values", {}),
    ("/api/v1/metadata", {}),
    ("/api/v1/targets/metadata", {}),
    ("/api/v1/rules", {}),
    ("/api/v1/rules", {"type": "alert"}),
    ("/api/v1/alerts", {}),
    ("/api/v1/alertmanagers", {}),
]
BAD = [
    ("/api/v1/query", {"query": "sum("}),
    ("/api/v1/query", {}),
    ("/api/v1/query", {"query": "up", "time": "soon"}),
    ("/api/v1/query", {"query": "up", "timeout": "soon"}),
    ("/api/v1/query", {"query": "requests_total + on () requests_total", "time": END}),
    ("/api/v1/query_range", {"query": "up", "start": END, "end": START, "step": "60"}),
    ("/api/v1/query_range", {"query": "up", "start": START, "end": END, "step": "0"}),
    ("/api/v1/query_range", {"query": "up", "start": START, "end": END, "step": "x"}),
    ("/api/v1/query_range", {"query": "up", "start": START, "end": END}),
    ("/api/v1/query_range", {"query": "up", "end": END, "step": "60"}),
    ("/api/v1/query_range", {"query": "up", "start": START, "end": END, "step": "0.01"}),
    ("/api/v1/query_range", {"query": "up[5m]", "start": START, "end": END, "step": "60"}),
    ("/api/v1/query_range", {"query": '"a"', "start": START, "end": END, "step": "60"}),
    ("/api/v1/query_exemplars", {"query": "sum("}),
    ("/api/v1/series", {}),
    ("/api/v1/series", {"match[]": "{}"}),
    ("/api/v1/series", {"match[]": "sum(x)"}),
    ("/api/v1/series", {"match[]": "x", "start": "soon"}),
    ("/api/v1/labels", {"match[]": "{"}),
    ("/api/v1/label/app/values", {"match[]": "{"}),
    ("/api/v1/targets/metadata", {"match_target": "{"}),
    ("/api/v1/targets/metadata", {"limit": "x"}),
    ("/api/v1/metadata", {"limit": "x"}),
    ("/api/v1/rules", {"type": "other"}),
    ("/api/v1/admin/tsdb/snapshot", {}),
]
KEYS = [
    "/api/v1/status/buildinfo",
    "/api/v1/status/config",
    "/api/v1/status/flags",
    "/api/v1/status/runtimeinfo",
    "/api/v1/status/tsdb",
    "/api/v1/status/walreplay",
    "/api/v1/targets",
]


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    store = SeriesStore(tmp_path_factory.mktemp("store"))
    fill(store, make_series())
    port, ready, stop = free_port(), threading.Event(), threading.Event()

    def serve() -> None:
        import asyncio

        async def run() -> None:
            runner = web.AppRunner(Api(store, ApiSettings(), parts=(RuleRoutes(),)).application())
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", port).start()
            ready.set()
            await asyncio.to_thread(stop.wait)
            await runner.cleanup()

        asyncio.run(run())

    thread = threading.Thread(target=serve)
    thread.start()
    ready.wait(30)
    yield f"http://127.0.0.1:{port}"
    stop.set()
    thread.join(30)
    store.close()


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("prometheus")
    write_openmetrics(make_series(), folder / "samples.txt")
    arguments = ["tsdb", "create-blocks-from", "openmetrics", str(folder / "samples.txt"), str(folder / "data")]
    subprocess.run([find_tool("promtool"), *arguments], check=True, capture_output=True)
    with running_prometheus(folder, "global: {}\n", "--storage.tsdb.retention.time=100y") as url:
        yield url


def _get(url: str, path: str, parameters: dict[str, str], *, post: bool = False) -> tuple[int, Any, Any]:
    encoded = urllib.parse.urlencode(parameters)
    body = encoded.encode() if post else None
    request = urllib.request.Request(f"{url}{path}" + ("" if post else f"?{encoded}"), data=body)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer), answer.headers
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error), error.headers


def _ordered(document: Any) -> Any:
    if isinstance(document, dict):
        return {key: _ordered(value) for key, value in document.items()}
    if isinstance(document, list):
        return sorted((_ordered(value) for value in document), key=lambda value: json.dumps(value, sort_keys=True))
    return document


@pytest.mark.parametrize(("path", "parameters"), GOOD)
def test_same_documents(path: str, parameters: dict[str, str], ours: str, theirs: str) -> None:
    for post in (False, True) if path.rpartition("/")[2] in ("query", "query_range", "series", "labels") else (False,):
        mine, other = _get(ours, path, parameters, post=post), _get(theirs, path, parameters, post=post)
        assert mine[0] == other[0] == 200
        assert _ordered(mine[1]) == _ordered(other[1])
        for header in ("Access-Control-Allow-Origin", "Access-Control-Allow-Methods", "Content-Type"):
            assert mine[2][header].split(";")[0] == (other[2][header] or mine[2][header]).split(";")[0]


@pytest.mark.parametrize(("path", "parameters"), BAD)
def test_same_errors(path: str, parameters: dict[str, str], ours: str, theirs: str) -> None:
    post = "admin" in path
    mine, other = _get(ours, path, parameters, post=post), _get(theirs, path, parameters, post=post)
    assert (mine[0], mine[1]["status"], mine[1]["errorType"]) == (other[0], "error", other[1]["errorType"])


@pytest.mark.parametrize("path", KEYS)
def test_their_fields_are_all_there(path: str, ours: str, theirs: str) -> None:
    if path.endswith(("flags", "walreplay")):
        assert _get(ours, path, {})[1]["status"] == "success"
        return
    mine, other = _get(ours, path, {})[1]["data"], _get(theirs, path, {})[1]["data"]
    assert other.keys() - {"storageRetention", "droppedTargetCounts"} <= mine.keys()


@pytest.mark.parametrize("path", ["/-/healthy", "/-/ready", "/federate?match[]=requests_total", "/metrics"])
def test_plain_answers(path: str, ours: str, theirs: str) -> None:
    for url in (ours, theirs):
        with urllib.request.urlopen(url + path) as answer:
            assert answer.status == 200
            assert answer.headers["Content-Type"].startswith("text/plain")


def test_browsers_may_ask_first_and_answers_are_compressed(ours: str) -> None:
    request = urllib.request.Request(f"{ours}/api/v1/query", method="OPTIONS")
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 204
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
    url = f"{ours}/api/v1/series?match[]=%7B__name__=~%22.%2B%22%7D"
    with urllib.request.urlopen(urllib.request.Request(url, headers={"Accept-Encoding": "gzip"})) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"


@pytest.mark.parametrize(
    "arguments",
    [
        ("query", "instant", "--time", END, "URL", "sum by (app) (requests_total)"),
        ("query", "range", "--start", START, "--end", END, "--step", "60s", "URL", "sum(requests_total)"),
        ("query", "series", "--match", "owner_info", "--start", START, "--end", END, "URL"),
        ("query", "labels", "URL", "app"),
        ("query", "labels", "--match", "owner_info", "URL", "app"),
    ],
)
def test_promtool(arguments: tuple[str, ...], ours: str, theirs: str) -> None:
    tool = find_tool("promtool")

    def run(url: str) -> list[str]:
        words = [url if word == "URL" else word for word in arguments]
        done = subprocess.run([tool, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return sorted(done.stdout.splitlines())

    assert run(ours) == run(theirs)
