"""Numbers as Prometheus writes them."""

from __future__ import annotations

import math

import numpy as np


def format_number(value: float) -> str:
    """The shortest digits that read back to the same float; exponents only far from one,
    as Go's JSON encoder of samples.
    """
    if value != value:
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if value.is_integer() and abs(value) < 1e15:
        text = str(int(value))
        return "-0" if text == "0" and math.copysign(1, value) < 0 else text
    text = repr(value)
    if "e" in text or text.endswith(".0"):
        size = abs(value)
        return _positional(text) if 1e-6 <= size < 1e21 else _exponent(text)
    return text


def format_digits(value: float) -> str:
    """The same digits without ever an exponent, as `count_values` writes them into a label."""
    if not math.isfinite(value):
        return format_number(value)
    return np.format_float_positional(value, trim="-")


def _positional(text: str) -> str:
    mantissa, _, exponent = text.partition("e")
    sign = "-" if mantissa[0] == "-" else ""
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    digits = whole + fraction
    point = len(whole) + int(exponent or 0)
    if point <= 0:
        return sign + "0." + "0" * -point + digits.rstrip("0")
    padded = digits.ljust(point, "0")
    return sign + (padded[:point] + "." + padded[point:]).rstrip("0").rstrip(".")


def _exponent(text: str) -> str:
    """Go drops `.0` from the mantissa, and writes at least two digits of exponent, as Python does."""
    mantissa, _, exponent = text.partition("e")
    return f"{mantissa.removesuffix('.0')}e{exponent}"


def format_time(time_ms: int) -> int | float:
    """Milliseconds as JSON seconds: whole seconds without a point."""
    return time_ms // 1000 if time_ms % 1000 == 0 else time_ms / 1000
