"""Requests that change or ask something: JSON objects, from this console's own pages only."""

from __future__ import annotations

from typing import Any

import orjson
from aiohttp import hdrs, web

from kaiki.console.errors import BadRequest


async def read_body(request: web.Request) -> dict[str, Any]:
    """The JSON object a request brings. Raises BadRequest for anything else."""
    if request.content_type != "application/json":
        raise BadRequest("the body must be application/json")
    try:
        body = orjson.loads(await request.read())
    except orjson.JSONDecodeError as error:
        raise BadRequest("the body is not JSON") from error
    if not isinstance(body, dict):
        raise BadRequest("the body must be a JSON object")
    return body


def is_own_page(request: web.Request) -> bool:
    """Whether a changing request comes from a page of this console, or from no page at all.

    The session cookie is SameSite=Strict already; another port of this host is the same site, not the same origin.
    """
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get(hdrs.ORIGIN)
    if site is not None and site not in ("same-origin", "none"):
        return False
    return origin is None or origin.partition("://")[2] == request.headers.get(hdrs.HOST, "")
