"""The store: what is acknowledged stays, bounds hold, packing loses nothing."""

import contextlib
import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kaiki.telemetry.arrays import STALE, is_stale
from kaiki.telemetry.errors import BadQueryError, ExecutionError
from kaiki.telemetry.matchers import NAME, Matcher
from kaiki.telemetry.store.pages import Page, decode_page, encode_page
from kaiki.telemetry.store.series import SeriesStore, StoreLimits

_WRITER = """
import sys, numpy as np
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from kaiki.telemetry.store.series import SeriesStore
store = SeriesStore(Path(sys.argv[1]))
ids = np.array([store.series_id([("__name__", "m"), ("n", str(n))]) for n in range(300)], np.int32)
step = 0
while True:
    step += 1
    store.append(step * 1000, ids, ids * 1000.0 + step)
    store.commit()
    print(step, flush=True)
"""
_ALL = [Matcher(NAME, "=~", ".+")]


def test_acknowledged_samples_survive_kill(tmp_path: Path) -> None:
    for _ in range(2):
        writer = subprocess.Popen([sys.executable, "-c", _WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        acknowledged = 0
        for line in writer.stdout:
            acknowledged = int(line)
            if acknowledged >= 290:
                break
        writer.send_signal(signal.SIGKILL)
        writer.stdout.close()
        writer.wait()
        store = SeriesStore(tmp_path)
        found = store.select(_ALL, 0, 10**9)
        assert len(found.labels) == 300
        for owner in (0, 150, 299):
            mine = found.owners == owner
            times = (found.times[mine] // 1000)[:acknowledged]
            assert times.tolist() == list(range(1, acknowledged + 1))
            number = int(found.labels[owner]["n"])
            assert (found.values[mine][:acknowledged] == number * 1000.0 + times).all()
        assert store.statistics().blocks >= 1
        store.close()
        for file in tmp_path.glob("*"):
            file.unlink()


def _filled(path: Path, steps: int, limits: StoreLimits | None = None) -> SeriesStore:
    store = SeriesStore(path, limits)
    for step in range(steps):
        made = [store.series_id([(NAME, "m"), ("n", str(n)), ("age", str(step // 200))]) for n in range(3)]
        store.append(step * 1000, np.array(made, np.int32), np.full(3, float(step)))
        store.commit()
    return store


def test_reading_across_blocks_and_head_is_in_order(tmp_path: Path) -> None:
    store = _filled(tmp_path, 500)
    assert store.statistics().blocks == 2
    found = store.select([Matcher("n", "=", "1"), Matcher("age", "=", "1")], 250_000, 350_000)
    assert found.times.tolist() == [t * 1000 for t in range(250, 351)]
    store.close()


def test_retention_by_age_drops_series_and_reuses_ids(tmp_path: Path) -> None:
    store = _filled(tmp_path, 500, StoreLimits(retention_seconds=100))
    assert len(store.select_series(_ALL, 0, 10**9)) == 9
    store.enforce_retention(500_000)
    assert store.label_values("age", None) == ["1", "2"]
    assert store.generation == 1
    fresh = store.series_id([(NAME, "new")])
    assert fresh is not None and fresh < 9
    store.append(600_000, np.array([fresh], np.int32), np.ones(1))
    store.close()
    again = SeriesStore(tmp_path)
    assert again.select([Matcher(NAME, "=", "new")], 0, 10**9).values.tolist() == [1.0]
    assert len(again.select([Matcher("age", "=", "2")], 0, 10**9).values) == 300
    again.close()


def test_retention_by_size(tmp_path: Path) -> None:
    store = _filled(tmp_path, 500, StoreLimits(retention_bytes=1))
    store.enforce_retention(0)
    assert store.statistics().blocks == 0
    store.close()


def test_too_many_series_are_refused_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = SeriesStore(tmp_path, StoreLimits(max_series=2))
    ids = [store.series_id([(NAME, "m"), ("n", str(n))]) for n in range(5)]
    assert ids == [0, 1, None, None, None]
    assert store.series_id([(NAME, "m"), ("n", "1")]) == 1
    assert store.statistics().rejected_series == 3
    assert "raise max_series" in caplog.text
    store.close()


def test_a_crowded_store_forgets_what_has_ended(tmp_path: Path) -> None:
    limits = StoreLimits(max_series=10)
    store = SeriesStore(tmp_path, limits)
    ids = np.array([store.series_id([(NAME, "m"), ("n", str(n))]) for n in range(10)], np.int32)
    for minute in range(130):  # A block, and the log.
        for n in range(10):
            if n < 4 or minute < 125 - n:
                store.append(minute * 60_000, ids[n : n + 1], np.full(1, float(n)))
        store.commit()
    now = 130 * 60_000
    store.enforce_retention(now)
    assert store.label_values("n", None) == ["0", "1", "2", "3", "4", "5", "6", "7"], "the longest ended are gone"
    store.enforce_retention(now)
    assert (store.statistics().series, store.statistics().evicted_series, store.generation) == (8, 2, 1)
    for again in range(2):
        fresh = store.series_id([(NAME, "fresh"), ("n", str(again))])
        assert fresh not in ids.tolist(), "blocks hold others' samples under those ids"
        store.append(now, np.array([fresh], np.int32), np.ones(1))
        found = store.select([Matcher(NAME, "=", "fresh"), Matcher("n", "=", str(again))], 0, 10**9)
        assert found.values.tolist() == [1.0]
        store.close()
        store = SeriesStore(tmp_path, limits)
    assert len(store.select([Matcher("n", "=", "3"), Matcher(NAME, "=", "m")], 0, 10**9).values) == 130
    store.enforce_retention(now + 25 * 3_600_000)
    assert not store._retired
    store.close()


def test_late_samples_are_dropped_and_counted(tmp_path: Path) -> None:
    store = SeriesStore(tmp_path)
    ids = np.array([store.series_id([(NAME, "m")])], np.int32)
    assert store.append(1000, ids, np.ones(1)) == 1
    assert store.append(1000, ids, np.ones(1)) == 0
    assert store.append(500, ids, np.ones(1)) == 0
    assert store.statistics().out_of_order_samples == 2
    store.close()


def test_selections_are_bounded(tmp_path: Path) -> None:
    store = _filled(tmp_path, 300)
    with pytest.raises(ExecutionError, match="more than 100 samples"):
        store.select(_ALL, 0, 10**9, max_samples=100)
    store.close()


def test_matchers(tmp_path: Path) -> None:
    store = SeriesStore(tmp_path)
    for app, code in (("a", "200"), ("a", "500"), ("b", "200"), ("b", "")):
        store.series_id([(NAME, "m"), ("app", app), ("code", code)])

    def count(*matchers: tuple[str, str, str]) -> int:
        return len(store.select([Matcher(*m) for m in matchers], 0, 1).labels)

    assert count(("app", "=", "a")) == 2
    assert count(("code", "!=", "")) == 3
    assert count(("code", "=", "")) == 1
    assert count(("code", "=~", "2..|")) == 3
    assert count(("code", "!~", "2..")) == 2
    assert count(("code", "=~", "2")) == 0
    assert count(("app", "=", "b"), ("code", "=~", ".+")) == 1
    assert count(("nothing", "=", "")) == 4
    assert count(("nothing", "=~", ".+")) == 0
    with pytest.raises(BadQueryError, match="invalid regular expression"):
        count(("app", "=~", "(a"))
    store.close()


def test_notes_are_committed_with_samples(tmp_path: Path) -> None:
    store = SeriesStore(tmp_path)
    store.note("a/1", b"x")
    store.note("a/2", b"y")
    store.commit()
    store.note("a/1", None)
    store.note("b/1", b"z")
    store.close()
    again = SeriesStore(tmp_path)
    assert again.notes("a/") == {"a/2": b"y"}
    again.close()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.lists(st.tuples(st.integers(1, 10**7), st.floats(allow_nan=True)), min_size=1, max_size=30),
        min_size=1,
        max_size=8,
    )
)
def test_packing_is_lossless(rows: list[list[tuple[int, float]]]) -> None:
    times = np.concatenate([np.cumsum([t for t, _ in row]) for row in rows]).astype(np.int64)
    values = np.array([v for row in rows for _, v in row])
    values[0] = STALE[0]
    ids = np.arange(len(rows), dtype=np.int32) * 3
    page = Page(ids, np.array([len(row) for row in rows], np.int32), times, values)
    back = decode_page(encode_page(page))
    assert (back.times == times).all()
    assert (back.values.view(np.uint64) == values.view(np.uint64)).all()
    assert is_stale(back.values)[0]
    assert back.ids.tolist() == ids.tolist()
    assert back.counts.tolist() == page.counts.tolist()


def _fill_blocks(store: SeriesStore, begin: int, blocks: int) -> int:
    """Some series, of which one ends and one begins midway; gives the number of samples."""
    ids = np.array([store.series_id([(NAME, "m"), ("n", str(n))]) for n in range(40)], np.int32)
    count = 0
    for step in range(begin, begin + blocks * 120):
        part = ids[:30] if step < 600 else ids[5:]
        store.append(step * 1000, part, part * 1000.0 + step)
        store.commit()
        count += len(part)
    return count


def test_small_blocks_become_a_large_one(tmp_path: Path) -> None:
    store = SeriesStore(tmp_path, StoreLimits(retention_seconds=10**6))
    count = _fill_blocks(store, 1, 12)
    before = store.select(_ALL, 0, 10**10)
    assert store.statistics().blocks == 12
    assert store.merge_blocks()
    assert store.statistics().blocks == 3
    assert not store.merge_blocks(), "the rest is too few"
    for opened in (store, None):
        if opened is None:
            store.close()
            opened = store = SeriesStore(tmp_path)
        after = opened.select(_ALL, 0, 10**10)
        assert len(after.times) == count
        assert [dict(labels) for labels in after.labels] == [dict(labels) for labels in before.labels]
        for name in ("owners", "times", "values"):
            assert (getattr(after, name) == getattr(before, name)).all()
    some = store.select([Matcher("n", "=", "7")], 500_000, 700_000)
    assert some.times.tolist() == list(range(500_000, 701_000, 1000))
    store.close()


def test_a_merge_that_was_killed_leaves_nothing(tmp_path: Path) -> None:
    store = SeriesStore(tmp_path, StoreLimits(retention_seconds=10**6))
    count = _fill_blocks(store, 1, 11)
    store._database.replace_blocks = lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        store.merge_blocks()
    store.close()
    again = SeriesStore(tmp_path, StoreLimits(retention_seconds=10**6))
    assert len(again.select(_ALL, 0, 10**10).times) == count
    assert again.merge_blocks()
    assert len(again.select(_ALL, 0, 10**10).times) == count
    again.close()


def test_queries_beside_a_merge_miss_nothing(tmp_path: Path) -> None:
    store = SeriesStore(tmp_path, StoreLimits(retention_seconds=10**6))
    count = _fill_blocks(store, 1, 25)
    with ThreadPoolExecutor(1) as pool:
        merging = pool.submit(lambda: [store.merge_blocks() for _ in range(3)])
        while not merging.done():
            assert len(store.select(_ALL, 0, 10**10).times) == count
    assert merging.result() == [True, True, False]
    store.close()


def test_blocks_that_would_outlive_retention_are_not_merged(tmp_path: Path) -> None:
    store = SeriesStore(tmp_path, StoreLimits(retention_seconds=2000))
    _fill_blocks(store, 1, 12)
    assert not store.merge_blocks(), "three blocks are longer than a tenth of what is kept"
    store.close()


def test_a_damaged_file_is_set_aside_and_measuring_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "series.sqlite"
    store = SeriesStore(tmp_path)
    number = store.series_id([("__name__", "m")])
    assert number is not None
    store.append(1000, np.array([number], np.int32), np.array([1.0]))
    store.commit()
    store.close()
    whole = path.read_bytes()
    for content in (b"no database at all" * 500, b"?" * 4096 + whole[4096:], whole[:4096] + b"?" * 40960):
        path.write_bytes(content)
        caplog.clear()
        store = SeriesStore(tmp_path)
        assert store.statistics().series == 0
        number = store.series_id([("__name__", "m")])
        assert number is not None
        store.append(2000, np.array([number], np.int32), np.array([2.0]))
        store.commit()
        store.close()
        assert SeriesStore(tmp_path).select(_ALL, 0, 10**9).values.tolist() == [2.0]
        assert f"{path} cannot be read" in caplog.text and f"sqlite3 {path}.broken .recover" in caplog.text
        assert (tmp_path / "series.sqlite.broken").read_bytes() == content


@pytest.mark.parametrize("damage", [b"", b"KPG1", b"KPG1" + b"?" * 60, b"?" * 600])
def test_a_damaged_page_costs_its_own_samples_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: bytes
) -> None:
    store = SeriesStore(tmp_path, StoreLimits(retention_seconds=10**6))
    _fill_blocks(store, 1, 12)
    whole = store.select(_ALL, 0, 10**12).values.size
    store.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "series.sqlite")) as file, file:
        (block,) = file.execute("SELECT min(id) FROM block").fetchone()
        file.execute("UPDATE page SET samples = ? WHERE block = ? AND number = 0", (damage, block))
    store = SeriesStore(tmp_path, StoreLimits(retention_seconds=10**6))
    for _ in range(2):
        rest = store.select(_ALL, 0, 10**12).values.size
        assert 0 < rest < whole
    assert store.statistics().damaged_pages == 1
    assert caplog.text.count("cannot be read") == 1 and f"block {block}" in caplog.text
    assert store.merge_blocks()
    assert store.select(_ALL, 0, 10**12).values.size == rest, "merging goes on without it"
    store.close()
