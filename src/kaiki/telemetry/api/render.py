"""Answers as JSON, in Prometheus' shapes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from kaiki.telemetry.api.columns import columns_of
from kaiki.telemetry.arrays import FloatArray
from kaiki.telemetry.promql.evaluate import Answer
from kaiki.telemetry.promql.numbers import format_number, format_time
from kaiki.telemetry.promql.values import Scalar, Text, Vector, Window


@dataclass(frozen=True, slots=True)
class RenderOptions:
    """`limit` is how many series are given at most (0: all); `statistics` are asked for with `stats=`.

    `shape` (`columns`, `packed`) and `pivot`: see the module `columns`; an instant vector without a limit is given so.
    """

    instant: bool
    limit: int = 0
    statistics: bool = False
    shape: str = ""
    pivot: str = ""


INSTANT, RANGE = RenderOptions(instant=True), RenderOptions(instant=False)


def render_answer(answer: Answer, options: RenderOptions, seconds: float = 0.0) -> bytes:
    """The whole response body; `seconds` is what the evaluation took."""
    if options.shape and options.instant and isinstance(answer.value, Vector):
        data = columns_of(answer.value, options.pivot, packed=options.shape == "packed")
        return orjson.dumps({"status": "success", "data": data}, option=orjson.OPT_SERIALIZE_NUMPY)
    kind, result = _instant(answer) if options.instant else ("matrix", _matrix(answer))
    document: dict[str, object] = {"status": "success"}
    if 0 < options.limit < len(result) and kind in ("vector", "matrix"):
        result = result[: options.limit]
        document["warnings"] = ["results truncated due to limit"]
    data = {"resultType": kind, "result": result}
    if options.statistics:
        data["stats"] = {
            "timings": {"evalTotalTime": seconds, "execTotalTime": seconds, "innerEvalTime": seconds},
            "samples": {"totalQueryableSamples": answer.samples, "peakSamples": answer.samples},
        }
    return orjson.dumps({**document, "data": data})


def _instant(answer: Answer) -> tuple[str, list[Any]]:
    moment, value = format_time(int(answer.times[0])), answer.value
    match value:
        case Vector():
            numbers = format_numbers(value.values[:, 0])
            pairs = zip(value.labels, numbers, strict=True)
            return "vector", [{"metric": labels, "value": [moment, number]} for labels, number in pairs]
        case Scalar():
            return "scalar", [moment, format_number(float(value.values[0]))]
        case Text():
            return "string", [moment, value.value]
        case Window():
            return "matrix", _ranges(value)


def _ranges(window: Window) -> list[object]:
    result: list[object] = []
    for row, labels in enumerate(window.labels):
        low, high = int(window.low[row, 0]), int(window.high[row, 0])
        if low < high:
            times = [format_time(t) for t in window.times[low:high].tolist()]
            points = zip(times, format_numbers(window.values[low:high]), strict=True)
            result.append({"metric": labels, "values": list(points)})
    return result


def _matrix(answer: Answer) -> list[object]:
    times, value = [format_time(t) for t in answer.times.tolist()], answer.value
    if isinstance(value, Scalar):
        return [{"metric": {}, "values": list(zip(times, format_numbers(value.values), strict=True))}]
    assert isinstance(value, Vector)
    result: list[object] = []
    for labels, row, mask in sorted(
        zip(value.labels, value.values, value.present, strict=True), key=lambda series: sorted(series[0].items())
    ):
        if mask.all():
            points = list(zip(times, format_numbers(row), strict=True))
        else:
            places = np.nonzero(mask)[0].tolist()
            points = list(zip([times[i] for i in places], format_numbers(row[mask]), strict=True))
        result.append({"metric": labels, "values": points})
    return result


def format_numbers(values: FloatArray) -> list[str]:
    """`format_number` of each; each distinct value is written once, as most of a matrix repeats itself."""
    known: dict[float, str] = {}
    texts: list[str] = []
    for value in values.tolist():
        text = known.get(value)
        if text is None or value == 0:
            text = known[value] = format_number(value)
        texts.append(text)
    return texts
