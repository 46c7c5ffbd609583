"""Whose Kubernetes identity a change is made with: the user's own, never the console's, which may only read.

`kaiki dashboard` hands the token of the user's kubeconfig over with the login link; in a shared installation people
log in with OpenID Connect, or give one (`kubectl create token …`). It lives in a sealed cookie, so nothing is kept on
the server and a restart forgets nobody. Without one, the console only shows.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from aiohttp import web

from kaiki.console.cookies import Cookies
from kaiki.console.errors import BadRequest, KubernetesUnavailable, ReadOnly
from kaiki.console.sealing import Seal
from kaiki.console.settings import KUBE_ANSWER_SECONDS
from kaiki.kube.client import KubeClient
from kaiki.kube.config import Impersonated, KubeConfig
from kaiki.kube.errors import KubeError, Unavailable

COOKIE = "kaiki_identity"
HEADER = "Kaiki-Kubernetes-Token"
LONGEST_TOKEN = 3000  # A cookie takes 4 KiB.
_SENDABLE = re.compile(r"[\x21-\x7e]+")  # What may stand in an HTTP header.
_REVIEW = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who somebody is to the Kubernetes API: by a token of theirs, or by the console's word for `user` and `groups`."""

    token: str = field(default="", repr=False)
    user: str = ""
    groups: tuple[str, ...] = ()

    @property
    def key(self) -> bytes:
        """What answers about them are remembered by; it says nothing of the token."""
        return hashlib.sha256("\n".join((self.token, self.user, *self.groups)).encode()).digest()

    def configure(self, kube: KubeConfig) -> KubeConfig:
        """How the API is reached as them, with nothing of the console's own rights but that to act as others."""
        if not self.token:
            if not self.user:  # Or the console would act as itself.
                raise ReadOnly("Nobody is named to act as.")
            return replace(kube, impersonated=Impersonated(self.user, self.groups))
        if not _SENDABLE.fullmatch(self.token):
            raise BadRequest("This is not a Kubernetes token.", "Paste what `kubectl create token` prints.")
        return replace(kube, token=self.token, token_file=None, client_cert=None, client_key=None, command=None)


class Identities:
    """Keeps tokens of people, and acts as them."""

    def __init__(
        self,
        seal: Seal,
        kube: KubeConfig | None,
        session_seconds: int,
        *,
        read_only: bool = False,
        cookies: Cookies | None = None,
        logged_in: Callable[[web.Request], Identity | None] = lambda _: None,
    ) -> None:
        self._cookies = cookies or Cookies()
        self._logged_in = logged_in
        self.read_only = read_only
        self._seal = seal
        self._kube = kube
        self._session_seconds = session_seconds

    def identity_of(self, request: web.Request) -> Identity | None:
        """Who a request is of, by its header or its cookie; a read-only console knows nobody."""
        if self.read_only or self._kube is None:
            return None
        token = request.headers.get(HEADER) or self._seal.open(request.cookies.get(COOKIE, ""))
        return Identity(token) if token else self._logged_in(request)

    async def name_of(self, identity: Identity) -> str:
        """Whose it is. Raises BadRequest when the API server does not know it."""
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        async with self.acting_as(identity) as client:
            try:
                answer = await client.request("POST", _REVIEW, body=body, call="ask who a token is of")
            except Unavailable as error:
                raise KubernetesUnavailable(error) from error
            except KubeError as error:
                hint = "Make a new one: kubectl create token <service account>."
                raise BadRequest("The Kubernetes API does not accept this token.", hint) from error
        user: Any = (answer.get("status") or {}).get("userInfo") or {}
        return str(user.get("username") or "")

    def keep(self, request: web.Request, response: web.StreamResponse, token: str) -> None:
        """Put the token into its cookie; a read-only console keeps none."""
        if self.read_only:
            return
        if len(token) > LONGEST_TOKEN:
            raise BadRequest("This token is too long for a cookie.", "Paste what `kubectl create token` prints.")
        sealed = self._seal.seal(token, self._session_seconds)
        self._cookies.set(request, response, COOKIE, sealed, self._session_seconds)

    def forget(self, response: web.StreamResponse) -> None:
        """Take the cookie away."""
        self._cookies.forget(response, COOKIE)

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
        identity = self.identity_of(request)
        if identity is None:
            raise ReadOnly(
                "Changes are made with your own Kubernetes identity, and the console does not know it yet.",
                "Open the console with `kaiki dashboard`, or give a token: kubectl create token <service account>.",
            )
        async with self.acting_as(identity) as client:
            yield client

    @asynccontextmanager
    async def acting_as(self, identity: Identity) -> AsyncIterator[KubeClient]:
        """A client that acts as somebody."""
        assert self._kube is not None
        config = identity.configure(self._kube)
        async with KubeClient(config, user_agent="kaiki-console", answer_seconds=KUBE_ANSWER_SECONDS) as client:
            yield client
