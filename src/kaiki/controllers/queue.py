"""Per-key work queues: changes come as keys, many changes of one key cost one run, and no key runs twice at once."""

import asyncio
import heapq
import logging
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from kaiki.kube.errors import Conflict, KubeError

K = TypeVar("K", bound=Hashable)

logger = logging.getLogger(__name__)

FIRST_RETRY_SECONDS = 0.1
LAST_RETRY_SECONDS = 15.0
WORKERS = 4


class WorkQueue(Generic[K]):
    """Runs `handle(key)` for keys added. A handler that raises is run again after a back-off that doubles.

    `handle` answers after how many seconds the key is to be looked at again, or None.
    """

    def __init__(self, name: str, handle: Callable[[K], Awaitable[float | None]], workers: int = WORKERS) -> None:
        self._name = name
        self._handle = handle
        self._slots = workers
        self._ready: dict[K, None] = {}
        self._busy: set[K] = set()
        self._again: set[K] = set()
        self._failures: dict[K, int] = {}
        self._timers: list[tuple[float, int, K]] = []
        self._due: dict[K, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._count = 0
        self._closed = False

    def add(self, key: K) -> None:
        """Runs the key as soon as there is a free worker."""
        if self._closed:
            return
        if key in self._busy:
            self._again.add(key)
        else:
            self._ready[key] = None
            self._start()

    def add_after(self, key: K, seconds: float) -> None:
        """Runs the key then, unless something else runs it before; the earlier of two times counts."""
        due = asyncio.get_running_loop().time() + seconds
        if self._closed or self._due.get(key, due + 1) <= due:
            return
        self._due[key] = due
        self._count += 1
        heapq.heappush(self._timers, (due, self._count, key))
        self._arm()

    async def close(self) -> None:
        """Takes no more keys and cancels the handlers under way."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def idle(self) -> bool:
        """Nothing to do now; later keys may wait for their time."""
        return not self._ready and not self._busy

    def _start(self) -> None:
        while self._ready and len(self._busy) < self._slots:
            key = next(iter(self._ready))
            del self._ready[key]
            self._busy.add(key)
            task = asyncio.create_task(self._run(key))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _run(self, key: K) -> None:
        self._due.pop(key, None)
        try:
            again_seconds = await self._handle(key)
            self._failures.pop(key, None)
            if again_seconds is not None:
                self.add_after(key, again_seconds)
        except Exception as error:
            self._note_failure(key, error)
        finally:
            self._busy.discard(key)
            if key in self._again:
                self._again.discard(key)
                self.add(key)
            if not self._closed:
                self._start()

    def _note_failure(self, key: K, error: Exception) -> None:
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        if isinstance(error, Conflict):
            logger.debug("%s %s: %s", self._name, key, error)
        elif isinstance(error, KubeError):
            logger.info("%s %s: %s; trying again", self._name, key, error)
        else:
            logger.error("%s %s failed", self._name, key, exc_info=error)
        self.add_after(key, min(FIRST_RETRY_SECONDS * 2 ** (failures - 1), LAST_RETRY_SECONDS))

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._timers and not self._closed:
            self._timer = asyncio.get_running_loop().call_at(self._timers[0][0], self._fire)

    def _fire(self) -> None:
        now = asyncio.get_running_loop().time()
        while self._timers and self._timers[0][0] <= now + 0.001:
            due, _, key = heapq.heappop(self._timers)
            if self._due.get(key) == due:
                del self._due[key]
                self.add(key)
        self._arm()
