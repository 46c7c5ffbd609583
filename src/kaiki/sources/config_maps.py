"""Reads the ConfigMaps with roots that the Gateway API's objects name, and no others: each by a watch on its name."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

from kaiki.interpret.gateway_api.objects import TRUST_BUNDLE
from kaiki.interpret.interpretation import Interpretation
from kaiki.kube.cache import Cache, CacheEvent, drop_managed_fields
from kaiki.kube.client import KubeClient
from kaiki.kube.resource import CONFIG_MAPS
from kaiki.sources.snapshot_source import Followed, InputKey

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 3.0
Name = tuple[str, str]


class ConfigMapReader:
    """The ConfigMaps in use. `changed` is called when one of them has changed."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client
        self._caches: dict[Name, Cache] = {}
        self._tasks: dict[Name, asyncio.Task[None]] = {}
        self._inputs: dict[InputKey, Mapping[str, Any]] = {}
        self.changed: Callable[[], None] = lambda: None

    def inputs(self) -> Mapping[InputKey, Mapping[str, Any]]:
        """The ConfigMaps that exist."""
        return self._inputs

    async def follow(self, interpretation: Interpretation) -> bool:
        """Read what is wanted now, and forget the rest. True if `inputs` changed meanwhile."""
        wanted, before = interpretation.gateway_api.config_maps, dict(self._inputs)
        for name in self._caches.keys() - wanted:
            await self._forget(name)
        new = [self._begin(name) for name in sorted(wanted - self._caches.keys())]
        if new:
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await asyncio.gather(*(cache.synced.wait() for cache in new))
            except TimeoutError:
                logger.warning("not all ConfigMaps with roots could be read; what needs them waits")
        return self._inputs != before

    def _begin(self, name: Name) -> Cache:
        selector = f"metadata.name={name[1]}"
        cache = Cache(self._client, CONFIG_MAPS, namespace=name[0], field_selector=selector, trim=drop_managed_fields)
        cache.subscribe(lambda event: self._listen(name, event))
        self._caches[name] = cache
        self._tasks[name] = asyncio.create_task(cache.run(), name=f"config map {name[0]}/{name[1]}")
        return cache

    def _listen(self, name: Name, event: CacheEvent) -> None:
        key = TRUST_BUNDLE, *name
        if event.new is None:
            self._inputs.pop(key, None)
        else:
            self._inputs[key] = event.new
        self.changed()

    async def _forget(self, name: Name) -> None:
        task = self._tasks.pop(name)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        self._caches.pop(name, None)
        self._inputs.pop((TRUST_BUNDLE, *name), None)

    async def close(self) -> None:
        """Stop reading."""
        for name in list(self._caches):
            await self._forget(name)


class FollowedTogether:
    """Several readers as one."""

    def __init__(self, *readers: Followed) -> None:
        self._readers = readers
        self.changed: Callable[[], None] = lambda: None
        for reader in readers:
            reader.changed = self._note

    def _note(self) -> None:
        self.changed()

    def inputs(self) -> Mapping[InputKey, Mapping[str, Any]]:
        """The inputs of all."""
        return {key: value for reader in self._readers for key, value in reader.inputs().items()}

    async def follow(self, interpretation: Interpretation) -> bool:
        """Let all follow."""
        answers = [await reader.follow(interpretation) for reader in self._readers]
        return any(answers)
