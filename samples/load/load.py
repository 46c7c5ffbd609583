"""Steady requests to one URL: something for the mesh's graph to show, or a count of who answered.

    load.py http://127.0.0.1:8080/productpage --rps 5             until it is stopped; prints nothing
    load.py http://127.0.0.1:8080/productpage --requests 100      exactly 100, then the codes and times

A request is due every 1/rps seconds; at most `connections` are under way. When answers are slow the pace drops instead
of piling up a debt that would burst later. `generate` is the engine, for use from other programs.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Load:
    """What to send: `requests` or `seconds` end it, whichever comes first; without both it goes on."""

    url: str
    requests_per_second: float = 5.0
    requests: int | None = None
    seconds: float | None = None
    connections: int = 4
    timeout_seconds: float = 15.0
    headers: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError(f"{self.url!r}: give a URL that starts with http://")


@dataclass
class Report:
    """What came back: answers by status code, `error` for requests without one; seconds each answered one took."""

    codes: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)

    def percentile(self, percent: float) -> float:
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] if ordered else 0.0

    def __str__(self) -> str:
        lines = [f"{code}: {count}" for code, count in sorted(self.codes.items())]
        if self.seconds:
            times = ", ".join(f"p{percent} {self.percentile(percent) * 1000:.1f} ms" for percent in (50, 90, 99))
            lines.append(times)
        return "\n".join(lines)


class Pace:
    """Hands out the moments at which requests are due, shared by all connections."""

    def __init__(self, load: Load) -> None:
        self._clock = asyncio.get_running_loop().time
        self._interval_seconds = 1 / load.requests_per_second if load.requests_per_second > 0 else 0.0
        self._left = load.requests
        self._end = None if load.seconds is None else self._clock() + load.seconds
        self._due = self._clock()

    async def next(self) -> bool:
        """Wait for the next request's moment; False when there is none."""
        if self._left == 0:
            return False
        if self._left is not None:
            self._left -= 1
        due = max(self._due, self._clock())
        self._due = due + self._interval_seconds
        if self._end is not None and due >= self._end:
            return False
        await asyncio.sleep(due - self._clock())
        return True


class Connection:
    """One kept-alive HTTP/1.1 connection."""

    def __init__(self, load: Load) -> None:
        parts = urlsplit(load.url)
        self._address = (parts.hostname or "", parts.port or 80)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        headers = {"host": parts.netloc, "user-agent": "kaiki-load", **dict(load.headers)}
        lines = [f"GET {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        self._request = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def get(self) -> str:
        """Send one request, read the whole answer, return its code. Raises OSError, EOFError, ValueError."""
        if self._streams is not None:
            reader, writer = self._streams
            if reader.at_eof() or writer.is_closing():
                self.close()
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self._address)
        reader, writer = self._streams
        writer.write(self._request)
        code, headers = await self._read_head(reader)
        await self._read_body(reader, headers)
        if headers.get("connection", "").lower() == "close":
            self.close()
        return code

    async def _read_head(self, reader: asyncio.StreamReader) -> tuple[str, dict[str, str]]:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in head[1:] if line)
        return head[0].split(" ")[1], {name.lower(): value.strip() for name, _, value in pairs}

    async def _read_body(self, reader: asyncio.StreamReader, headers: dict[str, str]) -> None:
        if headers.get("transfer-encoding", "").lower() == "chunked":
            while size := int((await reader.readline()).split(b";")[0], 16):
                await reader.readexactly(size + 2)
            await reader.readline()
        elif "content-length" in headers:
            await reader.readexactly(int(headers["content-length"]))
        else:
            await reader.read()
            self.close()

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def generate(load: Load) -> Report:
    """Send the load and report. Cancelling ends it; what was answered until then is lost with the task."""
    report, pace = Report(), Pace(load)
    async with asyncio.TaskGroup() as group:
        for _ in range(max(1, load.connections)):
            group.create_task(_send(load, pace, report))
    return report


async def _send(load: Load, pace: Pace, report: Report) -> None:
    clock = asyncio.get_running_loop().time
    connection = Connection(load)
    try:
        while await pace.next():
            started = clock()
            try:
                async with asyncio.timeout(load.timeout_seconds):
                    code = await connection.get()
            except (OSError, EOFError, ValueError, IndexError):
                connection.close()
                report.codes["error"] += 1
                continue
            report.codes[code] += 1
            if load.requests is not None:
                report.seconds.append(clock() - started)
    finally:
        connection.close()


def _parse(arguments: list[str]) -> Load:
    parser = argparse.ArgumentParser(description="Send steady requests to one URL.")
    parser.add_argument("url")
    parser.add_argument("--rps", type=float, default=5.0, help="requests per second; 0 sends as fast as answers come")
    parser.add_argument("--requests", type=int, help="send exactly this many, then report codes and times")
    parser.add_argument("--seconds", type=float, help="end after this long")
    parser.add_argument("--connections", type=int, default=4, help="requests under way at the same time, at most")
    parser.add_argument("--header", action="append", default=[], metavar="NAME:VALUE")
    given = parser.parse_args(arguments)
    pairs = [header.partition(":") for header in given.header]
    headers = tuple((name.strip().lower(), value.strip()) for name, _, value in pairs)
    try:
        return Load(given.url, given.rps, given.requests, given.seconds, given.connections, headers=headers)
    except ValueError as error:
        parser.error(str(error))


async def _run(load: Load) -> int:
    task = asyncio.create_task(generate(load))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        report = await task
        if load.requests is not None:
            print(report, flush=True)
        return 1 if report.codes["error"] else 0
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(_run(_parse(sys.argv[1:]))))
