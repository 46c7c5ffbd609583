"""Births, ends and gaps: what is stored for a target's answers, and that no request is lost."""

from pathlib import Path

import pytest

from kaiki.telemetry.errors import ScrapeError
from kaiki.telemetry.matchers import NAME, Matcher
from kaiki.telemetry.promql.context import QuerySettings
from kaiki.telemetry.promql.evaluate import query_instant
from kaiki.telemetry.promql.values import Vector
from kaiki.telemetry.scrape.ingest import SampleRules, TargetIngest
from kaiki.telemetry.scrape.targets import Target
from kaiki.telemetry.store.series import SeriesStore

T0 = 1_700_000_000_000
HEADER = "# TYPE calls_total counter\n# TYPE heat gauge\n"


def _target(started_ms: int = 0, **labels: str) -> Target:
    return Target("t", "http://t/metrics", tuple(sorted({"job": "j", **labels}.items())), started_ms)


@pytest.fixture
def store(tmp_path: Path) -> SeriesStore:
    return SeriesStore(tmp_path)


def _samples(store: SeriesStore, name: str) -> list[tuple[float, float]]:
    found = store.select([Matcher(NAME, "=", name)], T0 - 10**6, T0 + 10**6)
    return [((t - T0) / 1000, v) for t, v in zip(found.times.tolist(), found.values.tolist(), strict=True)]


def _value(store: SeriesStore, query: str, seconds: float) -> float | None:
    vector = query_instant(store, query, T0 + int(seconds * 1000), QuerySettings()).value
    assert isinstance(vector, Vector)
    return float(vector.values[0, 0]) if vector.labels else None


def test_a_counter_born_between_scrapes_was_zero_before(store: SeriesStore) -> None:
    ingest = TargetIngest(store, _target(), 1000)
    ingest.accept(HEADER + "heat 1\n", T0, 0.01)
    ingest.accept(HEADER + "heat 2\ncalls_total 3\n", T0 + 3000, 0.01)
    ingest.accept(HEADER + "heat 2\ncalls_total 5\n", T0 + 6000, 0.01)
    assert _samples(store, "calls_total") == [(0, 0), (3, 3), (6, 5)]
    assert _samples(store, "heat") == [(0, 1), (3, 2), (6, 2)]
    assert _value(store, "calls_total - calls_total @ 1700000000", 6) == 5


def test_nothing_is_made_up_for_a_process_of_unknown_age(store: SeriesStore) -> None:
    TargetIngest(store, _target(), 1000).accept(HEADER + "calls_total 1000\n", T0, 0.01)
    assert _samples(store, "calls_total") == [(0, 1000)]


def test_a_young_process_began_at_zero(store: SeriesStore) -> None:
    TargetIngest(store, _target(started_ms=T0 - 2000), 1000).accept(HEADER + "calls_total 4\n", T0, 0.01)
    assert _samples(store, "calls_total") == [(-2, 0), (0, 4)]


def test_a_restarted_process_begins_at_zero_again(store: SeriesStore) -> None:
    ingest = TargetIngest(store, _target(), 1000)
    ingest.accept(HEADER + "calls_total 4\n", T0, 0.01)
    ingest.target = _target(started_ms=T0 + 1000)
    ingest.accept(HEADER + "calls_total 9\n", T0 + 3000, 0.01)
    assert _samples(store, "calls_total") == [(0, 4), (1, 0), (3, 9)]


def test_an_evicted_counter_that_returns_counts_from_zero(store: SeriesStore) -> None:
    ingest = TargetIngest(store, _target(), 1000)
    for step, text in enumerate(["calls_total 4\n", "", "calls_total 9\n", ""]):
        ingest.accept(HEADER + "heat 1\n" + text, T0 + step * 3000, 0.01)
        assert (_value(store, "calls_total", step * 3) is None) == (not text)
    living = [(t, v) for t, v in _samples(store, "calls_total") if v == v]
    assert living == [(0, 4), (3.001, 0), (6, 9)]


def test_a_failed_scrape_ends_series_without_inventing_births(store: SeriesStore) -> None:
    ingest = TargetIngest(store, _target(), 1000)
    ingest.accept(HEADER + "calls_total 4\n", T0, 0.01)
    ingest.fail(T0 + 3000, 0.01)
    ingest.fail(T0 + 6000, 0.01)
    assert _value(store, "calls_total", 6) is None
    assert _value(store, "up", 6) == 0
    ingest.accept(HEADER + "calls_total 6\n", T0 + 9000, 0.01)
    assert [v for _, v in _samples(store, "calls_total") if v == v] == [4, 6]
    assert len(_samples(store, "calls_total")) == 3


