"""Scripted cases for what differs between Prometheus versions, and for the edges of the language."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from kaiki.telemetry.arrays import STALE
from kaiki.telemetry.errors import ExecutionError, QueryError, QueryTimeoutError
from kaiki.telemetry.exposition import parse_sample
from kaiki.telemetry.matchers import NAME
from kaiki.telemetry.promql.context import QuerySettings
from kaiki.telemetry.promql.evaluate import query_instant, query_range
from kaiki.telemetry.promql.values import Scalar, Vector
from kaiki.telemetry.store.series import SeriesStore

_REPEAT = re.compile(r"(-?[\d.]+)\+(-?[\d.]+)\*(\d+)")
SETTINGS = QuerySettings()


@dataclass
class Case:
    time_ms: int
    query: str
    expected: list[str] = field(default_factory=list)


def _read() -> tuple[int, list[str], list[Case]]:
    step, loads, cases = 0, list[str](), list[Case]()
    for line in Path(__file__).with_name("promql_cases.txt").read_text().splitlines():
        if line.startswith("load "):
            step = int(line.split()[1].removesuffix("s")) * 1000
        elif line.startswith("eval "):
            _, moment, query = line.split(" ", 2)
            cases.append(Case(int(moment) * 1000, query))
        elif line.startswith("  "):
            (cases[-1].expected if cases else loads).append(line.strip())
    return step, loads, cases


def _values(words: list[str]) -> Iterator[float | None]:
    for word in words:
        repeat = _REPEAT.fullmatch(word)
        if repeat:
            start, change, count = float(repeat[1]), float(repeat[2]), int(repeat[3])
            yield from (start + change * n for n in range(count + 1))
        else:
            yield None if word == "_" else float(STALE[0]) if word == "stale" else float(word)


STEP_MS, LOADS, CASES = _read()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeriesStore]:
    made = SeriesStore(tmp_path_factory.mktemp("cases"))
    for line in LOADS:
        series, *words = line.split(" ")
        sample = parse_sample(f"{series} 0")
        ids = np.array([made.series_id([*sample.labels, (NAME, sample.name)])], np.int32)
        for position, value in enumerate(_values(words)):
            if value is not None:
                values = STALE if words[position : position + 1] == ["stale"] else np.array([value])
                made.append(position * STEP_MS, ids, values)
    yield made
    made.close()


def _series(line: str) -> tuple[frozenset[tuple[str, str]], float]:
    name, _, value = line.rpartition(" ")
    sample = parse_sample(("x" if name.startswith("{") else "") + f"{name} {value}")
    labels = dict(sample.labels) | ({} if name.startswith("{") else {NAME: sample.name})
    return frozenset(labels.items()), sample.value


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.time_ms // 1000} {case.query}")
def test_case(case: Case, store: SeriesStore) -> None:
    if case.expected and case.expected[0].startswith("fail "):
        with pytest.raises(QueryError, match=re.escape(case.expected[0].removeprefix("fail "))):
            query_instant(store, case.query, case.time_ms, SETTINGS)
        return
    value = query_instant(store, case.query, case.time_ms, SETTINGS).value
    if isinstance(value, Scalar):
        value = Vector([{}], value.values[:, None], np.ones((1, 1), np.bool_))
    assert isinstance(value, Vector)
    found = {frozenset(labels.items()): float(row[0]) for labels, row in zip(value.labels, value.values, strict=True)}
    expected = dict(map(_series, case.expected))
    if "count_values" in case.query:
        found = {key: number for key, number in found.items() if ("v", "2") in key}
    assert found.keys() == expected.keys()
    for key, number in expected.items():
        assert math.isclose(found[key], number, rel_tol=1e-12) or (math.isnan(found[key]) and math.isnan(number))


def test_limits(store: SeriesStore) -> None:
    with pytest.raises(ExecutionError, match="samples"):
        query_instant(store, "sum(rate(calls[5m]))", 300_000, QuerySettings(max_samples=10))
    with pytest.raises(ExecutionError, match="values at once"):
        query_range(store, "calls", 0, 300_000, 1000, QuerySettings(max_cells=100))
    with pytest.raises(QueryTimeoutError):
        query_instant(store, "calls", 0, QuerySettings(timeout_seconds=-1))


def test_a_counter_counted_from_its_zero_is_exact(store: SeriesStore) -> None:
    """What births are for: the whole life of a counter is in `increase` over a range that covers it."""
    ids = np.array([store.series_id([(NAME, "born")])], np.int32)
    for moment, value in ((400_000, 0.0), (403_000, 2.0), (406_000, 7.0)):
        store.append(moment, ids, np.array([value]))
    value = query_instant(store, "increase(born[1m])", 406_000, SETTINGS).value
    assert isinstance(value, Vector)
    assert value.values[0, 0] == 7.0
