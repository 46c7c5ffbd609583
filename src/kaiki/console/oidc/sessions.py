"""Who is logged in by OpenID Connect: a sealed cookie, in two pieces at most, renewed when the ID token ends.

Nothing is kept on the server but renewals of the last minute: a page asks several things at once, and providers that
rotate refresh tokens take the second use of one for a theft.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import hdrs, web

from kaiki.console.cookies import Cookies
from kaiki.console.identity import Identity
from kaiki.console.oidc import id_token
from kaiki.console.oidc.errors import LoginRefused
from kaiki.console.oidc.provider import Provider
from kaiki.console.oidc.settings import ActsBy
from kaiki.console.sealing import Seal

logger = logging.getLogger(__name__)

COOKIES = ("kaiki_person", "kaiki_person_2")
PIECE_LENGTH = 3600  # A cookie takes 4 KiB, and all of a request together 8.
RENEWED_BEFORE_SECONDS = 30.0
REMEMBERED_SECONDS = 60.0
UNTOLD_LIFETIME_SECONDS = 300.0


class Person(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Somebody who is logged in: `expires` when their ID token ends, `until` when their session does.

    With an ID token they are to Kubernetes whoever it says; without one, `user` with `groups`, by the console's word.
    """

    subject: str
    user: str
    groups: tuple[str, ...]
    expires: float
    until: float
    id_token: str = ""
    refresh_token: str = ""

    def __repr__(self) -> str:
        """Without the tokens: it may end in a log."""
        return f"Person({self.user!r}, until={self.until})"

    @property
    def identity(self) -> Identity:
        """Who they are to the Kubernetes API."""
        return Identity(token=self.id_token) if self.id_token else Identity(user=self.user, groups=self.groups)


Admit = Callable[[Person], Awaitable[None]]
"""Raises LoginRefused when somebody may not open the console."""
_PERSON: web.RequestKey[Person] = web.RequestKey("person", Person)
_RENEWED: web.RequestKey[Person] = web.RequestKey("renewed", Person)


def person_of(request: web.Request) -> Person | None:
    """Who sends a request, once `Sessions.open` has looked."""
    return request.get(_PERSON)


def identity_of(request: web.Request) -> Identity | None:
    """Whom a request of somebody who has logged in is made as."""
    person = person_of(request)
    return person.identity if person is not None else None


