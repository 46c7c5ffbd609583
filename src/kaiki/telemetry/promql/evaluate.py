"""Walks the syntax tree (parsed by the Rust `promql-parser`) and evaluates it for all times at once."""

from __future__ import annotations

import math
import re
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import promql_parser

from kaiki.telemetry.arrays import FloatArray, TimeArray
from kaiki.telemetry.errors import BadQueryError, ExecutionError
from kaiki.telemetry.matchers import NAME, Matcher
from kaiki.telemetry.promql import histograms, over_time, rates, relabel, transform
from kaiki.telemetry.promql.aggregate import aggregate
from kaiki.telemetry.promql.binary import combine, read_matching
from kaiki.telemetry.promql.context import QueryContext, QuerySettings, SampleSource, evaluation_times
from kaiki.telemetry.promql.numbers import format_number
from kaiki.telemetry.promql.selectors import (
    is_range,
    matchers_of,
    milliseconds,
    samples_of,
    select_instant,
    select_window,
    subquery_times,
    window_over,
)
from kaiki.telemetry.promql.values import Scalar, Text, Value, Vector, Window, empty, merged
from kaiki.telemetry.store.labels import Labels


@dataclass(frozen=True, slots=True)
class Answer:
    """`times` are the evaluation times. A Window is the answer only to an instant query for a range.

    `samples` is how many samples were read from the store.
    """

    times: TimeArray
    value: Value | Window
    samples: int = 0


def parse(query: str) -> Any:
    """The syntax tree. Raises BadQueryError."""
    if not query.strip():
        raise BadQueryError('invalid parameter "query": the query is empty')
    try:
        return promql_parser.parse(_as_parsed(query) if "`" in query or "_" in query else query)
    except ValueError as error:
        raise BadQueryError(f'invalid parameter "query": {error}') from None


_TOKEN = re.compile(
    r"""#[^\n]*|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`(?P<raw>[^`]*)`"""
    r"""|(?<![\w:.])(?P<number>0[xX][\da-fA-F]+(?:_[\da-fA-F]+)+|\d+(?:_\d+)+)(?![\w:])"""
)


def _as_parsed(query: str) -> str:
    """What the parser does not read, in other words: raw strings, between whose braces it reads escapes, and
    underscores in numbers."""

    def rewritten(token: re.Match[str]) -> str:
        if token["number"]:
            return token["number"].replace("_", "")
        text = token["raw"]
        if text is None:
            return token[0]
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'

    return _TOKEN.sub(rewritten, query)


def parse_selector(text: str) -> list[Matcher]:
    """For `match[]` parameters. Raises BadQueryError when the text is not a plain vector selector."""
    node = parse(text)
    if not isinstance(node, promql_parser.VectorSelector) or node.offset is not None or node.at is not None:
        raise BadQueryError(f'invalid parameter "match[]": {text!r} is not a plain vector selector')
    return matchers_of(node)


def selectors_of(tree: Any) -> list[list[Matcher]]:
    """The conditions of every vector selector of an expression."""
    if isinstance(tree, promql_parser.VectorSelector):
        return [matchers_of(tree)]
    if isinstance(tree, promql_parser.MatrixSelector):
        return [matchers_of(tree.vector_selector)]
    inner = [getattr(tree, name, None) for name in ("expr", "lhs", "rhs", "param")]
    parts = [part for part in (*inner, *(getattr(tree, "args", None) or ())) if part is not None]
    return [matchers for part in parts if not isinstance(part, str) for matchers in selectors_of(part)]


def query_instant(source: SampleSource, query: str, time_ms: int, settings: QuerySettings) -> Answer:
    """Raises QueryError."""
    return _run(source, parse(query), np.array([time_ms], np.int64), time_ms, settings)


