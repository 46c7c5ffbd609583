"""Which label makes too many series, in words: what `/api/v1/status/tsdb` adds to Prometheus's figures.

A label whose values grow without bound is nearly always one that an application or a Telemetry object fills with what
requests say. It is the one with the most values; buckets are left out, since their number is fixed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NAME = "__name__"
_FIXED = frozenset((NAME, "le", "quantile"))
# As many values as there are pods; that is the mesh's size, not a mistake.
_OF_TARGETS = frozenset(("pod", "instance", "pod_name", "pod_template_hash"))
_NEARLY_FULL = 0.8
_MANY_VALUES = 1000


def cardinality_finding(
    counts: Mapping[str, Mapping[str, int]], series: int, largest: int, rejected: int
) -> dict[str, Any]:
    """What is wrong with the number of series, if anything; `counts` is label → value → series.

    `state` is full, nearlyFull, manyValues, or empty where nothing is wrong; `text` says it in words. `label`, `values`
    and `metric` name the worst in any case.
    """
    full = bool(rejected) or series >= largest * _NEARLY_FULL
    left_out = _FIXED if full else _FIXED | _OF_TARGETS
    labels = {name: len(values) for name, values in counts.items() if name not in left_out}
    label = max(sorted(labels), key=lambda name: labels[name], default="")
    metrics = counts.get(NAME, {})
    metric = max(sorted(metrics), key=lambda name: metrics[name], default="")
    found = {"series": series, "limit": largest, "rejected": rejected, "label": label, "metric": metric}
    values = labels.get(label, 0)
    state = "full" if rejected else "nearlyFull" if full else "manyValues" if values >= _MANY_VALUES else ""
    return {**found, "values": values, "state": state, "text": _text(found, values, state)}


def _text(found: Mapping[str, Any], values: int, state: str) -> str:
    if not state:
        return ""
    parts = []
    if state == "full":
        parts.append(f"The store is full: {found['rejected']} new series were refused.")
    elif state == "nearlyFull":
        parts.append(f"The store holds {found['series']} of at most {found['limit']} series.")
    parts.append(f"The label {found['label']} has {values} values, more than any other;")
    parts.append(f"most series are of the metric {found['metric']}.")
    parts.append("Take the label away (Telemetry: tagOverrides, operation REMOVE), or fill it with fewer values.")
    return " ".join(parts)
