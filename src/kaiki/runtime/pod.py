"""One pod's life: asks `plan.py` what is due, does it, records what happened, and writes the status when it changed."""

from __future__ import annotations

import asyncio
import logging
import math
import shutil
import time
from collections.abc import Coroutine, Mapping
from dataclasses import replace
from typing import Any

from kaiki.runtime.cluster import ClusterUnavailable
from kaiki.runtime.container import Callbacks, CannotRun, Run
from kaiki.runtime.environment import MissingReference, PodFacts
from kaiki.runtime.image_store import NoImage
from kaiki.runtime.listening import REASON, Reach, explain
from kaiki.runtime.logs import ContainerLog
from kaiki.runtime.node import Node
from kaiki.runtime.plan import (
    BACKOFF_RESET_SECONDS,
    Action,
    ContainerState,
    Ending,
    MakeSandbox,
    Phase,
    PodState,
    PrepareVolumes,
    Remove,
    StartContainer,
    StopContainer,
    WakeAt,
    backoff_seconds,
    grace_seconds_of,
    init_containers,
    main_containers,
    plan,
)
from kaiki.runtime.podvolumes import PodVolumes, refresh_forever
from kaiki.runtime.sandbox import GATEWAY, Sandbox
from kaiki.runtime.status import pod_status

Object = Mapping[str, Any]
logger = logging.getLogger(__name__)

_START_ERROR = 128
_STATUS_RETRY_SECONDS = 1.0
_VOLUME_RETRY_SECONDS = 5.0
_DRAIN_LIMIT_SECONDS = 3.0
_SPREAD_SECONDS = 0.6
_LOOK_SECONDS = (0.5, 1.0, 2.0, 2.0, 5.0, 5.0, 15.0)


def initial_state(pod: Object) -> PodState:
    """The state of a pod the API remembers from before this node started: nothing runs; restarts go on counting."""
    status = pod.get("status") or {}
    remembered = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    containers = {}
    for one in remembered:
        ran = bool(one.get("containerID"))
        count = int(one.get("restartCount") or 0) + (1 if ran else 0)
        containers[one["name"]] = ContainerState(restart_count=count)
    return PodState(containers=containers)