def query_range(
    source: SampleSource, query: str, start_ms: int, end_ms: int, step_ms: int, settings: QuerySettings
) -> Answer:
    """Raises QueryError; BadQueryError for a range without steps, or with too many."""
    if step_ms <= 0:
        raise BadQueryError('invalid parameter "step": zero or negative query resolution step widths are not accepted')
    if end_ms < start_ms:
        raise BadQueryError('invalid parameter "end": end timestamp must not be before start time')
    if (end_ms - start_ms) // step_ms + 1 > settings.max_steps:
        raise BadQueryError(
            f"exceeded maximum resolution of {settings.max_steps} points per timeseries: take a longer step"
        )
    node = parse(query)
    if is_range(_unwrapped(node)) or isinstance(_unwrapped(node), promql_parser.StringLiteral):
        raise BadQueryError("invalid expression type for range query, must be Scalar or instant Vector")
    return _run(source, node, evaluation_times(start_ms, end_ms, step_ms), end_ms, settings)


def _run(source: SampleSource, node: Any, times: TimeArray, end_ms: int, settings: QuerySettings) -> Answer:
    """`end_ms` is what `@ end()` means: the end asked for, whether or not a step falls on it."""
    deadline = time.monotonic() + settings.timeout_seconds
    context = QueryContext(source, settings, times, int(times[0]), end_ms, deadline)
    with np.errstate(all="ignore"):
        if is_range(_unwrapped(node)):
            window = _window(_unwrapped(node), context)
            return Answer(times, window, context.samples_read[0])
        value = evaluate(node, context)
        if isinstance(value, Vector):
            value = value.named().pruned()
            # What a selector alone finds are different series already.
            value = value if isinstance(_unwrapped(node), promql_parser.VectorSelector) else merged(value)
    return Answer(times, value, context.samples_read[0])


def evaluate(node: Any, context: QueryContext) -> Value:
    """The value of a node at the context's times. Raises QueryError."""
    context.check()
    match node:
        case promql_parser.ParenExpr():
            return evaluate(node.expr, context)
        case promql_parser.NumberLiteral():
            return Scalar(np.full(context.steps, node.val))
        case promql_parser.StringLiteral():
            return Text(node.val)
        case promql_parser.VectorSelector():
            return select_instant(node, context)
        case promql_parser.UnaryExpr():
            value = evaluate(node.expr, context)
            if isinstance(value, Scalar):
                return Scalar(-value.values)
            vector = _vector(value)
            return Vector(vector.labels, -vector.values, vector.present, vector.nameless).without_name()
        case promql_parser.AggregateExpr():
            parameter = evaluate(node.param, context) if node.param is not None else None
            return aggregate(str(node.op), _vector(evaluate(node.expr, context)), parameter, node.modifier)
        case promql_parser.BinaryExpr():
            left, right = evaluate(node.lhs, context), evaluate(node.rhs, context)
            return combine(str(node.op), left, right, read_matching(node.modifier))
        case promql_parser.Call():
            return _call(node.func.name, node.args, context)
    raise ExecutionError(f"an expression of type {type(node).__name__} cannot stand here")


def _window(node: Any, context: QueryContext, anchored: bool = False) -> Window:
    node = _unwrapped(node)
    if isinstance(node, promql_parser.MatrixSelector):
        return select_window(node, context, anchored)
    if not isinstance(node, promql_parser.SubqueryExpr):
        raise BadQueryError("expected type range vector")
    ends, times = subquery_times(node, context)
    inner = context.at_times(times)
    value = evaluate(node.expr, inner) if len(times) else Scalar(np.zeros(0))
    if isinstance(value, Scalar):
        value = Vector([{}], value.values[None, :], np.ones((1, len(times)), np.bool_))
    vector = _vector(value)
    if _may_repeat(node.expr):
        vector = merged(vector)
    return window_over(samples_of(vector, times), vector.nameless, ends, milliseconds(node.range), context)


def _may_repeat(node: Any) -> bool:
    """Whether series with the same labels may come from both sides, at different times: they are one then."""
    node = _unwrapped(node)
    return isinstance(node, promql_parser.BinaryExpr) and str(node.op) == "or"


