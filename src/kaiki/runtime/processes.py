"""The supervisor's side of the nursery: processes as objects with a future for their end.

A request names its descriptors by place in the message: 0 is the request itself (a memory file), 1 the pipe for
errors of the setup, the rest follow.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from kaiki.runtime.mounts import View

_PACKET_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Command:
    """A process to start. `network` is the descriptor of a network namespace; without `view` it sees what the node
    sees.

    `user` is (uid, gid) without any capability; None keeps root of the mesh with `capabilities` (all of them for None).
    `join` is the number of a running process whose namespaces and user it shares. `inherited` maps descriptor numbers
    in the new process to descriptors here. With `terminal`, its input is a terminal and becomes its controlling one.
    """

    arguments: Sequence[str]
    environment: Mapping[str, str]
    directory: str = "/"
    hostname: str = "localhost"
    network: int | None = None
    view: View | None = None
    user: tuple[int, int] | None = None
    capabilities: tuple[int, ...] | None = None
    mark: int | None = None
    isolated: bool = True
    join: int | None = None
    inherited: Mapping[int, int] = field(default_factory=dict)
    terminal: bool = False


class Running(Protocol):
    """What the rest of the node needs of a process. `exited` gives the wait status."""

    exited: asyncio.Future[int]
    number: int | None

    def signal(self, which: int) -> None:
        """Send a signal; nothing happens when the process has ended."""


class Process:
    """A child of the nursery. `started` gives None, or why it could not be started."""

    def __init__(self, keeper: ProcessKeeper, number: int, loop: asyncio.AbstractEventLoop) -> None:
        self._keeper = keeper
        self.number: int | None = number
        self.pid = 0
        self.started: asyncio.Future[str | None] = loop.create_future()
        self.exited: asyncio.Future[int] = loop.create_future()

    def signal(self, which: int) -> None:
        """Send a signal. SIGTERM ends a container whose first process does not catch it, as anywhere else."""
        if not self.exited.done():
            self._keeper.signal(self, which)

    def signal_group(self, which: int) -> None:
        """Send a signal to the process and what it started, as far as that stayed in its group."""
        if not self.exited.done():
            self._keeper.signal(self, which, group=True)


class Pause:
    """Something that runs without a process, until it is told to stop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.number: int | None = None
        self.exited: asyncio.Future[int] = loop.create_future()

    def signal(self, which: int) -> None:
        """Any deadly signal ends it with success."""
        if which in (signal.SIGTERM, signal.SIGKILL, signal.SIGINT) and not self.exited.done():
            self.exited.set_result(0)


class ProcessKeeper:
    """Sends requests to the nursery and hands its news to the processes they are about."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._loop = asyncio.get_running_loop()
        self._processes: dict[int, Process] = {}
        self._next = 1
        self.lost: asyncio.Future[None] = self._loop.create_future()
        control.setblocking(False)
        self._loop.add_reader(control.fileno(), self._read)

    def close(self) -> None:
        """Stop listening to the nursery."""
        self._loop.remove_reader(self._control.fileno())
        self._control.close()

    def start(self, command: Command, output: int | None, errors: int | None, given: int | None = None) -> Process:
        """Ask for a process that reads `given` and writes to `output` and `errors` (descriptors; None: nothing)."""
        number, self._next = self._next, self._next + 1
        process = Process(self, number, self._loop)
        self._processes[number] = process
        read, write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        request = os.memfd_create("request", os.MFD_CLOEXEC)
        try:
            descriptors = [request, write]
            with open(request, "wb", closefd=False) as file:
                file.write(json.dumps(_describe(command, (given, output, errors), descriptors)).encode())
            message = {"op": "spawn", "id": number, "isolated": command.isolated, "join": command.join}
            socket.send_fds(self._control, [json.dumps(message).encode()], descriptors)
        finally:
            os.close(write)
            os.close(request)
        self._loop.add_reader(read, self._read_error, process, read, bytearray())
        return process

    async def run(self, command: Command, timeout_seconds: float) -> tuple[int, str]:
        """Start a process, wait for its end; its exit code and what it wrote. Raises TimeoutError and kills it then."""
        read, write = os.pipe2(os.O_CLOEXEC)
        process = self.start(command, write, write)
        os.close(write)
        try:
            async with asyncio.timeout(timeout_seconds):
                failure = await asyncio.shield(process.started)
                status = await asyncio.shield(process.exited)
            return os.waitstatus_to_exitcode(status), failure or _read_available(read)
        finally:
            process.signal(signal.SIGKILL)
            os.close(read)

    def signal(self, process: Process, which: int, group: bool = False) -> None:
        """Send a signal through the nursery, which knows whether the process still exists."""
        message = {"op": "signal", "id": process.number, "signal": int(which), "group": group}
        self._control.send(json.dumps(message).encode())

    def _read(self) -> None:
        try:
            data = self._control.recv(_PACKET_BYTES)
        except BlockingIOError:
            return
        if not data:
            self._loop.remove_reader(self._control.fileno())
            if not self.lost.done():
                self.lost.set_result(None)
            return
        news = json.loads(data)
        if "born" in news:
            self._processes[news["born"]].pid = news["pid"]
            return
        process = self._processes.pop(news["exited"])
        if not process.exited.done():
            process.exited.set_result(news["status"])

    def _read_error(self, process: Process, descriptor: int, collected: bytearray) -> None:
        try:
            data = os.read(descriptor, _PACKET_BYTES)
        except BlockingIOError:
            return
        if data:
            collected += data
            return
        self._loop.remove_reader(descriptor)
        os.close(descriptor)
        if not process.started.done():
            process.started.set_result(collected.decode(errors="replace") or None)


def _read_available(descriptor: int) -> str:
    os.set_blocking(descriptor, False)
    try:
        return os.read(descriptor, _PACKET_BYTES).decode(errors="replace")
    except BlockingIOError:
        return ""


def _describe(command: Command, streams: tuple[int | None, ...], descriptors: list[int]) -> dict[str, Any]:
    """The request as the nursery reads it; appends the descriptors that go with it."""

    def place(descriptor: int | None) -> int | None:
        if descriptor is None:
            return None
        descriptors.append(descriptor)
        return len(descriptors) - 1

    return {
        "command": list(command.arguments),
        "environment": dict(command.environment),
        "directory": command.directory,
        "hostname": command.hostname,
        "network": place(command.network),
        "view": command.view,
        "user": command.user,
        "capabilities": command.capabilities,
        "mark": command.mark,
        "streams": [place(one) for one in streams],
        "terminal": command.terminal,
        "inherited": [(target, place(source)) for target, source in command.inherited.items()],
    }
