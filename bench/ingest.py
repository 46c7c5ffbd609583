"""How much a scrape costs: `python -m bench ingest`.

Feeds answers of sidecars (500 lines each, thirty labels a line) to the ingestion path, with everything but the network.
"""

from __future__ import annotations

import resource
import tempfile
import time
from pathlib import Path

from bench.table import Figure, print_figures, print_rows
from kaiki.telemetry.scrape.ingest import TargetIngest
from kaiki.telemetry.scrape.targets import Target
from kaiki.telemetry.store.series import SeriesStore

LINES = 500
TARGETS = 20
SCRAPES = 150
INTERVAL_MS = 3000


def answer(target: int, step: int) -> str:
    """One sidecar's answer: counters, one line in ten of which moves."""
    lines = ["# TYPE istio_requests_total counter"]
    labels = ",".join(f'destination_label_{n}="workload-{target}-{n}"' for n in range(28))
    for n in range(LINES):
        lines.append(f'istio_requests_total{{{labels},response_code="{n}"}} {1000 + (step if n % 10 == 0 else 0)}')
    return "\n".join(lines) + "\n"


def main() -> None:
    """Prints one table."""
    with tempfile.TemporaryDirectory() as folder:
        store = SeriesStore(Path(folder))
        ingests = [
            TargetIngest(store, Target(str(n), "http://t", (("instance", str(n)), ("job", "bench"))), 50_000)
            for n in range(TARGETS)
        ]
        begun = 1_700_000_000_000
        accepted = committed = first = 0.0
        for step in range(SCRAPES):
            texts = [answer(n, step) for n in range(TARGETS)]
            start = time.process_time()
            for ingest, text in zip(ingests, texts, strict=True):
                ingest.accept(text, begun + step * INTERVAL_MS, 0.001)
            middle = time.process_time()
            store.commit()
            if step == 0:
                first = middle - start
            else:
                accepted += middle - start
                committed += time.process_time() - middle
        scrapes = TARGETS * (SCRAPES - 1)
        statistics = store.statistics()
        size = sum(file.stat().st_size for file in Path(folder).iterdir())
        start = time.perf_counter()
        store.close()
        closed = time.perf_counter()
        again = SeriesStore(Path(folder))
        loaded = time.perf_counter() - closed
        again.close()
        rows = [
            ("first scrape of 500 lines", f"{first / TARGETS * 1000:.2f} ms CPU"),
            ("scrape of 500 known lines", f"{accepted / scrapes * 1000:.3f} ms CPU"),
            ("commit and sealing, per scrape", f"{committed / scrapes * 1000:.3f} ms CPU"),
            ("series", str(statistics.series)),
            ("database", f"{size / 1e6:.1f} MB"),
            ("loading it", f"{loaded * 1000:.0f} ms"),
            ("peak memory", f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB"),
        ]
        figures = [
            Figure(
                "samples a second on one core", scrapes * LINES / (accepted + committed), "", 150_000, at_least=True
            ),
            Figure("bytes a sample on disk", statistics.block_bytes / (statistics.series * 120), "", 4.0),
        ]
        print_rows(f"scrapes of {TARGETS} sidecars, {LINES} lines each", ("", "measured"), rows)
        print_figures("against the targets, commits and sealing included", figures)


if __name__ == "__main__":
    main()
