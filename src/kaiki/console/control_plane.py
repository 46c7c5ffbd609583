"""What the control plane tells of the proxies it serves. It may be down, or somebody else's: then nothing is told."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import aiohttp
import orjson

_TIMEOUT = aiohttp.ClientTimeout(total=2.0)


class ControlPlaneClient:
    """Asks one control plane's monitoring port."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Drop connections."""
        if self._session is not None:
            await self._session.close()

    @property
    def url(self) -> str:
        """The Service of all replicas, or the one control plane there is."""
        return self._url

    async def entries(self, page: str, address: str = "") -> list[dict[str, Any]] | None:
        """What /debug/`page` lists at one replica, by its pod's address, or at whichever answers; None if none does."""
        return await self._read(self._url_of(address) if address else self._url, page)

    def _url_of(self, address: str) -> str:
        parts = urlsplit(self._url)
        host = f"[{address}]" if ":" in address else address
        return f"{parts.scheme}://{host}:{parts.port or 15014}"

    async def _read(self, url: str, page: str) -> list[dict[str, Any]] | None:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=_TIMEOUT)
        try:
            async with self._session.get(f"{url}/debug/{page}") as answer:
                entries = orjson.loads(await answer.read())
        except (aiohttp.ClientError, TimeoutError, OSError, orjson.JSONDecodeError):
            return None
        return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else None
