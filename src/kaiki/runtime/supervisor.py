"""The first process inside: the API server's parent and the node's kubelet.

    API ──watch──▶ pods, services, slices, ConfigMaps, Secrets ──▶ Agent ──status, events──▶ API

It never restarts: when it ends, the pid namespace and with it the whole mesh ends.
"""

from __future__ import annotations

import asyncio
import dataclasses
import importlib
import logging
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from kaiki.kube.cache import Cache, CacheEvent, drop_managed_fields, running
from kaiki.kube.client import KubeClient
from kaiki.kube.config import KubeConfig, load_config
from kaiki.kube.errors import KubeError
from kaiki.kube.resource import ENDPOINT_SLICES, PODS, SERVICES
from kaiki.runtime.agent import Agent, StartNameServer
from kaiki.runtime.host_sockets import SocketTaker
from kaiki.runtime.inside import Inheritance, first_process, take_inheritance
from kaiki.runtime.kube_cluster import KubeCluster
from kaiki.runtime.loopback import load_balancer_status
from kaiki.runtime.measurements import METRICS_PORT
from kaiki.runtime.node import NODE_NAME
from kaiki.runtime.node_http import NodeHttp
from kaiki.runtime.processes import Command, ProcessKeeper
from kaiki.runtime.registration import keep_registered
from kaiki.runtime.sandbox import GATEWAY
from kaiki.runtime.settings import NodeSettings

logger = logging.getLogger(__name__)

_RESTART_SECONDS = (0.0, 1.0, 2.0, 5.0, 10.0)
_STABLE_SECONDS = 60.0
_STOP_LIMIT_SECONDS = 30.0
LOOPBACK_ANNOTATION = "kaiki.io/loopback-ports"


class ApiServer:
    """The API server as a child, started again whenever it ends."""

    def __init__(self, settings: NodeSettings, processes: ProcessKeeper) -> None:
        self._settings = settings
        self._processes = processes
        self._stopping = False
        self._signal: Any = None

    async def keep_running(self) -> None:
        """Until `stop`."""
        failures = 0
        while not self._stopping:
            began = time.monotonic()
            process = self._start()
            failure = await process.started
            status = await process.exited
            if self._stopping:
                return
            failures = 1 if time.monotonic() - began > _STABLE_SECONDS else failures + 1
            delay = _RESTART_SECONDS[min(failures - 1, len(_RESTART_SECONDS) - 1)]
            logger.error("the API server ended (%s); starting it again in %g s", failure or status, delay)
            await asyncio.sleep(delay)

    def _start(self) -> Any:
        inherited = {descriptor: descriptor for descriptor in self._settings.api_descriptors}
        command = Command(
            self._settings.apiserver_arguments,
            dict(os.environ),
            directory=os.getcwd(),
            isolated=False,
            inherited=inherited,
        )
        process = self._processes.start(command, 1, 2)
        self._signal = process.signal
        return process

    def stop(self) -> None:
        """Ask it to end."""
        self._stopping = True
        if self._signal:
            self._signal(signal.SIGTERM)


