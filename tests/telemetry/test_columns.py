"""Sums over many series: the same by columns as by mappings, and the same answer in both shapes."""

from __future__ import annotations

import base64
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kaiki.telemetry.api.render import INSTANT, RenderOptions, render_answer
from kaiki.telemetry.matchers import NAME, Matcher
from kaiki.telemetry.promql.context import QuerySettings
from kaiki.telemetry.promql.evaluate import query_instant
from kaiki.telemetry.store.head import Head
from kaiki.telemetry.store.labels import group_rows
from kaiki.telemetry.store.series import SeriesStore

BEGIN_MS = 1_700_000_000_000
EXACT = QuerySettings(exact_increase=True)
label_sets = st.dictionaries(st.sampled_from(["a", "b", "c", "le"]), st.sampled_from(["", "1", "2", "x"]))


def _fill(store: SeriesStore, labels: list[dict[str, str]]) -> None:
    """Counters that grow by one, two, three… every fifteen seconds."""
    known = {frozenset((name, value) for name, value in one.items() if value): one for one in labels}
    made = [store.series_id([(NAME, "calls"), *one.items()], counter=True) for one in known.values()]
    ids = np.array(made, np.int32)
    for step in range(8):
        store.append(BEGIN_MS + step * 15_000, ids, np.arange(1, len(ids) + 1) * float(step))


def _answer(store: SeriesStore, query: str, options: RenderOptions = INSTANT) -> Any:
    return json.loads(render_answer(query_instant(store, query, BEGIN_MS + 106_000, EXACT), options))["data"]


def _unpacked(data: Any) -> Any:
    """Packed columns as columns with lists."""
    if data["resultType"] != "packed":
        return data
    for column in data["labels"].values():
        column["of"] = np.frombuffer(base64.b64decode(column["of"]), "<u4").tolist()
    values = np.frombuffer(base64.b64decode(data["values"]), "<f8")
    width = (len(data["pivot"]),) if "pivot" in data else ()
    data["values"] = np.where(np.isnan(values), None, values).reshape(-1, *width).tolist()
    return data


def _rows(data: Any) -> dict[frozenset[tuple[str, str]], float]:
    """Columns as series."""
    labels = {name: [column["texts"][place] for place in column["of"]] for name, column in data["labels"].items()}
    found = {}
    for row, values in enumerate(data["values"]):
        own = {name: texts[row] for name, texts in labels.items() if texts[row]}
        for word, value in zip(data["pivot"], values, strict=True) if "pivot" in data else [("", values)]:
            if value is not None:
                found[frozenset({**own, **({"le": word} if word else {})}.items())] = value
    return found


@pytest.mark.parametrize("grouping", ["by (a, b)", "by (a, le, nothing)", "without (a)", "", "by (a, __name__)"])
@settings(deadline=None, max_examples=40)
@given(labels=st.lists(label_sets, min_size=1, max_size=12))
def test_columns_say_what_series_say(
    tmp_path_factory: pytest.TempPathFactory, grouping: str, labels: list[dict[str, str]]
) -> None:
    store = SeriesStore(tmp_path_factory.mktemp("store"))
    _fill(store, labels)
    query = f"sum {grouping} (increase(calls[60s]))"
    wanted = {frozenset(row["metric"].items()): float(row["value"][1]) for row in _answer(store, query)["result"]}
    for pivot in ("", "le"):
        for shape in ("columns", "packed"):
            assert _rows(_unpacked(_answer(store, query, RenderOptions(True, shape=shape, pivot=pivot)))) == wanted
    store.close()
    total = sum(range(1, len({frozenset((k, v) for k, v in one.items() if v) for one in labels}) + 1)) * 4.0
    assert math.isclose(sum(wanted.values()), total)


def test_a_sum_by_mappings_is_the_same(tmp_path: Path) -> None:
    """`label_replace` makes mappings of the labels, so what stands around it is added up the other way."""
    store = SeriesStore(tmp_path)
    _fill(store, [{"a": str(n % 3), "b": str(n % 5), "c": str(n)} for n in range(60)])
    query = "sum by (a, b) (increase(calls[60s]))"
    other = 'sum by (a, b) (label_replace(increase(calls[60s]), "new", "$1", "c", "(.*)"))'
    assert sorted(map(str, _answer(store, query)["result"])) == sorted(map(str, _answer(store, other)["result"]))
    store.close()


def test_labels_that_were_chosen_outlive_their_series(tmp_path: Path) -> None:
    store = SeriesStore(tmp_path)
    _fill(store, [{"a": "1"}, {"a": "2"}])
    matchers = [Matcher(NAME, "=", "calls")]
    chosen = store.select(matchers, BEGIN_MS, BEGIN_MS + 60_000).labels
    store._index.remove([0, 1])
    store.series_id([(NAME, "other"), ("z", "9")])
    assert [dict(labels) for labels in chosen] == [{NAME: "calls", "a": "1"}, {NAME: "calls", "a": "2"}]
    assert not store.select(matchers, BEGIN_MS, BEGIN_MS + 60_000).labels, "the choice is made anew"
    store.close()


@given(st.lists(st.lists(st.integers(0, 3), min_size=2, max_size=2), min_size=1, max_size=30))
def test_equal_rows_are_one_group(rows: list[list[int]]) -> None:
    member, first = group_rows(np.array(rows, np.int32))
    assert [rows[first[group]] for group in member] == rows
    assert [rows[one] for one in first] == list(dict(zip(map(tuple, rows), rows, strict=True)).values())


@given(
    st.lists(st.lists(st.integers(0, 40), max_size=12, unique=True).map(sorted), min_size=1, max_size=6),
    st.integers(0, 45),
    st.integers(0, 20),
    st.integers(0, 20),
)
def test_samples_of_a_stretch_of_time(times: list[list[int]], start: int, length: int, anchor: int) -> None:
    end = start + length
    head = Head(1)
    for moment in range(41):
        ids = [number for number, own in enumerate(times) if moment in own]
        head.append(moment, np.array(ids, np.int32), np.full(len(ids), moment * 2.0))
    owners, found, values = head.gather(np.arange(len(times), dtype=np.int32), start, end, anchor)
    wanted = []
    for number, own in enumerate(times):
        before = [moment for moment in own if start - anchor <= moment < start][-1:] if anchor else []
        within = [moment for moment in own if start <= moment <= end]
        wanted += [(number, moment) for moment in (*before, *within)]
    assert list(zip(owners.tolist(), found.tolist(), strict=True)) == wanted
    assert (values == found * 2.0).all()
