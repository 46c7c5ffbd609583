"""`exec` and `attach` for clients that speak SPDY: each channel is a stream of its own.

    client ◀─SPDY/3.1─▶ API server ◀─the same bytes in WebSocket messages─▶ here

The client opens the streams it asked for, says which is which in a header, and closes its input by ending that stream.
How it ended goes to the stream of errors, as in a WebSocket of `v4.channel.k8s.io`.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from typing import Any

from aiohttp import WSMsgType, web

from kaiki.runtime import spdy
from kaiki.runtime.sessions import CLOSE, ERROR, RESIZE, STDERR, STDIN, STDOUT, Channels, Streams

TUNNEL_PROTOCOL = "SPDY/3.1+v4.channel.k8s.io"
_NAMES = {"stdin": STDIN, "stdout": STDOUT, "stderr": STDERR, "error": ERROR, "resize": RESIZE}
_OPEN_SECONDS = 30.0
_PIECE_BYTES = 1 << 15


class SpdyChannels(Channels):
    """The client's side: a SPDY connection inside a WebSocket."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        super().__init__(socket)
        self._spdy = spdy.Connection()
        self._streams: dict[int, int] = {}
        self._channels: dict[int, int] = {}
        self._waiting: deque[tuple[int, bytes]] = deque()

    async def send(self, channel: int, data: bytes) -> None:
        """Send and wait while the client is slow; raises ConnectionError when it is gone."""
        stream = self._streams.get(channel)
        if stream is None:
            return
        for start in range(0, len(data), _PIECE_BYTES):
            await self._socket.send_bytes(spdy.data_frame(stream, data[start : start + _PIECE_BYTES]))

    async def greet(self, streams: Streams) -> None:
        """Wait until the client has opened what it asked for; raises ConnectionError when it does not."""
        wanted = {ERROR}
        for asked, channel in ((streams.given, STDIN), (streams.output, STDOUT), (streams.errors, STDERR)):
            wanted |= {channel} if asked else set()
        try:
            async with asyncio.timeout(_OPEN_SECONDS):
                while not wanted <= self._streams.keys():
                    if not await self._read():
                        raise ConnectionResetError("the client left before it had opened its streams")
        except TimeoutError:
            raise ConnectionResetError("the client does not open its streams") from None

    async def receive(self) -> tuple[int, bytes] | None:
        """The next message; None when the client is gone."""
        while not self._waiting:
            if not await self._read():
                return None
        return self._waiting.popleft()

    async def finish(self, status: dict[str, Any]) -> None:
        """Send how it ended, and end every stream."""
        for channel in (STDOUT, STDERR):
            if channel in self._streams:
                await self._socket.send_bytes(spdy.data_frame(self._streams[channel], b"", finished=True))
        if ERROR in self._streams:
            text = json.dumps({"metadata": {}, **status}).encode()
            await self._socket.send_bytes(spdy.data_frame(self._streams[ERROR], text, finished=True))

    async def _read(self) -> bool:
        """Take the next piece of the connection; False when there is none."""
        message = await self._socket.receive()
        if message.type is not WSMsgType.BINARY:
            return False
        try:
            for event in self._spdy.receive(message.data):
                await self._handle(event)
        except spdy.ProtocolError:
            await self._socket.send_bytes(spdy.go_away_frame(0))
            return False
        return True

    async def _handle(self, event: spdy.Event) -> None:
        match event:
            case spdy.Opened(stream, headers, finished):
                await self._open(stream, headers.get("streamtype", ""), finished)
            case spdy.Data(stream, payload, finished):
                self._take(stream, payload, finished)
            case spdy.Reset(stream):
                self._take(stream, b"", finished=True)
            case spdy.Ping(number):
                await self._socket.send_bytes(spdy.ping_frame(number))
            case spdy.GoAway():
                return

    async def _open(self, stream: int, kind: str, finished: bool) -> None:
        channel = _NAMES.get(kind)
        if channel is None or channel in self._streams:
            await self._socket.send_bytes(spdy.reset_frame(stream, spdy.REFUSED))
            return
        self._streams[channel], self._channels[stream] = stream, channel
        await self._socket.send_bytes(self._spdy.reply(stream))
        self._take(stream, b"", finished)

    def _take(self, stream: int, payload: bytes, finished: bool) -> None:
        channel = self._channels.get(stream)
        if channel == RESIZE:
            self._waiting.extend((RESIZE, line) for line in payload.splitlines() if line.strip())
        elif channel == STDIN:
            if payload:
                self._waiting.append((STDIN, payload))
            if finished:
                self._waiting.append((CLOSE, bytes([STDIN])))
