"""One `exec` or `attach`: a client's channels joined to a process's pipes or terminal."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import signal
import struct
import termios
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from aiohttp import WSMsgType, web

from kaiki.runtime.container import Run
from kaiki.runtime.descriptors import read_some, write_all
from kaiki.runtime.processes import Command, Process, ProcessKeeper

STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
_HANG_UP_SECONDS = 1.0
_WAITING_PIECES = 256


@dataclass(frozen=True, slots=True)
class Streams:
    """What the client wants to be joined."""

    given: bool
    output: bool
    errors: bool
    terminal: bool


class Channels:
    """The client's side: numbered channels in a WebSocket."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self._socket = socket

    async def send(self, channel: int, data: bytes) -> None:
        """Send and wait while the client is slow; raises ConnectionError when it is gone."""
        await self._socket.send_bytes(bytes([channel]) + data)

    async def greet(self, streams: Streams) -> None:
        """Tell the client that it is connected, as Kubernetes does: an empty message on the first channel."""
        await self.send(STDOUT if streams.output else STDERR if streams.errors else ERROR, b"")

    async def receive(self) -> tuple[int, bytes] | None:
        """The next message; None when the client is gone."""
        while True:
            message = await self._socket.receive()
            data = message.data.encode() if message.type is WSMsgType.TEXT else message.data
            if message.type not in (WSMsgType.BINARY, WSMsgType.TEXT):
                return None
            if data:
                return data[0], bytes(data[1:])

    async def finish(self, status: dict[str, Any]) -> None:
        """Send how it ended."""
        await self.send(ERROR, json.dumps({"metadata": {}, **status}).encode())


def status_of(wait_status: int) -> dict[str, Any]:
    """A `metav1.Status` of a process's end, from which kubectl takes its own exit code."""
    code = os.waitstatus_to_exitcode(wait_status)
    code = 128 - code if code < 0 else code
    if code == 0:
        return {"status": "Success"}
    causes = [{"reason": "ExitCode", "message": str(code)}]
    message = f"command terminated with non-zero exit code: exit status {code}"
    return {"status": "Failure", "reason": "NonZeroExitCode", "message": message, "details": {"causes": causes}}


def failure(message: str) -> dict[str, Any]:
    """A `metav1.Status` of something that could not be done."""
    return {"status": "Failure", "reason": "InternalError", "code": 500, "message": message}


def set_size(terminal: int, data: bytes) -> None:
    """Carry out a resize message; one that cannot be read changes nothing."""
    try:
        size = json.loads(data)
        packed = struct.pack("HHHH", int(size["Height"]), int(size["Width"]), 0, 0)
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, packed)
    except (ValueError, KeyError, TypeError, struct.error, OSError):
        return


Write: TypeAlias = Callable[[bytes], Awaitable[None]]


async def take_input(channels: Channels, write: Write, close: Callable[[], None], resize: Write) -> None:
    """Carry out the client's messages until it is gone."""
    while (message := await channels.receive()) is not None:
        channel, data = message
        if channel == STDIN:
            await write(data)
        elif channel == RESIZE:
            await resize(data)
        elif channel == CLOSE and data[:1] == bytes([STDIN]):
            close()


