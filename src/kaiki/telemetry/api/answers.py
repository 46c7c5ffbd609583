"""What every answer has in common: Prometheus' envelope, its errors, compression and what browsers ask for first."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import orjson
from aiohttp import web
from multidict import MultiDict

from kaiki.telemetry.api.parameters import parse_limit
from kaiki.telemetry.errors import BadQueryError, ExecutionError, QueryError, QueryTimeoutError
from kaiki.telemetry.matchers import Matcher
from kaiki.telemetry.promql.evaluate import parse_selector

log = logging.getLogger(__name__)
Parameters = Any
Result = TypeVar("Result")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_STATUS = {BadQueryError: 400, ExecutionError: 422, QueryTimeoutError: 503}
_COMPRESSED_FROM_BYTES = 4096
_CROSS_ORIGIN = {
    "Access-Control-Allow-Headers": "Accept, Authorization, Content-Type, Origin",
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Date",
}
TRUNCATED = "results truncated due to limit"


def success(data: object, warnings: list[str] | None = None) -> web.Response:
    document = {"status": "success", "data": data} | ({"warnings": warnings} if warnings else {})
    return json_response(orjson.dumps(document))


def failure(status: int, kind: str, message: str) -> web.Response:
    body = orjson.dumps({"status": "error", "errorType": kind, "error": message})
    return web.Response(status=status, body=body, content_type="application/json")


def json_response(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="application/json")


def limited(rows: list[Result], given: Parameters) -> web.Response:
    """The first `limit` rows, with a warning where there are more."""
    limit = parse_limit(given.get("limit"))
    return success(rows[:limit], [TRUNCATED]) if 0 < limit < len(rows) else success(rows)


async def read_parameters(request: web.Request) -> Parameters:
    """Query string and form together, as Prometheus takes them."""
    if request.method != "POST":
        return request.query
    given = MultiDict(request.query)
    with contextlib.suppress(ValueError):
        given.extend((name, value) for name, value in (await request.post()).items() if isinstance(value, str))
    return given


def read_selectors(given: Parameters) -> list[list[Matcher]]:
    """The `match[]` parameters. Raises BadQueryError."""
    return [parse_selector(text) for text in given.getall("match[]", [])]


@web.middleware
async def finish(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turns errors into answers, and dresses all answers of the API."""
    answer = await _answer(request, handler)
    if request.path.startswith("/api/"):
        answer.headers.update(_CROSS_ORIGIN)
    if isinstance(answer, web.Response) and isinstance(answer.body, bytes) and _is_compressible(answer.body):
        answer.headers["Vary"] = "Accept-Encoding"
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            answer.enable_compression(web.ContentCoding.gzip)
    return answer


def _is_compressible(body: bytes) -> bool:
    return len(body) >= _COMPRESSED_FROM_BYTES


async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except QueryError as error:
        return failure(_STATUS.get(type(error), 500), error.kind, str(error))
    except web.HTTPNotFound:
        if request.path.startswith("/api/"):
            return failure(404, "not_found", f"no such path: {request.path}")
        raise
    except web.HTTPMethodNotAllowed as refusal:
        if request.method == "OPTIONS" and request.path.startswith("/api/"):
            return web.Response(status=204)
        return web.Response(status=405, headers={"Allow": refusal.headers["Allow"]}, text=refusal.text)
    except web.HTTPRequestEntityTooLarge as refusal:
        return failure(413, "bad_data", str(refusal.text))
    except web.HTTPException:
        raise
    except Exception as error:
        log.exception("%s %s failed", request.method, request.path)
        return failure(500, "internal", f"{type(error).__name__}: {error}")
