"""Containers' output on disk, in the CRI's form: `<time> stdout F <line>`.

    $KAIKI_HOME/logs/<namespace>_<pod>_<uid>/<container>/<restart count>.log

A file that grows past its size becomes `.log.1` (the one before is dropped). Readers that follow are woken by the
writer: both live in this process.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

_CHUNK_BYTES = 1 << 16
_LINE_LIMIT_BYTES = 1 << 14
ROTATE_BYTES = 10 << 20


def timestamp() -> bytes:
    """The time as the CRI writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z").encode()


def format_lines(stream: str, pending: bytes, data: bytes, time: bytes) -> tuple[bytes, bytes]:
    """The complete lines of `pending + data`, formatted, and the rest. A very long line comes in parts (tag P)."""
    *lines, rest = (pending + data).split(b"\n")
    prefix = time + b" " + stream.encode() + b" "
    formatted = b"".join(prefix + b"F " + line + b"\n" for line in lines)
    if len(rest) >= _LINE_LIMIT_BYTES:
        return formatted + prefix + b"P " + rest + b"\n", b""
    return formatted, rest


Listener: TypeAlias = Callable[[str, bytes], None]
"""Told of everything a container writes: the stream's name and the bytes."""


class ContainerLog:
    """One run's output. Give `output` and `errors` to the process, then call `started`."""

    def __init__(self, path: Path, rotate_bytes: int = ROTATE_BYTES, terminal: bool = False) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._rotate_bytes = rotate_bytes
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        self._size = os.fstat(self._file).st_size
        self._loop = asyncio.get_running_loop()
        self._pending: dict[int, tuple[str, bytes]] = {}
        self._changed = asyncio.Event()
        self.open = True
        self.closed = asyncio.Event()
        self.listeners: set[Listener] = set()
        self.terminal: int | None = None
        if terminal:
            self.output = self._add_stream("stdout", os.openpty())
            self.errors = os.dup(self.output)
        else:
            self.output = self._add_stream("stdout", os.pipe2(os.O_CLOEXEC))
            self.errors = self._add_stream("stderr", os.pipe2(os.O_CLOEXEC))

    def _add_stream(self, name: str, ends: tuple[int, int]) -> int:
        read, write = ends
        if os.isatty(write):
            self.terminal = read
        os.set_blocking(read, False)
        self._pending[read] = (name, b"")
        self._loop.add_reader(read, self._read, read)
        return write

    def started(self) -> None:
        """The process has its ends of the pipes: close ours, so that its end is seen."""
        os.close(self.output)
        os.close(self.errors)

    def write(self, text: str) -> None:
        """Add lines of the node's own, such as why a command could not be started."""
        formatted, _ = format_lines("stderr", b"", text.rstrip("\n").encode() + b"\n", timestamp())
        self._append(formatted)

    def _read(self, descriptor: int) -> None:
        name, pending = self._pending[descriptor]
        try:
            data = os.read(descriptor, _CHUNK_BYTES)
        except BlockingIOError:
            return
        except OSError:  # how a terminal says that nobody holds its other end
            data = b""
        if data:
            for listener in tuple(self.listeners):
                listener(name, data)
            formatted, rest = format_lines(name, pending, data, timestamp())
            self._pending[descriptor] = (name, rest)
            self._append(formatted)
            return
        if pending:
            self._append(format_lines(name, pending, b"\n", timestamp())[0])
        self._end(descriptor)

    def _end(self, descriptor: int) -> None:
        if descriptor == self.terminal:
            self.terminal = None
        self._loop.remove_reader(descriptor)
        os.close(descriptor)
        del self._pending[descriptor]
        self._wake()

    def close(self) -> None:
        """Take what is left in the pipes and end, even if something still holds the other ends."""
        if not self.open:
            return
        for descriptor in list(self._pending):
            self._read(descriptor)
        for descriptor in list(self._pending):
            self._end(descriptor)
        self.open = False
        self.closed.set()
        os.close(self._file)
        self._wake()

    def _append(self, data: bytes) -> None:
        if self._size + len(data) > self._rotate_bytes:
            os.close(self._file)
            os.replace(self.path, self.path.with_name(self.path.name + ".1"))
            self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
            self._size = 0
        os.write(self._file, data)
        self._size += len(data)
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def wait_for_more(self) -> None:
        """Until something is written, or the log ends."""
        await self._changed.wait()


@dataclass(frozen=True, slots=True)
class LogQuery:
    """What a reader wants, as in the API's `PodLogOptions`."""

    follow: bool = False
    tail_lines: int | None = None
    since_seconds: float | None = None
    timestamps: bool = False
    limit_bytes: int | None = None


def _select(lines: Iterable[bytes], query: LogQuery, now: datetime) -> list[bytes]:
    chosen = list(lines)
    if query.since_seconds is not None:
        earliest = datetime.fromtimestamp(now.timestamp() - query.since_seconds, UTC)
        limit = earliest.strftime("%Y-%m-%dT%H:%M:%S.%f000Z").encode()
        chosen = [line for line in chosen if line.partition(b" ")[0] >= limit]
    if query.tail_lines is not None:
        chosen = chosen[len(chosen) - query.tail_lines :] if query.tail_lines < len(chosen) else chosen
    return chosen


def _render(line: bytes, timestamps: bool) -> bytes:
    time, _, rest = line.split(b" ", 2)
    tag, _, text = rest.partition(b" ")
    body = text if tag == b"P" else text + b"\n"
    return time + b" " + body if timestamps else body


class _Follower:
    """Reads what a growing, rotating file has gained since the last time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = open(path, "rb")  # noqa: SIM115 — closed by `close`, with a swap in between
        self._partial = b""

    def read_lines(self) -> list[bytes]:
        """The new complete lines; those of the file it was rotated to as well."""
        data = self._file.read()
        if self._path.exists() and os.fstat(self._file.fileno()).st_ino != os.stat(self._path).st_ino:
            self._file.close()
            self._file = open(self._path, "rb")  # noqa: SIM115
            data += self._file.read()
        *lines, self._partial = (self._partial + data).split(b"\n")
        return lines

    def close(self) -> None:
        self._file.close()


async def read_log(path: Path, live: ContainerLog | None, query: LogQuery) -> AsyncIterator[bytes]:
    """A log's text in pieces; with `follow` until the run ends. FileNotFoundError when nothing was ever written."""
    left = query.limit_bytes
    older = path.with_name(path.name + ".1")
    earlier = older.read_bytes().splitlines() if older.exists() else []
    follower = _Follower(path)
    try:
        lines = _select([*earlier, *follower.read_lines()], query, datetime.now(UTC))
        while True:
            text = b"".join(_render(line, query.timestamps) for line in lines)
            if left is not None:
                text, left = text[:left], left - min(left, len(text))
            if text:
                yield text
            ended = live is None or not live.open
            lines = follower.read_lines() if query.follow else []
            if not query.follow or left == 0 or (ended and not lines):
                return
            if live is not None and not lines:
                await live.wait_for_more()
                lines = follower.read_lines()
    finally:
        follower.close()
