"""The way to the provider and back.

What must be remembered meanwhile (state, nonce, the PKCE verifier, where to go then) is in a sealed cookie of its own
for each login: an answer that this browser did not ask for, or that came before, is refused.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import secrets
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import msgspec
from aiohttp import web

from kaiki.console.access import Access
from kaiki.console.cookies import Cookies
from kaiki.console.identity import Identities
from kaiki.console.login_page import LoginPage
from kaiki.console.oidc.errors import LoginRefused
from kaiki.console.oidc.sessions import Sessions
from kaiki.console.return_path import forward_page, read_return_path
from kaiki.console.sealing import Seal

logger = logging.getLogger(__name__)

START, CALLBACK = "/login/oidc", "/login/oidc/callback"
LOGIN_SECONDS = 600
MOST_USED = 10_000


class Started(msgspec.Struct, frozen=True):
    """A login that is under way."""

    state: str
    nonce: str
    verifier: str
    then: str
    redirect_uri: str


class OidcLogin:
    """The two pages."""

    def __init__(
        self,
        sessions: Sessions,
        seal: Seal,
        cookies: Cookies,
        page: LoginPage,
        access: Access,
        identities: Identities,
        external_url: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sessions = sessions
        self._seal = seal
        self._cookies = cookies
        self._page = page
        self._access = access
        self._identities = identities
        self._external_url = external_url.rstrip("/")
        self._clock = clock
        self._used: dict[str, float] = {}

    def routes(self) -> list[web.AbstractRouteDef]:
        """What to mount."""
        return [web.get(START, self.start), web.get(CALLBACK, self.finish)]

    async def start(self, request: web.Request) -> web.StreamResponse:
        """Send the browser to the provider."""
        then = read_return_path(request)
        if self._external_url and request.host.lower() != urlsplit(self._external_url).netloc.lower():
            raise web.HTTPSeeOther(self._external_url + request.path_qs)  # The way back leads there.
        if not self._seal.usable:
            told = "the console does not know its own token yet (Secret kaiki-console)"
            return self._page.render(request, refused=LoginRefused("misconfigured", told, status=503))
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        redirect_uri = (self._external_url or self._sessions.own_address(request)) + CALLBACK
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
        asked = {"redirect_uri": redirect_uri, "state": state, "nonce": nonce, "code_challenge": challenge}
        try:
            url = await self._sessions.provider.authorization_url(asked | {"code_challenge_method": "S256"})
        except LoginRefused as error:
            return self._refuse(request, error)
        response = web.Response(status=303, headers={"Location": url})
        started = msgspec.json.encode(Started(state, nonce, verifier, then, redirect_uri)).decode()
        sealed = self._seal.seal(started, LOGIN_SECONDS)
        self._cookies.set(request, response, cookie_name(state), sealed, LOGIN_SECONDS, path=START, same_site="Lax")
        return response

    async def finish(self, request: web.Request) -> web.StreamResponse:
        """The provider's answer."""
        state, then = request.query.get("state", ""), "/"
        try:
            started = self._started(request, state)
            then = started.then
            await self._check_answer(request)
            tokens = await self._sessions.provider.redeem(
                request.query.get("code", ""), started.verifier, started.redirect_uri
            )
            person = await self._sessions.accept(tokens, started.nonce)
            response = forward_page(then)
            self._sessions.keep(request, response, person)
        except LoginRefused as error:
            response = self._refuse(request, error, then)
        else:
            logger.info("%s has logged in", person.user)
            self._access.close_session(response)
            self._identities.forget(response)
        self._cookies.forget(response, cookie_name(state), path=START)
        return response

    def _started(self, request: web.Request, state: str) -> Started:
        """The login that this answer belongs to; only the first answer does."""
        text = self._seal.open(request.cookies.get(cookie_name(state), ""))
        if text is None:
            raise LoginRefused("notStarted")
        started = msgspec.json.decode(text, type=Started)
        now = self._clock()
        self._used = {old: until for old, until in self._used.items() if until > now}
        if not hmac.compare_digest(started.state.encode(), state.encode()) or state in self._used:
            raise LoginRefused("notStarted")
        while len(self._used) >= MOST_USED:
            del self._used[next(iter(self._used))]
        self._used[state] = now + LOGIN_SECONDS
        return started

    async def _check_answer(self, request: web.Request) -> None:
        """Whether it is an answer, and of this provider (RFC 9207), before its code is shown to anybody."""
        metadata, issuer = await self._sessions.provider.metadata(), request.query.get("iss")
        wanted = metadata.get("authorization_response_iss_parameter_supported") is True
        if issuer != metadata["issuer"] and (issuer is not None or wanted):
            raise LoginRefused("otherProvider", issuer or "")
        if error := request.query.get("error"):
            raise LoginRefused("providerRefused", f"{error} {request.query.get('error_description', '')}".strip())
        if not request.query.get("code"):
            raise LoginRefused("providerRefused", "the answer has no code")

    def _refuse(self, request: web.Request, error: LoginRefused, then: str | None = None) -> web.Response:
        logger.warning("a login with OpenID Connect was refused: %s", error)
        return self._page.render(request, refused=error, then=then)


def cookie_name(state: str) -> str:
    """Each login has its own cookie, so that two tabs do not disturb each other."""
    return "kaiki_login_" + hashlib.sha256(state.encode()).hexdigest()[:16]
