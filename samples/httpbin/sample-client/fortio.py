"""A load client with fortio's command line, as far as mesh guides use it, and the lines they look at in its output.

    fortio load -c 2 -qps 0 -n 20 -loglevel Warning URL     20 calls over 2 connections; `Code 200 : 17 (85.0 %)`
    fortio load -c 4 -qps 20 -t 10s URL                     for ten seconds, 20 calls a second
    fortio curl [-quiet] URL; fortio load -curl URL         one call: the answer's head and body
    fortio server                                           says on 8080 what reached it

Each connection is a thread with a connection of its own that is kept as long as the other side keeps it, and made anew
when it doesn't: that is what trips a circuit breaker, or not.
"""

from __future__ import annotations

import http.client
import os
import re
import signal
import sys
import threading
import time
import urllib.parse
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_WITHOUT_VALUE = {"curl", "quiet", "k", "allow-initial-errors", "keepalive", "stdclient", "h2", "nocatchup", "uniform"}
_STEPS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 16, 18, 20, 25, 30, 35, 40, 45, 50, 60, 70, 80, 90, 100, 120, 140)
_BOUNDS = [step / 1000 for step in (*_STEPS, 160, 180, 200, 250, 300, 400, 500, 1000, 2000, 5000, 10000)]


class Usage(Exception):
    """A command line this stand-in does not understand."""


@dataclass
class Options:
    """The command line."""

    command: str
    url: str = ""
    flags: dict[str, str] = field(default_factory=dict)
    headers: list[tuple[str, str]] = field(default_factory=list)

    def number(self, name: str, otherwise: float) -> float:
        return float(self.flags.get(name, otherwise))


def seconds(text: str) -> float:
    """A duration as Go writes it: 10s, 1m30s, 500ms."""
    return sum(float(number) * _UNITS[unit] for number, unit in re.findall(r"([0-9.]+)(ms|s|m|h)", text))


def parse(arguments: list[str]) -> Options:
    """Flags may have one dash or two, and their value after a space or an equals sign."""
    if not arguments:
        raise Usage("give a command: load, curl or server")
    options, rest = Options(arguments[0]), list(arguments[1:])
    while rest:
        word = rest.pop(0)
        if not word.startswith("-") or word == "-":
            options.url = word
            continue
        name, equals, value = word.lstrip("-").partition("=")
        if not equals and name not in _WITHOUT_VALUE:
            if not rest:
                raise Usage(f"-{name} needs a value")
            value = rest.pop(0)
        if name == "H":
            key, _, text = value.partition(":")
            options.headers.append((key.strip(), text.strip()))
        else:
            options.flags[name] = value or "true"
    return options


@dataclass
class Call:
    """One call: the code (-1 without an answer), how long it took, and what came back."""

    code: int
    seconds: float
    head: str = ""
    body: bytes = b""


class Caller:
    """One connection's worth of calls."""

    def __init__(self, options: Options) -> None:
        self._parts = urllib.parse.urlsplit(options.url if "://" in options.url else f"http://{options.url}")
        if self._parts.scheme not in ("http", "https") or not self._parts.hostname:
            raise Usage(f"{options.url!r} is not a URL")
        self._headers = {"User-Agent": "fortio.org/fortio-kaiki", **dict(options.headers)}
        self._timeout = seconds(options.flags.get("timeout", "3s"))
        self._connection: http.client.HTTPConnection | None = None
        self.sockets = 0

    def _open(self) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._parts.scheme == "https" else http.client.HTTPConnection
        self.sockets += 1
        return kind(self._parts.hostname or "", self._parts.port, timeout=self._timeout)

    def call(self) -> Call:
        started = time.perf_counter()
        target = (self._parts.path or "/") + (f"?{self._parts.query}" if self._parts.query else "")
        try:
            connection = self._connection = self._connection or self._open()
            connection.request("GET", target, headers=self._headers)
            answer = connection.getresponse()
            body = answer.read()
            if answer.will_close:
                self.close()
        except (OSError, http.client.HTTPException):
            self.close()
            return Call(-1, time.perf_counter() - started)
        lines = [
            f"HTTP/1.1 {answer.status} {answer.reason}",
            *(f"{name}: {value}" for name, value in answer.getheaders()),
        ]
        return Call(answer.status, time.perf_counter() - started, "\r\n".join(lines), body)

    def close(self) -> None:
        if self._connection:
            self._connection.close()
            self._connection = None


def curl(options: Options) -> int:
    """One call, shown whole."""
    found = Caller(options).call()
    print(found.head + "\r\n\r\n" + found.body.decode(errors="replace"))
    return 0 if found.code == 200 else 1


