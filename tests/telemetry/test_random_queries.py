"""Queries made at random mean the same in Kaiki and in Prometheus, on samples that end, come back and are reset.

Both stores get their samples by remote write, stale markers included.
"""

import json
import math
import random
from collections.abc import Iterator
from typing import Any
from urllib.request import Request, urlopen

import cramjam
import numpy as np
import pytest

from kaiki.telemetry.api.render import INSTANT, RANGE, render_answer
from kaiki.telemetry.arrays import STALE
from kaiki.telemetry.errors import QueryError
from kaiki.telemetry.matchers import NAME
from kaiki.telemetry.promql.context import QuerySettings
from kaiki.telemetry.promql.evaluate import query_instant, query_range
from kaiki.telemetry.remote.messages import encode_labels, encode_series
from kaiki.telemetry.store.series import SeriesStore

from .real_prometheus import ask, running_prometheus

STEP_MS = 10_000
STEPS = 90
START_MS = 1_700_000_040_000
END_MS = START_MS + STEPS * STEP_MS
SETTINGS = QuerySettings(closed_ranges=True)
Sample = tuple[dict[str, str], int, float]
# Left out is what Prometheus 2 does otherwise than 3 (deviations of infinities, timestamps of shifted selectors), and
# which of equal values topk keeps.
UNARY = (
    "abs",
    "ceil",
    "floor",
    "sgn",
    "sqrt",
    "exp",
    "-",
    "+",
    "round",
    "sort",
    "deg",
    "absent",
)
OVER_TIME = ("avg", "min", "max", "sum", "count", "last", "present", "stddev", "stdvar", "absent")
RANGED = ("rate", "increase", "delta", "irate", "idelta", "resets", "changes", "deriv")
AGGREGATIONS = ("sum", "avg", "min", "max", "count", "group")
OPERATORS = ("+", "-", "*", "/", "%", "^", "==", "!=", ">", "<", ">=", "<=")


def make_samples() -> list[Sample]:
    """Counters with resets and gauges, with holes, ends and returns."""
    chance = random.Random(3)
    made: list[Sample] = []
    for name in ("calls", "heat"):
        for app in ("a", "b", "c"):
            for zone in ("x", "y"):
                labels, value, alive = {NAME: name, "app": app, "zone": zone}, 0.0, True
                for step in range(STEPS):
                    moment = START_MS + step * STEP_MS + len(made) % 3
                    if chance.random() < 0.05:
                        if alive:
                            made.append((labels, moment, float(STALE[0])))
                        alive = not alive
                        continue
                    if not alive or chance.random() < 0.05:
                        continue
                    reset = chance.random() < 0.05
                    value = (
                        0.0
                        if reset
                        else value + chance.randrange(9)
                        if name == "calls"
                        else chance.randrange(-50, 50) / 4
                    )
                    made.append((labels, moment, value))
    return made


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SeriesStore, str]]:
    samples = make_samples()
    store = SeriesStore(tmp_path_factory.mktemp("store"))
    for labels, moment, value in sorted(samples, key=lambda sample: sample[1]):
        store.append(moment, np.array([store.series_id(labels.items())], np.int32), np.array([value]))
    folder = tmp_path_factory.mktemp("prometheus")
    with running_prometheus(folder, "global: {}\n", "--web.enable-remote-write-receiver") as url:
        body = b"".join(encode_series(encode_labels(labels.items()), at, value) for labels, at, value in samples)
        headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
        with urlopen(Request(f"{url}/api/v1/write", bytes(cramjam.snappy.compress_raw(body)), headers)) as answer:
            assert answer.status == 204
        yield store, url
    store.close()


