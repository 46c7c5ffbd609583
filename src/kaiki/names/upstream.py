"""Names outside the mesh, asked of the host's resolvers through sockets of the host.

The sockets stay in the host's network namespace, so even a resolver on the host's own loopback (127.0.0.53) answers.
Answers are matched by server and a fresh random identifier. Where there is no resolver, the failure is immediate.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

_PORT = 53
_PACKET_BYTES = 65535
_TIMEOUT_SECONDS = 2.0
_TRIES = 2


def read_resolvers(text: str) -> tuple[str, ...]:
    """The IPv4 name servers of a resolv.conf."""
    found = []
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] == "nameserver" and ":" not in words[1]:
            found.append(words[1])
    return tuple(found)


class Upstream:
    """Forwards questions. `new_socket` gives a UDP socket of the host; it is asked for at the first need."""

    def __init__(
        self, new_socket: Callable[[], Awaitable[socket.socket]], conf: Path = Path("/etc/resolv.conf")
    ) -> None:
        self._new_socket = new_socket
        self._conf = conf
        self._port = _PORT
        self._stamp = 0
        self._resolvers: tuple[str, ...] = ()
        self._socket: socket.socket | None = None
        self._opening = asyncio.Lock()
        self._waiting: dict[tuple[str, int], asyncio.Future[bytes]] = {}

    def use_port(self, port: int) -> None:
        """Ask another port than 53."""
        self._port = port

    async def ask(self, question: bytes) -> bytes | None:
        """The answer under the question's own identifier; None when nobody answers."""
        for _ in range(_TRIES):
            for resolver in self._read_conf():
                found = await self._ask_one(resolver, question)
                if found is not None:
                    return question[:2] + found[2:]
        return None

    def _read_conf(self) -> tuple[str, ...]:
        with contextlib.suppress(OSError):
            stamp = os.stat(self._conf).st_mtime_ns
            if stamp != self._stamp:
                self._resolvers = read_resolvers(self._conf.read_text())
                self._stamp = stamp
        return self._resolvers

    async def _ask_one(self, resolver: str, question: bytes) -> bytes | None:
        number = secrets.randbelow(1 << 16)
        key = (resolver, number)
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[key] = answer
        try:
            connection = await self._open()
            connection.sendto(number.to_bytes(2, "big") + question[2:], (resolver, self._port))
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                return await answer
        except (OSError, TimeoutError):
            return None
        finally:
            self._waiting.pop(key, None)

    async def _open(self) -> socket.socket:
        async with self._opening:
            if self._socket is None:
                self._socket = await self._new_socket()
                self._socket.setblocking(False)
                asyncio.get_running_loop().add_reader(self._socket.fileno(), self._read)
        return self._socket

    def _read(self) -> None:
        assert self._socket is not None
        try:
            data, sender = self._socket.recvfrom(_PACKET_BYTES)
        except OSError:
            return
        waiting = self._waiting.get((sender[0], int.from_bytes(data[:2], "big")))
        if waiting and not waiting.done():
            waiting.set_result(data)

    def close(self) -> None:
        """Close the socket."""
        if self._socket:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            self._socket.close()