class PodRunner:
    """Runs one pod until it is gone. `run` is the task; the other methods tell it of changes."""

    def __init__(self, node: Node, pod: Object) -> None:
        self.pod = pod
        self.state = initial_state(pod)
        self.finished = asyncio.Event()
        self._node = node
        self._sandbox: Sandbox | None = None
        self._volumes = PodVolumes(node, pod)
        self._runs: dict[str, Run] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._dirty = asyncio.Event()
        self._refill = asyncio.Event()
        self._exists = True
        self._failed_pulls: dict[str, int] = {}
        self._stop_at = math.inf
        self._seen_at = time.monotonic()
        self._was_ready = False
        self._written: Object | None = None
        self._note_deletion()

    # News from outside

    def update(self, pod: Object | None) -> None:
        """The pod as the API has it now; None when it is gone."""
        if pod is None:
            self._exists = False
            self.shut_down(0.0)
        else:
            self.pod = pod
            self._note_deletion()
        self._wake()

    def shut_down(self, grace_seconds: float) -> None:
        """End the pod. A shorter grace than before wins."""
        before = self.state.grace_seconds
        if before is not None and before <= grace_seconds:
            return
        self._stop_at = asyncio.get_running_loop().time() + grace_seconds
        stopping = {name: replace(one, stopping=False) for name, one in self.state.containers.items()}
        drain_until = self.state.drain_until if grace_seconds > 0 else 0.0
        self.state = replace(self.state, grace_seconds=grace_seconds, drain_until=drain_until, containers=stopping)
        self._wake()

    def stop_for_good(self, grace_seconds: float) -> None:
        """The node is going down: end the pod but leave it in the API, which will want it again."""
        self._exists = False
        self.shut_down(grace_seconds)

    def _note_deletion(self) -> None:
        metadata = self.pod["metadata"]
        if metadata.get("deletionTimestamp"):
            asked = metadata.get("deletionGracePeriodSeconds")
            grace = grace_seconds_of(self.pod) if asked is None else float(asked)
            if self.state.grace_seconds is None and metadata["uid"] in self._node.ready_pods:
                self._drain(min(_DRAIN_LIMIT_SECONDS, grace / 2))
            self.shut_down(grace)

    def _drain(self, seconds: float) -> None:
        """Go on serving for a moment: nobody who sends to this pod knows of its deletion yet.

        Kubernetes stops the containers at once and leaves it to everybody's preStop hook to wait for the news to
        spread. Here one node runs all, and can tell.
        """
        self.state = replace(self.state, drain_until=asyncio.get_running_loop().time() + seconds)

    def note_withdrawn(self) -> None:
        """No Service sends here any more; the proxies are told about now."""
        spread = asyncio.get_running_loop().time() + _SPREAD_SECONDS
        if spread < self.state.drain_until:
            self.state = replace(self.state, drain_until=spread)
            self._wake()

    def retry(self, images_changed: bool = False) -> None:
        """Something a container may have waited for has changed: images, ConfigMaps or Secrets."""
        for name, found in self.state.containers.items():
            pulling = images_changed and found.reason in ("ErrImagePull", "ImagePullBackOff")
            if found.due_at == math.inf or pulling:
                self._set(name, due_at=0.0)
        if not images_changed:
            self._refill.set()
        self._wake()

    def live_log(self, container: str) -> ContainerLog | None:
        """The log of the present run of a container."""
        run = self._runs.get(container)
        return run.log if run else None

    def live_run(self, container: str) -> Run | None:
        """The present run of a container that is running."""
        running = self.state.container(container).phase is Phase.RUNNING
        return self._runs.get(container) if running else None

    @property
    def network(self) -> int | None:
        """The descriptor of the pod's network namespace."""
        return self._sandbox.descriptor if self._sandbox else None

    def _wake(self) -> None:
        self._changed.set()
        self._dirty.set()

    # The loop

    async def run(self) -> None:
        """Until the pod is removed."""
        writer = asyncio.create_task(self._write_statuses())
        filler = asyncio.create_task(self._refill_volumes())
        refresher = asyncio.create_task(refresh_forever(self._volumes, self._refill))
        looker = asyncio.create_task(self._look_at_ports())
        try:
            while not self.finished.is_set():
                self._changed.clear()
                await self._wait(self._act(plan(self.pod, self.state, asyncio.get_running_loop().time())))
        finally:
            helpers = (writer, filler, refresher, looker, *self._tasks)
            for task in helpers:
                task.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)
            self._clean_up()

    async def _wait(self, until: float) -> None:
        if self.finished.is_set():
            return
        try:
            async with asyncio.timeout_at(None if until == math.inf else until):
                await self._changed.wait()
        except TimeoutError:
            pass

    def _act(self, actions: list[Action]) -> float:
        until = math.inf
        for action in actions:
            match action:
                case MakeSandbox():
                    self._make_sandbox()
                case PrepareVolumes():
                    self.state = replace(self.state, volumes_pending=True)
                    self._do(self._prepare_volumes())
                case StartContainer(name):
                    self._set(name, phase=Phase.STARTING)
                    self._do(self._run_container(name))
                case StopContainer(name, _):
                    self._set(name, stopping=True)
                    self._do(self._stop_container(name))
                case WakeAt(at):
                    until = min(until, at)
                case Remove():
                    self.state = replace(self.state, sandbox_pending=True)
                    self._do(self._remove())
        return until

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            logger.error("pod %s: %s", self._name, error, exc_info=error)
        self._wake()

    @property
    def _name(self) -> str:
        metadata = self.pod["metadata"]
        return f"{metadata.get('namespace', 'default')}/{metadata['name']}"

    def _set(self, name: str, **changes: Any) -> None:
        self.state = self.state.with_container(name, **changes)
        self._wake()

    def _event(self, kind: str, reason: str, message: str, container: str = "") -> None:
        group = "spec.containers"
        if any(one["name"] == container for one in init_containers(self.pod)):
            group = "spec.initContainers"
        path = f"{group}{{{container}}}" if container else ""
        self._node.cluster.record_event(self.pod, kind, reason, message, path)

    def _facts(self) -> PodFacts:
        return PodFacts(self.pod, self.state.address, GATEWAY)

    # Sandbox and volumes

    def _make_sandbox(self) -> None:
        measured, begun = self._node.measurements, time.monotonic()
        try:
            self._sandbox = self._node.network.make_sandbox()
        except OSError as error:
            measured.sandbox_failures += 1
            self._event("Warning", "FailedCreatePodSandBox", f"Failed to create pod sandbox: {error}")
            self.state = replace(self.state, failure=("FailedCreatePodSandBox", str(error)))
        else:
            measured.sandbox_seconds.observe(time.monotonic() - begun)
            self.state = replace(self.state, address=self._sandbox.address)
        self._wake()

    async def _prepare_volumes(self) -> None:
        while True:
            self._refill.clear()
            try:
                await self._volumes.prepare(self.pod, self._facts())
                break
            except (MissingReference, ClusterUnavailable, OSError) as error:
                self._event("Warning", "FailedMount", f"MountVolume.SetUp failed: {error}")
            try:
                async with asyncio.timeout(_VOLUME_RETRY_SECONDS):
                    await self._refill.wait()
            except TimeoutError:
                continue
        self.state = replace(self.state, volumes_ready=True, volumes_pending=False)

    async def _refill_volumes(self) -> None:
        while True:
            await self._refill.wait()
            if not self.state.volumes_ready or self._sandbox is None:
                await asyncio.sleep(0.05)
                continue
            self._refill.clear()
            try:
                await self._volumes.prepare(self.pod, self._facts())
            except (MissingReference, ClusterUnavailable, OSError) as error:
                logger.info("pod %s keeps its volumes as they are: %s", self._name, error)

    async def _look_at_ports(self) -> None:
        """Often at first, seldom later: an application opens its ports soon, and an annotation may come any time."""
        reach, looks = Reach(), 0
        while True:
            running = any(one.phase is Phase.RUNNING for one in self.state.containers.values())
            if self._sandbox is not None and (running or looks == 0):
                self._look_once(reach, self._sandbox)
                looks += 1
            await asyncio.sleep(_LOOK_SECONDS[min(looks, len(_LOOK_SECONDS) - 1)])

    def _look_once(self, reach: Reach, sandbox: Sandbox) -> None:
        targets = self._node.target_ports.get(sandbox.address, frozenset())
        try:
            changed = reach.look(self.pod, sandbox.descriptor, sandbox.address, targets)
        except OSError as error:
            logger.info("pod %s: its ports cannot be looked at: %s", self._name, error)
            return
        if not changed:
            return
        if reach.problem or reach.hidden:
            self._event("Warning", REASON, reach.problem or f"port {explain(reach.hidden)}")
        self.state = replace(self.state, hidden_ports=tuple(sorted(reach.hidden)))
        self._wake()

    # Containers

    def _container(self, name: str) -> Object:
        everyone = (*init_containers(self.pod), *main_containers(self.pod))
        return next(one for one in everyone if one["name"] == name)

    async def _run_container(self, name: str) -> None:
        container = self._container(name)
        launch = self._node.images.find(container)
        if launch is None:
            try:
                launch = await self._node.store.find(container, lambda text: self._note_pull(name, text))
            except NoImage as error:
                self._wait_for_image(name, container, error)
                return
        before = self.state.container(name)
        restart = before.restart_count + (1 if before.ending else 0)
        callbacks = Callbacks(
            lambda kind, reason, message: self._event(kind, reason, message, name),
            lambda started, ready: self._set(name, started=started, ready=ready),
        )
        run = self._runs[name] = Run(self._node, self.pod, container, callbacks)
        assert self._sandbox is not None
        try:
            await run.start(launch, self._facts(), self._volumes, self._sandbox.descriptor, restart)
        except (MissingReference, CannotRun, OSError) as error:
            self._note_failure(name, error, restart)
            return
        self._node.measurements.container_starts += 1
        self._node.measurements.container_restarts += restart > 0
        self._set(
            name,
            phase=Phase.RUNNING,
            started_at=time.time(),
            restart_count=restart,
            last=before.ending or before.last,
            stopping=False,
            process_id=run.identity,
        )
        self._note_end(name, await run.wait(self.state.address))

    def _note_pull(self, name: str, text: str) -> None:
        self._event("Normal", text.partition(" ")[0] if text.startswith("Pulling") else "Pulled", text, name)

    def _wait_for_image(self, name: str, container: Object, error: NoImage) -> None:
        image = str(container.get("image", ""))
        message = self._node.images.explain_missing(image, str(error).rstrip("."))
        failures = self._failed_pulls[name] = self._failed_pulls.get(name, 0) + 1
        due_at = math.inf if error.final else asyncio.get_running_loop().time() + backoff_seconds(failures + 1)
        seen = self.state.container(name).reason in ("ErrImagePull", "ImagePullBackOff")
        if not seen:
            self._event("Warning", "Failed", f"Failed to pull image: {message}", name)
            self._event("Warning", "Failed", "Error: ErrImagePull", name)
        reason = "ImagePullBackOff" if seen else "ErrImagePull"
        self._set(name, phase=Phase.WAITING, reason=reason, message=message, due_at=due_at)

    def _note_failure(self, name: str, error: Exception, restart: int) -> None:
        """What cannot start yet waits for a change; what was started and failed is restarted with back-off."""
        if isinstance(error, CannotRun) and error.reason == "StartError":
            now = time.time()
            self._event("Warning", "Failed", f"Error: {error}", name)
            ending = Ending(_START_ERROR, reason="StartError", message=str(error), started_at=now, finished_at=now)
            self._set(name, restart_count=restart)
            self._note_end(name, ending)
            return
        reason = error.reason if isinstance(error, CannotRun) else "CreateContainerConfigError"
        if self.state.container(name).message != str(error):
            self._event("Warning", "Failed", f"Error: {error}", name)
        self._set(name, phase=Phase.WAITING, reason=reason, message=str(error), due_at=math.inf)

    def _note_end(self, name: str, ending: Ending) -> None:
        found = self.state.container(name)
        self._node.measurements.container_failures += ending.exit_code != 0
        lived = ending.finished_at - ending.started_at
        failures = 1 if lived >= BACKOFF_RESET_SECONDS else found.failures + 1
        delay = backoff_seconds(failures)
        if delay and self.state.grace_seconds is None:
            self._event("Warning", "BackOff", f"Back-off restarting failed container {name} in pod {self._name}", name)
        self._set(
            name,
            phase=Phase.ENDED,
            ending=ending,
            started=False,
            ready=False,
            stopping=False,
            failures=failures,
            due_at=asyncio.get_running_loop().time() + delay,
        )

    async def _stop_container(self, name: str) -> None:
        left = max(self._stop_at - asyncio.get_running_loop().time(), 0.0)
        grace = grace_seconds_of(self.pod) if self._stop_at == math.inf else left
        run = self._runs.get(name)
        if run:
            await run.stop(self.state.address, grace)

    # The end

    async def _remove(self) -> None:
        """Confirm only when nothing is left: who waits for the deletion may count on that."""
        self._clean_up()
        while self._exists:
            try:
                await self._node.cluster.confirm_deletion(self.pod)
                break
            except ClusterUnavailable as error:
                logger.info("pod %s: %s", self._name, error)
                await asyncio.sleep(_STATUS_RETRY_SECONDS)
        self.finished.set()

    def _clean_up(self) -> None:
        for run in self._runs.values():
            if run.log:
                run.log.close()
        if self._sandbox:
            self._node.network.remove_sandbox(self._sandbox)
            self._sandbox = None
        self._volumes.remove()
        shutil.rmtree(self._node.layers_folder(self.pod), ignore_errors=True)

    def _note_ready(self, status: Object) -> None:
        """Measure once how long the pod took to be ready."""
        conditions = status.get("conditions") or ()
        if not self._was_ready and any(one["type"] == "Ready" and one["status"] == "True" for one in conditions):
            self._was_ready = True
            self._node.measurements.ready_seconds.observe(time.monotonic() - self._seen_at)

    @property
    def phase(self) -> str:
        """The phase written last."""
        return str((self._written or {}).get("phase") or "Pending")

    async def _write_statuses(self) -> None:
        """One write for all that changed while the last was under way."""
        while True:
            await self._dirty.wait()
            await asyncio.sleep(0)  # what happens in the same turn goes together
            self._dirty.clear()
            if not self._exists:
                return
            status = pod_status(self.pod, self.state, time.time())
            if self._written is not None:
                status = pod_status({**self.pod, "status": self._written}, self.state, time.time())
            if status == self._written:
                continue
            self._note_ready(status)
            try:
                await self._node.cluster.write_status(self.pod, status)
                self._written = status
            except ClusterUnavailable as error:
                logger.info("pod %s: %s", self._name, error)
                await asyncio.sleep(_STATUS_RETRY_SECONDS)
                self._dirty.set()
