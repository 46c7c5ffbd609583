"""The embedded API server with the controllers running against it, and a kubelet that makes pods ready at once."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from kaiki.apiserver import credentials
from kaiki.apiserver.server import ApiServer, ApiServerSettings
from kaiki.controllers.run import run_controllers
from kaiki.kube.cache import Cache, CacheEvent, running
from kaiki.kube.client import KubeClient
from kaiki.kube.config import KubeConfig, read_kubeconfig
from kaiki.kube.errors import KubeError
from kaiki.kube.resource import PODS


class Kubelet:
    """Gives bound pods an address and makes them ready; lets deleted ones go."""

    def __init__(self, client: KubeClient) -> None:
        self.client = client
        self.pods = Cache(client, PODS)
        self.count = 0
        self.ready = True
        self.tasks: set[asyncio.Task[Any]] = set()

    def changed(self, event: CacheEvent) -> None:
        pod = event.new
        if pod is None or not pod["spec"].get("nodeName"):
            return
        metadata = pod["metadata"]
        if metadata.get("deletionTimestamp"):
            self.spawn(self.client.delete(PODS, metadata["name"], metadata["namespace"], grace_period_seconds=0))
        elif not (pod.get("status") or {}).get("podIP"):
            self.spawn(self.start(pod))

    async def start(self, pod: dict[str, Any]) -> None:
        self.count += 1
        address = f"10.97.1.{self.count}"
        conditions = [{"type": "Ready", "status": "True", "lastTransitionTime": "2030-01-01T00:00:00Z"}]
        status = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]}
        if self.ready:
            status |= {"conditions": conditions}  # type: ignore[dict-item]
        metadata = pod["metadata"]
        await self.client.patch(
            PODS, metadata["name"], metadata["namespace"], {"status": status}, "strategic", subresource="status"
        )

    def spawn(self, work: Awaitable[Any]) -> None:
        async def run() -> None:
            with contextlib.suppress(KubeError):
                await work

        task = asyncio.create_task(run())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)


@pytest.fixture
async def config(tmp_path: Path) -> AsyncIterator[KubeConfig]:
    async with ApiServer(ApiServerSettings(tmp_path, listen_addresses=(("127.0.0.1", 0),))) as server:
        url = f"https://127.0.0.1:{server.ports[0]}"
        yield read_kubeconfig(credentials.write_kubeconfig(tmp_path, url))


@pytest.fixture
async def client(config: KubeConfig) -> AsyncIterator[KubeClient]:
    async with KubeClient(config) as kube:
        yield kube


@pytest.fixture
async def cluster(client: KubeClient) -> AsyncIterator[Kubelet]:
    stop = asyncio.Event()
    controllers = asyncio.create_task(run_controllers(client, stop))
    kubelet = Kubelet(client)
    async with running(kubelet.pods):
        kubelet.pods.subscribe(kubelet.changed)
        yield kubelet
    stop.set()
    await controllers
    await asyncio.gather(*kubelet.tasks, return_exceptions=True)


@pytest.fixture
def until() -> Callable[..., Awaitable[Any]]:
    """Waits until a coroutine function answers something true, and answers that."""

    async def wait(condition: Callable[[], Awaitable[Any]], what: str = "the state", seconds: float = 20) -> Any:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not (found := await condition()):
                    await asyncio.sleep(0.02)
                return found
        pytest.fail(f"{what} was not reached in {seconds:.0f} s")

    return wait
