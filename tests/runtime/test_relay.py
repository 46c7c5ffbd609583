"""The relay on the loopback: bytes, halves of connections, refusals."""

import asyncio
import contextlib
import hashlib
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager

import pytest

from kaiki.runtime import relay


@pytest.fixture
def control() -> Iterator[socket.socket]:
    """A relay in a child process, as in real life."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    host_ours, host_theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid == 0:
        ours.close()
        host_ours.close()
        try:
            relay.main(theirs, host_theirs)
        finally:
            os._exit(0)
    theirs.close()
    host_theirs.close()
    with host_ours, ours:
        yield ours
        ours.shutdown(socket.SHUT_RDWR)
        os.waitpid(pid, 0)


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[tuple[str, int]]:
    """A server; at the end all its connections are closed."""
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await handler(reader, writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[:2]
    finally:
        server.close()
        for writer in writers:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


def listen(control: socket.socket, targets: list[tuple[str, int]]) -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        relay.send_order(control, {"op": "listen", "name": "x"}, (listener.fileno(),))
        relay.send_order(control, {"op": "targets", "name": "x", "targets": targets})
        return int(listener.getsockname()[1])


async def test_a_large_body_and_half_closing(control: socket.socket) -> None:
    """The server answers only after the client has closed its half, with all it got, slowly read."""
    body = os.urandom(8 << 20)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got = await reader.read()
        writer.write(hashlib.sha256(got).digest() + got)
        await writer.drain()

    async with serving(serve) as address, asyncio.timeout(60):
        port = listen(control, [address])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(body)
        writer.write_eof()
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
    assert answer == hashlib.sha256(body).digest() + body


async def test_many_small_requests_on_many_connections(control: socket.socket) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line)

    async def client(number: int, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for turn in range(50):
            line = f"{number} {turn}\n".encode()
            writer.write(line)
            assert await reader.readline() == line
        writer.close()
        await writer.wait_closed()

    async with serving(serve) as address, asyncio.timeout(60):
        port = listen(control, [address])
        await asyncio.gather(*(client(number, port) for number in range(30)))


async def test_another_endpoint_is_tried(control: socket.socket) -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"ok")

    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound, not listening: refuses
        async with serving(serve) as address, asyncio.timeout(60):
            port = listen(control, [unused.getsockname(), address])
            for _ in range(10):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                assert await reader.read() == b"ok"
                writer.close()
                await writer.wait_closed()


async def read_one_byte(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        return await reader.readexactly(1)
    finally:
        writer.close()


async def test_without_endpoints_connections_are_reset(control: socket.socket) -> None:
    port = listen(control, [])
    async with asyncio.timeout(60):
        with pytest.raises(ConnectionResetError):
            await read_one_byte(port)
