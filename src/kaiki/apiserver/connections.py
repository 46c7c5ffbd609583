"""Connections that ask nothing or read nothing: bounded in time, number and cost, so that they harm nobody.

connects, shakes no hands    of too many that are about to begin TLS, the first to come is closed; a moment each
connects, says nothing       a moment to send the head of a first request, then it is closed
has asked, is idle now       kept to be used again, as HTTP lets it; of too many, the longest idle is closed
does not read its answer     a watch whose next piece cannot be sent for a minute is closed; its client comes back
                             by its last resourceVersion, as after any other end of a watch
"""

from __future__ import annotations

import asyncio
import asyncio.sslproto
import contextlib
import resource
import socket
import ssl
from collections.abc import Iterator
from typing import Any

from aiohttp import web

PATIENCE_SECONDS = 15.0
DESCRIPTORS = 1 << 16
TLS_BUFFER_BYTES = 16 << 10
IDLE_LIMIT = 512
"""Each costs 65 KB. A controller keeps a few, kubectl none after its command."""
HANDSHAKE_LIMIT = 512
STALL_SECONDS = 60.0


def allow_many_descriptors() -> None:
    """As many open connections as the machine lets this process have: 1,024 is what it starts with, often."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def keep_tls_buffers_small() -> None:
    """asyncio gives each connection 256 KB before its first byte: 3 GB for 10,000 that are idle."""
    asyncio.sslproto.SSLProtocol.max_size = TLS_BUFFER_BYTES


async def write(http: web.BaseRequest, response: web.StreamResponse, data: bytes) -> None:
    """Write a piece of an answer; ConnectionResetError when the client does not take it, and it is disconnected."""
    try:
        async with asyncio.timeout(STALL_SECONDS) as patience:
            await response.write(data)
    except TimeoutError:
        if not patience.expired():
            raise
        if http.transport is not None:
            http.transport.abort()  # a polite end would wait for the client as well
        raise ConnectionResetError("the client does not read") from None


class BoundedServer(web.Server):
    """An aiohttp server that knows which of its connections are idle, and closes silent and surplus ones."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._silent: dict[Any, None] = {}
        self._idle: dict[Any, None] = {}
        """Both longest first."""
        self._handshakes: dict[Any, asyncio.Transport] = {}
        """Connections that have not finished their TLS handshake, longest first."""

    def connection_made(self, handler: Any, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        self.end_handshake(handler)
        self._silent[handler] = None
        self._close_surplus()

    def connection_lost(self, handler: Any, exc: BaseException | None = None) -> None:
        self._silent.pop(handler, None)
        self._idle.pop(handler, None)
        super().connection_lost(handler, exc)

    @contextlib.contextmanager
    def serving(self, handler: Any) -> Iterator[None]:
        """While a request of this connection is answered, it is not idle."""
        self._silent.pop(handler, None)
        self._idle.pop(handler, None)
        try:
            yield
        finally:
            if handler.transport is not None:
                self._idle[handler] = None

    def begin_handshake(self, handler: Any, transport: asyncio.Transport) -> None:
        """Count a connection that has just been accepted; of too many, the first to come is closed."""
        self._handshakes[handler] = transport
        while len(self._handshakes) > HANDSHAKE_LIMIT:
            self._handshakes.pop(next(iter(self._handshakes))).abort()

    def end_handshake(self, handler: Any) -> None:
        """It has shaken hands, or is gone."""
        self._handshakes.pop(handler, None)

    def _close_surplus(self) -> None:
        """Newcomers go last: whoever connects now is likely to ask."""
        while len(self._idle) + len(self._silent) > IDLE_LIMIT:
            longest = next(iter(self._idle or self._silent))
            self._idle.pop(longest, None)
            self._silent.pop(longest, None)
            longest.force_close()

    async def close_silent(self) -> None:
        """Close, until cancelled, connections that have been there for one to two times the patience for nothing."""
        before: set[Any] = set()
        while True:
            await asyncio.sleep(PATIENCE_SECONDS)
            silent = set(self._silent)
            for each in silent & before:
                each.force_close()
            before = silent - before


class _TlsProtocol(asyncio.sslproto.SSLProtocol):
    """TLS of one connection, which its server knows of from the moment it is accepted.

    `loop.create_server(ssl=…)` tells nobody of a connection before its handshake is done.
    """

    def __init__(self, server: BoundedServer, context: ssl.SSLContext) -> None:
        self._server = server
        self._handler = server()
        loop, seconds = asyncio.get_running_loop(), PATIENCE_SECONDS
        super().__init__(loop, self._handler, context, None, server_side=True, ssl_handshake_timeout=seconds)  # type: ignore[arg-type]

    def connection_made(self, transport: Any) -> None:
        self._server.begin_handshake(self._handler, transport)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._server.end_handshake(self._handler)
        super().connection_lost(exc)


class TlsSite(web.BaseSite):
    """A listening socket whose connections are bounded before their handshakes too."""

    def __init__(self, runner: web.BaseRunner, listener: socket.socket, context: ssl.SSLContext) -> None:
        super().__init__(runner, ssl_context=context, backlog=512)
        self._listener = listener
        self._context = context

    @property
    def name(self) -> str:
        host, port = self._listener.getsockname()[:2]
        return f"https://{host}:{port}"

    async def start(self) -> None:
        """Accept connections."""
        await super().start()
        server = self._runner.server
        assert isinstance(server, BoundedServer)
        self._server = await asyncio.get_running_loop().create_server(
            lambda: _TlsProtocol(server, self._context), sock=self._listener, backlog=self._backlog
        )