class Execution:
    """A command run in a container for a client."""

    def __init__(self, keeper: ProcessKeeper, command: Command, streams: Streams) -> None:
        self._keeper = keeper
        self._command = command
        self._streams = streams
        self._open: set[int] = set()
        self._input: int | None = None
        self._outputs: dict[int, int] = {}

    async def serve(self, channels: Channels) -> None:
        """Until the command has ended, or the client is gone and the command with it."""
        process = self._start()
        taking: asyncio.Task[None] | None = None
        try:
            await channels.greet(self._streams)
            reason = await process.started
            if reason is not None:
                await channels.finish(failure(f"error executing command in container: {reason}"))
                return
            taking = asyncio.create_task(self._take(channels, process))
            giving = asyncio.create_task(self._give(channels, process))
            await asyncio.wait([taking, giving], return_when=asyncio.FIRST_COMPLETED)
            if giving.done():
                giving.result()
                await channels.finish(status_of(process.exited.result()))
            giving.cancel()
            await asyncio.gather(giving, return_exceptions=True)
        finally:
            if taking:
                taking.cancel()
                await asyncio.gather(taking, return_exceptions=True)
            self._hang_up(process)
            for descriptor in tuple(self._open):
                self._close(descriptor)

    def _start(self) -> Process:
        theirs = self._terminal() if self._streams.terminal else self._pipes()
        try:
            return self._keeper.start(self._command, theirs[1], theirs[2], theirs[0])
        finally:
            for descriptor in {one for one in theirs if one is not None}:
                os.close(descriptor)

    def _terminal(self) -> tuple[int | None, int | None, int | None]:
        ours, theirs = os.openpty()
        self._keep(ours)
        self._input = ours if self._streams.given else None
        self._outputs = {STDOUT: ours}
        return theirs, theirs, theirs

    def _pipes(self) -> tuple[int | None, int | None, int | None]:
        given: int | None = None
        if self._streams.given:
            given, self._input = os.pipe2(os.O_CLOEXEC)
            self._keep(self._input)
        ends: dict[int, int] = {}
        for channel, wanted in ((STDOUT, self._streams.output), (STDERR, self._streams.errors)):
            if wanted:
                self._outputs[channel], ends[channel] = os.pipe2(os.O_CLOEXEC)
                self._keep(self._outputs[channel])
        return given, ends.get(STDOUT), ends.get(STDERR)

    def _keep(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self._open.add(descriptor)

    def _close(self, descriptor: int) -> None:
        if descriptor in self._open:
            self._open.discard(descriptor)
            os.close(descriptor)

    async def _take(self, channels: Channels, process: Process) -> None:
        async def write(data: bytes) -> None:
            if self._input is not None and not await write_all(self._input, data, process.exited):
                close()

        async def resize(data: bytes) -> None:
            if self._streams.terminal:
                set_size(self._outputs[STDOUT], data)

        def close() -> None:
            if self._input is not None and not self._streams.terminal:
                self._close(self._input)
                self._input = None

        await take_input(channels, write, close, resize)

    async def _give(self, channels: Channels, process: Process) -> None:
        async def pump(channel: int, descriptor: int) -> None:
            while data := await read_some(descriptor, process.exited):
                await channels.send(channel, data)

        await asyncio.gather(*(pump(*one) for one in self._outputs.items()))
        await asyncio.shield(process.exited)

    def _hang_up(self, process: Process) -> None:
        """Nobody listens any more: end what still runs, as closing a terminal does, then by force."""
        if not process.exited.done():
            process.signal_group(signal.SIGHUP)
            asyncio.get_running_loop().call_later(_HANG_UP_SECONDS, process.signal_group, signal.SIGKILL)


class Attachment:
    """A client at a container's own input and output."""

    def __init__(self, run: Run, streams: Streams) -> None:
        assert run.log is not None
        assert run.ended is not None
        self._run, self._log, self._ended = run, run.log, run.ended
        self._wanted = {"stdout": streams.output, "stderr": streams.errors}
        self._streams = streams
        self._pieces: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue(_WAITING_PIECES)
        self._behind = False

    async def serve(self, channels: Channels) -> None:
        """Until the container ends or the client is gone. A client that reads too slowly is let go."""
        self._log.listeners.add(self._note)
        await channels.greet(self._streams)
        taking = asyncio.create_task(self._take(channels))
        giving = asyncio.create_task(self._give(channels))
        try:
            await asyncio.wait([taking, giving], return_when=asyncio.FIRST_COMPLETED)
            if giving.done():
                giving.result()
                slow = failure("the client reads more slowly than the container writes; kubectl logs has it all")
                await channels.finish(slow if self._behind else {"status": "Success"})
        finally:
            self._log.listeners.discard(self._note)
            for task in (taking, giving):
                task.cancel()
            await asyncio.gather(taking, giving, return_exceptions=True)
            if self._streams.given and self._run.closes_input_after_first:
                self._run.close_input()

    def _note(self, stream: str, data: bytes) -> None:
        if self._wanted[stream] and not self._behind:
            try:
                self._pieces.put_nowait((stream, data))
            except asyncio.QueueFull:
                self._behind = True

    async def _give(self, channels: Channels) -> None:
        while not self._behind and (found := await self._next_piece()):
            await channels.send(STDOUT if found[0] == "stdout" else STDERR, found[1])

    async def _next_piece(self) -> tuple[str, bytes] | None:
        """What was written next; None when the container has ended and all is sent."""
        if not self._pieces.empty():
            return self._pieces.get_nowait()
        piece, closed = asyncio.create_task(self._pieces.get()), asyncio.create_task(self._log.closed.wait())
        try:
            await asyncio.wait([piece, closed], return_when=asyncio.FIRST_COMPLETED)
            return piece.result() if piece.done() else None
        finally:
            piece.cancel()
            closed.cancel()

    async def _take(self, channels: Channels) -> None:
        async def write(data: bytes) -> None:
            if self._streams.given and self._run.input is not None:
                await write_all(self._run.input, data, self._ended)

        async def resize(data: bytes) -> None:
            if self._log.terminal is not None:
                set_size(self._log.terminal, data)

        def close() -> None:
            if self._streams.given and self._run.closes_input_after_first:
                self._run.close_input()

        await take_input(channels, write, close, resize)