class Feed:
    """Carries what the API says to the agent, and what the agent opened back to the Services."""

    def __init__(self, client: KubeClient, agent: Agent, cluster: KubeCluster) -> None:
        self._client = client
        self._agent = agent
        self._cluster = cluster
        self.pods = Cache(client, PODS, trim=drop_managed_fields)
        self.services = Cache(client, SERVICES, trim=drop_managed_fields)
        self.slices = Cache(client, ENDPOINT_SLICES, trim=drop_managed_fields)
        self._services_changed = asyncio.Event()

    def connect(self) -> None:
        """Subscribe; to be called once the caches have synced, so that volumes find their ConfigMaps."""
        self.pods.subscribe(self._take_pod)
        for cache in (self.services, self.slices):
            cache.subscribe(lambda _: self._services_changed.set())
        for cache in (self._cluster.config_maps, self._cluster.secrets):
            cache.subscribe(lambda _: self._agent.retry_pods())
        self._cluster.config_maps.subscribe(lambda _: self._agent.apply_mesh_names())
        self._agent.apply_mesh_names()

    def _take_pod(self, event: CacheEvent) -> None:
        if event.new and event.old and event.new["metadata"]["uid"] != event.old["metadata"]["uid"]:
            self._agent.apply_pod(event.old["metadata"]["uid"], None)
        pod = event.object
        if (pod.get("spec") or {}).get("nodeName") == NODE_NAME:
            self._agent.apply_pod(pod["metadata"]["uid"], event.new)

    async def follow_services(self) -> None:
        """Apply services whenever they change; all that changed meanwhile goes together."""
        while True:
            await self._services_changed.wait()
            self._services_changed.clear()
            try:
                await self._agent.apply_services(self.services.items(), self.slices.items())
                await self._publish_ports()
            except OSError:
                logger.exception("services not applied")
            await asyncio.sleep(0.02)

    async def _publish_ports(self) -> None:
        for service in list(self.services.items()):
            if (service.get("spec") or {}).get("type") == "LoadBalancer":
                key = (service["metadata"]["namespace"], service["metadata"]["name"])
                loopback = self._agent.loopback
                await self._publish(service, loopback.published(key), loopback.address(key))

    async def _publish(self, service: Any, numbers: dict[int, int], address: str) -> None:
        metadata = service["metadata"]
        wanted = load_balancer_status(numbers, address)
        text = "{" + ",".join(f'"{port}":{number}' for port, number in sorted(numbers.items())) + "}"
        place = (SERVICES, metadata["name"], metadata["namespace"])
        try:
            if (metadata.get("annotations") or {}).get(LOOPBACK_ANNOTATION) != text:
                await self._client.patch(*place, {"metadata": {"annotations": {LOOPBACK_ANNOTATION: text}}})
            if ((service.get("status") or {}).get("loadBalancer") or {}) != wanted:
                await self._client.patch(*place, {"status": {"loadBalancer": wanted}}, subresource="status")
        except KubeError as error:
            logger.info("service %s: %s", metadata["name"], error)


def _find_name_server(reference: str) -> StartNameServer | None:
    if not reference:
        return None
    module, _, function = reference.partition(":")
    found: StartNameServer = getattr(importlib.import_module(module), function)
    return found


def _api_config(settings: NodeSettings) -> KubeConfig:
    return dataclasses.replace(load_config(settings.kubeconfig), server=settings.api_url)


@asynccontextmanager
async def _tasks(*work: Any) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(one) for one in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _serve(inheritance: Inheritance) -> int:
    settings = inheritance.settings
    sockets = SocketTaker(inheritance.control)
    async with AsyncExitStack() as stack:
        stack.enter_context(first_process(sockets))
        client = await stack.enter_async_context(KubeClient(_api_config(settings), user_agent="kubelet"))
        cluster = KubeCluster(client)
        start_names = _find_name_server(settings.name_server)
        agent = Agent(settings, cluster, inheritance.nursery, inheritance.relay, sockets, start_names)
        await agent.start()
        server = ApiServer(settings, agent.processes)
        feed = Feed(client, agent, cluster)
        http = NodeHttp(agent)
        await http.start(settings.run_folder / "node.sock")
        await http.start_metrics(GATEWAY, METRICS_PORT)
        background = [
            server.keep_running() if settings.apiserver_arguments else asyncio.sleep(0),
            cluster.run_events(),
            keep_registered(client, agent.node.machine),
            agent.watch_images(),
            feed.follow_services(),
        ]
        caches = (cluster.config_maps, cluster.secrets, feed.pods, feed.services, feed.slices)
        async with _tasks(*background), running(*caches, wait=False):
            await _run_until_stopped(sockets, agent, feed, caches)
            await agent.stop(0.0 if sockets.lost else _STOP_LIMIT_SECONDS)
            server.stop()
            await http.stop()
    return 0


async def _run_until_stopped(sockets: SocketTaker, agent: Agent, feed: Feed, caches: tuple[Cache, ...]) -> None:
    async def connect() -> None:
        await asyncio.gather(*(cache.synced.wait() for cache in caches))
        feed.connect()

    connecting = asyncio.create_task(connect())
    stopped = asyncio.create_task(sockets.stopped.wait())
    waited: list[asyncio.Future[Any]] = [stopped, agent.processes.lost]
    await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
    connecting.cancel()
    stopped.cancel()


def main() -> int:
    """Run until the launcher asks for the end or is gone; the exit code. Only inside of what `enter.py` made."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    return asyncio.run(_serve(take_inheritance()))


if __name__ == "__main__":
    raise SystemExit(main())
