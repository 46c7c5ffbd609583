"""Who may look: a bearer token, or a session that was opened with it. Everything else is closed.

Authorization: Bearer <token>            ── scripts, the CLI
POST /api/login-links ─▶ /login?code=…   ── one use, one minute: the CLI opens the browser without showing the token
/login form with the token               ── people
             └─▶ session cookie: expiry and a MAC keyed by the token; no state, so a restart logs nobody out,
                 and a rotated token logs everybody out
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable

from aiohttp import hdrs, web

COOKIE = "kaiki_session"
MOST_CODES = 100


class Access:
    """Checks and opens access. `token` None (not known yet) lets nobody in."""

    def __init__(
        self,
        token: str | None,
        session_seconds: int,
        code_seconds: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.token = token or None
        self._session_seconds = session_seconds
        self._code_seconds = code_seconds
        self._clock = clock
        self._codes: dict[str, tuple[float, str | None]] = {}

    def allows(self, request: web.Request) -> bool:
        """Whether the request proves that its sender may see the console."""
        scheme, _, credential = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        if scheme.lower() == "bearer" and self.knows_token(credential.strip()):
            return True
        return self._knows_session(request.cookies.get(COOKIE, ""))

    def bears_token(self, request: web.Request) -> bool:
        """Whether the request carries the token itself; a session is not enough to invite others."""
        scheme, _, credential = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        return scheme.lower() == "bearer" and self.knows_token(credential.strip())

    def knows_token(self, candidate: str) -> bool:
        """Compare in constant time."""
        return self.token is not None and hmac.compare_digest(candidate.encode(), self.token.encode())

    def issue_code(self, companion: str | None = None) -> str:
        """A code for one login within the next minute; `companion` is given back to whoever redeems it."""
        now = self._clock()
        self._codes = {code: entry for code, entry in self._codes.items() if entry[0] > now}
        while len(self._codes) >= MOST_CODES:
            del self._codes[next(iter(self._codes))]
        code = secrets.token_urlsafe(32)
        self._codes[code] = now + self._code_seconds, companion
        return code

    def redeem_code(self, code: str) -> bool:
        """Use a code up."""
        return self.redeem(code)[0]

    def redeem(self, code: str) -> tuple[bool, str | None]:
        """Use a code up: whether it was good, and what it was issued with."""
        expiry, companion = self._codes.pop(code, (0.0, None))
        return (True, companion) if expiry > self._clock() else (False, None)

    def open_session(self, response: web.StreamResponse, *, secure: bool = False) -> None:
        """Set the session cookie. It is not for scripts (HttpOnly) and never sent from other sites (SameSite)."""
        expiry = int(self._clock()) + self._session_seconds
        response.set_cookie(
            COOKIE,
            f"{expiry}.{self._seal(expiry)}",
            max_age=self._session_seconds,
            httponly=True,
            samesite="Strict",
            secure=secure,
            path="/",
        )

    def close_session(self, response: web.StreamResponse) -> None:
        """Take the session cookie away."""
        response.del_cookie(COOKIE, path="/", httponly=True)

    def _knows_session(self, cookie: str) -> bool:
        text, _, seal = cookie.partition(".")
        if self.token is None or not (text.isascii() and text.isdigit() and len(text) < 16):
            return False
        return hmac.compare_digest(seal.encode(), self._seal(int(text)).encode()) and int(text) > self._clock()

    def _seal(self, expiry: int) -> str:
        key = (self.token or "").encode()
        return hmac.new(key, f"kaiki console session {expiry}".encode(), hashlib.sha256).hexdigest()
