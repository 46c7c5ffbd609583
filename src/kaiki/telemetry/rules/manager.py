"""Evaluates rule groups at their intervals and writes what comes of them into the store.

Each group is a task: its rules run one after the other, each in a query thread, and a rule sees what the rules before
it in its group have recorded. A series that a rule no longer gives is ended by a stale marker.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import time
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from kaiki.telemetry.arrays import STALE, FloatArray
from kaiki.telemetry.errors import QueryError
from kaiki.telemetry.matchers import NAME, Matcher
from kaiki.telemetry.promql.context import QuerySettings
from kaiki.telemetry.promql.evaluate import query_instant
from kaiki.telemetry.promql.values import Scalar, Vector
from kaiki.telemetry.rules.alerts import FOR_STATE, OUTAGE_TOLERANCE_MS, Alert, AlertBook
from kaiki.telemetry.rules.definitions import Pairs, Rule, RuleGroup
from kaiki.telemetry.store.series import SeriesStore

log = logging.getLogger(__name__)
Row = tuple[dict[str, str], float]
Notify = Callable[[Rule, Sequence[Alert], int, int], None]
"""Takes a rule's alerts, the time of the evaluation and the group's interval in milliseconds."""


@dataclass(slots=True)
class RuleState:
    """A rule and how its last evaluation went. `book` is that of an alerting rule."""

    rule: Rule
    book: AlertBook | None
    error: str = ""
    time_ms: int = 0
    seconds: float = 0.0
    written: set[Pairs] = field(default_factory=set)

    @property
    def health(self) -> str:
        return "unknown" if not self.time_ms else "err" if self.error else "ok"


@dataclass(slots=True)
class GroupState:
    """A group that runs."""

    group: RuleGroup
    interval_ms: int
    rules: list[RuleState]
    time_ms: int = 0
    seconds: float = 0.0
    missed: int = 0
    restored: bool = False


class RuleManager:
    """Use as an async context manager; `set_groups` at any time inside."""

    def __init__(
        self,
        store: SeriesStore,
        settings: QuerySettings,
        changed: Callable[[], None],
        notify: Notify | None = None,
        interval_ms: int = 15_000,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self.interval_ms = interval_ms
        self._store = store
        self._settings = settings
        self._changed = changed
        self._notify = notify
        self._clock_ms = clock_ms
        self._states: dict[str, GroupState] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._thread = ThreadPoolExecutor(1, "rules")

    async def __aenter__(self) -> RuleManager:
        return self

    async def __aexit__(self, *_: object) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._thread.shutdown(wait=True)

    def groups(self) -> list[GroupState]:
        """By file, then by name."""
        return [self._states[key] for key in sorted(self._states)]

    def set_groups(self, groups: Sequence[RuleGroup]) -> None:
        """Runs these groups and no others; one that has not changed goes on undisturbed."""
        wanted = {group.key: group for group in groups}
        for key in [key for key, state in self._states.items() if wanted.get(key) != state.group]:
            self._tasks.pop(key).cancel()
            state = self._states.pop(key)
            if key not in wanted:
                self._end_series([pairs for rule in state.rules for pairs in rule.written])
            else:
                self._states[key] = self._inherit(wanted[key], state)
        for key, group in wanted.items():
            state = self._states.setdefault(key, self._new_state(group))
            if key not in self._tasks:
                self._tasks[key] = asyncio.create_task(self._run(state), name=f"rules {key}")

    def _new_state(self, group: RuleGroup) -> GroupState:
        states = [RuleState(rule, AlertBook(rule) if rule.alerting else None) for rule in group.rules]
        return GroupState(group, group.interval_ms or self.interval_ms, states)

    def _inherit(self, group: RuleGroup, old: GroupState) -> GroupState:
        """Rules that are the same as before keep their alerts; the series of the others end."""
        made = self._new_state(group)
        before = {state.rule: state for state in old.rules}
        made.rules = [before.pop(state.rule, state) for state in made.rules]
        made.restored = old.restored
        self._end_series([pairs for state in before.values() for pairs in state.written])
        return made

    async def _run(self, state: GroupState) -> None:
        """At times that are the same after a restart: multiples of the interval, shifted by the group's name."""
        interval, shift = state.interval_ms, zlib.crc32(state.group.key.encode()) % state.interval_ms
        due = (self._clock_ms() - shift) // interval * interval + shift
        while True:
            now = self._clock_ms()
            if due <= now:
                await self.evaluate(state, due)
                behind = max(0, (self._clock_ms() - due) // interval - 1)
                state.missed += behind
                due += interval * (1 + behind)
            await asyncio.sleep(max(0, due - self._clock_ms()) / 1000)

    async def evaluate(self, state: GroupState, time_ms: int) -> None:
        """One round of a group, as of `time_ms`. Failures are kept with their rule, never raised."""
        begun = time.perf_counter()
        for rule in state.rules:
            started = time.perf_counter()
            try:
                await self._evaluate_rule(state, rule, time_ms)
                rule.error = ""
            except QueryError as problem:
                rule.error = str(problem)
                self._write(rule, [], time_ms)
            except Exception as problem:
                log.exception("the rule %s failed unexpectedly", rule.rule.name)
                rule.error = f"unexpected: {problem}"
            rule.time_ms, rule.seconds = time_ms, time.perf_counter() - started
        state.time_ms, state.seconds, state.restored = time_ms, time.perf_counter() - begun, True
        self._changed()

    async def _evaluate_rule(self, state: GroupState, rule: RuleState, time_ms: int) -> None:
        loop = asyncio.get_running_loop()
        work = functools.partial(self._query, rule.rule.query, time_ms - state.group.offset_ms)
        rows = await loop.run_in_executor(self._thread, work)
        if state.group.limit and len(rows) > state.group.limit:
            raise QueryError(f"exceeded limit of {state.group.limit} with {len(rows)} series")
        if rule.book is None:
            self._write(rule, [(_recorded(labels, rule.rule), value) for labels, value in rows], time_ms)
            return
        active = rule.book.update(rows, time_ms)
        if not state.restored and rule.rule.for_ms:
            self._restore(rule.book, active, time_ms)
        self._write(rule, [pair for alert in active for pair in alert.series()], time_ms)
        if self._notify is not None:
            self._notify(rule.rule, list(rule.book.alerts.values()), time_ms, state.interval_ms)

    def _query(self, query: str, time_ms: int) -> list[Row]:
        value = query_instant(self._store, query, time_ms, self._settings).value
        if isinstance(value, Scalar):
            return [({}, float(value.values[0]))]
        if not isinstance(value, Vector):
            raise QueryError("rule result is not a vector or scalar")
        numbers = value.values[:, 0].tolist()
        return [(dict(labels), number) for labels, number in zip(value.labels, numbers, strict=True)]

    def _restore(self, book: AlertBook, active: Sequence[Alert], time_ms: int) -> None:
        for alert in active:
            labels = dict(alert.labels) | {NAME: FOR_STATE}
            matchers = [Matcher(name, "=", text) for name, text in labels.items()]
            found = self._store.select(matchers, time_ms - OUTAGE_TOLERANCE_MS, time_ms - 1)
            exact = [row for row, held in enumerate(found.labels) if dict(held) == labels]
            mine = np.nonzero(np.isin(found.owners, exact) & ~np.isnan(found.values))[0]
            if len(mine):
                since, seen = round(float(found.values[mine[-1]]) * 1000), int(found.times[mine[-1]])
                book.restore(alert, since, seen, time_ms)

    def _write(self, rule: RuleState, rows: list[tuple[Pairs, float]], time_ms: int) -> None:
        """All samples of one evaluation. Raises QueryError when two of them are of the same series."""
        written = {tuple(sorted(pairs)): value for pairs, value in rows}
        if len(written) < len(rows):
            raise QueryError("vector contains metrics with the same labelset after applying rule labels")
        self._append(list(written), np.array(list(written.values())), time_ms)
        self._append(sorted(rule.written - written.keys()), None, time_ms)
        rule.written = set(written)

    def _end_series(self, series: list[Pairs]) -> None:
        self._append(series, None, self._clock_ms())
        self._changed()

    def _append(self, series: list[Pairs], values: FloatArray | None, at: int) -> None:
        ids = np.array([-1 if (i := self._store.series_id(pairs)) is None else i for pairs in series], np.int32)
        numbers = np.repeat(STALE, len(ids)) if values is None else values
        order = np.argsort(ids, kind="stable")
        order = order[ids[order] >= 0]
        if len(order):
            self._store.append(at, ids[order], numbers[order])


def _recorded(labels: dict[str, str], rule: Rule) -> Pairs:
    made = {**labels, **dict(rule.labels), NAME: rule.name}
    return tuple(sorted((name, text) for name, text in made.items() if text))


async def close_quietly(task: asyncio.Task[None]) -> None:
    """Cancels a task and waits for its end."""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
