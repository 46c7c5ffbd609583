"""The same samples and queries in Kaiki and in a real Prometheus 2 give the same answers."""

import json
import math
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kaiki.graph import traffic_queries
from kaiki.telemetry.api.render import INSTANT, RANGE, render_answer
from kaiki.telemetry.errors import QueryError
from kaiki.telemetry.promql.context import QuerySettings
from kaiki.telemetry.promql.evaluate import query_instant, query_range
from kaiki.telemetry.store.series import SeriesStore

from .dataset import END_MS, START_MS, fill, make_mesh_series, make_odd_series, make_series, write_openmetrics
from .real_prometheus import ask, find_tool, running_prometheus

SERIES = [*make_series(), *make_mesh_series(), *make_odd_series()]
CONSOLE_QUERIES = list(traffic_queries(60).values())
QUERIES = [
    line
    for name in ("queries.txt", "corpus.txt", "dashboards.txt")
    for line in Path(__file__).with_name(name).read_text().splitlines()
    if line.strip() and not line.startswith("# ")
]
SETTINGS = QuerySettings(closed_ranges=True)
UNORDERED_LOSS = 1e-9


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeriesStore]:
    made = SeriesStore(tmp_path_factory.mktemp("store"))
    fill(made, SERIES)
    yield made
    made.close()


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    tool = find_tool("promtool")
    folder = tmp_path_factory.mktemp("prometheus")
    write_openmetrics(SERIES, folder / "samples.txt")
    arguments = [tool, "tsdb", "create-blocks-from", "openmetrics", str(folder / "samples.txt"), str(folder / "data")]
    subprocess.run(arguments, check=True, capture_output=True)
    flags = ("--storage.tsdb.retention.time=100y", "--enable-feature=promql-negative-offset,promql-at-modifier")
    with running_prometheus(folder, "global: {evaluation_interval: 1m}\n", *flags) as url:
        yield url


def _ours(query: str, start_ms: int | None, end_ms: int, step_ms: int = 0) -> Any:
    try:
        if start_ms is None:
            return json.loads(render_answer(query_instant(_ours.store, query, end_ms, SETTINGS), INSTANT))  # type: ignore[attr-defined]
        answer = query_range(_ours.store, query, start_ms, end_ms, step_ms, SETTINGS)  # type: ignore[attr-defined]
        return json.loads(render_answer(answer, RANGE))
    except QueryError as error:
        return {"status": "error", "errorType": error.kind, "error": str(error)}


def _points(data: Any) -> dict[Any, float]:
    found: dict[Any, float] = {}
    if data["resultType"] in ("scalar", "string"):
        moment, text = data["result"]
        return {("", moment): float(text)} if data["resultType"] == "scalar" else {(text, moment): 0.0}
    for series in data["result"]:
        key = tuple(sorted(series["metric"].items()))
        for moment, value in series.get("values") or [series["value"]]:
            found[key, moment] = float(value)
    return found


def _differences(ours: Any, theirs: Any) -> list[str]:
    if ours["status"] != theirs["status"] or ours.get("errorType") != theirs.get("errorType"):
        return [f"ours {str(ours)[:300]}, theirs {str(theirs)[:300]}"]
    if ours["status"] == "error":
        return []
    mine, other = _points(ours["data"]), _points(theirs["data"])
    problems = [f"missing {key} {other[key]}" for key in other.keys() - mine.keys()]
    problems += [f"extra {key} {mine[key]}" for key in mine.keys() - other.keys()]
    for key in mine.keys() & other.keys():
        a, b = mine[key], other[key]
        if not (a == b or (math.isnan(a) and math.isnan(b)) or math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9)):
            problems.append(f"{key}: ours {a!r}, theirs {b!r}")
    return problems


@pytest.mark.parametrize("query", [*QUERIES, *CONSOLE_QUERIES])
def test_same_answers(query: str, store: SeriesStore, prometheus: str) -> None:
    _ours.store = store  # type: ignore[attr-defined]
    for moment in (START_MS + 700_000, END_MS - 20_000, END_MS + 200_000):
        theirs = ask(prometheus, "/api/v1/query", query=query, time=str(moment / 1000))
        assert _differences(_ours(query, None, moment), theirs)[:3] == []
    start, end, step = START_MS - 60_000, END_MS + 400_000, 23_000
    theirs = ask(
        prometheus, "/api/v1/query_range", query=query, start=str(start / 1000), end=str(end / 1000), step="23"
    )
    assert _differences(_ours(query, start, end, step), theirs)[:3] == []
