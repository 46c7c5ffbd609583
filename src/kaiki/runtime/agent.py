"""The node inside the namespaces: pods in, services in, everything kept as they say.

It knows the API only as a `Cluster`; who feeds it (the supervisor from the API, a test from a list) is not its
business.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from kaiki.runtime import relay
from kaiki.runtime.cluster import Cluster, ClusterUnavailable
from kaiki.runtime.host_sockets import SocketTaker
from kaiki.runtime.image_store import ImageStore
from kaiki.runtime.images import BUILT_IN, ImageMap
from kaiki.runtime.logs import ContainerLog
from kaiki.runtime.loopback import Loopback, Wanted, balancer_addresses, wanted_ports
from kaiki.runtime.node import Node, container_environment, machine_resources
from kaiki.runtime.plan import grace_seconds_of
from kaiki.runtime.pod import PodRunner
from kaiki.runtime.processes import ProcessKeeper
from kaiki.runtime.sandbox import GATEWAY, MESH_NAMES, Network
from kaiki.runtime.services import proxy_table, ready_pods, service_ports, target_ports
from kaiki.runtime.settings import NodeSettings

Object = Mapping[str, Any]
logger = logging.getLogger(__name__)

_API_ADDRESS = (GATEWAY, 6443)
MESH_NAMES_CONFIG_MAP = ("istio-system", "kaiki-mesh-names")
_IMAGE_POLL_SECONDS = 1.0
_RETRY_SECONDS = 1.0
_DEFAULT_USER = (1000, 1000)


class NameServer(Protocol):
    """DNS for the pods; `kaiki.names` has one."""

    def update(self, services: Iterable[Object], slices: Iterable[Object]) -> None:
        """Answer for these from now on."""

    async def listen_for_mesh(self, address: str, port: int, namespace_of: Callable[[str], str | None]) -> None:
        """Answer on another address for pods with a sidecar."""

    def update_mesh(self, text: str) -> None:
        """Answer for these names of the mesh from now on."""

    async def stop(self) -> None:
        """End."""


StartNameServer: TypeAlias = Callable[
    [str, int, Callable[[], Awaitable[socket.socket]], Path], Coroutine[Any, Any, NameServer]
]
"""Answers on an address and port (UDP and TCP). The third argument gives UDP sockets of the host, for names outside;
the fourth is the user's own file of names."""


