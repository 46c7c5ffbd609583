"""What the control plane wants to see before it tells what proxies have been told: a token for that and nothing else.

The console asks the Kubernetes API for one, of its own service account, for ten minutes, bound to its own pod, which is
written in its usual token. That one would open the whole API, and these cross the network unencrypted.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from kaiki.kube.client import KubeClient
from kaiki.kube.errors import KubeError

AUDIENCE = "kaiki-debug"
LIFETIME_SECONDS = 600
RENEWED_BEFORE_SECONDS = 60.0
RETRY_SECONDS = 10.0


class OwnPod(NamedTuple):
    """The pod that a console runs in, and its service account."""

    namespace: str
    service_account: str
    name: str
    uid: str


class DebugToken:
    """Keeps one token fresh. `problem` says why there is none."""

    def __init__(self, client: KubeClient | None, clock: Callable[[], float] = time.time) -> None:
        self._client = client
        self._clock = clock
        self._token = ""
        self._asked_again = 0.0
        self._asking = asyncio.Lock()
        self.problem = ""

    async def read(self) -> str:
        """The token to send now; empty when there is none."""
        async with self._asking:
            if self._clock() >= self._asked_again:
                await self._renew()
        return self._token

    async def _renew(self) -> None:
        self._token, self._asked_again = "", self._clock() + RETRY_SECONDS
        pod = own_pod(self._client.config.token_file) if self._client is not None else None
        if self._client is None or pod is None:
            self.problem = "this console runs in no pod, so it has no service account to ask for a token with"
            return
        try:
            issued = await self._client.request_token(
                pod.namespace, pod.service_account, (AUDIENCE,), LIFETIME_SECONDS, (pod.name, pod.uid)
            )
        except KubeError as error:
            self.problem = f"the console's service account got no token for it: {error}"
            return
        ends = datetime.fromisoformat(issued.expiration_timestamp).timestamp()
        self._token, self._asked_again, self.problem = issued.token, ends - RENEWED_BEFORE_SECONDS, ""


def own_pod(token_file: Path | None) -> OwnPod | None:
    """The pod that a mounted service account token is bound to; None when there is no such token."""
    if token_file is None:
        return None
    try:
        said: Any = _claims(token_file.read_text())["kubernetes.io"]
        account, pod = said["serviceaccount"]["name"], said["pod"]
        return OwnPod(str(said["namespace"]), str(account), str(pod["name"]), str(pod["uid"]))
    except (OSError, KeyError, IndexError, TypeError, ValueError):
        return None


def _claims(token: str) -> Any:
    """What a token of our own says: nothing is decided by it, so its signature is left to the API server."""
    payload = token.split(".")[1]
    return orjson.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
