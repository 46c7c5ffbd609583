"""A cache loses nothing: not under dropped streams, refused requests or lost history."""

import asyncio
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kaiki.kube import cache as cache_module
from kaiki.kube.cache import Cache, CacheEvent, drop_managed_fields, running
from kaiki.kube.client import KubeClient
from kaiki.kube.config import KubeConfig
from kaiki.kube.resource import CONFIG_MAPS

SHOP = "/api/v1/namespaces/shop/configmaps"


def config_map(**data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "shop"}, "data": data}


def by_color(obj: dict[str, Any]) -> list[str]:
    return [value for key, value in obj.get("data", {}).items() if key == "color"]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.002)


class Replay:
    """What a subscriber believes, from events alone."""

    def __init__(self) -> None:
        self.objects: dict[str, Any] = {}

    def __call__(self, event: CacheEvent) -> None:
        name = event.object["metadata"]["name"]
        assert (event.old is None) == (event.kind == "added")
        assert (event.new is None) == (event.kind == "deleted")
        assert self.objects.get(name) == event.old, "every event starts from the state the last one left"
        assert event.old != event.new
        if event.new is None:
            del self.objects[name]
        else:
            self.objects[name] = event.new


async def test_changes_arrive_in_order(fake: Any, client: KubeClient) -> None:
    fake.put(f"{SHOP}/a", config_map(color="red"))
    cache = Cache(client, CONFIG_MAPS, namespace="shop", indexes={"color": by_color})
    async with running(cache):
        replay = Replay()
        stop = cache.subscribe(replay)
        assert [obj["metadata"]["name"] for obj in cache.by_index("color", "red")] == ["a"]
        fake.put(f"{SHOP}/a", config_map(color="blue"))
        fake.put(f"{SHOP}/b", config_map(color="blue"))
        fake.remove(f"{SHOP}/a")
        await until(lambda: cache.get("shop", "a") is None)
        assert [obj["metadata"]["name"] for obj in cache.by_index("color", "blue")] == ["b"]
        assert cache.by_index("color", "red") == []
        assert list(replay.objects) == ["b"] and len(cache) == 1
        stop()
        fake.remove(f"{SHOP}/b")
        await until(lambda: len(cache) == 0)
        assert list(replay.objects) == ["b"]


async def test_lost_history_tells_deletions(fake: Any, client: KubeClient) -> None:
    fake.put(f"{SHOP}/a", config_map())
    fake.put(f"{SHOP}/b", config_map())
    cache = Cache(client, CONFIG_MAPS, namespace="shop")
    async with running(cache):
        replay = Replay()
        cache.subscribe(replay)
        fake.drop_streams()
        fake.remove(f"{SHOP}/a")
        fake.forget_history()
        await until(lambda: cache.get("shop", "a") is None)
        assert list(replay.objects) == ["b"]


async def test_an_uninstalled_type_is_empty_until_it_comes(fake: Any, client: KubeClient) -> None:
    fake.refusals = [404] * 2
    cache = Cache(client, CONFIG_MAPS, namespace="shop")
    async with running(cache):
        fake.put(f"{SHOP}/a", config_map())
        cache.hurry()
        await until(lambda: len(cache) == 1)


async def test_own_writes_are_seen_at_once_and_never_twice(fake: Any, client: KubeClient) -> None:
    cache = Cache(client, CONFIG_MAPS, namespace="shop")
    async with running(cache):
        replay = Replay()
        cache.subscribe(replay)
        await until(lambda: any("watch" in request[2] for request in fake.requests))
        obj = fake.put(f"{SHOP}/a", config_map())
        cache.observe(obj)
        assert cache.get("shop", "a") == obj
        fake.put(f"{SHOP}/b", config_map())
        await until(lambda: cache.get("shop", "b") is not None)
        stale = fake.remove(f"{SHOP}/a")
        await until(lambda: cache.get("shop", "a") is None)
        cache.observe(obj)
        cache.observe(stale)
        assert cache.get("shop", "a") is None, "an answer that comes late must not bring back the dead"


async def test_trim_drops_bookkeeping(fake: Any, client: KubeClient) -> None:
    noise = {"kubectl.kubernetes.io/last-applied-configuration": "{}", "keep": "me"}
    metadata = {"namespace": "shop", "managedFields": [{}], "annotations": noise}
    fake.put(f"{SHOP}/a", {"metadata": metadata})
    cache = Cache(client, CONFIG_MAPS, namespace="shop", trim=drop_managed_fields)
    async with running(cache):
        obj = cache.get("shop", "a")
        assert obj is not None
        assert "managedFields" not in obj["metadata"] and obj["metadata"]["annotations"] == {"keep": "me"}


STEPS = st.one_of(
    st.tuples(st.just("put"), st.sampled_from("abcd"), st.sampled_from(["red", "blue"])),
    st.tuples(st.just("remove"), st.sampled_from("abcd")),
    st.tuples(st.just("drop")),
    st.tuples(st.just("forget")),
    st.tuples(st.just("refuse"), st.sampled_from([404, 410, 429, 500, 503])),
    st.tuples(st.just("settle")),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEPS, max_size=25))
def test_nothing_is_lost(steps: list[tuple[str, ...]], start_fake_server: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(cache_module, "FIRST_RETRY_SECONDS", 0.001)
    monkeypatch.setattr(cache_module, "LAST_RETRY_SECONDS", 0.004)
    monkeypatch.setattr(cache_module, "ABSENT_RETRY_SECONDS", 0.004)
    asyncio.run(play(steps, start_fake_server))


async def play(steps: list[tuple[str, ...]], start_fake_server: Any) -> None:
    fake, runner = await start_fake_server()
    async with KubeClient(KubeConfig(fake.url)) as client:
        cache = Cache(client, CONFIG_MAPS, namespace="shop", indexes={"color": by_color})
        replay = Replay()
        cache.subscribe(replay)
        async with running(cache):
            for step in steps:
                await take(fake, step)
            fake.refusals.clear()
            fake.put(f"{SHOP}/last", config_map(color="red"))
            await until(lambda: cache.get("shop", "last") is not None)
            expected = {path.rpartition("/")[2]: obj for path, obj in fake.objects.items()}
            assert {obj["metadata"]["name"]: obj for obj in cache.items()} == expected == replay.objects
            reds = {obj["metadata"]["name"] for obj in cache.by_index("color", "red")}
            assert reds == {name for name, obj in expected.items() if obj["data"]["color"] == "red"}
    await runner.cleanup()


async def take(fake: Any, step: tuple[str, ...]) -> None:
    match step:
        case ("put", name, color):
            fake.put(f"{SHOP}/{name}", config_map(color=color))
        case ("remove", name) if f"{SHOP}/{name}" in fake.objects:
            fake.remove(f"{SHOP}/{name}")
        case ("drop",):
            fake.drop_streams()
        case ("forget",):
            fake.forget_history()
        case ("refuse", code):
            fake.refusals.append(int(code))
        case ("settle",):
            await asyncio.sleep(0.005)
