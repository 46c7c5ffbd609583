"""What stands before every handler: the Host check, the access check, error answers, and protective headers."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from kaiki.console.access import Access
from kaiki.console.answers import answer_json
from kaiki.console.bodies import is_own_page
from kaiki.console.errors import ConsoleError
from kaiki.console.return_path import login_path

logger = logging.getLogger(__name__)

HEALTH_PATHS = frozenset({"/healthz", "/kiali/healthz"})
_WRONG_HOST = {
    "error": {
        "code": "wrongHost",
        "message": "This console does not serve that host name.",
        "hint": "Open it as http://localhost:<port>.",
    }
}
_OTHER_SITE = {
    "error": {
        "code": "readOnly",
        "message": "This request comes from another site.",
        "hint": "Scripts send neither Origin nor Sec-Fetch-Site.",
    }
}
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
OPEN_PATHS = HEALTH_PATHS | {"/login", "/login/oidc", "/login/oidc/callback"}
CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


Knows = Callable[[web.Request], Awaitable[bool]]
"""Whether a request is of somebody who has logged in in another way than by the console's token."""


async def nobody(_: web.Request) -> bool:
    """There is no other way."""
    return False


def build_protection(access: Access, allowed_hosts: tuple[str, ...], knows: Knows = nobody) -> Middleware:
    """The one middleware. Order matters: a foreign Host learns nothing, not even whether it is logged in."""
    hosts = frozenset(host.lower() for host in allowed_hosts)

    @web.middleware
    async def protect(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path not in HEALTH_PATHS and host_name(request.headers.get("Host", "")) not in hosts:
            return answer_json(_WRONG_HOST, status=421)
        if request.path not in OPEN_PATHS:
            known = await knows(request)  # Asked first: who has logged in so is whom changes are made as.
            if not known and not access.allows(request):
                return _turn_away(request)
            if request.method not in _READING and not is_own_page(request):
                return answer_json(_OTHER_SITE, status=403)
        return await _answer(request, handler)

    return protect


def host_name(header: str) -> str:
    """The Host header without its port, lower case; IPv6 literals keep their brackets."""
    text = header.strip().lower()
    if text.startswith("["):
        literal, bracket, rest = text.partition("]")
        return literal + bracket if not rest or rest.startswith(":") else text
    name, _, port = text.partition(":")
    return name.removesuffix(".") if not port or port.isdigit() else text


async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except ConsoleError as error:
        return answer_json(error.as_json(), status=error.status)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        message = {"error": {"code": "http", "message": error.reason, "hint": ""}}
        return answer_json(message, status=error.status)
    except Exception:
        logger.exception("%s %s failed", request.method, request.path)
        message = {"error": {"code": "internal", "message": "The console failed to answer.", "hint": "See its log."}}
        return answer_json(message, status=500)


def _turn_away(request: web.Request) -> web.StreamResponse:
    """Pages go to the login form; everything else is told 401."""
    if request.method == "GET" and "text/html" in request.headers.get("Accept", "") and not _is_api(request):
        return web.Response(status=303, headers={"Location": login_path(request.path_qs)})
    error = {
        "code": "unauthorized",
        "message": "Log in first.",
        "hint": "`kaiki dashboard` opens the console logged in.",
    }
    return answer_json({"error": error}, status=401)


def _is_api(request: web.Request) -> bool:
    return request.path.startswith(("/api/", "/kiali/api/"))


async def protect_headers(_: web.Request, response: web.StreamResponse) -> None:
    """What every answer carries; put in before its headers are sent, which streams do before their handler ends."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Cache-Control", "no-store")
