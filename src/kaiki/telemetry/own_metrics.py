"""The process's own metrics: what a Prometheus that scrapes us, or our own store, should know about it."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Sequence

from kaiki.telemetry.exposition import escape_label
from kaiki.telemetry.operations import Operations
from kaiki.telemetry.promql.numbers import format_number
from kaiki.telemetry.remote.receiver import RemoteWriteReceiver
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
            "kaiki_store_series_evicted_total",
            "counter",
            "Ended series forgotten because the store was nearly full.",
            statistics.evicted_series,
        ),
        (
            "kaiki_store_damaged_pages",
            "gauge",
            "Pages of samples that cannot be read, and are missing in answers.",
            statistics.damaged_pages,
        ),
        (
            "kaiki_store_out_of_order_samples_total",
            "counter",
            "Samples dropped because the series had a later one.",
            statistics.out_of_order_samples,
        ),
        ("kaiki_store_exemplars", "gauge", "Exemplars in memory.", len(store.exemplars)),
        ("process_cpu_seconds_total", "counter", "CPU time used.", usage.ru_utime + usage.ru_stime),
        ("process_resident_memory_bytes", "gauge", "Resident memory.", _resident_bytes(usage)),
        ("kaiki_store_time_seconds", "gauge", "The store's clock.", time.time()),
    ]
    return "".join(_family(name, kind, text, [("", value)]) for name, kind, text, value in rows)


def render_operations(operations: Operations, receiver: RemoteWriteReceiver) -> str:
    """Rules, notifications and remote write, under Prometheus' names where it has them."""
    groups, notifier, senders = operations.rules.groups(), operations.notifier, operations.senders
    rules = [(f'{{rule_group="{escape_label(group.group.key)}"}}', group) for group in groups]
    remotes = [(f'{{url="{escape_label(sender.settings.url)}"}}', sender) for sender in senders]
    count, gauge = "counter", "gauge"
    families: list[tuple[str, str, str, Sequence[tuple[str, float]]]] = [
        ("prometheus_rule_group_rules", gauge, "Rules of a group.", [(k, len(g.rules)) for k, g in rules]),
        ("prometheus_rule_group_last_duration_seconds", gauge, "Last evaluation.", [(k, g.seconds) for k, g in rules]),
        ("prometheus_rule_group_iterations_missed_total", count, "Skipped rounds.", [(k, g.missed) for k, g in rules]),
        (
            "kaiki_rules_failing",
            gauge,
            "Rules whose last evaluation failed.",
            [("", sum(rule.health == "err" for group in groups for rule in group.rules))],
        ),
        (
            "prometheus_config_last_reload_successful",
            gauge,
            "Whether the newest rules and configuration are in force.",
            [("", float(not operations.error))],
        ),
        ("prometheus_notifications_sent_total", count, "Alerts taken by Alertmanagers.", [("", notifier.sent)]),
        ("prometheus_notifications_errors_total", count, "Alerts not taken.", [("", notifier.failed)]),
        ("prometheus_notifications_dropped_total", count, "Alerts dropped unsent.", [("", notifier.dropped)]),
        ("prometheus_remote_storage_samples_total", count, "Samples taken.", [(k, s.sent) for k, s in remotes]),
        ("prometheus_remote_storage_samples_failed_total", count, "Refused.", [(k, s.failed) for k, s in remotes]),
        ("prometheus_remote_storage_samples_dropped_total", count, "Not sent.", [(k, s.dropped) for k, s in remotes]),
        (
            "prometheus_remote_storage_samples_retried_total",
            count,
            "Tries again.",
            [(k, s.retries) for k, s in remotes],
        ),
        ("prometheus_remote_storage_samples_pending", gauge, "In the queue.", [(k, s.queued) for k, s in remotes]),
        ("kaiki_remote_write_samples_total", count, "Samples received.", [("", receiver.samples)]),
        ("kaiki_remote_write_refused_samples_total", count, "Samples refused.", [("", receiver.refused)]),
        ("kaiki_remote_write_invalid_series_total", count, "Series without a name.", [("", receiver.invalid_series)]),
    ]
    return "".join(_family(*family) for family in families if family[3])


def _family(name: str, kind: str, text: str, rows: Sequence[tuple[str, float]]) -> str:
    lines = [f"{name}{labels} {format_number(float(value))}" for labels, value in rows]
    return "\n".join([f"# HELP {name} {text}", f"# TYPE {name} {kind}", *lines]) + "\n"


def _resident_bytes(usage: resource.struct_rusage) -> int:
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except OSError:
        return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
