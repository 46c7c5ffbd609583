"""Keeps one interpretation of everything in the API, and tells subscribers when there is a new one.

The first change goes out at once; what follows within a short window is taken together, and the window grows with what
an interpretation costs, so that a storm of changes cannot eat the machine. Only the newest state counts.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from kaiki.interpret.bootstrap_refusals import BOOTSTRAP_REFUSAL
from kaiki.interpret.credentials import CREDENTIAL
from kaiki.interpret.gateway_api.objects import TRUST_BUNDLE
from kaiki.interpret.inputs import InputTable
from kaiki.interpret.interpretation import Inputs, Interpretation
from kaiki.kube.cache import Cache, CacheEvent, running

logger = logging.getLogger(__name__)

WINDOW_SECONDS = 0.05
CATCH_UP_SECONDS = 0.2
LARGEST_SHARE = 0.2
"""The part of a core that interpretation may take in a storm of changes."""

Interpret = Callable[[Inputs, Interpretation | None], Interpretation]
Subscriber = Callable[[Interpretation, float], Awaitable[None]]
"""Called with an interpretation and when its first change was seen (monotonic seconds)."""

InputKey = tuple[str, str, str]


class Followed(Protocol):
    """Inputs that an interpretation asks for: which there are depends on what was interpreted before."""

    changed: Callable[[], None]

    def inputs(self) -> Mapping[InputKey, Mapping[str, Any]]: ...

    async def follow(self, interpretation: Interpretation) -> bool: ...


class SnapshotSource:
    """Interpretations of what these caches hold: (kind → cache). Nothing is interpreted before all have synced.

    `withhold` takes from all objects those that must not come into force."""

    def __init__(
        self,
        caches: Mapping[str, Cache],
        interpret: Interpret,
        *,
        followed: Followed | None = None,
        withhold: Callable[[InputTable], InputTable] = lambda table: table,
        window_seconds: float = WINDOW_SECONDS,
    ) -> None:
        self._caches = dict(caches)
        self._interpret = interpret
        self._followed = followed
        self._withhold = withhold
        if followed is not None:
            followed.changed = self._note_change
        self._window_seconds = window_seconds
        self._table = self._in_force = InputTable()
        self._pending: dict[InputKey, Mapping[str, Any] | None] = {}
        self._subscribers: list[Subscriber] = []
        self._changed = asyncio.Event()
        self._changed_at = 0.0
        self.current: Interpretation | None = None

    @property
    def inputs(self) -> Inputs:
        """All objects, those that are held back as they are written."""
        return self._table

    @property
    def in_force(self) -> Inputs:
        """The objects of the current interpretation: all but what is held back."""
        return self._in_force

    def refresh(self) -> None:
        """Interpret again: something else is held back now."""
        self._note_change()

    def subscribe(self, subscriber: Subscriber) -> None:
        """Call `subscriber` with every new interpretation, one after the other."""
        self._subscribers.append(subscriber)

    async def catch_up(self, timeout_seconds: float = CATCH_UP_SECONDS) -> bool:
        """Wait until a newer interpretation is there; false when none came in time."""
        before, deadline = self.current, time.monotonic() + timeout_seconds
        while self.current is before and time.monotonic() < deadline:
            await asyncio.sleep(CATCH_UP_SECONDS / 20)
        return self.current is not before

    async def run(self) -> None:
        """Keep the caches, interpret, publish; until cancelled."""
        for kind, cache in self._caches.items():
            cache.subscribe(self._listener(kind))
        async with running(*self._caches.values()):
            self._note_change()
            while True:
                await self._changed.wait()
                # One turn of the loop: events that came in the same packet belong together.
                await asyncio.sleep(0)
                await asyncio.sleep(await self._publish())

    async def _publish(self) -> float:
        """Interpret and tell; returns for how long what comes next is collected."""
        self._changed.clear()
        changed_at, started = self._changed_at, time.monotonic()
        try:
            await self._interpret_all()
        except Exception:
            logger.exception("the mesh could not be interpreted; the last snapshot stays in force")
            return self._window_seconds
        assert self.current is not None
        for subscriber in self._subscribers:
            await subscriber(self.current, changed_at)
        return max(self._window_seconds, (time.monotonic() - started) / LARGEST_SHARE)

    async def _interpret_all(self) -> None:
        """Once; and once more if that asked for something new, so that nothing half known is published."""
        found = self._interpret(self._all_inputs(), self.current)
        if self._followed is not None and await self._followed.follow(found):
            found = self._interpret(self._all_inputs(), found)
        self.current = found

    def _all_inputs(self) -> Inputs:
        changes, self._pending = self._pending, {}
        self._table = self._table.changed(changes)
        if self._followed is not None:
            followed = self._followed.inputs()
            for kind in (CREDENTIAL, TRUST_BUNDLE, BOOTSTRAP_REFUSAL):
                self._table = self._table.with_kind(kind, {key: obj for key, obj in followed.items() if key[0] == kind})
        self._in_force = self._withhold(self._table)
        return self._in_force

    def _listener(self, kind: str) -> Callable[[CacheEvent], None]:
        def listen(event: CacheEvent) -> None:
            metadata = event.object["metadata"]
            key = kind, str(metadata.get("namespace") or ""), str(metadata["name"])
            if event.new is None:
                self._pending[key] = None
            elif event.old is not None and (
                says_the_same(event.old, event.new) or (kind == "Node" and _is_where_it_was(event.old, event.new))
            ):
                return
            else:
                self._pending[key] = event.new
            self._note_change()

        return listen

    def _note_change(self) -> None:
        if not self._changed.is_set():
            self._changed_at = time.monotonic()
            self._changed.set()


def _is_where_it_was(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether a node changed nothing but what it tells of its health."""
    return bool(old["metadata"].get("labels") == new["metadata"].get("labels"))


def says_the_same(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether an update of one of Istio's or the Gateway API's objects changed nothing but its status and bookkeeping.

    Their status is written by us (findings) and read by nobody here: without this, every finding would be two changes.
    """
    if not any(group in str(new.get("apiVersion")) for group in ("istio.io", "gateway.networking.k8s.io")):
        return False
    if old["metadata"].get("uid") != new["metadata"].get("uid"):
        return False
    names = ("labels", "annotations", "deletionTimestamp")
    if _addresses(old) != _addresses(new):
        return False
    same_metadata = all(old["metadata"].get(name) == new["metadata"].get(name) for name in names)
    return same_metadata and old.get("spec") == new.get("spec")


def _addresses(obj: Mapping[str, Any]) -> tuple[Any, Any]:
    """What of a status is read: a ServiceEntry's addresses, and whether a WorkloadEntry is healthy."""
    status = obj.get("status") or {}
    healthy = [one.get("status") for one in status.get("conditions") or () if one.get("type") == "Healthy"]
    return status.get("addresses"), healthy
