"""Scrapes every target at its own moment of the interval, for ever.

One task per target. A pod that is being deleted is scraped at once and then more often until it is gone, so that a
graceful stop loses next to nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

import aiohttp

from kaiki.telemetry.errors import ExpositionError, ScrapeError
from kaiki.telemetry.scrape.ingest import SampleRules, TargetIngest
from kaiki.telemetry.scrape.targets import Target
from kaiki.telemetry.store.series import SeriesStore

log = logging.getLogger(__name__)
LEAVING_INTERVAL_SECONDS = 0.2
"""A pod serves on for about 0.6 s after its endpoints are withdrawn: some scrapes must lie after its last request."""
IDENTITY_HEADER = "X-Kaiki-Store"


@dataclass(frozen=True, slots=True)
class ScrapeSettings:
    """`body_limit_bytes` and `sample_limit` bound one answer of one target.

    Not `active`, targets are only known, for others to scrape.

    `identity` is sent along, so that the process's own `/metrics` can leave out what its store has anyway.
    """

    interval_seconds: float = 3.0
    timeout_seconds: float = 2.5
    body_limit_bytes: int = 64 << 20
    identity: str = ""
    active: bool = True
    rules: SampleRules = field(default_factory=SampleRules)
    sample_limit: int = 50_000


@dataclass(frozen=True, slots=True)
class TargetHealth:
    """The outcome of the last scrape, for `/api/v1/targets`. `up` is None before the first."""

    up: bool | None = None
    error: str = ""
    time_ms: int = 0
    duration_seconds: float = 0.0


_PLAIN = "text/plain;version=0.0.4"
_FORMATS = f"application/openmetrics-text;version=1.0.0,{_PLAIN};q=0.5,*/*;q=0.1"
"""OpenMetrics has exemplars, so it is asked for first."""


class _Loop:
    """One target's loop."""

    def __init__(self, scraper: Scraper, target: Target) -> None:
        self.ingest = TargetIngest(scraper.store, target, scraper.settings.sample_limit, scraper.settings.rules)
        self.health = TargetHealth()
        self.hurry = asyncio.Event()
        name = f"scrape {target.url}"
        self.task = asyncio.create_task(self._run(scraper), name=name) if scraper.settings.active else None

    @property
    def target(self) -> Target:
        return self.ingest.target

    async def _run(self, scraper: Scraper) -> None:
        interval = scraper.settings.interval_seconds
        await self._pause(interval * (zlib.crc32(self.target.key.encode()) % 997) / 997)
        due = time.monotonic()
        while True:
            if self.hurry.is_set():
                due = time.monotonic()  # From here the shorter interval counts, not from what had been planned.
                self.hurry.clear()
            self.health = await scraper.scrape(self.ingest)
            due += LEAVING_INTERVAL_SECONDS if self.target.leaving else interval
            due = max(due, time.monotonic())
            await self._pause(due - time.monotonic())

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.hurry.wait(), seconds)


class Scraper:
    """Use as an async context manager; `set_target` and `remove_target` at any time inside."""

    def __init__(
        self,
        store: SeriesStore,
        settings: ScrapeSettings,
        changed: Callable[[], None],
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self.store = store
        self.settings = settings
        self._changed = changed
        self._clock_ms = clock_ms
        self._loops: dict[str, _Loop] = {}
        self.readers: dict[str, Callable[[], Awaitable[str]]] = {}
        """Targets that are asked in a way of their own (with credentials, say), by URL; they raise ScrapeError."""
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Scraper:
        timeout = aiohttp.ClientTimeout(total=min(self.settings.timeout_seconds, self.settings.interval_seconds))
        headers = {"Accept": _FORMATS, "X-Prometheus-Scrape-Timeout-Seconds": str(timeout.total)}
        if self.settings.identity:
            headers[IDENTITY_HEADER] = self.settings.identity
        connector = aiohttp.TCPConnector(
            limit=0, keepalive_timeout=max(15.0, 3 * self.settings.interval_seconds), ssl=False
        )
        self._session = aiohttp.ClientSession(connector=connector, timeout=timeout, headers=headers)
        return self

    async def __aexit__(self, *_: object) -> None:
        for key in list(self._loops):
            await self._stop(self._loops.pop(key))
        if self._session is not None:
            await self._session.close()

    def targets(self) -> list[tuple[Target, TargetHealth]]:
        """All targets with their last outcome, by URL."""
        pairs = [(loop.target, loop.health) for loop in self._loops.values()]
        return sorted(pairs, key=lambda pair: pair[0].url)

    def metadata(self) -> list[tuple[Target, dict[str, tuple[str, str]]]]:
        """(type, help) of each metric that each target has declared."""
        return [(loop.target, loop.ingest.metadata()) for loop in self._loops.values()]

    def set_target(self, target: Target) -> None:
        """Adds a target, or takes over what has changed about it. Another URL or other labels end its old series."""
        loop = self._loops.get(target.key)
        if loop is None or loop.target.identity != target.identity:
            self.remove_target(target.key)
            self._loops[target.key] = _Loop(self, target)
            return
        hurry = target.leaving and not loop.target.leaving
        loop.ingest.target = replace(target)
        if hurry:
            loop.hurry.set()

    def remove_target(self, key: str) -> None:
        """Ends a target's series now; unknown keys are ignored."""
        loop = self._loops.pop(key, None)
        if loop is not None:
            if loop.task is not None:
                loop.task.cancel()
            loop.ingest.leave(self._clock_ms())
            self._changed()

    async def scrape(self, ingest: TargetIngest) -> TargetHealth:
        """Scrapes once. Failures are part of the answer, never raised."""
        time_ms, begun, error = self._clock_ms(), time.perf_counter(), ""
        try:
            text = await self.fetch(ingest.target.url)
            ingest.accept(text, time_ms, time.perf_counter() - begun)
        except (ExpositionError, ScrapeError) as problem:
            error = str(problem)
            ingest.fail(time_ms, time.perf_counter() - begun)
        except Exception as problem:
            log.exception("a scrape of %s failed unexpectedly", ingest.target.url)
            error = f"unexpected: {problem}"
        self._changed()
        return TargetHealth(not error, error, time_ms, time.perf_counter() - begun)

    async def fetch(self, url: str, *, plain: bool = False) -> str:
        """A target's answer; `plain` for one in the older text format only. Raises ScrapeError."""
        assert self._session is not None
        if (read := self.readers.get(url)) is not None:
            return await read()
        try:
            async with self._session.get(url, headers={"Accept": _PLAIN} if plain else None) as response:
                if response.status != 200:
                    raise ScrapeError(f"{url} answered HTTP status {response.status}")
                return await self._read(url, response)
        except TimeoutError:
            raise ScrapeError(f"{url} did not answer within {self.settings.timeout_seconds} s") from None
        except (aiohttp.ClientError, OSError) as problem:
            raise ScrapeError(f"{url} cannot be read: {problem}") from problem

    async def _read(self, url: str, response: aiohttp.ClientResponse) -> str:
        parts: list[bytes] = []
        size = 0
        async for chunk in response.content.iter_any():
            size += len(chunk)
            if size > self.settings.body_limit_bytes:
                raise ScrapeError(f"{url} answers more than {self.settings.body_limit_bytes} bytes")
            parts.append(chunk)
        try:
            return b"".join(parts).decode()
        except UnicodeDecodeError as problem:
            raise ScrapeError(f"{url} does not answer UTF-8 text: {problem}") from None

    async def _stop(self, loop: _Loop) -> None:
        if loop.task is not None:
            loop.task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await loop.task
