"""What can be changed while the process runs: rules, Alertmanagers and remote write.

flags and files ─┐
                 ├─▶ Configuration ──▶ rule manager, notifier, senders
ConfigMap ───────┘        (a wrong one is refused whole: the last good one stays in force)
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from kaiki.telemetry.configuration import Configuration, read_configuration
from kaiki.telemetry.errors import RuleError
from kaiki.telemetry.promql.context import QuerySettings
from kaiki.telemetry.remote.sender import RemoteWrite, RemoteWriteSender
from kaiki.telemetry.rules.manager import RuleManager
from kaiki.telemetry.rules.notify import Notifier
from kaiki.telemetry.store.series import SeriesStore

log = logging.getLogger(__name__)


class Operations:
    """Use as an async context manager. `files` are texts by name, as in `read_configuration`."""

    def __init__(
        self,
        store: SeriesStore,
        changed: Callable[[], None],
        files: Mapping[str, str] | None = None,
        alertmanagers: tuple[str, ...] = (),
        remote_writes: tuple[str, ...] = (),
    ) -> None:
        self.notifier = Notifier(alertmanagers)
        self.rules = RuleManager(store, QuerySettings(), changed, self.notifier.notify)
        self.senders: list[RemoteWriteSender] = []
        self.error = ""
        self._store = store
        self._own_files = dict(files or {})
        self._own_alertmanagers = alertmanagers
        self._own_writes = tuple(RemoteWrite(url) for url in remote_writes)
        self._mapped: Mapping[str, str] = {}
        self._apply_lock = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Operations:
        """Raises RuleError when the process's own files are wrong."""
        configuration = read_configuration(self._own_files)
        await self.notifier.__aenter__()
        await self.rules.__aenter__()
        await self._use(configuration)
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await self.rules.__aexit__()
        for sender in self.senders:
            await sender.__aexit__()
        await self.notifier.__aexit__()

    def set_mapped_files(self, files: Mapping[str, str]) -> None:
        """Takes over the files of the ConfigMap, soon; a mistake in them is logged and changes nothing."""
        if files == self._mapped:
            return
        self._mapped = dict(files)
        task = asyncio.create_task(self._reload())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _reload(self) -> None:
        async with self._apply_lock:
            try:
                configuration = read_configuration(self._own_files | dict(self._mapped))
            except RuleError as problem:
                self.error = str(problem)
                log.error("the rules and configuration stay as they were: %s", problem)
                return
            self.error = ""
            await self._use(configuration)

    async def _use(self, configuration: Configuration) -> None:
        if configuration.unused:
            log.warning("without effect here: %s", ", ".join(configuration.unused))
        self.rules.interval_ms = configuration.evaluation_interval_ms
        self.notifier.urls = tuple(dict.fromkeys((*self._own_alertmanagers, *configuration.alertmanagers)))
        self.rules.set_groups(configuration.groups)
        wanted = tuple(dict.fromkeys((*self._own_writes, *configuration.remote_writes)))
        for sender in [sender for sender in self.senders if sender.settings not in wanted]:
            self.senders.remove(sender)
            await sender.__aexit__()
        running = {sender.settings for sender in self.senders}
        for settings in wanted:
            if settings not in running:
                self.senders.append(await RemoteWriteSender(self._store, settings).__aenter__())