def test_a_store_that_restarts_goes_on(tmp_path: Path) -> None:
    store = SeriesStore(tmp_path)
    TargetIngest(store, _target(), 1000).accept(HEADER + "calls_total 4\n", T0, 0.01)
    store.close()
    store = SeriesStore(tmp_path)
    text = HEADER + 'calls_total 6\ncalls_total{code="500"} 2\n'
    TargetIngest(store, _target(), 1000).accept(text, T0 + 3000, 0.01)
    found = store.select([Matcher(NAME, "=", "calls_total"), Matcher("code", "=", "")], 0, T0 * 2)
    assert found.values.tolist() == [4, 6]
    found = store.select([Matcher(NAME, "=", "calls_total"), Matcher("code", "=", "500")], 0, T0 * 2)
    assert (found.times - T0).tolist() == [0, 3000]
    assert found.values.tolist() == [0, 2]
    store.close()


def test_labels_of_the_target_win(store: SeriesStore) -> None:
    TargetIngest(store, _target(pod="real"), 1000).accept('heat{pod="claimed",job="",zone="a"} 1\n', T0, 0.01)
    [labels] = store.select_series([Matcher(NAME, "=", "heat")], 0, T0 * 2)
    assert labels == {NAME: "heat", "job": "j", "pod": "real", "exported_pod": "claimed", "zone": "a"}


def test_a_line_that_is_there_twice_counts_once(store: SeriesStore) -> None:
    assert TargetIngest(store, _target(), 1000).accept("heat 1\nheat 2\n", T0, 0.01) == 1
    assert _samples(store, "heat") == [(0, 2)]


def test_times_of_the_lines_own_are_kept(store: SeriesStore) -> None:
    ingest = TargetIngest(store, _target(), 1000)
    ingest.accept(f"heat 1 {T0 - 5000}\n", T0, 0.01)
    ingest.accept(f"heat 2 {T0 - 2000}\n", T0 + 3000, 0.01)
    assert _samples(store, "heat") == [(-5, 1), (-2, 2)]


def test_a_leaving_target_ends_its_series(store: SeriesStore) -> None:
    ingest = TargetIngest(store, _target(), 1000)
    ingest.accept("heat 1\n", T0, 0.01)
    ingest.leave(T0 + 1000)
    assert _value(store, "heat", 2) is None
    assert _value(store, "up", 2) is None


def test_too_many_samples_are_refused(store: SeriesStore) -> None:
    with pytest.raises(ScrapeError, match="more than 2 samples"):
        TargetIngest(store, _target(), 2).accept("a 1\nb 1\nc 1\n", T0, 0.01)


@pytest.mark.parametrize(
    ("rules", "complaint"),
    [
        (SampleRules(label_limit=3), "more than label_limit 3"),
        (SampleRules(label_name_length_limit=10), "longer than label_name_length_limit"),
        (SampleRules(label_value_length_limit=5), "longer than label_value_length_limit"),
    ],
)
def test_labels_out_of_bounds_fail_the_scrape(store: SeriesStore, rules: SampleRules, complaint: str) -> None:
    with pytest.raises(ScrapeError, match=complaint):
        TargetIngest(store, _target(), 10, rules).accept('x{a_long_name="1",b="a long value"} 1\n', T0, 0.1)


def test_a_sample_may_keep_its_labels_and_lose_its_time(store: SeriesStore) -> None:
    rules = SampleRules(honor_labels=True, honor_timestamps=False)
    TargetIngest(store, _target(), 10, rules).accept('x{job="own"} 1 500\n', T0, 0.1)
    found = store.select([Matcher(NAME, "=", "x")], 0, T0)
    assert [dict(labels) for labels in found.labels] == [{NAME: "x", "job": "own"}]
    assert found.times.tolist() == [T0]


def test_known_lines_count_against_the_limit_too(store: SeriesStore) -> None:
    ingest = TargetIngest(store, _target(), 2)
    ingest.accept("a 1\nb 1\n", T0, 0.1)
    ingest.accept("c 1\nd 1\n", T0 + 1000, 0.1)
    with pytest.raises(ScrapeError, match="more than 2 samples"):
        ingest.accept("a 1\nb 1\nc 1\n", T0 + 2000, 0.1)
