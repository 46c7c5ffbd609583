"""Port forwarding: connections from inside a pod's network namespace to its own loopback, tunnelled to a client.

Two ways to speak it: SPDY/3.1 inside a WebSocket (kubectl), where each connection is a pair of streams, and numbered
channels (the Python client), a pair for each port. As with a cluster, connections do not pass the pod's proxy.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import WSMsgType, web

from kaiki.runtime import sandbox, spdy

TUNNEL_PROTOCOL = "SPDY/3.1+portforward.k8s.io"
CHANNEL_PROTOCOL = "v4.channel.k8s.io"
MAXIMUM_CONNECTIONS = 1024
_CHUNK_BYTES = 1 << 15
_WAITING_PIECES = 64
_CONNECT_SECONDS = 10.0
_LOOPBACKS = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))


@dataclass(frozen=True, slots=True)
class PodPorts:
    """Opens connections inside a pod. `network` gives its namespace's descriptor; None when it is gone."""

    network: Callable[[], int | None]

    async def connect(self, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to the pod's loopback as the kubelet does; raises OSError that says what failed."""
        failures: list[str] = []
        for family, host in _LOOPBACKS:
            try:
                return await self._connect(family, host, port)
            except OSError as error:
                failures.append(f"{host}: {error.strerror or error}")
        raise OSError(f"failed to connect to port {port} inside the pod: {'; '.join(failures)}")

    async def _connect(
        self, family: socket.AddressFamily, host: str, port: int
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        network = self.network()
        if network is None:
            raise ConnectionRefusedError(111, "the pod is gone")
        made = sandbox.run_in_network(network, lambda: socket.socket(family, socket.SOCK_STREAM))
        try:
            made.setblocking(False)
            async with asyncio.timeout(_CONNECT_SECONDS):
                await asyncio.get_running_loop().sock_connect(made, (host, port))
            return await asyncio.open_connection(sock=made)
        except (OSError, TimeoutError):
            made.close()
            raise


def port_of(text: str) -> int | None:
    """A port number as a client wrote it; None for anything else."""
    return int(text) if text.isdecimal() and 0 < int(text) < 65536 else None


@dataclass(slots=True)
class _Forward:
    """One connection: its streams, and what the client sent that the application has not taken yet."""

    data_stream: int
    error_stream: int
    pieces: asyncio.Queue[bytes] = field(default_factory=lambda: asyncio.Queue(_WAITING_PIECES))
    task: asyncio.Task[None] | None = None


class Tunnel:
    """kubectl's way: SPDY frames in WebSocket messages."""

    def __init__(self, client: web.WebSocketResponse, pod: PodPorts) -> None:
        self._client = client
        self._pod = pod
        self._spdy = spdy.Connection()
        self._error_streams: dict[str, int] = {}
        self._forwards: dict[int, _Forward] = {}

    async def serve(self) -> None:
        """Until the client is gone."""
        try:
            async for message in self._client:
                if message.type is not WSMsgType.BINARY:
                    break
                for event in self._spdy.receive(message.data):
                    await self._handle(event)
        except spdy.ProtocolError:
            await self._client.send_bytes(spdy.go_away_frame(0))
        finally:
            tasks = [one.task for one in self._forwards.values() if one.task]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _handle(self, event: spdy.Event) -> None:
        match event:
            case spdy.Opened():
                await self._open(event)
            case spdy.Data(stream, payload, finished):
                await self._take(stream, payload, finished)
            case spdy.Reset(stream):
                self._give_up(stream)
            case spdy.Ping(number):
                await self._client.send_bytes(spdy.ping_frame(number))
            case spdy.GoAway():
                return

    async def _open(self, event: spdy.Opened) -> None:
        kind, request = event.headers.get("streamtype", ""), event.headers.get("requestid", "")
        port = port_of(event.headers.get("port", ""))
        full = len(self._forwards) >= MAXIMUM_CONNECTIONS or len(self._error_streams) >= MAXIMUM_CONNECTIONS
        if port is None or full or kind not in ("error", "data"):
            await self._client.send_bytes(spdy.reset_frame(event.stream, spdy.REFUSED))
            return
        await self._client.send_bytes(self._spdy.reply(event.stream))
        if kind == "error":
            self._error_streams[request] = event.stream
            return
        error_stream = self._error_streams.pop(request, None)
        if error_stream is None:
            await self._client.send_bytes(spdy.reset_frame(event.stream, spdy.PROTOCOL_ERROR))
            return
        forward = self._forwards[event.stream] = _Forward(event.stream, error_stream)
        forward.task = asyncio.create_task(self._forward(forward, port))

    async def _take(self, stream: int, payload: bytes, finished: bool) -> None:
        forward = self._forwards.get(stream)
        if forward is None:
            return
        if payload:
            await forward.pieces.put(payload)
        if finished:
            await forward.pieces.put(b"")

    def _give_up(self, stream: int) -> None:
        for forward in self._forwards.values():
            if stream == forward.data_stream and forward.task:
                forward.task.cancel()

    async def _forward(self, forward: _Forward, port: int) -> None:
        try:
            reader, writer = await self._pod.connect(port)
        except OSError as error:
            await self._end(forward, f"error forwarding port {port}: {error}")
            return
        try:
            await _join(forward.pieces, reader, writer, lambda data: self._send(forward.data_stream, data))
            await self._end(forward, "")
        except OSError as error:
            await self._end(forward, f"error forwarding port {port}: {error}")
        finally:
            writer.transport.abort()
            self._forget(forward)

    def _forget(self, forward: _Forward) -> None:
        self._forwards.pop(forward.data_stream, None)
        while not forward.pieces.empty():  # wakes who waits to add to it
            forward.pieces.get_nowait()

    async def _send(self, stream: int, data: bytes) -> None:
        await self._client.send_bytes(spdy.data_frame(stream, data, finished=not data))

    async def _end(self, forward: _Forward, error: str) -> None:
        """Say what went wrong on the error stream, and end both."""
        self._forget(forward)
        with contextlib.suppress(ConnectionError):
            if error:
                await self._client.send_bytes(spdy.data_frame(forward.error_stream, error.encode(), finished=True))
                await self._send(forward.data_stream, b"")
            else:
                await self._send(forward.error_stream, b"")


async def _join(
    pieces: asyncio.Queue[bytes],
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    send: Callable[[bytes], Awaitable[None]],
) -> None:
    """Both directions; the application's end of output ends it, the client's is passed on. Raises OSError."""

    async def inward() -> None:
        while piece := await pieces.get():
            writer.write(piece)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()

    going_in = asyncio.create_task(inward())
    try:
        while data := await reader.read(_CHUNK_BYTES):
            await send(data)
        await send(b"")
    finally:
        going_in.cancel()
        await asyncio.gather(going_in, return_exceptions=True)


async def serve_channels(client: web.WebSocketResponse, pod: PodPorts, ports: list[int]) -> None:
    """The Python client's way: for each port a channel of data and one of errors, each starting with the port."""
    queues: dict[int, asyncio.Queue[bytes]] = {}
    tasks: list[asyncio.Task[None]] = []
    for index, port in enumerate(ports[:MAXIMUM_CONNECTIONS]):
        for channel in (2 * index, 2 * index + 1):
            await client.send_bytes(bytes([channel]) + struct.pack("<H", port))
        queue = queues[2 * index] = asyncio.Queue(_WAITING_PIECES)
        tasks.append(asyncio.create_task(_serve_channel(client, pod, port, 2 * index, queue)))
    finished = asyncio.gather(*tasks)
    finished.add_done_callback(lambda _: asyncio.ensure_future(client.close()))
    try:
        async for message in client:
            if message.type is WSMsgType.BINARY and message.data[:1] and message.data[0] in queues:
                await queues[message.data[0]].put(bytes(message.data[1:]))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, finished, return_exceptions=True)


async def _serve_channel(
    client: web.WebSocketResponse, pod: PodPorts, port: int, channel: int, pieces: asyncio.Queue[bytes]
) -> None:
    async def send(data: bytes) -> None:
        if data:
            await client.send_bytes(bytes([channel]) + data)

    try:
        reader, writer = await pod.connect(port)
        try:
            await _join(pieces, reader, writer, send)
        finally:
            writer.transport.abort()
    except OSError as error:
        with contextlib.suppress(ConnectionError):
            await client.send_bytes(bytes([channel + 1]) + f"error forwarding port {port}: {error}".encode())
