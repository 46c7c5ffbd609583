"""What the control plane tells of the proxies it serves. It may be down, or somebody else's: then nothing is told."""

from __future__ import annotations

from typing import Any

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

    async def proxies(self) -> dict[str, dict[str, Any]] | None:
        """The entries of /debug/syncz by proxy (`pod.namespace`); None when the control plane does not answer."""
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=_TIMEOUT)
        try:
            async with self._session.get(f"{self._url}/debug/syncz") as answer:
                entries = orjson.loads(await answer.read())
        except (aiohttp.ClientError, TimeoutError, OSError, orjson.JSONDecodeError):
            return None
        if not isinstance(entries, list):
            return None
        return {str(entry.get("proxy", "")): entry for entry in entries if isinstance(entry, dict)}
