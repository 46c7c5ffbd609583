"""Reading and writing pipes and terminals without blocking and without reading ahead."""

from __future__ import annotations

import asyncio
import os

_CHUNK_BYTES = 1 << 15


def _finish(future: asyncio.Future[int]) -> None:
    if not future.done():
        future.set_result(0)


async def wait_readable(descriptor: int, *others: asyncio.Future[int]) -> None:
    """Until there is something to read, or one of the `others` is done."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[int] = loop.create_future()
    loop.add_reader(descriptor, _finish, ready)
    try:
        await asyncio.wait([ready, *others], return_when=asyncio.FIRST_COMPLETED)
    finally:
        loop.remove_reader(descriptor)


async def read_some(descriptor: int, ended: asyncio.Future[int]) -> bytes:
    """What can be read next; empty at the end, or when the process has `ended` and left no more.

    Processes left behind may hold the other end for ever: nobody waits for them.
    """
    while True:
        try:
            return os.read(descriptor, _CHUNK_BYTES)
        except BlockingIOError:
            if ended.done():
                return b""
        except OSError:  # how a terminal says that nobody holds its other end
            return b""
        await wait_readable(descriptor, ended)


async def write_all(descriptor: int, data: bytes, ended: asyncio.Future[int]) -> bool:
    """Write as fast as the reader takes it; False when there is no reader any more."""
    loop = asyncio.get_running_loop()
    left = memoryview(data)
    while left:
        try:
            left = left[os.write(descriptor, left) :]
            continue
        except BlockingIOError:
            if ended.done():
                return False
        except OSError:
            return False
        ready: asyncio.Future[int] = loop.create_future()
        loop.add_writer(descriptor, _finish, ready)
        try:
            await asyncio.wait([ready, ended], return_when=asyncio.FIRST_COMPLETED)
        finally:
            loop.remove_writer(descriptor)
    return True