def _call(name: str, arguments: list[Any], context: QueryContext) -> Value:
    if name == "increase" and context.settings.exact_increase:
        return rates.counted(_window(arguments[0], context, anchored=True))
    if name in rates.EXTRAPOLATED:
        return rates.extrapolated(name, _window(arguments[0], context), context.settings.closed_ranges)
    if name in rates.INSTANT:
        return rates.last_two(name, _window(arguments[0], context))
    if name in over_time.OVER_TIME:
        windows = [argument for argument in arguments if is_range(_unwrapped(argument))]
        scalars = [_numbers(a, context) for a in arguments if not is_range(_unwrapped(a))]
        return over_time.over_time(name, _window(windows[0], context), scalars, context)
    if name in transform.ELEMENTWISE:
        vector = _argument(arguments, context) if arguments else _now(context)
        return transform.transform(name, vector, [_numbers(a, context) for a in arguments[1:]])
    function = _FUNCTIONS.get(name)
    if function is None:
        raise ExecutionError(f"the function {name} is not supported")
    value: Value = function(arguments, context)
    return value


def _now(context: QueryContext) -> Vector:
    return Vector([{}], (context.times / 1000.0)[None, :], np.ones((1, context.steps), np.bool_))


def _argument(arguments: list[Any], context: QueryContext, position: int = 0) -> Vector:
    return _vector(evaluate(arguments[position], context))


def _vector(value: Value) -> Vector:
    if not isinstance(value, Vector):
        raise ExecutionError("expected type instant vector")
    return value


def _numbers(node: Any, context: QueryContext) -> FloatArray:
    value = evaluate(node, context)
    if not isinstance(value, Scalar):
        raise ExecutionError("expected type scalar")
    return value.values


def _texts(nodes: list[Any]) -> list[str]:
    return [str(_unwrapped(node).val) for node in nodes]


def _unwrapped(node: Any) -> Any:
    while isinstance(node, promql_parser.ParenExpr):
        node = node.expr
    return node


# ---- functions with an evaluation of their own


def _scalar(arguments: list[Any], context: QueryContext) -> Value:
    vector = _argument(arguments, context)
    single = vector.present.sum(axis=0) == 1
    return Scalar(np.where(single, np.where(vector.present, vector.values, 0.0).sum(axis=0), np.nan))


def _as_vector(arguments: list[Any], context: QueryContext) -> Value:
    return Vector([{}], _numbers(arguments[0], context)[None, :], np.ones((1, context.steps), np.bool_))


def _timestamp(arguments: list[Any], context: QueryContext) -> Value:
    node = _unwrapped(arguments[0])
    if isinstance(node, promql_parser.VectorSelector):
        return select_instant(node, context, timestamps=True).without_name()
    vector = _argument(arguments, context)
    times = np.broadcast_to(context.times / 1000.0, vector.values.shape)
    return Vector(vector.labels, times, vector.present, vector.nameless).without_name()


def _absent(arguments: list[Any], context: QueryContext) -> Value:
    vector = _argument(arguments, context)
    return _absence(arguments[0], ~vector.present.any(axis=0))


def _absent_over_time(arguments: list[Any], context: QueryContext) -> Value:
    window = _window(arguments[0], context)
    return _absence(arguments[0], ~(window.counts > 0).any(axis=0))


def _absence(node: Any, absent: Any) -> Vector:
    return Vector([_equal_labels(node)], np.ones((1, len(absent))), absent[None, :]).pruned()


def _equal_labels(node: Any) -> Labels:
    """Labels that the selector asks for by `=`, each exactly once."""
    node = _unwrapped(node)
    if isinstance(node, promql_parser.MatrixSelector):
        node = node.vector_selector
    if not isinstance(node, promql_parser.VectorSelector):
        return {}
    matchers = [matcher for matcher in matchers_of(node) if matcher.name != NAME]
    names = [matcher.name for matcher in matchers]
    return {m.name: m.value for m in matchers if m.operator == "=" and m.value and names.count(m.name) == 1}


