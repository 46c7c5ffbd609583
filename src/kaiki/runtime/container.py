"""One run of one container: from its image to its end.

The run tells the pod what happens by callbacks; what happens next is decided by `plan.py`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kaiki.runtime import health, redirect, rules, sandbox
from kaiki.runtime.environment import PodFacts, build_environment, expand
from kaiki.runtime.images import PROGRAMS_FOLDER, Launch, find_program
from kaiki.runtime.logs import ContainerLog
from kaiki.runtime.mounts import Image
from kaiki.runtime.node import Node
from kaiki.runtime.plan import Ending
from kaiki.runtime.podvolumes import PodVolumes
from kaiki.runtime.processes import Command, Pause, Process, Running
from kaiki.runtime.resolver import host_name
from kaiki.runtime.syscalls import CAP_NET_ADMIN, CAP_NET_RAW

Object = Mapping[str, Any]

_MARK = 1337
_PRIVILEGES = (CAP_NET_ADMIN, CAP_NET_RAW)
_DESCRIPTION = {"startupProbe": "Startup", "readinessProbe": "Readiness", "livenessProbe": "Liveness"}


class CannotRun(Exception):
    """The container cannot be started as things are: `reason` as the kubelet names it, and a message."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Callbacks:
    """What a run reports: an event (kind, reason, message), and changes of started and ready."""

    event: Callable[[str, str, str], None]
    changed: Callable[[bool, bool], None]


