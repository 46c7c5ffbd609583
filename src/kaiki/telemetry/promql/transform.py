"""Functions that change each value by itself: mathematics, clamping, rounding, dates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from kaiki.telemetry.arrays import FloatArray
from kaiki.telemetry.promql.values import Vector

_MATHEMATICS: dict[str, Any] = {
    "abs": np.abs,
    "ceil": np.ceil,
    "floor": np.floor,
    "exp": np.exp,
    "sqrt": np.sqrt,
    "ln": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "sgn": np.sign,
    "deg": lambda values: values * 180 / np.pi,
    "rad": lambda values: values * np.pi / 180,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
}


def _year(days: Any) -> Any:
    return days.astype("datetime64[Y]").astype(np.int64) + 1970


def _month_start(days: Any) -> Any:
    return days.astype("datetime64[M]").astype("datetime64[D]")


_DATES: dict[str, Callable[[Any, Any], Any]] = {
    "year": lambda seconds, days: _year(days),
    "month": lambda seconds, days: days.astype("datetime64[M]").astype(np.int64) % 12 + 1,
    "day_of_month": lambda seconds, days: (days - _month_start(days)).astype(np.int64) + 1,
    "day_of_week": lambda seconds, days: (days.astype(np.int64) + 4) % 7,
    "day_of_year": lambda seconds, days: (
        (days - days.astype("datetime64[Y]").astype("datetime64[D]")).astype(np.int64) + 1
    ),
    "days_in_month": lambda seconds, days: (
        (days.astype("datetime64[M]") + 1).astype("datetime64[D]") - _month_start(days)
    ).astype(np.int64),
    "hour": lambda seconds, days: seconds // 3600 % 24,
    "minute": lambda seconds, days: seconds // 60 % 60,
}
DATES = frozenset(_DATES)
ELEMENTWISE = frozenset(_MATHEMATICS) | DATES | {"clamp", "clamp_min", "clamp_max", "round"}


def transform(function: str, vector: Vector, arguments: list[FloatArray]) -> Vector:
    """`arguments` are the scalar arguments, one value per time. `function` is in ELEMENTWISE."""
    values, present = vector.values, vector.present
    if function in _MATHEMATICS:
        values = _MATHEMATICS[function](values)
    elif function in _DATES:
        values = _date(function, values)
    elif function == "round":
        inverse = 1.0 / (arguments[0] if arguments else np.ones(values.shape[1]))
        values = np.floor(values * inverse + 0.5) / inverse
    elif function == "clamp":
        values = _larger(arguments[0], _smaller(arguments[1], values))
        present = present & ~(arguments[0] > arguments[1])[None, :]
    else:
        values = (_larger if function == "clamp_min" else _smaller)(arguments[0], values)
    return Vector(vector.labels, values, present, vector.nameless).pruned().without_name()


def _larger(one: FloatArray, other: FloatArray) -> FloatArray:
    """NaN wins over numbers, infinity over NaN (IEEE 754's maximum as Go has it)."""
    return np.where((one == np.inf) | (other == np.inf), np.inf, np.maximum(one, other))


def _smaller(one: FloatArray, other: FloatArray) -> FloatArray:
    return np.where((one == -np.inf) | (other == -np.inf), -np.inf, np.minimum(one, other))


def _date(function: str, values: FloatArray) -> FloatArray:
    """UTC. Values that are no time give NaN."""
    known = np.isfinite(values) & (np.abs(values) < 1e11)
    seconds = np.trunc(np.where(known, values, 0.0)).astype(np.int64)
    days = seconds.astype("datetime64[s]").astype("datetime64[D]")
    return np.where(known, _DATES[function](seconds, days).astype(np.float64), np.nan)
