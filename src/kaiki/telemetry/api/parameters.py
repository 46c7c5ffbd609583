"""Times, durations and limits as Prometheus accepts them in parameters."""

from __future__ import annotations

import math
import re
from datetime import datetime

from kaiki.telemetry.errors import BadQueryError

_UNITS_MS = {"y": 31_536_000_000, "w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
_DURATION = re.compile(r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+)s)?(?:(\d+)ms)?")


_EARLIEST, _LATEST = "-292273086-05-16T16:47:06Z", "+292277025-08-18T07:12:54.999999999Z"
_UNBOUNDED_MS = 2**62


def parse_time(text: str, name: str) -> int:
    """Unix seconds (with a fraction) or RFC 3339, as milliseconds. Raises BadQueryError.

    The first and the last time Go can write are what clients send for "without bound".
    """
    if text in (_EARLIEST, _LATEST):
        return -_UNBOUNDED_MS if text == _EARLIEST else _UNBOUNDED_MS
    try:
        seconds = float(text)
    except ValueError:
        try:
            moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            raise BadQueryError(f'invalid parameter "{name}": cannot parse {text!r} to a valid timestamp') from None
        return round(moment.timestamp() * 1000)
    if not math.isfinite(seconds) or abs(seconds) > 9e12:
        raise BadQueryError(f'invalid parameter "{name}": {text!r} is not a point in time')
    return round(seconds * 1000)


def parse_duration(text: str, name: str) -> int:
    """Seconds, or a Prometheus duration such as `1m30s`, as milliseconds. Raises BadQueryError."""
    try:
        seconds = float(text)
    except ValueError:
        match = _DURATION.fullmatch(text)
        if not text or match is None:
            raise BadQueryError(f'invalid parameter "{name}": cannot parse {text!r} to a valid duration') from None
        return sum(
            int(number) * unit for number, unit in zip(match.groups(), _UNITS_MS.values(), strict=True) if number
        )
    if not math.isfinite(seconds) or abs(seconds) > 9e12:
        raise BadQueryError(f'invalid parameter "{name}": {text!r} is not a duration')
    return round(seconds * 1000)


def parse_limit(text: str | None) -> int:
    """0 means no limit. Raises BadQueryError."""
    if not text:
        return 0
    if not text.isdecimal():
        raise BadQueryError(f'invalid parameter "limit": {text!r} is not a whole number of at least 0')
    return int(text)