class Load:
    """The calls of all connections."""

    def __init__(self, options: Options) -> None:
        self.threads = int(options.number("c", 4))
        self.rate = options.number("qps", 8)
        self.count = int(options.number("n", 0))
        self.seconds = seconds(options.flags.get("t", "5s"))
        self.callers = [Caller(options) for _ in range(self.threads)]
        self.warn = options.flags.get("loglevel", "Info").lower() in ("warning", "info", "verbose", "debug")
        self.calls: list[Call] = []
        self._lock = threading.Lock()

    def run(self) -> float:
        """How long it took, in seconds."""
        started = time.perf_counter()
        shares = [self.count // self.threads + (index < self.count % self.threads) for index in range(self.threads)]
        workers = [threading.Thread(target=self._work, args=pair) for pair in zip(self.callers, shares, strict=True)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return time.perf_counter() - started

    def _work(self, caller: Caller, share: int) -> None:
        started, done = time.perf_counter(), 0
        pause = self.threads / self.rate if self.rate > 0 else 0.0
        while (done < share) if self.count else (time.perf_counter() - started < self.seconds):
            found = caller.call()
            done += 1
            with self._lock:
                self.calls.append(found)
            if found.code != 200 and self.warn:
                print(
                    f"{time.strftime('%H:%M:%S')} W http_client.go> [{done}] Non ok http code {found.code}", flush=True
                )
            wait = started + done * pause - time.perf_counter()
            if wait > 0:
                time.sleep(wait)
        caller.close()


def percentile(ordered: list[float], percent: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def report(load: Load, taken: float, url: str) -> None:
    """The lines that guides and scripts look at, in fortio's form."""
    times, count = sorted(call.seconds for call in load.calls), len(load.calls)
    if not count:
        print("no calls")
        return
    average, pace = sum(times) / count, count / taken
    deviation = (sum((one - average) ** 2 for one in times) / count) ** 0.5
    print(f"Ended after {taken * 1000:.4f}ms : {count} calls. qps={pace:.5g}")
    print(
        f"Aggregated Function Time : count {count} avg {average:.8g} +/- {deviation:.4g} "
        f"min {times[0]:.8g} max {times[-1]:.8g} sum {sum(times):.9g}"
    )
    print("# range, mid point, percentile, count")
    for line in histogram(times):
        print(line)
    for percent in (50, 75, 90, 99, 99.9):
        print(f"# target {percent:g}% {percentile(times, percent):.6g}")
    sockets = sum(caller.sockets for caller in load.callers)
    print(f"Sockets used: {sockets} (for perfect keepalive, would be {load.threads})")
    for code, number in sorted(Counter(call.code for call in load.calls).items()):
        print(f"Code {code:3d} : {number} ({number * 100 / count:.1f} %)")
    for title, sizes in (
        ("Response Header Sizes", [len(call.head) for call in load.calls]),
        ("Response Body/Total Sizes", [len(call.head) + len(call.body) for call in load.calls]),
    ):
        print(
            f"{title} : count {count} avg {sum(sizes) / count:.5g} min {min(sizes)} max {max(sizes)} sum {sum(sizes)}"
        )
    print(f"All done {count} calls (plus 0 warmup) {average * 1000:.3f} ms avg, {pace:.1f} qps")


def histogram(times: list[float]) -> list[str]:
    """One line for each range that has calls."""
    lines, low, done = [], 0.0, 0
    for bound in (*_BOUNDS, float("inf")):
        inside = [one for one in times if low < one <= bound]
        if inside:
            first, last = (times[0] if not done else low), min(bound, times[-1])
            sign, done = (">=" if not done else ">"), done + len(inside)
            share = done * 100 / len(times)
            lines.append(f"{sign} {first:.6g} <= {last:.6g} , {(first + last) / 2:.6g} , {share:.2f}, {len(inside)}")
        low = bound
    return lines


def run_load(options: Options) -> int:
    if "curl" in options.flags:
        return curl(options)
    load = Load(options)
    what = f"{load.count} calls" if load.count else f"{load.seconds:g}s"
    print(f"Fortio (Kaiki's stand-in) running at {load.rate:g} queries per second, for {what}: {options.url}")
    pace = f"{load.rate:g} qps" if load.rate > 0 else "max qps"
    exactly = f"exactly {load.count} calls" if load.count else f"{load.seconds:g}s"
    print(f"Starting at {pace} with {load.threads} thread(s) for {exactly}", flush=True)
    taken = load.run()
    report(load, taken, options.url)
    return 0


class Echo(BaseHTTPRequestHandler):
    """Says back the body it gets, as fortio's own server does."""

    protocol_version = "HTTP/1.1"

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_HEAD = _handle  # noqa: N815 (the base class's names)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def serve(options: Options) -> int:
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    server = ThreadingHTTPServer(("", int(options.flags.get("http-port", "8080").rpartition(":")[2])), Echo)
    print(f"Fortio (Kaiki's stand-in) serves port {server.server_port}", flush=True)
    server.serve_forever()
    return 0


def main() -> int:
    try:
        options = parse(sys.argv[1:] or ["server"])
        commands = {"load": run_load, "curl": curl, "server": serve}
        if options.command not in commands:
            raise Usage(f"{options.command!r} is not known here; there is load, curl and server")
        return commands[options.command](options)
    except (Usage, ValueError) as error:
        print(f"fortio: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
