"""The process's own metrics: what a Prometheus that scrapes us, or our own store, should know about it."""

from __future__ import annotations

import resource
import sys
import time

from kaiki.telemetry.promql.numbers import format_number
from kaiki.telemetry.store.series import SeriesStore


def render_own_metrics(store: SeriesStore) -> str:
    """In the text format."""
    statistics = store.statistics()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    rows = [
        ("kaiki_store_series", "gauge", "Series in the store.", statistics.series),
        ("kaiki_store_head_samples", "gauge", "Samples in memory, not yet in a block.", statistics.head_samples),
        ("kaiki_store_blocks", "gauge", "Sealed blocks.", statistics.blocks),
        ("kaiki_store_block_bytes", "gauge", "Compressed size of the sealed blocks.", statistics.block_bytes),
        (
            "kaiki_store_series_rejected_total",
            "counter",
            "New series refused because the store is full.",
            statistics.rejected_series,
        ),
        (
            "kaiki_store_out_of_order_samples_total",
            "counter",
            "Samples dropped because the series had a later one.",
            statistics.out_of_order_samples,
        ),
        ("process_cpu_seconds_total", "counter", "CPU time used.", usage.ru_utime + usage.ru_stime),
        ("process_resident_memory_bytes", "gauge", "Resident memory.", _resident_bytes(usage)),
        ("kaiki_store_time_seconds", "gauge", "The store's clock.", time.time()),
    ]
    lines = []
    for name, kind, text, value in rows:
        lines += [f"# HELP {name} {text}", f"# TYPE {name} {kind}", f"{name} {format_number(float(value))}"]
    return "\n".join(lines) + "\n"


def _resident_bytes(usage: resource.struct_rusage) -> int:
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except OSError:
        return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
