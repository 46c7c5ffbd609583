"""As many requests as one address answers: `requests.py URL HOST SECONDS CONNECTIONS`; prints what came of it as JSON.

wrk does it where it is installed (Debian: `apt-get install wrk`); otherwise this file's own client, which takes several
times as much of the processor and so hides some of what is measured.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(slots=True)
class Outcome:
    """Requests answered with 200, other answers and broken connections, how long it took, and who sent them."""

    client: str
    requests: int = 0
    failures: int = 0
    seconds: float = 0.0
    p50_milliseconds: float = 0.0
    p99_milliseconds: float = 0.0


class KeepAlive(asyncio.Protocol):
    """One connection that sends the next request when the last is answered. Answers are short and have a length."""

    def __init__(self, request: bytes, outcome: Outcome, latencies: list[float]) -> None:
        self._request, self._outcome, self._latencies = request, outcome, latencies
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._sent = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, end, body = self._buffer.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        if end and length and len(body) >= int(length[1]):
            self._buffer = b""
            self._latencies.append(time.perf_counter() - self._sent)
            if head.startswith(b"HTTP/1.1 200"):
                self._outcome.requests += 1
            else:
                self._outcome.failures += 1
            self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        self._outcome.failures += 1

    def _send(self) -> None:
        assert self._transport is not None
        self._sent = time.perf_counter()
        self._transport.write(self._request)


async def send(url: str, host: str, seconds: float, connections: int) -> Outcome:
    """This file's own client."""
    outcome, latencies = Outcome("Python (install wrk for truer figures)"), list[float]()
    parts = urlsplit(url)
    request = f"GET {parts.path or '/'} HTTP/1.1\r\nhost: {host}\r\n\r\n".encode()
    loop = asyncio.get_running_loop()
    for _ in range(connections):
        await loop.create_connection(
            lambda: KeepAlive(request, outcome, latencies), parts.hostname or "", parts.port or 80
        )
    started = time.perf_counter()
    await asyncio.sleep(seconds)
    outcome.seconds = time.perf_counter() - started
    latencies.sort()
    outcome.p50_milliseconds = latencies[len(latencies) // 2] * 1000 if latencies else 0.0
    outcome.p99_milliseconds = latencies[len(latencies) * 99 // 100] * 1000 if latencies else 0.0
    return outcome


def send_with_wrk(program: str, url: str, host: str, seconds: float, connections: int) -> Outcome:
    """wrk, one thread, and its report read."""
    command = [program, "-t1", f"-c{connections}", f"-d{seconds:.0f}s", "--latency", "-H", f"Host: {host}", url]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    total = re.search(r"(\d+) requests in ([\d.]+)(m?s)", text)
    if total is None:
        raise ValueError(f"wrk's report is not understood:\n{text}")
    errors = sum(int(number) for number in re.findall(r"(?:connect|read|write|timeout) (\d+)", text))
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    failures = errors + (int(refused[1]) if refused else 0)
    taken = float(total[2]) / (1000 if total[3] == "ms" else 1)
    return Outcome(
        "wrk", int(total[1]) - failures, failures, taken, _milliseconds(text, "50%"), _milliseconds(text, "99%")
    )


def _milliseconds(text: str, quantile: str) -> float:
    found = re.search(rf"{quantile}\s+([\d.]+)(us|ms|s)", text)
    return float(found[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[found[2]] if found else 0.0


def main() -> None:
    """Send, and print the outcome as one line of JSON."""
    url, host, seconds, connections = sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4])
    wrk = shutil.which("wrk")
    if wrk:
        outcome = send_with_wrk(wrk, url, host, seconds, connections)
    else:
        outcome = asyncio.run(send(url, host, seconds, connections))
    print(json.dumps({name: getattr(outcome, name) for name in Outcome.__slots__}), flush=True)


if __name__ == "__main__":
    main()