class Maker:
    """Makes an expression of a given depth."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.inside = 0

    def selector(self) -> str:
        labels = self.chance.choice(["", '{app="a"}', '{app=~"a|b"}', '{zone!="x"}', '{app!~"c",zone="y"}'])
        return self.chance.choice(["calls", "heat"]) + labels

    def shift(self) -> str:
        at = [f" @ {START_MS / 1000 + self.chance.randrange(900):.3f}", " @ start()", " @ end()"]
        shift = f" offset {self.chance.randrange(-120, 240)}s"
        if self.inside:  # Prometheus shifts `@` in a subquery by what its steps are off the subquery's end.
            return self.chance.choice(["", shift])
        return self.chance.choice(["", "", "", shift, self.chance.choice(at), self.chance.choice(at) + shift])

    def window(self, depth: int) -> str:
        seconds = self.chance.choice([15, 30, 60, 125, 300])
        if depth > 1 and self.chance.random() < 0.3:
            step = self.chance.choice(["", "7s", "20s", "60s"])
            self.inside += 1
            inner = self.vector(depth - 1)
            self.inside -= 1
            return f"({inner})[{seconds}s:{step}] offset {self.chance.randrange(-60, 60)}s"
        return f"{self.selector()}[{seconds}s]{self.shift()}"

    def vector(self, depth: int) -> str:
        if depth <= 0:
            return self.selector() + self.shift()
        kind = self.chance.randrange(7)
        if kind == 0:
            function = self.chance.choice(UNARY)
            return f"{function}({self.vector(depth - 1)})"
        if kind == 1:
            return f"{self.chance.choice(RANGED)}({self.window(depth)})"
        if kind == 2:
            return f"{self.chance.choice(OVER_TIME)}_over_time({self.window(depth)})"
        if kind == 3:
            grouping = self.chance.choice(["", "by (app)", "without (app)", "by (zone, app)", "by ()"])
            return f"{self.chance.choice(AGGREGATIONS)} {grouping} ({self.vector(depth - 1)})"
        if kind == 4:
            number = self.chance.choice(["2", "0.5", "-1", "0", "100", "scalar(calls{app='a',zone='x'})"])
            return f"({self.vector(depth - 1)}) {self.comparison()} {number}"
        if kind == 5:
            matching = self.chance.choice(["", "on (app, zone)", "ignoring (none)", "on (app, zone) group_left ()"])
            operator = self.chance.choice(OPERATORS)
            return f"({self.vector(depth - 1)}) {operator} {matching} ({self.vector(depth - 1)})"
        operator = self.chance.choice(["and", "or", "unless"])
        matching = self.chance.choice(["", "on (app)", "ignoring (zone)", "on ()"])
        return f"({self.vector(depth - 1)}) {operator} {matching} ({self.vector(depth - 1)})"

    def comparison(self) -> str:
        operator = self.chance.choice(OPERATORS)
        return operator + (" bool" if operator in OPERATORS[6:] and self.chance.random() < 0.5 else "")


def _ours(store: SeriesStore, query: str, ranged: bool) -> Any:
    try:
        if ranged:
            return json.loads(render_answer(query_range(store, query, START_MS, END_MS, 35_000, SETTINGS), RANGE))
        return json.loads(render_answer(query_instant(store, query, END_MS - 60_000, SETTINGS), INSTANT))
    except QueryError as error:
        return {"status": "error", "errorType": error.kind}


def _theirs(url: str, query: str, ranged: bool) -> Any:
    if ranged:
        span = {"start": f"{START_MS / 1000}", "end": f"{END_MS / 1000}", "step": "35"}
        return ask(url, "/api/v1/query_range", query=query, **span)
    return ask(url, "/api/v1/query", query=query, time=f"{END_MS / 1000 - 60}")


def _points(document: Any) -> Any:
    if document["status"] == "error":
        return document["errorType"]
    return {
        (tuple(sorted(row["metric"].items())), moment): float(value)
        for row in document["data"]["result"]
        for moment, value in row.get("values") or [row["value"]]
    }


def _same(mine: Any, other: Any) -> bool:
    if isinstance(mine, str) or isinstance(other, str):
        return bool(mine == other)
    return mine.keys() == other.keys() and all(_close(mine[key], other[key]) for key in mine)


def _close(a: float, b: float) -> bool:
    return a == b or (math.isnan(a) and math.isnan(b)) or math.isclose(a, b, rel_tol=1e-7, abs_tol=1e-7)


@pytest.mark.parametrize("seed", range(600))
def test_random_query(seed: int, stores: tuple[SeriesStore, str]) -> None:
    store, url = stores
    query = Maker(seed).vector(1 + seed % 4)
    for ranged in (False, True):
        mine, other = _points(_ours(store, query, ranged)), _points(_theirs(url, query, ranged))
        assert _same(mine, other), (query, ranged)
