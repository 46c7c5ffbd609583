"""Histograms, read from the store's answer: the largest by far, a hundred megabytes for five thousand workloads.

A bucket's labels are those of its histogram and `le`, so they are parsed once a histogram and not once a bucket: the
rest of a series' labels, as the text it is, is the key.
"""

from __future__ import annotations

import math
import re

import msgspec

from kaiki.graph import Histogram, upper_bound

_COMMA = ord(",")
_LE = re.compile(rb',?\s*"le"\s*:\s*"([^"\\]*)"')


class _Row(msgspec.Struct, gc=False):
    metric: msgspec.Raw
    value: tuple[float, str]


class _Data(msgspec.Struct):
    result: list[_Row]


class _Answer(msgspec.Struct):
    status: str
    data: _Data


_decoder = msgspec.json.Decoder(_Answer)
_labels = msgspec.json.Decoder(dict[str, str])


def read_histograms(text: bytes) -> tuple[Histogram, ...] | None:
    """The histograms of an instant vector of buckets; None when the answer is none."""
    try:
        answer = _decoder.decode(text)
        gathered = _gather(answer.data.result) if answer.status == "success" else None
        return None if gathered is None else tuple(Histogram(_read(key), sums) for key, sums in gathered.items())
    except msgspec.DecodeError:
        return None


def _gather(rows: list[_Row]) -> dict[bytes, dict[float, float]]:
    found: dict[bytes, dict[float, float]] = {}
    bounds: dict[bytes, float] = {}
    for row in rows:
        value = float(row.value[1])
        if not math.isfinite(value):
            continue
        labels, bound_text = _cut(bytes(row.metric))
        bound = bounds.get(bound_text)
        if bound is None:
            bound = bounds[bound_text] = upper_bound(bound_text.decode())
        buckets = found.get(labels)
        if buckets is None:
            buckets = found[labels] = {}
        buckets[bound] = buckets.get(bound, 0.0) + value
    return found


def _cut(labels: bytes) -> tuple[bytes, bytes]:
    """The text without `le`, and its value. Quotes inside of a value are escaped: none is mistaken for the label."""
    start = labels.find(b'"le":"')
    if start >= 0:  # As every store writes it; the expression below reads the same with blanks, ten times slower.
        end = labels.index(b'"', start + 6)
        return labels[: start - (labels[start - 1] == _COMMA)] + labels[end + 1 :], labels[start + 6 : end]
    place = _LE.search(labels)
    return (labels, b"") if place is None else (labels[: place.start()] + labels[place.end() :], place[1])


def _read(labels: bytes) -> dict[str, str]:
    """What is left of an object when its first member is gone may begin with a comma."""
    return _labels.decode(labels.replace(b"{,", b"{", 1) if labels.startswith(b"{,") else labels)
