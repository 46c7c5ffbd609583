"""The TCP sample says lines back; the load generator sends what it is asked for and counts."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SAMPLES = Path(__file__).parents[2] / "samples"


@pytest.fixture
def echo() -> Iterator[int]:
    command = [sys.executable, "-S", "-E", str(SAMPLES / "tcp-echo" / "tcp_echo.py"), "0", "hello"]
    with subprocess.Popen(command, env={"HOST": "127.0.0.1"}, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = re.search(r"(\d+)\s*$", process.stdout.readline())
        assert port
        yield int(port[1])
        process.send_signal(signal.SIGTERM)


def test_lines_come_back_with_the_word(echo: int) -> None:
    with socket.create_connection(("127.0.0.1", echo), timeout=20) as client:
        client.sendall(b"one\ntw")
        reader = client.makefile("rb")
        assert reader.readline() == b"hello one\n"
        client.sendall(b"o\nlast")
        client.shutdown(socket.SHUT_WR)
        assert reader.read() == b"hello two\nhello last\n"
        reader.close()


def test_a_client_that_reads_late_gets_everything(echo: int) -> None:
    lines = b"".join(b"%d\n" % number for number in range(100_000))
    with socket.create_connection(("127.0.0.1", echo), timeout=20) as client:
        client.setblocking(False)
        sent, received = 0, b""
        while sent < len(lines) or received.count(b"\n") < 100_000:
            try:
                sent += client.send(lines[sent : sent + 65536])
            except BlockingIOError:
                pass
            try:
                received += client.recv(1 << 20)
            except BlockingIOError:
                pass
    assert received.splitlines()[-1] == b"hello 99999"


def load(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SAMPLES / "load" / "load.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.fixture
def details() -> Iterator[int]:
    command = [sys.executable, "-S", "-E", str(SAMPLES / "bookinfo" / "src" / "details.py"), "0"]
    environment = {"PATH": os.environ["PATH"], "HOST": "127.0.0.1"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline().rsplit(":", 1)[1])
        process.send_signal(signal.SIGTERM)


def test_exactly_as_many_requests_as_asked(details: int) -> None:
    result = load(f"http://127.0.0.1:{details}/details/1", "--requests", "37", "--rps", "0")
    assert result.returncode == 0
    assert result.stdout.startswith("200: 37\n") and "p50" in result.stdout


def test_codes_are_counted_and_failures_show(details: int) -> None:
    result = load(f"http://127.0.0.1:{details}/none", "--requests", "3", "--rps", "0")
    assert result.stdout.startswith("404: 3\n") and result.returncode == 0
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        failed = load(f"http://127.0.0.1:{unused.getsockname()[1]}/", "--requests", "2", "--rps", "0")
    assert failed.stdout.startswith("error: 2") and failed.returncode == 1


def test_nothing_is_printed_by_default(details: int) -> None:
    result = load(f"http://127.0.0.1:{details}/details/1", "--seconds", "0.3", "--rps", "50")
    assert (result.stdout, result.stderr, result.returncode) == ("", "", 0)


def test_other_schemes_are_refused() -> None:
    result = load("https://example.invalid/")
    assert result.returncode == 2 and "http://" in result.stderr
