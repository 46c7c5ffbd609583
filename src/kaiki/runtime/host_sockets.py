"""Sockets of the host, given to the process inside.

A socket stays in the network namespace it was made in. So the launcher, which alone is outside, makes sockets and
passes
them in; it never touches a byte of traffic. Two channels: the relay asks for plain stream sockets (one byte a
socket), the supervisor for listeners and datagram sockets (JSON).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import Callable, Sequence
from typing import Any

from kaiki.runtime.engines import fetch

LOOPBACK = "127.0.0.1"
_PACKET_BYTES = 1 << 16
_BACKLOG = 1024


class PortTaken(OSError):
    """None of the wanted ports is free; the message names them."""


def listen_on_loopback(candidates: Sequence[int], any_port: bool, address: str = LOOPBACK) -> socket.socket:
    """A listening socket on the first free port of `candidates`, else on any when allowed; raises PortTaken."""
    for port in (*candidates, *((0,) if any_port else ())):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((address, port))
            listener.listen(_BACKLOG)
        except OSError:
            listener.close()
            continue
        return listener
    raise PortTaken(f"no free port among {', '.join(map(str, candidates))} on {address}")


class SocketGiver:
    """The launcher's end of both channels. `on_state` gets what the supervisor tells of itself."""

    def __init__(
        self, control: socket.socket, host_sockets: socket.socket, on_state: Callable[[dict[str, Any]], None]
    ) -> None:
        self._control = control
        self._host_sockets = host_sockets
        self._on_state = on_state
        self._loop = asyncio.get_running_loop()
        self._fetching: set[asyncio.Task[None]] = set()
        for end, callback in ((control, self._serve), (host_sockets, self._give_stream)):
            end.setblocking(False)
            self._loop.add_reader(end.fileno(), callback)

    def ask_to_stop(self) -> None:
        """Tell the supervisor to end all pods and itself."""
        with contextlib.suppress(OSError):
            self._control.send(json.dumps({"op": "stop"}).encode())

    def close(self) -> None:
        """Close the channels; the process inside ends when it sees that."""
        for task in self._fetching:
            task.cancel()
        for end in (self._control, self._host_sockets):
            self._loop.remove_reader(end.fileno())
            end.close()

    def _give_stream(self) -> None:
        try:
            asked = self._host_sockets.recv(16)
        except OSError:
            return
        if not asked:
            self._loop.remove_reader(self._host_sockets.fileno())
            return
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_STREAM) as fresh:
            socket.send_fds(self._host_sockets, [b"s"], [fresh.fileno()])

    def _serve(self) -> None:
        try:
            data = self._control.recv(_PACKET_BYTES)
        except OSError:
            return
        if not data:
            self._loop.remove_reader(self._control.fileno())
            return
        request = json.loads(data)
        if request["op"] == "state":
            self._on_state(request["state"])
            return
        answer: dict[str, Any] = {"id": request["id"]}
        if request["op"] == "fetch":
            task = self._loop.create_task(self._fetch(request, answer))
            self._fetching.add(task)
            task.add_done_callback(self._fetching.discard)
            return
        try:
            with self._make(request) as made:
                answer["port"] = made.getsockname()[1]
                socket.send_fds(self._control, [json.dumps(answer).encode()], [made.fileno()])
        except OSError as error:
            with contextlib.suppress(OSError):
                self._control.send(json.dumps(answer | {"error": str(error)}).encode())

    async def _fetch(self, request: dict[str, Any], answer: dict[str, Any]) -> None:
        fetched = await fetch(request)
        with contextlib.suppress(OSError):
            self._control.send(json.dumps(answer | {"fetched": fetched}).encode())

    @staticmethod
    def _make(request: dict[str, Any]) -> socket.socket:
        if request["op"] == "listen":
            return listen_on_loopback(request["candidates"], request["any_port"], request["address"])
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        made.bind(("0.0.0.0", 0))
        return made


class SocketTaker:
    """The supervisor's end of the control channel. `stopped` is set when the launcher asks for the end or is gone."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._next = 1
        self.stopped = asyncio.Event()
        self.lost = False
        control.setblocking(False)
        self._loop.add_reader(control.fileno(), self._read)

    async def listen(self, candidates: Sequence[int], any_port: bool, address: str = LOOPBACK) -> socket.socket:
        """A listening socket on the host's loopback; raises PortTaken."""
        request = {"op": "listen", "candidates": list(candidates), "any_port": any_port, "address": address}
        made: socket.socket = await self._ask(request)
        return made

    async def datagram(self) -> socket.socket:
        """A UDP socket of the host."""
        made: socket.socket = await self._ask({"op": "datagram"})
        return made

    async def fetch_image(self, request: dict[str, Any]) -> dict[str, Any]:
        """An image from an engine of the host; see `engines.fetch`."""
        answer: dict[str, Any] = await self._ask({"op": "fetch", **request})
        return answer

    def tell_state(self, state: dict[str, Any]) -> None:
        """Tell the launcher what to write into `state.json`."""
        with contextlib.suppress(OSError):
            self._control.send(json.dumps({"op": "state", "state": state}).encode())

    async def _ask(self, request: dict[str, Any]) -> Any:
        number, self._next = self._next, self._next + 1
        answer = self._waiting[number] = self._loop.create_future()
        self._control.send(json.dumps(request | {"id": number}).encode())
        return await answer

    def _read(self) -> None:
        try:
            data, descriptors, _, _ = socket.recv_fds(self._control, _PACKET_BYTES, 4)
        except BlockingIOError:
            return
        except OSError:
            data, descriptors = b"", []
        if not data:
            self._loop.remove_reader(self._control.fileno())
            self.lost = True
            self.stopped.set()
            return
        message = json.loads(data)
        if message.get("op") == "stop":
            self.stopped.set()
            return
        waiting = self._waiting.pop(message["id"])
        if "fetched" in message:
            waiting.set_result(message["fetched"])
        elif "error" in message:
            waiting.set_exception(PortTaken(message["error"]))
        else:
            waiting.set_result(socket.socket(fileno=descriptors[0]))