def _sort(arguments: list[Any], context: QueryContext, descending: bool = False) -> Value:
    vector = _argument(arguments, context)
    if context.steps != 1 or not vector.labels:
        return vector
    values = vector.values[:, 0]
    return vector.take(np.lexsort((-values if descending else values, np.isnan(values))))


def _sort_by_label(arguments: list[Any], context: QueryContext, descending: bool = False) -> Value:
    vector = _argument(arguments, context)
    return relabel.sort_by_label(vector, _texts(arguments[1:]), descending) if context.steps == 1 else vector


def _label_replace(arguments: list[Any], context: QueryContext) -> Value:
    destination, replacement, source, pattern = _texts(arguments[1:5])
    return relabel.label_replace(_argument(arguments, context), destination, replacement, source, pattern)


def _label_join(arguments: list[Any], context: QueryContext) -> Value:
    destination, separator, *sources = _texts(arguments[1:])
    return relabel.label_join(_argument(arguments, context), destination, separator, sources)


def _histogram_quantile(arguments: list[Any], context: QueryContext) -> Value:
    return histograms.histogram_quantile(_numbers(arguments[0], context), _argument(arguments, context, 1))


def _histogram_quantiles(arguments: list[Any], context: QueryContext) -> Value:
    vector, label = _argument(arguments, context), _texts(arguments[1:2])[0]
    parts = []
    for node in arguments[2:]:
        quantiles = _numbers(node, context)
        part = histograms.histogram_quantile(quantiles, vector)
        named: list[Labels] = [{**labels, label: format_number(float(quantiles[0]))} for labels in part.labels]
        parts.append(Vector(named, part.values, part.present))
    labels = [one for part in parts for one in part.labels]
    return Vector(labels, np.concatenate([p.values for p in parts]), np.concatenate([p.present for p in parts]))


def _histogram_fraction(arguments: list[Any], context: QueryContext) -> Value:
    lower, upper = _numbers(arguments[0], context), _numbers(arguments[1], context)
    return histograms.histogram_fraction(lower, upper, _argument(arguments, context, 2))


NATIVE_ONLY = ("histogram_avg", "histogram_count", "histogram_sum", "histogram_stddev", "histogram_stdvar")
"""They take native histograms and pass over all other samples; the store has no others."""
_FUNCTIONS: dict[str, Any] = {
    "time": lambda arguments, context: Scalar(context.times / 1000.0),
    "pi": lambda arguments, context: Scalar(np.full(context.steps, math.pi)),
    "start": lambda arguments, context: Scalar(np.full(context.steps, context.start_ms / 1000.0)),
    "end": lambda arguments, context: Scalar(np.full(context.steps, context.end_ms / 1000.0)),
    "range": lambda arguments, context: Scalar(np.full(context.steps, (context.end_ms - context.start_ms) / 1000.0)),
    "min_of": lambda arguments, context: Scalar(np.fmin(*[_numbers(node, context) for node in arguments])),
    "max_of": lambda arguments, context: Scalar(np.fmax(*[_numbers(node, context) for node in arguments])),
    **dict.fromkeys(NATIVE_ONLY, lambda arguments, context: empty(context.steps)),
    "scalar": _scalar,
    "vector": _as_vector,
    "timestamp": _timestamp,
    "absent": _absent,
    "absent_over_time": _absent_over_time,
    "sort": _sort,
    "sort_desc": lambda arguments, context: _sort(arguments, context, descending=True),
    "sort_by_label": _sort_by_label,
    "sort_by_label_desc": lambda arguments, context: _sort_by_label(arguments, context, descending=True),
    "label_replace": _label_replace,
    "label_join": _label_join,
    "histogram_quantile": _histogram_quantile,
    "histogram_quantiles": _histogram_quantiles,
    "histogram_fraction": _histogram_fraction,
}
