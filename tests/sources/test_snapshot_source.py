"""Everything synced first, the first change at once, a storm together, the newest state last."""

import asyncio
import time
from typing import Any

import pytest

from kaiki.interpret.interpretation import Inputs, Interpretation
from kaiki.kube.cache import Cache, CacheEvent
from kaiki.kube.resource import VIRTUAL_SERVICES, ResourceType
from kaiki.model.memo import Memo
from kaiki.model.snapshot import EMPTY_SNAPSHOT
from kaiki.sources.snapshot_source import SnapshotSource, says_the_same


class Collection:
    """A cache whose list the test writes."""

    def __init__(self, resource: ResourceType) -> None:
        self.resource = resource
        self.synced = asyncio.Event()
        self.objects: dict[str, dict[str, Any]] = {}
        self.subscribers: list[Any] = []

    def subscribe(self, subscriber: Any) -> None:
        self.subscribers.append(subscriber)

    async def run(self) -> None:
        await asyncio.Event().wait()

    def put(self, name: str, **spec: Any) -> None:
        new = {"apiVersion": "networking.istio.io/v1", "metadata": {"name": name, "namespace": "shop"}, "spec": spec}
        old = self.objects.get(name)
        self.objects[name] = new
        for subscriber in self.subscribers:
            subscriber(CacheEvent("added" if old is None else "updated", old, new))

    def delete(self, name: str) -> None:
        for subscriber in self.subscribers:
            subscriber(CacheEvent("deleted", self.objects[name], None))
        del self.objects[name]


class Watcher:
    """Records what was interpreted."""

    def __init__(self, collection: Collection, window_seconds: float = 0.05) -> None:
        self.seen: list[Inputs] = []
        self.told = asyncio.Event()
        self.fail = False
        cache: Any = collection
        caches: dict[str, Cache] = {"VirtualService": cache}
        self.source = SnapshotSource(caches, self.interpret, window_seconds=window_seconds)
        self.source.subscribe(self.take)

    def interpret(self, inputs: Inputs, previous: Interpretation | None) -> Interpretation:
        if self.fail:
            raise ValueError("a defect")
        self.seen.append(inputs)
        return Interpretation(EMPTY_SNAPSHOT, (), Memo())

    async def take(self, interpretation: Interpretation, changed_at: float) -> None:
        assert changed_at <= time.monotonic()
        self.told.set()

    async def next(self) -> Inputs:
        async with asyncio.timeout(5):
            await self.told.wait()
        self.told.clear()
        return self.seen[-1]


@pytest.fixture
async def collection() -> Collection:
    return Collection(VIRTUAL_SERVICES)


async def test_nothing_is_interpreted_before_all_is_there(collection: Collection) -> None:
    watcher = Watcher(collection)
    task = asyncio.create_task(watcher.source.run())
    await asyncio.sleep(0)
    collection.put("a", n=1)
    for _ in range(10):
        await asyncio.sleep(0)
    assert watcher.seen == [] and watcher.source.current is None
    collection.synced.set()
    assert set(await watcher.next()) == {("VirtualService", "shop", "a")}
    task.cancel()


async def test_a_storm_is_taken_together_and_the_newest_counts(collection: Collection) -> None:
    watcher = Watcher(collection)
    collection.synced.set()
    task = asyncio.create_task(watcher.source.run())
    await watcher.next()
    for number in range(50):
        collection.put("a", n=number)
        await asyncio.sleep(0)
    collection.put("b")
    collection.delete("b")
    await watcher.next()
    assert len(watcher.seen) <= 3
    assert watcher.seen[-1]["VirtualService", "shop", "a"]["spec"] == {"n": 49}
    assert set(watcher.seen[-1]) == {("VirtualService", "shop", "a")}
    task.cancel()


async def test_a_failure_keeps_the_last_snapshot_and_the_source_running(collection: Collection) -> None:
    watcher = Watcher(collection, window_seconds=0.001)
    collection.synced.set()
    task = asyncio.create_task(watcher.source.run())
    await watcher.next()
    kept = watcher.source.current
    watcher.fail = True
    collection.put("a", n=1)
    await asyncio.sleep(0.02)
    assert watcher.source.current is kept
    watcher.fail = False
    collection.put("a", n=2)
    assert (await watcher.next())["VirtualService", "shop", "a"]["spec"] == {"n": 2}
    task.cancel()


def test_a_change_of_status_is_no_change() -> None:
    old: dict[str, Any] = {"apiVersion": "networking.istio.io/v1", "metadata": {"resourceVersion": "1"}, "spec": {}}
    new = {**old, "metadata": {"resourceVersion": "2"}, "status": {"conditions": []}}
    assert says_the_same(old, new)
    assert not says_the_same(old, {**new, "spec": {"hosts": ["a"]}})
    assert not says_the_same(old, {**new, "metadata": {"labels": {"a": "b"}}})
    assert not says_the_same({**old, "apiVersion": "v1"}, {**new, "apiVersion": "v1"})
