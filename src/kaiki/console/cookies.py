"""Cookies of the console: never for scripts, never sent from other sites, over https only where people use it."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from aiohttp import web


class Cookies:
    """Sets and takes away. `external_url` is the address that people use, behind whatever ends TLS there."""

    def __init__(self, external_url: str = "") -> None:
        self._external = urlsplit(external_url)

    def is_secure(self, request: web.Request) -> bool:
        """Whether the browser speaks https: to us, or to what stands before us at our external address."""
        outside = self._external.scheme == "https" and request.host.lower() == self._external.netloc.lower()
        return request.secure or outside

    def set(
        self,
        request: web.Request,
        response: web.StreamResponse,
        name: str,
        value: str,
        seconds: int,
        *,
        path: str = "/",
        same_site: Literal["Strict", "Lax"] = "Strict",
    ) -> None:
        """A cookie for so long. Lax is for what must survive the way back from a provider."""
        secure = self.is_secure(request)
        response.set_cookie(name, value, max_age=seconds, httponly=True, secure=secure, samesite=same_site, path=path)

    def forget(self, response: web.StreamResponse, name: str, *, path: str = "/") -> None:
        """Take a cookie away."""
        response.del_cookie(name, path=path, httponly=True)
