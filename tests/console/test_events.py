"""What a browser is told without asking."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import aiohttp
import msgspec
import pytest
from running_console import TOKEN, Console, started

from kaiki.console import events as module
from kaiki.console.graphs import change_between
from kaiki.console.inventory import CONFIGS_KEPT_SECONDS
from kaiki.graph import Edge, GraphType, Node, TrafficGraph
from kaiki.graph.model import NodeType


class Event(NamedTuple):
    name: str
    data: Any
    id: str


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STEP_SECONDS", 1)


@asynccontextmanager
async def following(console: Console, query: str, last: str = "") -> AsyncIterator[AsyncIterator[Event]]:
    headers = {"Authorization": f"Bearer {TOKEN}", **({"Last-Event-ID": last} if last else {})}
    async with console.client.get(f"{console.url}/api/events?{query}", headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        assert (
            answer.headers["Cache-Control"] == "no-store" and "default-src" in answer.headers["Content-Security-Policy"]
        )
        yield parsed(answer.content)


async def parsed(content: aiohttp.StreamReader) -> AsyncIterator[Event]:
    fields: dict[str, str] = {}
    async for line in content:
        name, _, value = line.decode().rstrip("\n").partition(": ")
        if name:
            fields[name] = value
        elif "data" in fields:
            yield Event(fields["event"], json.loads(fields["data"]), fields.get("id", ""))
            fields = {}
        else:
            fields = {}


async def named(stream: AsyncIterator[Event], *names: str) -> Event:
    async with asyncio.timeout(15):
        async for event in stream:
            if event.name in names:
                return event
    raise AssertionError(f"the stream ended without {names}")


def applied(graph: dict[str, Any], change: Event) -> dict[str, Any]:
    """A graph after a change, as a reader makes it."""
    if change.name == "tick":
        return graph | change.data
    made = graph | {name: change.data[name] for name in ("timestamp", "warnings")}
    for kind, gone in (("nodes", "goneNodes"), ("edges", "goneEdges")):
        known = {one["id"]: one for one in graph[kind]} | {one["id"]: one for one in change.data[kind]}
        made[kind] = sorted((v for k, v in known.items() if k not in change.data[gone]), key=lambda one: one["id"])
    return made


async def test_the_whole_graph_then_what_differs() -> None:
    async with started() as console:
        await console.wait_for_kubernetes()
        async with following(console, "graph=true&idle=true") as stream:
            first = await named(stream, "graph")
            assert (await named(stream, "tick", "change")).name == "tick", "the fake's traffic is even"
            console.prometheus.quiet = True
            change = await named(stream, "change")
        after = applied(first.data, change)
        at = change.data["timestamp"]
        asked = await console.ask(f"/api/graph?idle=true&at={at}")
        assert after == asked and first.data["edges"] and not asked["edges"]
        assert {one["id"] for one in change.data["nodes"]} < {one["id"] for one in first.data["nodes"]}


async def test_viewers_share_one_graph_a_moment() -> None:
    async with started() as console:
        await console.wait_for_kubernetes()
        before = len(console.prometheus.queries)
        async with following(console, "graph=true") as one, following(console, "graph=true&duration=60s") as other:
            events = [await named(stream, "graph") for stream in (one, other)]
            moments = {event.id for event in events}
            assert len(console.prometheus.queries) - before == 6 * len(moments)


async def test_a_reader_that_comes_back_goes_on_where_it_was() -> None:
    async with started() as console:
        await console.wait_for_kubernetes()
        async with following(console, "graph=true") as stream:
            first = await named(stream, "graph")
        async with following(console, "graph=true", first.id) as stream:
            # Not the whole graph; but what its warnings are now, for they may have changed meanwhile.
            again = await named(stream, "graph", "change", "tick")
            assert again.name == "change" and not again.data["nodes"] and not again.data["edges"]
        for unknown in ("1", "x", "9" * 40):
            async with following(console, "graph=true", unknown) as stream:
                assert (await named(stream, "graph", "change", "tick")).name == "graph"


async def test_a_store_that_fails_is_told_and_so_is_its_return() -> None:
    async with started() as console:
        await console.wait_for_kubernetes()
        async with following(console, "graph=true") as stream:
            await named(stream, "graph")
            console.prometheus.up = False
            failure = await named(stream, "failure")
            assert failure.data["error"]["code"] == "metricsUnavailable" and not failure.id
            console.prometheus.up = True
            assert (await named(stream, "tick", "change", "graph")).name == "tick"


async def test_what_is_stale_is_named() -> None:
    async with started() as console:
        await console.wait_for_kubernetes()
        async with following(console, "") as stream:
            # Everything once: between two streams nothing is told, and kept lists may be older than a change.
            begun = time.monotonic()
            assert (await named(stream, "stale")).data == {"topics": ["changes", "config", "inventory"]}
            assert time.monotonic() - begun > CONFIGS_KEPT_SECONDS
            console.kubernetes.change("services", "reviews")
            assert (await named(stream, "stale")).data == {"topics": ["inventory"]}


async def test_streams_end_with_the_console_and_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_STREAMS", 1)
    async with started() as console:
        async with following(console, "graph=true"):
            answer = await console.ask("/api/events", 429)
            assert answer["error"]["code"] == "tooMany"
        monkeypatch.setattr(module, "LONGEST_SECONDS", 0.5)
        while True:  # The server sees a moment later that the first reader has gone.
            async with console.client.get(
                console.url + "/api/events", headers={"Authorization": f"Bearer {TOKEN}"}
            ) as answer:
                if answer.status == 200:
                    assert (await answer.text()).startswith("retry: ")
                    break
            await asyncio.sleep(0.1)


async def test_a_reader_that_takes_nothing_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_STREAMS", 1)
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.2)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with started() as console:
        big = "x" * 50_000_000
        monkeypatch.setattr(module, "_describe", lambda *_: big.encode())
        async with console.client.get(console.url + "/api/events?graph=true", headers=headers) as stalled:
            assert stalled.status == 200
            async with asyncio.timeout(15):
                while True:
                    async with console.client.get(console.url + "/api/events", headers=headers) as answer:
                        if answer.status == 200:
                            break
                    await asyncio.sleep(0.05)


async def test_nobody_follows_without_a_session() -> None:
    async with started() as console, console.client.get(console.url + "/api/events?graph=true") as answer:
        assert answer.status == 401


def graph(*names: str, kind: GraphType = GraphType.WORKLOAD, at: float = 1.0) -> TrafficGraph:
    nodes = tuple(Node(name, NodeType.WORKLOAD) for name in sorted(names))
    edges = tuple(Edge(id=f"{name}>{name}", source=name, target=name, protocol="http") for name in sorted(names))
    return TrafficGraph(at, 60, kind, nodes, edges)


def test_differences() -> None:
    change = change_between(graph("a", "b"), graph("b", "c", at=2.0))
    assert change is not None
    assert ([one.id for one in change.nodes], change.gone_nodes) == (["c"], ("a",))
    assert ([one.id for one in change.edges], change.gone_edges) == (["c>c"], ("a>a",))
    same = change_between(graph("a"), graph("a", at=3.0))
    assert same is not None and same.empty and same.timestamp == 3.0
    assert change_between(graph("a"), graph("a", kind=GraphType.APP)) is None
    assert msgspec.to_builtins(same)["goneNodes"] == ()
