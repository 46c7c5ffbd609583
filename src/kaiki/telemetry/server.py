"""The `kaiki metrics` process: joins discovery, scraper, collector, store and HTTP API."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import secrets
import signal
import time
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web

from kaiki.kube.config import KubeConfig
from kaiki.telemetry.api.application import Api, ApiSettings
from kaiki.telemetry.api.discovery import DiscoveryRoutes
from kaiki.telemetry.api.rules import RuleRoutes
from kaiki.telemetry.api.status import StatusSources
from kaiki.telemetry.collector.accounts import TcpAccounts
from kaiki.telemetry.operations import Operations
from kaiki.telemetry.own_metrics import render_operations, render_own_metrics
from kaiki.telemetry.remote.receiver import RemoteWriteReceiver
from kaiki.telemetry.scrape.ingest import SampleRules
from kaiki.telemetry.scrape.scraper import Scraper, ScrapeSettings
from kaiki.telemetry.scrape.targets import static_target
from kaiki.telemetry.store.series import SeriesStore, StoreLimits

if TYPE_CHECKING:
    from kaiki.kube.client import KubeClient
    from kaiki.telemetry.traces.server import Traces, TraceSettings

log = logging.getLogger(__name__)
_RETENTION_CHECK_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class MetricsSettings:
    """Everything the process needs to know.

    Ports of 0 take any free one (tests). With `kube` None only `static_targets` (`host:port[/path]`) are scraped; an
    empty `collector_listen` turns the TCP collector off, and no `traces` the receivers and the store of traces.
    """

    data_path: Path
    listen: tuple[str, int] = ("0.0.0.0", 9090)
    collector_listen: tuple[str, int] | None = ("0.0.0.0", 9093)
    scrape_interval_seconds: float = 3.0
    retention_seconds: float = 24 * 3600.0
    retention_bytes: int = 512 << 20
    max_series: int = 50_000
    kube: KubeConfig | None = None
    static_targets: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    alertmanagers: tuple[str, ...] = ()
    remote_writes: tuple[str, ...] = ()
    namespace: str = "istio-system"
    scrape: bool = True
    sample_limit: int = 50_000
    body_limit_bytes: int = 64 << 20
    rules: SampleRules = field(default_factory=SampleRules)
    traces: TraceSettings | None = None


class Committer:
    """Commits the store in a thread, soon after something changed; changes that come together share one commit."""

    def __init__(self, store: SeriesStore) -> None:
        self._store = store
        self._dirty = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, "commit")
        self._merger = ThreadPoolExecutor(1, "merge")
        self._waiting: list[asyncio.Future[None]] = []

    def changed(self) -> None:
        self._dirty.set()

    async def committed(self) -> None:
        """Waits until all that was appended before is in the file."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        self._dirty.set()
        await future

    async def run(self) -> None:
        """Until cancelled. A failing disk is reported and tried again: samples stay in memory meanwhile."""
        loop = asyncio.get_running_loop()
        merging: asyncio.Future[bool] | None = None
        checked = 0.0
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._dirty.wait(), _RETENTION_CHECK_SECONDS)
            await asyncio.sleep(0.02)
            self._dirty.clear()
            waiting, self._waiting = self._waiting, []
            try:
                await loop.run_in_executor(self._thread, self._store.commit)
                for future in waiting:
                    if not future.done():
                        future.set_result(None)
                if merging is None or merging.done():
                    if merging is not None and (problem := merging.exception()) is not None:
                        log.error("blocks cannot be merged: %s; trying again", problem)
                    merging = loop.run_in_executor(self._merger, self._store.merge_blocks)
                if time.monotonic() - checked > _RETENTION_CHECK_SECONDS:
                    checked = time.monotonic()
                    await loop.run_in_executor(self._thread, self._store.enforce_retention, time.time_ns() // 1_000_000)
            except Exception as error:
                log.error("samples cannot be written to disk: %s; trying again", error)
                self._waiting[:0] = [future for future in waiting if not future.done()]
                await asyncio.sleep(1.0)
                self._dirty.set()

    def close(self) -> None:
        self._merger.shutdown(wait=True)
        self._thread.shutdown(wait=True)


async def serve(settings: MetricsSettings) -> None:
    """Runs until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        async with running(settings) as address:
            log.info("metrics are served on %s:%d", *address)
            await stop.wait()
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


@contextlib.asynccontextmanager
async def running(settings: MetricsSettings) -> AsyncIterator[tuple[str, int]]:
    """The whole process's work, while inside; gives the HTTP address."""
    limits = StoreLimits(settings.retention_seconds, settings.retention_bytes, settings.max_series)
    store = await asyncio.to_thread(SeriesStore, settings.data_path, limits)
    committer = Committer(store)
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(store.close)
        stack.callback(committer.close)
        await stack.enter_async_context(_task(committer.run(), "commit"))
        accounts = TcpAccounts(store, committer.changed)
        await stack.enter_async_context(_task(accounts.run(), "tcp accounts"))
        interval = settings.scrape_interval_seconds
        identity = secrets.token_hex(8)
        scrape = ScrapeSettings(
            interval_seconds=interval,
            timeout_seconds=min(interval, 2.5),
            body_limit_bytes=settings.body_limit_bytes,
            sample_limit=settings.sample_limit,
            identity=identity,
            active=settings.scrape,
            rules=settings.rules,
        )
        scraper = await stack.enter_async_context(Scraper(store, scrape, committer.changed))
        for address in settings.static_targets:
            scraper.set_target(static_target(address))

        traces = await _start_traces(stack, settings.traces)

        operations = await stack.enter_async_context(
            Operations(store, committer.changed, settings.files, settings.alertmanagers, settings.remote_writes)
        )
        receiver = RemoteWriteReceiver(store, committer.committed)

        def exposition(asking: str) -> str:
            counted = traces.intake.render() if traces is not None else ""
            return (
                render_own_metrics(store)
                + render_operations(operations, receiver)
                + counted
                + accounts.render(totals=asking != identity)
            )

        fetch = functools.partial(scraper.fetch, plain=True)
        discovery = DiscoveryRoutes(lambda: [target for target, _ in scraper.targets()], fetch, interval)
        parts = (receiver, RuleRoutes(operations.rules.groups), discovery)
        sources = _status_sources(settings, scraper, operations)
        api = Api(store, ApiSettings(), sources, exposition, parts=parts, middlewares=(discovery.forward,))
        bound = await stack.enter_async_context(_http(api, settings.listen))
        if settings.collector_listen is not None:
            await _start_collector(stack, accounts, settings.collector_listen)
        if settings.kube is not None:
            await _start_discovery(stack, scraper, operations, settings)
        yield bound


async def _start_collector(stack: contextlib.AsyncExitStack, accounts: TcpAccounts, listen: tuple[str, int]) -> None:
    from kaiki.telemetry.collector.service import collecting

    port = await stack.enter_async_context(collecting(accounts, listen))
    log.info("TCP access logs are collected on %s:%d", listen[0], port)


async def _start_traces(stack: contextlib.AsyncExitStack, settings: TraceSettings | None) -> Traces | None:
    if settings is None:
        return None
    from kaiki.telemetry.traces.server import serving_traces

    traces = await stack.enter_async_context(serving_traces(settings))
    log.info("traces are received on port %d (OTLP) and answered on %d", traces.grpc_port, traces.query_port)
    return traces


async def _start_discovery(
    stack: contextlib.AsyncExitStack, scraper: Scraper, operations: Operations, settings: MetricsSettings
) -> None:
    from kaiki.kube.cache import running as running_caches
    from kaiki.kube.client import KubeClient
    from kaiki.telemetry.scrape.discovery import watch_configuration, watch_pods

    assert settings.kube is not None
    client = await stack.enter_async_context(KubeClient(settings.kube, user_agent="kaiki-metrics"))
    pods = watch_pods(client, scraper)
    rules = watch_configuration(client, settings.namespace, operations.set_mapped_files)
    await stack.enter_async_context(running_caches(pods, rules, wait=False))
    await stack.enter_async_context(_task(_scrape_api(client, scraper, settings.kube.server), "own API"))


async def _scrape_api(client: KubeClient, scraper: Scraper, server: str) -> None:
    """Add the embedded API and its node to the targets as soon as they answer."""
    from kaiki.kube.errors import KubeError
    from kaiki.telemetry.scrape.api_server import scrape_own_api, scrape_own_nodes

    while True:
        try:
            if not await scrape_own_api(client, scraper, server) or await scrape_own_nodes(client, scraper):
                return
        except KubeError as error:
            log.info("the API's metrics are not asked for yet: %s", error)
        await asyncio.sleep(1.0)


@contextlib.asynccontextmanager
async def _task(work: object, name: str) -> AsyncIterator[None]:
    task: asyncio.Task[None] = asyncio.create_task(work, name=name)  # type: ignore[arg-type]
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@contextlib.asynccontextmanager
async def _http(api: Api, listen: tuple[str, int]) -> AsyncIterator[tuple[str, int]]:
    runner = web.AppRunner(api.application(), access_log=None, shutdown_timeout=2.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, *listen)
        await site.start()
        address = runner.addresses[0]
        yield str(address[0]), int(address[1])
    finally:
        await runner.cleanup()


def _status_sources(settings: MetricsSettings, scraper: Scraper, operations: Operations) -> StatusSources:
    interval = settings.scrape_interval_seconds
    flags = (
        ("storage.tsdb.retention.time", f"{int(settings.retention_seconds)}s"),
        ("storage.tsdb.retention.size", f"{settings.retention_bytes}B"),
        ("storage.tsdb.path", str(settings.data_path)),
        ("query.lookback-delta", "5m"),
        ("query.timeout", "30s"),
        ("query.max-concurrency", "2"),
        ("web.enable-admin-api", "false"),
        ("web.enable-lifecycle", "false"),
        ("web.enable-remote-write-receiver", "true"),
    )
    configuration = (
        "global:\n"
        f"  scrape_interval: {interval:g}s\n"
        "  evaluation_interval: 1m\n"
        "scrape_configs:\n"
        "- job_name: kubernetes-pods\n"
        "  kubernetes_sd_configs:\n"
        "  - role: pod\n"
    )
    return StatusSources(
        targets=scraper.targets,
        metadata=scraper.metadata,
        configuration=configuration,
        flags=flags,
        scrape_interval_seconds=interval,
        scrape_timeout_seconds=scraper.settings.timeout_seconds,
        alertmanagers=lambda: operations.notifier.urls,
    )
