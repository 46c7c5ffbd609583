"""Who opened a stream: decided by its service account token alone, which the API server reviews.

The token is bound to a pod, so it says more than a name: the answer of the review carries the pod's name and uid.
Nothing the proxy says of itself counts; what contradicts the token ends the stream.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

AUDIENCE = "istio-ca"
DEBUG_AUDIENCE = "kaiki-debug"
"""Of tokens that read what proxies have been told, and nothing else: they cross the network unencrypted."""

LONGEST_CACHE_SECONDS = 300.0
_USER_PREFIX = "system:serviceaccount:"
_POD_NAME = "authentication.kubernetes.io/pod-name"
_POD_UID = "authentication.kubernetes.io/pod-uid"

Review = Callable[[str, tuple[str, ...]], Awaitable[Mapping[str, Any]]]
"""(token, audiences) → the status of a TokenReview."""


class Unauthenticated(Exception):
    """The stream does not prove who opened it; the text says what is missing."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The pod a token is bound to."""

    namespace: str
    service_account: str
    pod_name: str
    pod_uid: str


class TokenAuthenticator:
    """Reviews tokens and remembers the answers while the tokens live, five minutes at most."""

    def __init__(self, review: Review, clock: Callable[[], float] = time.time, *, audience: str = AUDIENCE) -> None:
        self._audience = audience
        self._review = review
        self._clock = clock
        self._known: dict[bytes, tuple[float, Caller]] = {}

    async def authenticate(self, metadata: Iterable[tuple[str, str | bytes]]) -> Caller:
        """The caller behind a stream's metadata. Raises Unauthenticated; errors of the review pass through."""
        token = _bearer_token(metadata)
        key, now = hashlib.sha256(token.encode()).digest(), self._clock()
        known = self._known.get(key)
        if known is not None and now < known[0]:
            return known[1]
        caller = caller_of(await self._review(token, (self._audience,)))
        self._known = {key: entry for key, entry in self._known.items() if now < entry[0]}
        self._known[key] = (min(_expiry(token), now + LONGEST_CACHE_SECONDS), caller)
        return caller


def caller_of(status: Mapping[str, Any]) -> Caller:
    """Read the status of a TokenReview. Raises Unauthenticated."""
    if not status.get("authenticated"):
        raise Unauthenticated(f"the API server does not accept the token: {status.get('error') or 'no reason given'}")
    user = status.get("user") or {}
    name = str(user.get("username") or "")
    namespace, _, service_account = name.removeprefix(_USER_PREFIX).partition(":")
    if not name.startswith(_USER_PREFIX) or not service_account:
        raise Unauthenticated(f"the token is of {name!r}, which is no service account")
    extra = user.get("extra") or {}
    pod_name, pod_uid = ((extra.get(key) or [""])[0] for key in (_POD_NAME, _POD_UID))
    if not pod_name or not pod_uid:
        raise Unauthenticated("the token is not bound to a pod; mount a projected service account token")
    return Caller(namespace, service_account, str(pod_name), str(pod_uid))


def contradiction(node_id: str, caller: Caller) -> str | None:
    """How a node id (`sidecar~<ip>~<pod>.<namespace>~<domain>`) contradicts the token; None if it does not."""
    parts = node_id.split("~")
    if len(parts) != 4 or parts[2] == f"{caller.pod_name}.{caller.namespace}":
        return None
    return f"the node calls itself {parts[2]}, but its token is of {caller.pod_name}.{caller.namespace}"


def _bearer_token(metadata: Iterable[tuple[str, str | bytes]]) -> str:
    for key, value in metadata:
        if key.lower() == "authorization":
            text = value.decode("latin-1") if isinstance(value, bytes) else value
            scheme, _, token = text.partition(" ")
            if scheme.lower() == "bearer" and token.strip():
                return token.strip()
    raise Unauthenticated("there is no bearer token; the bootstrap must name the projected token's file")


def _expiry(token: str) -> float:
    """The `exp` claim of a token that has been found good; 0, so that it is not cached, if it cannot be read."""
    try:
        payload = token.split(".")[1]
        return float(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["exp"])
    except (IndexError, KeyError, TypeError, ValueError, binascii.Error):
        return 0.0