class Agent:
    """All pods and service rules of this node."""

    def __init__(
        self,
        settings: NodeSettings,
        cluster: Cluster,
        nursery: socket.socket,
        relay_control: socket.socket,
        sockets: SocketTaker,
        start_names: StartNameServer | None = None,
    ) -> None:
        self.settings = settings
        self.processes = ProcessKeeper(nursery)
        self._relay = relay_control
        asyncio.get_running_loop().add_reader(relay_control.fileno(), self._note_relay_lost)
        self._sockets = sockets
        self._start_names = start_names
        self._names: NameServer | None = None
        self._mesh_names: Object | None = None
        self._cluster = cluster
        images = ImageMap((*settings.image_maps, BUILT_IN), settings.image_places)
        images.reload()
        self.node = Node(
            home=settings.home,
            sandbox_folder=settings.sandbox_folder,
            cluster=cluster,
            network=Network(),
            processes=self.processes,
            images=images,
            store=ImageStore(settings.home, self.processes, settings.engines, sockets.fetch_image),
            environment=container_environment(),
            machine=machine_resources(),
            user=settings.user or _DEFAULT_USER,
        )
        self.loopback = Loopback(sockets, self._order, self._note_taken, self._note_ports, str(settings.home))
        self._services: tuple[Object, ...] = ()
        self._runners: dict[str, PodRunner] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._egress_port = 0
        self._table: object = None

    async def start(self) -> None:
        """Prepare the outer namespace; raises OSError."""
        self.node.network.prepare()
        shutil.rmtree(self.settings.home / "containers", ignore_errors=True)
        with relay.open_egress_listener(GATEWAY) as listener:
            self._egress_port = listener.getsockname()[1]
            self._order({"op": "listen", "name": "egress"}, (listener.fileno(),))
        if self._start_names:
            self._names = await self._start_names(GATEWAY, 53, self._sockets.datagram, self.settings.home / "hosts")
            await self._names.listen_for_mesh(MESH_NAMES, 53, self._namespace_of)
        await self.apply_services((), ())

    def _note_relay_lost(self) -> None:
        """The relay says nothing, so this is its end; without it nothing comes in or out."""
        asyncio.get_running_loop().remove_reader(self._relay.fileno())
        logger.error("the relay has ended")
        if not self.processes.lost.done():
            self.processes.lost.set_result(None)

    def _order(self, order: dict[str, Any], descriptors: tuple[int, ...]) -> None:
        relay.send_order(self._relay, order, descriptors)

    # Pods

    def apply_pod(self, uid: str, pod: Object | None) -> None:
        """A pod of this node as the API has it now, None when it is gone."""
        runner = self._runners.get(uid)
        if runner:
            runner.update(pod)
        elif pod is not None and not _is_over(pod):
            runner = self._runners[uid] = PodRunner(self.node, pod)
            self._tasks[uid] = asyncio.create_task(self._run(uid, runner), name=f"pod {pod['metadata']['name']}")
        elif pod is not None and pod["metadata"].get("deletionTimestamp"):
            self._tasks[uid] = asyncio.create_task(self._confirm(uid, pod))

    async def _run(self, uid: str, runner: PodRunner) -> None:
        try:
            await runner.run()
        finally:
            self._runners.pop(uid, None)
            self._tasks.pop(uid, None)

    async def _confirm(self, uid: str, pod: Object) -> None:
        try:
            while True:
                try:
                    return await self._cluster.confirm_deletion(pod)
                except ClusterUnavailable as error:
                    logger.info("pod %s: %s", pod["metadata"]["name"], error)
                    await asyncio.sleep(_RETRY_SECONDS)
        finally:
            self._tasks.pop(uid, None)

    def retry_pods(self, images_changed: bool = False) -> None:
        """ConfigMaps, Secrets or the image map changed: what waits for them tries again, volumes are refreshed."""
        for runner in self._runners.values():
            runner.retry(images_changed)

    def find_pod(self, namespace: str, name: str) -> PodRunner | None:
        """The runner of a pod by name."""
        for runner in self._runners.values():
            metadata = runner.pod["metadata"]
            if metadata["name"] == name and metadata.get("namespace", "default") == namespace:
                return runner
        return None

    def find_log(
        self, namespace: str, name: str, container: str, previous: bool
    ) -> tuple[Path, ContainerLog | None] | None:
        """The file of a container's present (or previous) run, and its writer while it lives."""
        runner = self.find_pod(namespace, name)
        if runner is None:
            return None
        restart = runner.state.container(container).restart_count - (1 if previous else 0)
        path = self.node.log_path(runner.pod, container, restart)
        return (path, None if previous else runner.live_log(container)) if path.exists() else None

    def render_measurements(self) -> str:
        """The node's metrics, as text."""
        runners = list(self._runners.values())
        states = Counter(one.phase.value for runner in runners for one in runner.state.containers.values())
        phases = [runner.phase for runner in runners]
        return self.node.measurements.render(phases, dict(sorted(states.items())), len(self._services))

    async def watch_images(self) -> None:
        """Read the image map again whenever a file of it changes."""
        while True:
            await asyncio.sleep(_IMAGE_POLL_SECONDS)
            archives = self.node.store.changed()
            if self.node.images.reload() or archives:
                for error in self.node.images.errors:
                    logger.warning("image map: %s", error)
                self.retry_pods(images_changed=True)

    def _namespace_of(self, address: str) -> str | None:
        """The namespace of the pod at an address."""
        runners = (one for one in self._runners.values() if one.state.address == address)
        return next((str(one.pod["metadata"].get("namespace", "default")) for one in runners), None)

    def apply_mesh_names(self) -> None:
        """Take over the names the control plane has published."""
        found = self._cluster.config_map(*MESH_NAMES_CONFIG_MAP)
        if self._names and found is not self._mesh_names:
            self._mesh_names = found
            self._names.update_mesh(str(((found or {}).get("data") or {}).get("names", "")))

    # Services

    async def apply_services(self, services: Iterable[Object], slices: Iterable[Object]) -> None:
        """Translate these services from now on."""
        self._services, slices = tuple(services), tuple(slices)
        ports = service_ports(self._services, slices)
        machine = str(self.settings.home)
        table = proxy_table(ports, self._egress_port, _API_ADDRESS, balancer_addresses(self._services, machine))
        if table != self._table:
            self.node.network.apply(table)
            self._table = table
        if self._names:
            self._names.update(self._services, slices)
        self._note_ready_pods(ready_pods(slices))
        self.node.target_ports.clear()
        self.node.target_ports.update(target_ports(slices))
        await self.loopback.apply(wanted_ports(self._services, self.settings.forwards, machine), ports)

    def _note_ready_pods(self, uids: frozenset[str]) -> None:
        withdrawn = self.node.ready_pods - uids
        self.node.ready_pods.clear()
        self.node.ready_pods.update(uids)
        for uid in withdrawn & self._runners.keys():
            self._runners[uid].note_withdrawn()

    def _note_taken(self, wanted: Wanted, message: str) -> None:
        logger.warning("%s: %s", wanted.name, message)
        for service in self._services:
            metadata = service["metadata"]
            if (metadata.get("namespace", "default"), metadata["name"]) == wanted.service:
                text = f"node port {wanted.candidates[0]} is taken on this machine: {message}"
                self._cluster.record_event(service, "Warning", "PortNotAllocated", text)

    def _note_ports(self, ports: Mapping[str, int]) -> None:
        urls = {
            one.name: f"{one.scheme}://127.0.0.1:{ports[f'forward:{one.name}']}"
            for one in self.settings.forwards
            if f"forward:{one.name}" in ports
        }
        self._sockets.tell_state({"urls": urls, "ports": dict(ports)})

    # The end

    async def stop(self, limit_seconds: float) -> None:
        """End all pods as a deletion would, the mesh's own last, each within its grace and all within the limit."""
        system = [one for one in self._runners.values() if one.pod["metadata"].get("namespace") == "istio-system"]
        others = [one for one in self._runners.values() if one not in system]
        end = asyncio.get_running_loop().time() + limit_seconds
        for group in (others, system):
            for runner in group:
                left = max(end - asyncio.get_running_loop().time(), 0.0)
                runner.stop_for_good(min(grace_seconds_of(runner.pod), left))
            if group:
                await asyncio.wait([asyncio.create_task(one.finished.wait()) for one in group], timeout=limit_seconds)
        for task in list(self._tasks.values()):
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        if self._names:
            await self._names.stop()
        self.processes.close()
        asyncio.get_running_loop().remove_reader(self._relay.fileno())
        self._relay.close()
        self.node.network.close()


def _is_over(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
