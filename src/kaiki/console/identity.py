"""Whose Kubernetes identity a change is made with: the user's own, never the console's, which may only read.

`kaiki dashboard` hands the token of the user's kubeconfig over with the login link; in a shared installation people
give one (`kubectl create token …`). It lives in a cookie that only the console can open (AES-GCM, keyed by the
console's token), so that nothing is kept on the server and a restart forgets nobody. Without one, the console only
shows.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from aiohttp import hdrs, web

from kaiki.console.access import Access
from kaiki.console.errors import BadRequest, ReadOnly
from kaiki.kube.client import KubeClient
from kaiki.kube.config import KubeConfig
from kaiki.kube.errors import KubeError, Unavailable

COOKIE = "kaiki_identity"
HEADER = "Kaiki-Kubernetes-Token"
LONGEST_TOKEN = 3000  # A cookie takes 4 KiB.
_SENDABLE = re.compile(r"[\x21-\x7e]+")  # What may stand in an HTTP header.
_REVIEW = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


class Identities:
    """Seals, opens and uses tokens of people."""

    def __init__(
        self, access: Access, kube: KubeConfig | None, session_seconds: int, *, read_only: bool = False
    ) -> None:
        self.read_only = read_only
        self._access = access
        self._kube = kube
        self._session_seconds = session_seconds

    def token_of(self, request: web.Request) -> str | None:
        """The Kubernetes token a request brings, in its header or in its cookie; a read-only console knows nobody."""
        if self.read_only:
            return None
        return request.headers.get(HEADER) or self._open(request.cookies.get(COOKIE, ""))

    async def name_of(self, token: str) -> str:
        """Who a token is of. Raises BadRequest when the API server does not know it."""
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        async with self._client(token) as client:
            try:
                answer = await client.request("POST", _REVIEW, body=body, call="ask who a token is of")
            except Unavailable:
                raise
            except KubeError as error:
                hint = "Make a new one: kubectl create token <service account>."
                raise BadRequest("The Kubernetes API does not accept this token.", hint) from error
        user = (answer.get("status") or {}).get("userInfo") or {}
        return str(user.get("username") or "")

    def keep(self, response: web.StreamResponse, token: str) -> None:
        """Put the token into its cookie; a read-only console keeps none."""
        if self.read_only:
            return
        _require_sendable(token)
        response.set_cookie(
            COOKIE, self._seal(token), max_age=self._session_seconds, httponly=True, samesite="Strict", path="/"
        )

    def forget(self, response: web.StreamResponse) -> None:
        """Take the cookie away."""
        response.del_cookie(COOKIE, path="/", httponly=True, samesite="Strict")

    def require_changeable(self) -> None:
        """Raise ReadOnly when this console was started to change nothing."""
        if self.read_only:
            raise ReadOnly(
                "This console was started with --read-only: it changes nothing.",
                "Use kubectl, or ask whoever runs the console.",
            )

    @asynccontextmanager
    async def client(self, request: web.Request) -> AsyncIterator[KubeClient]:
        """A client that acts as the user; ReadOnly when the user has not said who they are."""
        self.require_changeable()
        token = self.token_of(request)
        if token is None or self._kube is None:
            raise ReadOnly(
                "Changes are made with your own Kubernetes identity, and the console does not know it yet.",
                "Open the console with `kaiki dashboard`, or give a token: kubectl create token <service account>.",
            )
        async with self._client(token) as client:
            yield client

    def _client(self, token: str) -> KubeClient:
        assert self._kube is not None
        _require_sendable(token)
        own = replace(self._kube, token=token, token_file=None, client_cert=None, client_key=None, command=None)
        return KubeClient(own, user_agent="kaiki-console")

    def _key(self) -> bytes:
        return hashlib.sha256(b"kaiki console identity " + (self._access.token or "").encode()).digest()

    def _seal(self, token: str) -> str:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce, until = os.urandom(12), f"{int(time.time()) + self._session_seconds}"
        sealed = AESGCM(self._key()).encrypt(nonce, f"{until} {token}".encode(), None)
        return base64.urlsafe_b64encode(nonce + sealed).decode().rstrip("=")

    def _open(self, cookie: str) -> str | None:
        if not cookie or self._access.token is None:
            return None
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        try:
            raw = base64.urlsafe_b64decode(cookie + "=" * (-len(cookie) % 4))
            until, _, token = AESGCM(self._key()).decrypt(raw[:12], raw[12:], None).decode().partition(" ")
        except (InvalidTag, ValueError):
            return None
        return token if int(until) > time.time() else None


def _require_sendable(token: str) -> None:
    if len(token) > LONGEST_TOKEN or not _SENDABLE.fullmatch(token):
        raise BadRequest("This is not a Kubernetes token.", "Paste what `kubectl create token` prints.")


def is_own_page(request: web.Request) -> bool:
    """Whether a changing request comes from a page of this console, or from no page at all.

    The session cookie is SameSite=Strict already; another port of this host is the same site, not the same origin.
    """
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get(hdrs.ORIGIN)
    if site is not None and site not in ("same-origin", "none"):
        return False
    return origin is None or origin.partition("://")[2] == request.headers.get(hdrs.HOST, "")
