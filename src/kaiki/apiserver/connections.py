"""Connections that ask nothing: bounded in time and in what they cost, so that they harm nobody.

A client that connects has a moment to send the head of its first request; whoever sends none, or drop by drop, is
disconnected. What has asked once may stay as long as HTTP lets it: clients keep connections to use them again.
"""

from __future__ import annotations

import asyncio
import asyncio.sslproto
import contextlib
import resource
from typing import Any

from aiohttp import web

PATIENCE_SECONDS = 15.0
DESCRIPTORS = 1 << 16
TLS_BUFFER_BYTES = 16 << 10


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


class Newcomers:
    """Knows which connections have asked something, and closes those that do not."""

    def __init__(self) -> None:
        self._asked: set[Any] = set()

    def has_asked(self, protocol: Any) -> None:
        """A request's head has arrived on this connection."""
        self._asked.add(protocol)

    async def close_silent(self, server: web.Server) -> None:
        """Close, until cancelled, connections that have been there for one to two times the patience for nothing."""
        before: set[Any] = set()
        while True:
            await asyncio.sleep(PATIENCE_SECONDS)
            present = set(server.connections)
            self._asked &= present
            silent = present - self._asked
            for each in silent & before:
                each.force_close()
            before = silent - before
