"""Where to go after a login: pages of this console only, whatever an address asks for."""

from __future__ import annotations

from html import escape
from urllib.parse import quote, urlsplit

from aiohttp import web

LONGEST = 1500
_NOT_PAGES = ("/login", "/api/", "/kiali", "/assets/", "/healthz")


def safe_path(text: str) -> str:
    """The path, when it is one of a page here; else the start page.

    Browsers read `//host`, `/\\host` and what has control characters in it as other hosts.
    """
    if not text.startswith("/") or text.startswith("//") or "\\" in text or not text.isprintable():
        return "/"
    try:
        parts = urlsplit(text)
    except ValueError:
        return "/"
    if parts.scheme or parts.netloc or len(text) > LONGEST or parts.path.startswith(_NOT_PAGES):
        return "/"
    return text


def read_return_path(request: web.Request) -> str:
    """The parameter `to` of a request."""
    return safe_path(request.query.get("to", "/"))


def login_path(then: str) -> str:
    """The login page that leads to a page."""
    then = safe_path(then)
    return "/login" if then == "/" else "/login?to=" + quote(then, safe="")


def forward_page(then: str) -> web.Response:
    """A page that forwards, not a redirect: browsers withhold a SameSite=Strict cookie from the redirect that follows
    a link from elsewhere (a terminal, a chat, a provider), and the user would see the login form again.
    """
    address = escape(safe_path(then), quote=True)
    body = f'<!doctype html><meta http-equiv="refresh" content="0; url={address}"><a href="{address}">Kaiki</a>'
    return web.Response(text=body, content_type="text/html")