class Sessions:
    """Opens, renews and ends sessions."""

    def __init__(
        self,
        provider: Provider,
        seal: Seal,
        cookies: Cookies,
        admit: Admit,
        session_seconds: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.provider = provider
        self._seal = seal
        self._cookies = cookies
        self._admit = admit
        self._session_seconds = session_seconds
        self._clock = clock
        self._renewals: dict[bytes, tuple[float, asyncio.Task[Person | None]]] = {}

    def own_address(self, request: web.Request) -> str:
        """The console's address as the browser of a request has it."""
        return f"{'https' if self._cookies.is_secure(request) else 'http'}://{request.host}"

    def mount(self, application: web.Application) -> None:
        """Renewed cookies go out with every answer; the provider's connections end with the application."""

        async def close(_: web.Application) -> None:
            await self.provider.close()

        application.on_response_prepare.append(self._send_renewed)
        application.on_cleanup.append(close)

    async def knows(self, request: web.Request) -> bool:
        """Whether somebody who is logged in sends a request."""
        return await self.open(request) is not None

    async def accept(self, tokens: dict[str, Any], nonce: str | None, before: Person | None = None) -> Person:
        """The person that a token endpoint's answer is about; raises LoginRefused. `before` is who is renewed."""
        settings, now = self.provider.settings, self._clock()
        text, refresh = str(tokens.get("id_token") or ""), str(tokens.get("refresh_token") or "")
        if not text:
            raise LoginRefused("badToken", "the provider sent none: is the scope openid among those asked for?")
        _, key = id_token.read_header(text)
        claims = id_token.verify(text, await self.provider.keys(key), settings, self._clock)
        if nonce is not None:
            id_token.check_nonce(claims, nonce)
        if before is not None and claims["sub"] != before.subject:
            raise LoginRefused("badToken", "it is of somebody else than before")
        named = id_token.name(claims, settings)
        person = Person(
            subject=str(claims["sub"]),
            user=named.user,
            groups=named.groups,
            expires=float(claims["exp"]),
            until=before.until if before is not None else now + self._session_seconds,
            id_token=text if settings.acts_by is ActsBy.TOKEN else "",
            refresh_token=refresh or (before.refresh_token if before is not None else ""),
        )
        await self._admit(person)
        return person

    async def open(self, request: web.Request) -> Person | None:
        """Who sends a request; renewed where that is due. From now on `person_of` knows."""
        person = self._read(request)
        if person is None:
            return None
        now = self._clock()
        if person.expires - RENEWED_BEFORE_SECONDS <= now:
            if person.refresh_token:
                person = await self._renew(person)
                if person is None:
                    return None
                request[_RENEWED] = person
            elif person.id_token and person.expires <= now:
                return None
        request[_PERSON] = person
        return person

    async def _send_renewed(self, request: web.Request, response: web.StreamResponse) -> None:
        """Give the browser what `open` has renewed; before any answer's headers are sent, streams' too."""
        person = request.get(_RENEWED)
        if person is None or COOKIES[0] in response.cookies:
            return
        carrier = web.Response()  # The answer's own cookies are written already.
        try:
            self.keep(request, carrier, person)
        except LoginRefused:
            self.end(carrier)
        for cookie in carrier.cookies.values():
            response.headers.add(hdrs.SET_COOKIE, cookie.OutputString())

    def keep(self, request: web.Request, response: web.StreamResponse, person: Person) -> None:
        """Put somebody into the cookies. Raises LoginRefused when their token does not fit."""
        seconds = max(0, int(person.until - self._clock()))
        sealed = self._seal.seal(msgspec.json.encode(person).decode(), seconds)
        if len(sealed) > PIECE_LENGTH * len(COOKIES) and person.refresh_token:
            without = msgspec.structs.replace(person, refresh_token="")
            sealed = self._seal.seal(msgspec.json.encode(without).decode(), seconds)
        if len(sealed) > PIECE_LENGTH * len(COOKIES):
            raise LoginRefused("tooLarge", f"{len(person.id_token)} characters, {len(person.groups)} groups")
        for index, name in enumerate(COOKIES):
            piece = sealed[index * PIECE_LENGTH : (index + 1) * PIECE_LENGTH]
            if piece:
                self._cookies.set(request, response, name, piece, seconds)
            else:
                self._cookies.forget(response, name)

    def end(self, response: web.StreamResponse) -> None:
        """Take the cookies away."""
        for name in COOKIES:
            self._cookies.forget(response, name)

    def _read(self, request: web.Request) -> Person | None:
        text = self._seal.open("".join(request.cookies.get(name, "") for name in COOKIES))
        if text is None:
            return None
        try:
            person = msgspec.json.decode(text, type=Person)
        except msgspec.MsgspecError:
            return None
        return person if person.until > self._clock() else None

    async def _renew(self, person: Person) -> Person | None:
        key, now = hashlib.sha256(person.refresh_token.encode()).digest(), time.monotonic()
        self._renewals = {old: entry for old, entry in self._renewals.items() if now - entry[0] <= REMEMBERED_SECONDS}
        if key not in self._renewals:
            self._renewals[key] = now, asyncio.create_task(self._ask_again(person))
        return await asyncio.shield(self._renewals[key][1])

    async def _ask_again(self, person: Person) -> Person | None:
        try:
            return await self.accept(await self.provider.renew(person.refresh_token), None, person)
        except LoginRefused as error:
            logger.info("the session of %s was not renewed and ends: %s", person.user, error.reason)
            return None
