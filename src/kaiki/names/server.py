"""DNS over UDP and TCP: thin around `answer.py`."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from dnslib import RCODE

from kaiki.names.answer import Elsewhere, Lookup, answer, ask, fit_datagram, join, refuse
from kaiki.names.hosts import HostsFile
from kaiki.names.mesh import MeshNames, parse_mesh_names
from kaiki.names.table import NameTable, build_table
from kaiki.names.upstream import Upstream

Object = Mapping[str, Any]
_TCP_IDLE_SECONDS = 10.0


class DnsServer:
    """Answers for the cluster's names from a table, for others through `upstream`."""

    def __init__(self, upstream: Upstream, hosts: HostsFile | None = None) -> None:
        self._upstream = upstream
        self._hosts = hosts or HostsFile(None)
        self._table: NameTable = build_table((), ())
        self._turns = itertools.count()
        self._mesh = MeshNames()
        self._namespace_of: Callable[[str], str | None] = lambda _: None
        self._mesh_listeners: list[asyncio.DatagramTransport | asyncio.Server] = []
        self._datagrams: asyncio.DatagramTransport | None = None
        self._streams: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def listen(self, address: str, port: int) -> int:
        """Answer on an address; the port (UDP and TCP alike)."""
        loop = asyncio.get_running_loop()
        self._streams = await asyncio.start_server(self._serve_stream, address, port)
        bound = int(self._streams.sockets[0].getsockname()[1])
        self._datagrams, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self), (address, bound))
        return bound

    def update(self, services: Iterable[Object], slices: Iterable[Object]) -> None:
        """Answer for these Services from now on."""
        self._table = build_table(services, slices)

    async def listen_for_mesh(self, address: str, port: int, namespace_of: Callable[[str], str | None]) -> None:
        """Answer on another address for applications that have a sidecar: names of the mesh too.

        `namespace_of` gives the namespace of the pod at an address.
        """
        self._namespace_of = namespace_of
        loop = asyncio.get_running_loop()
        streams = await asyncio.start_server(self._serve_mesh_stream, address, port)
        bound = int(streams.sockets[0].getsockname()[1])
        datagrams, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self, in_mesh=True), (address, bound))
        self._mesh_listeners += [streams, datagrams]

    def update_mesh(self, text: str) -> None:
        """Answer for these names of the mesh from now on: the document the control plane publishes."""
        self._mesh = parse_mesh_names(text)

    def _lookup(self, client: str | None) -> Lookup:
        if client is None:
            return self._hosts.addresses
        namespace = self._namespace_of(client) or ""
        return lambda name: self._mesh.addresses(name, namespace) or self._hosts.addresses(name)

    async def stop(self) -> None:
        """Close."""
        for listener in self._mesh_listeners:
            listener.close()
        if self._datagrams:
            self._datagrams.close()
        if self._streams:
            self._streams.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._upstream.close()

    def respond(self, question: bytes, send: Callable[[bytes], None], client: str | None = None) -> None:
        """Answer a datagram: at once, or when the host's resolver has. `client` is a pod that sees the mesh's names."""
        found = answer(question, self._table, next(self._turns), self._lookup(client))
        if isinstance(found, bytes):
            send(fit_datagram(question, found))
        elif found is not None:
            self._do(self._forward_datagram(question, found, send))

    async def _forward_datagram(self, question: bytes, found: Elsewhere, send: Callable[[bytes], None]) -> None:
        send(fit_datagram(question, await self._forward(question, found)))

    async def _forward(self, question: bytes, found: Elsewhere) -> bytes:
        asked = ask(question, found.name) if found.prefix else question
        reply = await self._upstream.ask(asked)
        if reply is None:
            return refuse(question, RCODE.SERVFAIL)
        return join(question, found.prefix, reply) if found.prefix else reply

    def _do(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve_mesh_stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._serve_stream(reader, writer, str(writer.get_extra_info("peername", ("",))[0]))

    async def _serve_stream(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, client: str | None = None
    ) -> None:
        with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
            while True:
                async with asyncio.timeout(_TCP_IDLE_SECONDS):
                    length = int.from_bytes(await reader.readexactly(2), "big")
                    question = await reader.readexactly(length)
                found = answer(question, self._table, next(self._turns), self._lookup(client))
                if found is None:
                    break
                reply = await self._forward(question, found) if isinstance(found, Elsewhere) else found
                writer.write(len(reply).to_bytes(2, "big") + reply)
                await writer.drain()
        writer.close()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer, in_mesh: bool = False) -> None:
        self._server = server
        self._in_mesh = in_mesh
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)  # it need not be a subclass

    def datagram_received(self, data: bytes, address: Any) -> None:
        transport = self._transport
        assert transport is not None
        client = str(address[0]) if self._in_mesh else None
        self._server.respond(data, lambda reply: transport.sendto(reply, address), client)


async def start(
    address: str, port: int, new_socket: Callable[[], Awaitable[socket.socket]], hosts: Path | None = None
) -> DnsServer:
    """A running server; `new_socket` gives UDP sockets that reach the host's resolvers; `hosts` is a file of names that
    are asked of nobody. Raises OSError."""
    server = DnsServer(Upstream(new_socket), HostsFile(hosts))
    await server.listen(address, port)
    return server