class Run:
    """A container between two starts."""

    def __init__(self, node: Node, pod: Object, container: Object, callbacks: Callbacks) -> None:
        self._node = node
        self._pod = pod
        self._container = container
        self._callbacks = callbacks
        self._process: Running | None = None
        self._started_at = 0.0
        self._privileged = False
        self._command: Command | None = None
        self._image_user: tuple[int, int] | None = None
        self._programs: Mapping[str, tuple[str, ...]] = {}
        self.log: ContainerLog | None = None
        self.input: int | None = None
        self.identity = f"{pod['metadata']['uid'][:8]}-{container['name']}-{time.time_ns():x}"

    def command(self, launch: Launch, facts: PodFacts, volumes: PodVolumes, network: int) -> Command:
        """The process that is this container; raises MissingReference."""
        self._image_user = launch.user
        base = {**self._node.environment, "HOSTNAME": host_name(self._pod), **launch.environment}
        directory = self._container.get("workingDir") or launch.directory or "/"
        binds = volumes.binds(self._container)
        if launch.programs:
            base["PATH"] = f"{PROGRAMS_FOLDER}:{base.get('PATH', '/usr/bin:/bin')}"
            programs = str(self._node.programs_folder(launch.programs))
            binds = [*binds, {"source": programs, "target": PROGRAMS_FOLDER, "read_only": True}]
        environment = build_environment(facts, self._container, base, self._node.cluster, self._node.machine)
        arguments = [expand(word, environment) for word in launch.command]
        if not arguments:
            raise CannotRun("CreateContainerError", "no command specified: neither the container nor its image has one")
        return Command(
            arguments=arguments,
            environment=environment,
            directory=directory,
            hostname=host_name(self._pod),
            network=network,
            view={
                "hidden": [str(self._node.home), "/run"],
                "binds": binds,
                "staging": str(self._node.sandbox_folder / "root"),
                "image": self._image(launch, directory),
            },
            user=None if launch.privileged else self._user(),
            capabilities=_PRIVILEGES if launch.privileged else None,
            mark=_MARK if launch.privileged else None,
        )

    def _image(self, launch: Launch, directory: str) -> Image | None:
        """A root of its own, with a layer for what the container writes; it starts anew with each run."""
        if not launch.root:
            return None
        own = self._node.layers_folder(self._pod) / self.identity
        own.mkdir(parents=True)
        return {"lower": launch.root, "upper": str(own / "upper"), "work": str(own / "work"), "directory": directory}

    def _user(self) -> tuple[int, int]:
        own = self._container.get("securityContext") or {}
        shared = (self._pod.get("spec") or {}).get("securityContext") or {}
        uid = own.get("runAsUser", shared.get("runAsUser"))
        gid = own.get("runAsGroup", shared.get("runAsGroup"))
        default = self._image_user or self._node.user
        return (default[0] if uid is None else int(uid), default[1] if gid is None else int(gid))

    async def start(self, launch: Launch, facts: PodFacts, volumes: PodVolumes, network: int, restart: int) -> None:
        """Start it; raises CannotRun or MissingReference. Afterwards `wait` gives the end."""
        self._callbacks.event("Normal", "Pulled", f'Image "{self._container.get("image", "")}" is on this machine')
        self._started_at = time.time()
        self._privileged = launch.privileged
        self._programs = launch.programs
        loop = asyncio.get_running_loop()
        if launch.builtin == "redirect":
            self._process = self._redirect(launch, network, restart)
        elif launch.builtin == "pause":
            self._process = Pause(loop)
        elif launch.builtin:
            raise CannotRun("CreateContainerError", f"the image map names an unknown builtin {launch.builtin!r}")
        else:
            await self._start_process(self.command(launch, facts, volumes, network), restart)
        name = self._container["name"]
        self._callbacks.event("Normal", "Created", f"Created container: {name}")
        self._callbacks.event("Normal", "Started", f"Started container {name}")

    async def _start_process(self, command: Command, restart: int) -> None:
        path = self._node.log_path(self._pod, self._container["name"], restart)
        terminal = bool(self._container.get("tty"))
        log = self.log = ContainerLog(path, terminal=terminal)
        given, self.input = self._make_input(log)
        self._command = command = replace(command, terminal=terminal)
        try:
            process = self._node.processes.start(command, log.output, log.errors, given)
        finally:
            log.started()
            if given is not None:
                os.close(given)
        failure = await process.started
        if failure is not None:
            log.write(failure)
            await process.exited
            log.close()
            self.close_input()
            raise CannotRun("StartError", failure)
        self._process = process

    def _make_input(self, log: ContainerLog) -> tuple[int | None, int | None]:
        """The container's end of its input and ours (attached clients write to it); None for a container without."""
        if log.terminal is not None:
            return os.dup(log.output), os.dup(log.terminal)
        if not self._container.get("stdin"):
            return None, None
        theirs, ours = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(ours, False)
        return theirs, ours

    def close_input(self) -> None:
        """The container reads the end of its input."""
        if self.input is not None:
            os.close(self.input)
            self.input = None

    def _redirect(self, launch: Launch, network: int, restart: int) -> Running:
        done = Pause(asyncio.get_running_loop())
        log = self.log = ContainerLog(self._node.log_path(self._pod, self._container["name"], restart))
        log.started()
        try:
            capture, _ = redirect.parse_arguments(launch.command)
            table = rules.capture_table(capture)
            sandbox.apply_in_network(network, table)
            log.write(rules.as_text(table))
            self._node.measurements.captures += 1
            done.exited.set_result(0)
        except (redirect.RedirectError, OSError) as error:
            log.write(f"redirect: {error}")
            done.exited.set_result(1 << 8)
        return done

    async def wait(self, pod_ip: str) -> Ending:
        """Run probes until the container ends; how it did."""
        assert self._process is not None
        async with asyncio.TaskGroup() as group:
            probing = group.create_task(self._probe(pod_ip))
            status = await asyncio.shield(self._process.exited)
            probing.cancel()
        await asyncio.sleep(0)  # let the last output in
        if self.log:
            self.log.close()
        self.close_input()
        code = os.waitstatus_to_exitcode(status)
        return Ending(
            exit_code=128 - code if code < 0 else code,
            signal=-code if code < 0 else 0,
            reason="Completed" if code == 0 else "Error",
            started_at=self._started_at,
            finished_at=time.time(),
        )

    async def _probe(self, pod_ip: str) -> None:
        hook = ((self._container.get("lifecycle") or {}).get("postStart")) or {}
        if hook and not await self._call_hook(hook, pod_ip, "FailedPostStartHook", 60.0):
            self.signal(signal.SIGKILL)
            return
        startup = health.parse_probe(self._container, "startupProbe", pod_ip)
        if startup and not await self._succeeds(startup, "startupProbe", give_up=True):
            self._kill_unhealthy("startup")
            return
        readiness = health.parse_probe(self._container, "readinessProbe", pod_ip)
        liveness = health.parse_probe(self._container, "livenessProbe", pod_ip)
        self._callbacks.changed(True, readiness is None)
        async with asyncio.TaskGroup() as group:
            if readiness:
                group.create_task(self._watch_readiness(readiness))
            if liveness:
                group.create_task(self._watch_liveness(liveness))

    async def _watch_readiness(self, probe: health.Probe) -> None:
        await self._succeeds(probe, "readinessProbe", give_up=False)
        self._callbacks.changed(True, True)
        await health.keep_checking(
            probe,
            self.run_command,
            lambda message: self._unhealthy("readinessProbe", message),
            lambda passed: self._callbacks.changed(True, passed),
        )

    async def _watch_liveness(self, probe: health.Probe) -> None:
        def on_change(passed: bool) -> None:
            if not passed:
                self._kill_unhealthy("liveness")

        await asyncio.sleep(probe.initial_delay_seconds)
        await health.keep_checking(
            probe, self.run_command, lambda message: self._unhealthy("livenessProbe", message), on_change
        )

    async def _succeeds(self, probe: health.Probe, kind: str, give_up: bool) -> bool:
        return await health.wait_for_success(
            probe, self.run_command, lambda message: self._unhealthy(kind, message), give_up
        )

    def _unhealthy(self, kind: str, message: str) -> None:
        self._callbacks.event("Warning", "Unhealthy", f"{_DESCRIPTION[kind]} probe failed: {message}")

    def _kill_unhealthy(self, kind: str) -> None:
        name = self._container["name"]
        message = f"Container {name} failed {kind} probe, will be restarted"
        self._callbacks.event("Normal", "Killing", message)
        self.signal(signal.SIGTERM)
        asyncio.get_running_loop().call_later(
            float((self._pod.get("spec") or {}).get("terminationGracePeriodSeconds") or 30),
            self.signal,
            signal.SIGKILL,
        )

    async def run_command(self, command: tuple[str, ...], timeout_seconds: float) -> tuple[int, str]:
        """Run a command inside the container; its exit code and output."""
        inside = self.command_inside(command)
        if inside is None:
            return 1, "the container has no process"
        return await self._node.processes.run(inside, timeout_seconds)

    def command_inside(self, arguments: Sequence[str], terminal: bool = False) -> Command | None:
        """A further process in the container: its namespaces, user, variables and folder. None when nothing runs."""
        process, own = self._process, self._command
        if not isinstance(process, Process) or process.number is None or process.exited.done() or own is None:
            return None
        return Command(
            find_program(self._programs, arguments),
            {**own.environment, "TERM": "xterm"} if terminal else own.environment,
            directory=own.directory,
            isolated=False,
            join=process.number,
            user=None if self._privileged else self._user(),
            capabilities=_PRIVILEGES if self._privileged else None,
            terminal=terminal,
        )

    @property
    def closes_input_after_first(self) -> bool:
        """Whether the container's input ends with the first client that was attached to it (`stdinOnce`)."""
        return bool(self._container.get("stdinOnce")) and not self._container.get("tty")

    @property
    def ended(self) -> asyncio.Future[int] | None:
        """Gives the wait status; None before the start."""
        return self._process.exited if self._process else None

    async def _call_hook(self, hook: Object, pod_ip: str, reason: str, timeout_seconds: float) -> bool:
        if "sleep" in hook:
            await asyncio.sleep(min(float(hook["sleep"].get("seconds") or 0), timeout_seconds))
            return True
        check = health.parse_handler(hook, self._container, pod_ip)
        if check is None:
            return True
        outcome = await health.run_check(check, timeout_seconds, self.run_command)
        if not outcome.passed:
            self._callbacks.event("Warning", reason, outcome.message)
        return outcome.passed

    async def stop(self, pod_ip: str, grace_seconds: float) -> None:
        """preStop, SIGTERM, SIGKILL when the grace is over; returns when the process has ended."""
        process = self._process
        if process is None or process.exited.done():
            return
        self._callbacks.event("Normal", "Killing", f"Stopping container {self._container['name']}")
        end = asyncio.get_running_loop().time() + grace_seconds
        hook = ((self._container.get("lifecycle") or {}).get("preStop")) or {}
        if hook and grace_seconds > 0:
            await self._call_hook(hook, pod_ip, "FailedPreStopHook", grace_seconds)
        process.signal(signal.SIGTERM if grace_seconds > 0 else signal.SIGKILL)
        try:
            async with asyncio.timeout_at(max(end, asyncio.get_running_loop().time() + min(grace_seconds, 2.0))):
                await asyncio.shield(process.exited)
        except TimeoutError:
            process.signal(signal.SIGKILL)
            await asyncio.shield(process.exited)

    def signal(self, which: int) -> None:
        """Send a signal to the container's first process."""
        if self._process is not None:
            self._process.signal(which)
