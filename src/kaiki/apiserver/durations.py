"""Times as kubectl shows them: how long ago, in at most two units."""

from __future__ import annotations

from datetime import UTC, datetime


def since(moment: str) -> str:
    """The time since a moment, as kubectl shortens it: 5s, 3m2s, 4h, 12d."""
    if not moment:
        return "<unknown>"
    try:
        then = datetime.fromisoformat(moment)
    except ValueError:
        return "<invalid>"
    seconds = int((datetime.now(UTC) - then).total_seconds())
    if seconds < -1:
        return "<invalid>"
    return shorten(max(0, seconds))


def shorten(seconds: int) -> str:
    """A duration in at most two units."""
    if seconds < 120:
        return f"{seconds}s"
    minutes = seconds // 60
    if minutes < 10:
        return f"{minutes}m{seconds % 60}s" if seconds % 60 else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    hours = minutes // 60
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    days = hours // 24
    if days < 8:
        return f"{days}d{hours % 24}h" if hours % 24 else f"{days}d"
    return f"{days}d" if days < 730 else f"{days // 365}y"
