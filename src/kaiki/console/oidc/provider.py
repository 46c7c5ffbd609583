"""The OpenID provider over HTTP: its discovery document, its keys, and its token endpoint.

Everything is asked for when it is needed and kept for a while. A key that is not among those known makes the keys be
asked for again, so providers may rotate them; made-up key names cannot make us ask more than every ten seconds.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote_plus, urlencode

import aiohttp
import orjson

from kaiki.console.oidc.errors import LoginRefused, ProviderUnavailable
from kaiki.console.oidc.settings import OidcSettings, check_address

KEPT_SECONDS = 600.0
ASKED_AGAIN_SECONDS = 10.0
LARGEST_ANSWER_BYTES = 512 * 1024
_TIMEOUT = aiohttp.ClientTimeout(total=10.0, sock_connect=5.0)
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")
Object = dict[str, Any]


class Provider:
    """One provider, by its issuer's address."""

    def __init__(self, settings: OidcSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self.settings = settings
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None
        self._metadata: tuple[float, Object] | None = None
        self._keys: tuple[float, list[Object]] | None = None
        self._asking = asyncio.Lock()

    async def close(self) -> None:
        """Drop connections."""
        if self._session is not None:
            await self._session.close()

    async def metadata(self) -> Object:
        """What the provider says of itself. Raises ProviderUnavailable."""
        async with self._asking:
            if self._metadata is None or self._clock() - self._metadata[0] > KEPT_SECONDS:
                self._metadata = self._clock(), await self._discover()
            return self._metadata[1]

    async def keys(self, wanted: str = "") -> list[Object]:
        """Its public keys; asked for again when `wanted`, a key's id, is not among them."""
        address = str((await self.metadata())["jwks_uri"])
        async with self._asking:
            age = self._clock() - self._keys[0] if self._keys is not None else KEPT_SECONDS + 1
            known = {str(key.get("kid") or "") for key in self._keys[1]} if self._keys is not None else set()
            if age > KEPT_SECONDS or (wanted not in known and age > ASKED_AGAIN_SECONDS):
                found = (await self._get(address)).get("keys")
                if not isinstance(found, list):
                    raise ProviderUnavailable(f"{address} lists no keys")
                self._keys = self._clock(), [key for key in found if isinstance(key, dict)]
            assert self._keys is not None
            return self._keys[1]

    async def authorization_url(self, parameters: Mapping[str, str]) -> str:
        """Where to send somebody to log in."""
        endpoint = str((await self.metadata())["authorization_endpoint"])
        own = {"response_type": "code", "client_id": self.settings.client_id, "scope": " ".join(self.settings.scopes)}
        return endpoint + ("&" if "?" in endpoint else "?") + urlencode(own | dict(parameters))

    async def redeem(self, code: str, verifier: str, redirect_uri: str) -> Object:
        """The tokens of a code, as the token endpoint answers."""
        asked = {"grant_type": "authorization_code", "code": code, "code_verifier": verifier}
        return await self._ask_for_tokens(asked | {"redirect_uri": redirect_uri})

    async def renew(self, refresh_token: str) -> Object:
        """New tokens for an old login."""
        return await self._ask_for_tokens({"grant_type": "refresh_token", "refresh_token": refresh_token})

    async def logout_url(self, id_token: str, back: str) -> str | None:
        """Where to send somebody who logs out, so that the provider forgets them too; None if it has no such page."""
        endpoint = str((await self.metadata()).get("end_session_endpoint") or "")
        if not endpoint:
            return None
        told = {"client_id": self.settings.client_id, "post_logout_redirect_uri": back}
        told |= {"id_token_hint": id_token} if id_token else {}
        return endpoint + ("&" if "?" in endpoint else "?") + urlencode(told)

    async def _discover(self) -> Object:
        issuer = self.settings.issuer
        found = await self._get(issuer.rstrip("/") + "/.well-known/openid-configuration")
        if found.get("issuer") != issuer:  # Or one provider could speak for another.
            told = f"{issuer} calls itself {found.get('issuer')!r}: both must be the same, to the letter"
            raise ProviderUnavailable(told)
        try:
            for name in _ENDPOINTS:
                check_address(str(found.get(name) or ""), name)
            if found.get("end_session_endpoint"):
                check_address(str(found["end_session_endpoint"]), "end_session_endpoint")
        except ValueError as error:
            raise ProviderUnavailable(f"the discovery document of {issuer}: {error}") from error
        return found

    async def _ask_for_tokens(self, asked: dict[str, str]) -> Object:
        metadata = await self.metadata()
        try:
            secret = self.settings.read_secret()
        except OSError as error:
            raise LoginRefused("misconfigured", f"the client's secret cannot be read: {error}", status=500) from error
        headers = {"Accept": "application/json"}
        methods = metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        if secret and "client_secret_basic" in methods:
            pair = f"{quote_plus(self.settings.client_id)}:{quote_plus(secret)}"
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        else:
            asked = asked | {"client_id": self.settings.client_id} | ({"client_secret": secret} if secret else {})
        endpoint = str(metadata["token_endpoint"])
        status, answer = await self._send("POST", endpoint, data=asked, headers=headers)
        if status != 200:
            told = " ".join(str(answer.get(key)) for key in ("error", "error_description") if answer.get(key))
            if answer.get("error") in ("invalid_client", "unauthorized_client"):
                raise LoginRefused("misconfigured", f"the provider does not accept the client: {told}", status=500)
            if 400 <= status < 500:
                raise LoginRefused("providerRefused", told or f"HTTP {status}")
            raise ProviderUnavailable(f"{endpoint} answers HTTP {status} {told}".strip())
        return answer

    async def _get(self, url: str) -> Object:
        status, answer = await self._send("GET", url, headers={"Accept": "application/json"})
        if status != 200:
            raise ProviderUnavailable(f"{url} answers HTTP {status}")
        return answer

    async def _send(self, method: str, url: str, **rest: Any) -> tuple[int, Object]:
        """No redirects: they could carry the client's secret elsewhere."""
        try:
            async with self._open().request(method, url, allow_redirects=False, **rest) as answer:
                text = bytearray()
                async for piece in answer.content.iter_any():
                    text += piece
                    if len(text) > LARGEST_ANSWER_BYTES:
                        raise ProviderUnavailable(f"{url}: the answer is longer than {LARGEST_ANSWER_BYTES} bytes")
                found = orjson.loads(text) if text else {}
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ProviderUnavailable(f"{url}: {error or type(error).__name__}") from error
        except orjson.JSONDecodeError:
            found = {}
        return answer.status, found if isinstance(found, dict) else {}

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = None
            if self.settings.ca_file is not None:
                try:
                    context = ssl.create_default_context(cafile=str(self.settings.ca_file))
                except (OSError, ssl.SSLError) as error:
                    told = f"the CA bundle {self.settings.ca_file} cannot be read: {error}"
                    raise LoginRefused("misconfigured", told, status=500) from error
                connector = aiohttp.TCPConnector(ssl=context)
            self._session = aiohttp.ClientSession(timeout=_TIMEOUT, connector=connector)
        return self._session
