"""Runs one handler per key, one at a time, with a back-off after failures: the loop under every reconciler."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from kaiki.kube.errors import KubeError

logger = logging.getLogger(__name__)

FIRST_RETRY_SECONDS = 0.2
LAST_RETRY_SECONDS = 30.0


class KeyedWork:
    """A set of keys to look at. `run` takes them in order; many changes of one key cost one look."""

    def __init__(self, name: str, handle: Callable[[str], Awaitable[None]]) -> None:
        self._name = name
        self._handle = handle
        self._keys: dict[str, None] = {}
        self._wake = asyncio.Event()
        self._failures: dict[str, int] = {}

    def add(self, key: str) -> None:
        """Looks at the key soon."""
        self._keys[key] = None
        self._wake.set()

    async def run(self) -> None:
        """Handles keys until cancelled."""
        while True:
            await self._wake.wait()
            while self._keys:
                key = next(iter(self._keys))
                del self._keys[key]
                await self._run_one(key)
            self._wake.clear()

    async def _run_one(self, key: str) -> None:
        try:
            await self._handle(key)
            self._failures.pop(key, None)
        except Exception as error:
            failures = self._failures[key] = self._failures.get(key, 0) + 1
            if not isinstance(error, KubeError):
                logger.error("%s: %s failed", self._name, key, exc_info=error)
            else:
                logger.info("%s: %s; trying again", self._name, error)
            seconds = min(FIRST_RETRY_SECONDS * 2 ** (failures - 1), LAST_RETRY_SECONDS)
            asyncio.get_running_loop().call_later(seconds, self.add, key)
