"""Text that goes on for as long as somebody reads it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from aiohttp import web

LOOK_SECONDS = 5.0
"""How often to look whether the reader is still there, while nothing comes."""


async def stream_text(request: web.Request, pieces: AsyncIterator[bytes]) -> web.StreamResponse:
    """Send pieces as they come, until they end or the reader has gone. An error before the first piece is raised."""
    reader = _Reader(request, pieces)
    response = web.StreamResponse(headers={"Content-Type": "text/plain; charset=utf-8", "X-Accel-Buffering": "no"})
    try:
        piece = await reader.next()
        await response.prepare(request)
        while piece is not None:
            if piece:
                await response.write(piece)
            piece = await reader.next()
        await response.write_eof()
    except ConnectionError:
        pass  # The reader has gone.
    finally:
        await reader.close()
    return response


class _Reader:
    """Waits for the next piece without holding on to a reader that has gone."""

    def __init__(self, request: web.Request, pieces: AsyncIterator[bytes]) -> None:
        self._request = request
        self._pieces = pieces
        self._waiting: asyncio.Task[bytes | None] | None = None

    async def next(self) -> bytes | None:
        """A piece; an empty one when none came for a while; None at the end, or without a reader."""
        if self._waiting is None:
            self._waiting = asyncio.create_task(self._take())
        done, _ = await asyncio.wait([self._waiting], timeout=LOOK_SECONDS)
        if not done:
            transport = self._request.transport
            return None if transport is None or transport.is_closing() else b""
        task, self._waiting = self._waiting, None
        return task.result()

    async def close(self) -> None:
        """Stop reading."""
        if self._waiting is not None:
            self._waiting.cancel()
            await asyncio.gather(self._waiting, return_exceptions=True)
        close = getattr(self._pieces, "aclose", None)
        if close is not None:
            await close()

    async def _take(self) -> bytes | None:
        try:
            return await anext(self._pieces)
        except StopAsyncIteration:
            return None
