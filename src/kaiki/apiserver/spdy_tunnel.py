"""Clients that ask for SPDY/3.1 instead of a WebSocket: their bytes, as they are, in WebSocket messages to the node.

kubectl before 1.30 (exec, attach, cp) and 1.31 (port-forward) speaks nothing else, nor do many programs made with
Kubernetes's Go library. The node speaks the frames; here the connection is only taken over from HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from aiohttp import WSMessage, WSMsgType, web

UPGRADE = "SPDY/3.1"
_VERSION = "X-Stream-Protocol-Version"
_NAMES = {"exec": "v4.channel.k8s.io", "attach": "v4.channel.k8s.io", "portforward": "portforward.k8s.io"}
_HIGH_BYTES, _LOW_BYTES = 1 << 18, 1 << 16


def agreed_name(http: web.BaseRequest, kind: str) -> str | None:
    """What the client and the node both speak inside SPDY; None when it asks for something else."""
    if http.headers.get("Upgrade", "").lower() != UPGRADE.lower():
        return None
    offered = [one.strip() for line in http.headers.getall(_VERSION, []) for one in line.split(",")]
    return _NAMES[kind] if _NAMES[kind] in offered else None


class _Taken(web.StreamResponse):
    """An answer after which the connection is HTTP no more."""

    _length_check = False

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing ends the stream but the connection's end."""


class SpdyTunnel:
    """The client's connection, with the methods of a WebSocket that joining two needs."""

    def __init__(self, http: web.BaseRequest, name: str) -> None:
        self._http = http
        self._protocol: Any = http.protocol
        self._pieces: asyncio.Queue[bytes] = asyncio.Queue()
        self._held_bytes = 0
        headers = {"Connection": "Upgrade", "Upgrade": UPGRADE, _VERSION: name}
        self.response = _Taken(status=101, reason="Switching Protocols", headers=headers)

    async def prepare(self) -> None:
        """Take the connection over."""
        self._protocol.keep_alive(False)
        self._protocol.set_parser(self)
        await self.response.prepare(self._http)

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        """Called by the connection with what came."""
        self._held_bytes += len(data)
        self._pieces.put_nowait(bytes(data))
        if self._held_bytes > _HIGH_BYTES and self._http.transport:
            self._http.transport.pause_reading()
        return False, b""

    def feed_eof(self) -> None:
        """Called by the connection when the client has said all."""
        self._pieces.put_nowait(b"")

    def set_exception(self, *_: Any) -> None:
        """Called by the connection when it broke."""
        self.feed_eof()

    async def receive(self) -> WSMessage:
        """What came next; an end when the client is gone."""
        piece = await self._pieces.get()
        if not piece:
            return WSMessage(WSMsgType.CLOSED, None, None)
        self._held_bytes -= len(piece)
        if self._held_bytes < _LOW_BYTES and self._http.transport:
            self._http.transport.resume_reading()
        return WSMessage(WSMsgType.BINARY, piece, None)

    async def send_bytes(self, data: bytes) -> None:
        """Send and wait while the client is slow."""
        await self.response.write(data)

    async def send_str(self, text: str) -> None:
        """Nothing is said in words here."""

    async def close(self) -> None:
        """End the connection; what was sent before still arrives."""
        with contextlib.suppress(ConnectionError, OSError):
            if self._http.transport is not None:
                self._http.transport.close()
