"""A queue coalesces, never runs a key twice at once, and tries again."""

import asyncio

import pytest

from kaiki.controllers import queue as queue_module
from kaiki.controllers.queue import WorkQueue
from kaiki.kube.errors import Conflict, Unavailable


async def test_many_changes_cost_one_run_more() -> None:
    runs: list[str] = []
    gate = asyncio.Event()

    async def handle(key: str) -> None:
        runs.append(key)
        await gate.wait()

    queue: WorkQueue[str] = WorkQueue("test", handle)
    for _ in range(5):
        queue.add("a")
    await asyncio.sleep(0)
    for _ in range(5):
        queue.add("a")
    queue.add("b")
    await asyncio.sleep(0)
    assert runs == ["a", "b"], "one key never runs twice at once"
    gate.set()
    async with asyncio.timeout(5):
        while not queue.idle:
            await asyncio.sleep(0)
    assert runs == ["a", "b", "a"]
    await queue.close()
    queue.add("c")
    assert queue.idle


@pytest.mark.parametrize("error", [Conflict("raced"), Unavailable("down"), ZeroDivisionError()])
async def test_failures_are_tried_again(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_module, "FIRST_RETRY_SECONDS", 0.001)
    runs = 0
    done = asyncio.Event()

    async def handle(key: str) -> float | None:
        nonlocal runs
        runs += 1
        if runs < 4:
            raise error
        if runs == 5:
            done.set()
            return None
        return 0.001

    queue: WorkQueue[str] = WorkQueue("test", handle)
    queue.add("a")
    await asyncio.wait_for(done.wait(), 5)
    await queue.close()
    assert runs == 5
