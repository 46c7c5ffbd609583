"""JSON answers and the parameters of requests."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime

import msgspec
from aiohttp import web

from kaiki.console.errors import BadRequest

_encoder = msgspec.json.Encoder()
_DURATION_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
LONGEST_DURATION_SECONDS = 30 * 86400


def answer_json(value: object, status: int = 200) -> web.Response:
    """Encode msgspec structs, dicts and lists."""
    return web.Response(body=_encoder.encode(value), status=status, content_type="application/json")


def read_names(request: web.Request, parameter: str) -> frozenset[str]:
    """A comma-separated list; absent or empty means all."""
    text = request.query.get(parameter, "")
    return frozenset(name.strip() for name in text.split(",") if name.strip())


def read_flag(request: web.Request, parameter: str) -> bool:
    """`true` or `1`; absent means false."""
    return request.query.get(parameter, "").lower() in ("true", "1")


def read_count(request: web.Request, parameter: str) -> int:
    """A whole number from 0; absent means 0."""
    text = request.query.get(parameter, "") or "0"
    if not (text.isascii() and text.isdigit() and len(text) < 9):
        raise BadRequest(f"{parameter}={text!r} is not a whole number", "Write for example 500.")
    return int(text)


def read_duration(request: web.Request, parameter: str, default: int) -> int:
    """Seconds, from `60`, `60s`, `5m`, `1h` or `1d`."""
    text = request.query.get(parameter, "")
    if not text:
        return default
    number, unit = (text[:-1], text[-1]) if text[-1] in _DURATION_UNITS else (text, "s")
    seconds = int(number) * _DURATION_UNITS[unit] if number.isascii() and number.isdigit() and len(number) < 9 else 0
    if not 1 <= seconds <= LONGEST_DURATION_SECONDS:
        raise BadRequest(f"{parameter}={text!r} is not a duration from 1s to 30d", "Write for example 60s, 5m or 1h.")
    return seconds


def read_time(request: web.Request, parameter: str, default: Callable[[], float]) -> float:
    """Unix seconds, from a number or RFC 3339 text."""
    text = request.query.get(parameter, "")
    if not text:
        return default()
    try:
        seconds = float(text)
    except ValueError:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            moment = None
        seconds = moment.timestamp() if moment is not None and moment.tzinfo is not None else math.nan
    if not 0 <= seconds < 1e11:  # False for NaN too.
        hint = "Write Unix seconds or RFC 3339 with a zone, such as 2024-01-01T12:00:00Z."
        raise BadRequest(f"{parameter}={text!r} is not a time", hint)
    return seconds


def read_earlier(request: web.Request, parameter: str, at: float) -> float:
    """A time before `at`: one of the forms of `read_time`, or how long before, as `5m`."""
    text = request.query.get(parameter, "")
    if text[-1:] in _DURATION_UNITS:
        return at - read_duration(request, parameter, 0)
    moment = read_time(request, parameter, lambda: at)
    if not moment < at:
        raise BadRequest(f"{parameter}={text!r} is not before the compared time", "Write for example 5m, or a time.")
    return round(moment, 3)
