"""A request as people write it: a URL, a method, headers."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from kaiki.translate.simulation.values import Request

PORTS = {"http": 80, "https": 443, "tcp": 0, "tls": 443}
"""The schemes, and the port of each where the URL has none (0: the first of the service)."""


def read_request(url: str, method: str = "GET", headers: Iterable[str] = ()) -> Request:
    """The request a URL (http without a scheme) and `name: value` headers stand for. Raises ValueError."""
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme not in PORTS or not parts.hostname:
        raise ValueError(f"{url!r} is not a URL with the scheme {', '.join(PORTS)}")
    pairs = dict(map(_read_header, headers))
    return Request(
        host=pairs.pop("host", parts.hostname),
        port=parts.port or PORTS[parts.scheme],
        path=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
        method=method,
        headers=pairs,
        server_name=parts.hostname if parts.scheme in ("https", "tls") else "",
        http=parts.scheme in ("http", "https"),
    )


def _read_header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise ValueError(f"{text!r} is not 'name: value'")
    return name.strip().lower(), value.strip()
