"""A made-up mesh's samples, with all that makes evaluation hard: gaps, resets, late births, NaN."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kaiki.telemetry.exposition import render_series
from kaiki.telemetry.matchers import NAME
from kaiki.telemetry.promql.numbers import format_number
from kaiki.telemetry.store.series import SeriesStore

START_MS = 1_700_000_000_000
END_MS = START_MS + 1_800_000
_BOUNDS = ("5", "10", "25", "100", "+Inf")


@dataclass(frozen=True)
class MadeSeries:
    """One series with its samples."""

    labels: tuple[tuple[str, str], ...]
    times: list[int]
    values: list[float]

    @property
    def name(self) -> str:
        return dict(self.labels)[NAME]


def make_series(seed: int = 7) -> list[MadeSeries]:
    """About sixty series over half an hour, every five seconds or so."""
    chance = random.Random(seed)
    made: list[MadeSeries] = []
    for workload in ("front", "reviews", "ratings"):
        for version in ("v1", "v2"):
            base = (("app", workload), ("version", version), ("pod", f"{workload}-{version}"))
            for code in ("200", "503"):
                labels = (*base, ("code", code), (NAME, "requests_total"))
                made.append(_counter(chance, labels, 10 if code == "200" else 1))
            made.append(_gauge(chance, (*base, (NAME, "memory_bytes"))))
            made += _histogram(chance, base)
    for workload, team in (("front", "web"), ("reviews", "shop")):
        made.append(_constant((("app", workload), ("team", team), (NAME, "owner_info"))))
    times = list(range(START_MS, END_MS, 30_000))
    odd = [float("nan") if i % 7 == 3 else float("inf") if i % 11 == 5 else i - 20.0 for i in range(len(times))]
    made.append(MadeSeries((("kind", "odd"), (NAME, "odd_values")), times, odd))
    return made


def fill(store: SeriesStore, series: list[MadeSeries]) -> None:
    """Appends everything, in order of time, and commits now and then."""
    ids = [store.series_id(one.labels) for one in series]
    events = sorted((t, i) for i, one in enumerate(series) for t in one.times)
    cursor = [0] * len(series)
    for count, (moment, i) in enumerate(events):
        series_id = ids[i]
        assert series_id is not None
        store.append(moment, np.array([series_id], np.int32), np.array([series[i].values[cursor[i]]]))
        cursor[i] += 1
        if count % 1000 == 0:
            store.commit()
    store.commit()


def write_openmetrics(series: list[MadeSeries], path: Path) -> None:
    """The input of `promtool tsdb create-blocks-from openmetrics`."""
    with path.open("w") as file:
        for name in sorted({one.name for one in series}):
            file.write(f"# TYPE {name} unknown\n")
            for one in series:
                if one.name == name:
                    text = render_series(name, [pair for pair in one.labels if pair[0] != NAME])
                    file.writelines(_sample_lines(text, one))
        file.write("# EOF\n")


def _sample_lines(text: str, one: MadeSeries) -> Iterator[str]:
    for moment, value in zip(one.times, one.values, strict=True):
        yield f"{text} {format_number(value)} {moment / 1000:.3f}\n"


def _times(chance: random.Random) -> list[int]:
    offset = chance.randrange(5000)
    begin = START_MS + (chance.choice([0, 0, 0, 400_000]) + offset)
    gap = chance.choice([None, None, 900_000])
    times = []
    for moment in range(begin, END_MS, 5000):
        if gap and START_MS + gap <= moment < START_MS + gap + 330_000:
            continue
        times.append(moment + chance.randrange(-40, 40))
    return times


def _counter(chance: random.Random, labels: tuple[tuple[str, str], ...], speed: int) -> MadeSeries:
    times, value, values = _times(chance), 0.0, []
    for _ in times:
        value = 0.0 if chance.random() < 0.01 else value + chance.randrange(speed + 1)
        values.append(value)
    return MadeSeries(labels, times, values)


def _gauge(chance: random.Random, labels: tuple[tuple[str, str], ...]) -> MadeSeries:
    times = _times(chance)
    return MadeSeries(labels, times, [round(chance.uniform(-50, 1e6), 3) for _ in times])


def _constant(labels: tuple[tuple[str, str], ...]) -> MadeSeries:
    times = list(range(START_MS, END_MS, 15_000))
    return MadeSeries(labels, times, [1.0] * len(times))


def _histogram(chance: random.Random, base: tuple[tuple[str, str], ...]) -> list[MadeSeries]:
    times = _times(chance)
    counts = {bound: [] for bound in _BOUNDS}  # type: dict[str, list[float]]
    running = dict.fromkeys(_BOUNDS, 0.0)
    for _ in times:
        reached = 0.0
        for bound in _BOUNDS:
            reached += chance.randrange(4)
            running[bound] += reached
            counts[bound].append(running[bound])
    return [MadeSeries((*base, ("le", bound), (NAME, "duration_bucket")), times, counts[bound]) for bound in _BOUNDS]
