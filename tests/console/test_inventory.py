"""What the console shows of a Kubernetes API that stops answering: what it told last, and since when that is old."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from kaiki.console import inventory as module
from kaiki.console.errors import KubernetesUnavailable
from kaiki.console.inventory import WatchedInventory
from kaiki.console.summaries import warnings_of
from kaiki.kube.errors import NotFound, Unavailable
from kaiki.kube.resource import PROXY_CONFIGS, SIDECARS, ResourceType


class Client:
    """An API with one Sidecar and without ProxyConfigs; `up` False makes it unreachable."""

    up = True

    def _require_up(self) -> None:
        if not self.up:
            raise Unavailable("nobody listens")

    async def find(self, *_: Any) -> None:
        self._require_up()

    async def list(self, kind: ResourceType) -> list[dict[str, Any]]:
        self._require_up()
        if kind is PROXY_CONFIGS:
            raise NotFound("not installed")
        return [{"kind": "Sidecar", "metadata": {"name": "kept"}}] if kind is SIDECARS else []

    async def list_at(self, *_: Any, **__: Any) -> tuple[list[dict[str, Any]], str]:
        self._require_up()
        return [], "1"

    async def watch(self, *_: Any, **__: Any) -> Any:
        self._require_up()
        while self.up:
            await asyncio.sleep(0.01)
        raise Unavailable("gone")
        yield  # A generator that never yields.


async def until(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.01)


async def test_a_silent_api_is_told_of_and_what_it_told_last_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_SETTINGS_SECONDS", "_RETRY_SECONDS", "CONFIGS_KEPT_SECONDS"):
        monkeypatch.setattr(module, name, 0.01)
    client: Any = Client()
    inventory = WatchedInventory(client)
    async with inventory.running():
        await until(lambda: inventory.ready)
        assert [item["metadata"]["name"] for item in await inventory.configs()] == ["kept"]
        assert warnings_of(inventory) == []

        client.up, before = False, time.time()
        await until(lambda: inventory.silent_since is not None)
        (warning,) = warnings_of(inventory)
        assert warning["code"] == "kubernetesStale"
        assert before - 1 < warning["since"] <= time.time()
        assert [item["metadata"]["name"] for item in await inventory.configs()] == ["kept"]
        with pytest.raises(KubernetesUnavailable):
            await inventory.logs("a", "b", "c", tail_lines=1, most_bytes=1, previous=False)

        client.up = True
        await until(lambda: inventory.silent_since is None)
        assert warnings_of(inventory) == []
