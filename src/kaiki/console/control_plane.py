"""What the control plane tells of the proxies it serves. It may be down, or somebody else's: then nothing is told."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import aiohttp
import orjson

from kaiki.console.debug_token import DebugToken

_TIMEOUT = aiohttp.ClientTimeout(total=2.0)


class ControlPlaneClient:
    """Asks one control plane's monitoring port."""

    def __init__(self, url: str, token: DebugToken | None = None) -> None:
        self._token = token or DebugToken(None)
        self._url = url.rstrip("/")
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Drop connections."""
        if self._session is not None:
            await self._session.close()

    @property
    def token_problem(self) -> str:
        """Why configurations are asked for without a token; empty when there is one."""
        return self._token.problem

    @property
    def url(self) -> str:
        """The Service of all replicas, or the one control plane there is."""
        return self._url

    async def entries(self, page: str, address: str = "") -> list[dict[str, Any]] | None:
        """What /debug/`page` lists at one replica, by its pod's address, or at whichever answers; None if none does."""
        return await self._read(self._url_of(address) if address else self._url, page)

    async def configuration(self, proxy: str, address: str = "") -> tuple[int, dict[str, Any] | str]:
        """What a proxy (`pod.namespace`) has been told, by one replica: (200, the answer), or (status, why not).

        The status is 0 when it does not answer.
        """
        url = self._url_of(address) if address else self._url
        headers = {"Authorization": f"Bearer {token}"} if (token := await self._token.read()) else {}
        try:
            page = self._open().get(f"{url}/debug/config_dump", params={"proxyID": proxy}, headers=headers)
            async with page as answer:
                body = await answer.read()
                if answer.status != 200:
                    return answer.status, body.decode("utf-8", "replace").strip()
                return 200, dict(orjson.loads(body))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            return 0, str(error) or type(error).__name__

    def _url_of(self, address: str) -> str:
        parts = urlsplit(self._url)
        host = f"[{address}]" if ":" in address else address
        return f"{parts.scheme}://{host}:{parts.port or 15014}"

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=_TIMEOUT)
        return self._session

    async def _read(self, url: str, page: str) -> list[dict[str, Any]] | None:
        try:
            async with self._open().get(f"{url}/debug/{page}") as answer:
                entries = orjson.loads(await answer.read())
        except (aiohttp.ClientError, TimeoutError, OSError, orjson.JSONDecodeError):
            return None
        return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else None
