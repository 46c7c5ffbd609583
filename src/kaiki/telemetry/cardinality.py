"""Which label makes too many series, in words: what `/api/v1/status/tsdb` adds to Prometheus's figures.

A label whose values grow without bound is nearly always one that an application or a Telemetry object fills with what
requests say. It is the one with the most values; buckets are left out, since their number is fixed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NAME = "__name__"
_FIXED = frozenset((NAME, "le", "quantile"))
_NEARLY_FULL = 0.8
_MANY_VALUES = 1000


def cardinality_finding(
    counts: Mapping[str, Mapping[str, int]], series: int, largest: int, rejected: int
) -> dict[str, Any]:
    """What is wrong with the number of series, if anything; `counts` is label → value → series.

    `text` is empty where nothing is. `label`, `values` and `metric` name the worst in any case.
    """
    labels = {name: len(values) for name, values in counts.items() if name not in _FIXED}
    label = max(sorted(labels), key=lambda name: labels[name], default="")
    metrics = counts.get(NAME, {})
    metric = max(sorted(metrics), key=lambda name: metrics[name], default="")
    found = {"series": series, "limit": largest, "rejected": rejected, "label": label, "metric": metric}
    values = labels.get(label, 0)
    return {**found, "values": values, "text": _text(found, values)}


def _text(found: Mapping[str, Any], values: int) -> str:
    series, largest, rejected = found["series"], found["limit"], found["rejected"]
    parts = []
    if rejected:
        parts.append(f"The store is full: {rejected} new series were refused.")
    elif series >= largest * _NEARLY_FULL:
        parts.append(f"The store holds {series} of at most {largest} series.")
    elif values < _MANY_VALUES:
        return ""
    parts.append(f"The label {found['label']} has {values} values, more than any other;")
    parts.append(f"most series are of the metric {found['metric']}.")
    parts.append("Take the label away (Telemetry: tagOverrides, operation REMOVE), or fill it with fewer values.")
    return " ".join(parts)
