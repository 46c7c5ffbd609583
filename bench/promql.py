"""How fast queries are: `python -m bench promql`.

Fills a store with one metric of many series (an hour at one sample in fifteen seconds) and times typical queries.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from bench.table import print_rows
from kaiki.telemetry.api.render import INSTANT, RANGE, render_answer
from kaiki.telemetry.matchers import NAME
from kaiki.telemetry.promql.context import QuerySettings
from kaiki.telemetry.promql.evaluate import query_instant, query_range
from kaiki.telemetry.store.series import SeriesStore

BEGIN_MS = 1_700_000_000_000
SAMPLES = 240
SERIES = 2000
QUERIES = (
    "calls_total",
    "sum(rate(calls_total[1m]))",
    "sum by (app, version) (rate(calls_total[1m]))",
    "topk(5, sum by (app) (increase(calls_total[5m])))",
    "max_over_time(calls_total[5m])",
    "sum by (app) (rate(calls_total[1m])) / on (app) sum by (app) (rate(calls_total[5m]))",
)


def fill(store: SeriesStore, series: int) -> None:
    """Counters of different speed."""
    made = [
        store.series_id(
            [(NAME, "calls_total"), ("app", f"app-{n % 50}"), ("version", f"v{n % 3}"), ("n", str(n))]
            + [(f"label_{k}", f"value-{n % 7}") for k in range(20)]
        )
        for n in range(series)
    ]
    ids = np.array(made, np.int32)
    for step in range(SAMPLES):
        store.append(BEGIN_MS + step * 15_000, ids, np.arange(series) * float(step))
        store.commit()


def main() -> None:
    """Prints one table."""
    settings, end = QuerySettings(), BEGIN_MS + SAMPLES * 15_000
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        store = SeriesStore(Path(folder))
        fill(store, SERIES)
        for query in QUERIES:
            instant = _best(lambda q=query: render_answer(query_instant(store, q, end, settings), INSTANT))
            start = end - 200 * 15_000
            ranged = _best(
                lambda q=query, s=start: render_answer(query_range(store, q, s, end, 15_000, settings), RANGE)
            )
            rows.append((query, f"{instant:.1f} ms", f"{ranged:.1f} ms"))
        store.close()
    title = f"queries over {SERIES} series of {SAMPLES} samples; best of five, JSON included"
    print_rows(title, ("query", "instant", "201 steps"), rows)


def _best(work: Callable[[], object]) -> float:
    times = []
    for _ in range(5):
        start = time.perf_counter()
        work()
        times.append((time.perf_counter() - start) * 1000)
    return min(times)


if __name__ == "__main__":
    main()
