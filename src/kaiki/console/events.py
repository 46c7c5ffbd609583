"""What a browser is told without asking: `GET /api/events`, as server-sent events.

    event: graph     the whole graph, as /api/graph answers it      (id: its time)
    event: change    what differs from the graph before             (id: its time)
    event: tick      nothing differs: {"timestamp": …}              (id: its time)
    event: failure   the graph cannot be read now: {"error": …}; what was sent before holds on, and grows old
    event: stale     {"topics": [config, inventory, changes]}: what is to be asked for again

All streams look at the same moments, so that ten viewers cost the store what one does. A stream ends after a minute and
the browser opens it again, which is when its session is looked at; it says which graph it has (Last-Event-ID) and is
told what differs. Nothing is queued: a reader that is slow gets the next graph later, and misses those between.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import web
from msgspec import structs

from kaiki.console.answers import read_count, read_flag
from kaiki.console.changes import ChangeHandlers
from kaiki.console.errors import ConsoleError, KubernetesUnavailable, TooMany, UnknownObject
from kaiki.console.graph_answer import AnsweredGraph, read_options
from kaiki.console.graphs import GraphChange, Graphs, change_between
from kaiki.console.inventory import CONFIGS_KEPT_SECONDS, Inventory
from kaiki.console.summaries import warnings_of
from kaiki.graph import GraphOptions, TrafficGraph

STEP_SECONDS = 3
LONGEST_SECONDS = 60.0
MOST_STREAMS = 200
RETRY_MILLISECONDS = 300
PATIENCE_SECONDS = 10.0
HEADERS = {"Content-Type": "text/event-stream; charset=utf-8", "X-Accel-Buffering": "no"}
_encoder = msgspec.json.Encoder()


class AnsweredChange(GraphChange, frozen=True, rename="camel", kw_only=True):
    """A change of a graph, and what could not be read for it."""

    warnings: list[dict[str, Any]]


class _Response(web.StreamResponse):
    """Writing raises TimeoutError when the reader takes nothing: a stream must not be held open by who left it."""

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await super().write(data)


class EventHandlers:
    """The streams of one console."""

    def __init__(
        self,
        graphs: Graphs,
        inventory: Inventory,
        changes: ChangeHandlers,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._graphs = graphs
        self._inventory = inventory
        self._changes = changes
        self._clock = clock
        self._streams = 0
        self._newest = ""
        self._closing = asyncio.Event()

    def routes(self) -> list[web.AbstractRouteDef]:
        """What to mount."""
        return [web.get("/api/events", self.events)]

    async def close(self, _: web.Application) -> None:
        """End every stream; browsers come back to whoever serves next."""
        self._closing.set()

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Events, for a minute or until the reader has gone; with `graph=true` the graph asked for as of /api/graph."""
        options, most = read_options(request, 0.0), read_count(request, "most")
        stream = _Stream(self._graphs, self._inventory, options, most) if read_flag(request, "graph") else None
        if stream is not None:
            stream.resume(request.headers.get("Last-Event-ID", ""))
        if self._streams >= MOST_STREAMS:
            raise TooMany(f"{MOST_STREAMS} browsers follow events already", "Ask /api/graph now and then instead.")
        response = _Response(headers=HEADERS)
        self._streams += 1
        try:
            await response.prepare(request)
            await self._send(response, stream)
        except (ConnectionError, TimeoutError):  # The reader has gone, or takes nothing any more.
            if request.transport is not None:
                request.transport.abort()
        finally:
            self._streams -= 1
        return response

    async def _send(self, response: web.StreamResponse, stream: _Stream | None) -> None:
        await response.write(f"retry: {RETRY_MILLISECONDS}\n\n".encode())
        # What a page asked for just before its stream opened may be as old as the lists that are kept, and what changed
        # between two streams was told to nobody: so each stream calls everything stale once, when new lists are read.
        begun, seen = self._clock(), dict[str, object]()
        while not self._closing.is_set() and (now := self._clock()) - begun < LONGEST_SECONDS:
            moment = now // STEP_SECONDS * STEP_SECONDS
            found = b"" if stream is None else await stream.next(moment)
            await response.write(found or b": nothing\n\n")
            await self._pause(moment + STEP_SECONDS - self._clock())
            if not seen and self._clock() - begun < CONFIGS_KEPT_SECONDS:
                continue
            revisions = await self._revisions()
            if topics := sorted(topic for topic, revision in revisions.items() if seen.get(topic) != revision):
                await response.write(_event("stale", _encoder.encode({"topics": topics})))
            seen = revisions
        await response.write_eof()

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), max(seconds, 0.05))

    async def _revisions(self) -> dict[str, object]:
        """Something of each topic that differs once it has changed."""
        found = self._inventory.revisions
        if self._inventory.silent_since is None:  # Else one would wait for an answer that does not come.
            with contextlib.suppress(KubernetesUnavailable, UnknownObject):
                self._newest = next((entry.id for entry in await self._changes.entries()), "")
        newest = self._newest
        # Not every kind of configuration is watched, but each change of one is recorded.
        return {"changes": newest, "config": (found["config"], newest), "inventory": found["inventory"]}


class _Stream:
    """What one reader has, and what it is told next."""

    def __init__(self, graphs: Graphs, inventory: Inventory, options: GraphOptions, most: int) -> None:
        self._graphs, self._inventory = graphs, inventory
        self._options, self._most = options, most
        self._last: TrafficGraph | None = None
        self._warnings: list[dict[str, Any]] | None = None

    def resume(self, last_event: str) -> None:
        """Go on from the graph the reader says it has, if that is known here."""
        if last_event.isascii() and last_event.isdigit() and len(last_event) < 12:
            self._last = self._graphs.known(self._at(float(last_event)), self._most)

    def _at(self, moment: float) -> GraphOptions:
        return structs.replace(self._options, timestamp=moment)

    async def next(self, moment: float) -> bytes:
        """The event of a moment; empty when it was sent before."""
        if self._last is not None and self._last.timestamp >= moment:
            return b""
        try:
            graph = await self._graphs.kept(self._at(moment), self._most)
        except ConsoleError as error:
            return _event("failure", _encoder.encode(error.as_json()))
        before, self._last = self._last, graph
        warnings = warnings_of(self._inventory)
        told, self._warnings = warnings == self._warnings, warnings
        since = None if before is None else before.timestamp
        key = self._at(moment), self._most, since, told, _encoder.encode(warnings)
        return self._graphs.encoded(key, lambda: _describe(before, graph, warnings, told))


def _describe(before: TrafficGraph | None, graph: TrafficGraph, warnings: list[dict[str, Any]], told: bool) -> bytes:
    """`told` is whether the reader knows of these warnings."""
    change = change_between(before, graph) if before is not None else None
    if change is None:
        whole = AnsweredGraph(**structs.asdict(graph), warnings=warnings)
        return _event("graph", _encoder.encode(whole), graph.timestamp)
    if change.empty and told:
        return _event("tick", _encoder.encode({"timestamp": graph.timestamp}), graph.timestamp)
    answered = AnsweredChange(**structs.asdict(change), warnings=warnings)
    return _event("change", _encoder.encode(answered), graph.timestamp)


def _event(name: str, data: bytes, timestamp: float | None = None) -> bytes:
    number = b"" if timestamp is None else f"id: {timestamp:.0f}\n".encode()
    return b"event: " + name.encode() + b"\n" + number + b"data: " + data + b"\n\n"
