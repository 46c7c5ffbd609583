"""Of two candidates one leads, and the other takes over."""

import asyncio
from typing import Any

from kaiki.kube.client import KubeClient
from kaiki.kube.events import EventRecorder
from kaiki.kube.lease import LeaderElection


def candidate(client: KubeClient, identity: str) -> LeaderElection:
    return LeaderElection(
        client, "istio-system", "x-lead", identity, duration_seconds=0.3, renew_seconds=0.05, retry_seconds=0.02
    )


async def test_one_leads_and_the_other_takes_over(fake: Any, client: KubeClient) -> None:
    leaders: asyncio.Queue[str] = asyncio.Queue()

    async def lead(identity: str) -> None:
        leaders.put_nowait(identity)
        await asyncio.Event().wait()

    first, second = candidate(client, "a"), candidate(client, "b")
    first_task = asyncio.create_task(first.run(lambda: lead("a")))
    assert await leaders.get() == "a"
    second_task = asyncio.create_task(second.run(lambda: lead("b")))
    while sum(1 for request in fake.requests if request[0] == "GET") < 10:
        await asyncio.sleep(0.01)
    assert first.leading and not second.leading and leaders.empty()
    first_task.cancel()
    await asyncio.gather(first_task, return_exceptions=True)
    assert await asyncio.wait_for(leaders.get(), 10) == "b"
    second_task.cancel()
    await asyncio.gather(second_task, return_exceptions=True)


async def test_a_leader_that_cannot_renew_stops(fake: Any, client: KubeClient) -> None:
    stopped = asyncio.Event()
    started = asyncio.Event()

    async def lead() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    task = asyncio.create_task(candidate(client, "a").run(lead))
    await started.wait()
    fake.refusals = [503] * 1000
    await asyncio.wait_for(stopped.wait(), 10)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_equal_events_are_counted(fake: Any, client: KubeClient) -> None:
    recorder = EventRecorder(client, "test")
    about = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "shop", "uid": "u"}}
    for _ in range(3):
        await recorder.record(about, "Failed", "no such image", "Warning")
    await recorder.record(about, "Started", "it runs")
    events = sorted(fake.objects.values(), key=lambda event: str(event["reason"]))
    assert [(event["reason"], event["count"]) for event in events] == [("Failed", 3), ("Started", 1)]
    fake.refusals = [403]
    await recorder.record(about, "Forbidden", "not written, not raised")
