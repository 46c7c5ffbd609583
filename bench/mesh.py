"""A mesh for a benchmark: a home of its own, its addresses, its Kubernetes API, and its end."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

REPOSITORY = Path(__file__).resolve().parents[1]
TIMEOUT_SECONDS = 90.0


class Mesh:
    """A mesh that is coming up. `started` is the moment its command was given (time.perf_counter)."""

    def __init__(self, home: Path, *arguments: str) -> None:
        self.home = home
        self._output = open(home / "bench.out", "wb")  # noqa: SIM115 (closed by stop)
        self.started = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "kaiki", *arguments],
            env={**os.environ, "KAIKI_HOME": str(home)},
            cwd=REPOSITORY,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._output,
        )

    def url(self, name: str) -> str:
        """The loopback address of `gateway`, `console` or `metrics`, as soon as it is known."""
        deadline = time.perf_counter() + TIMEOUT_SECONDS
        while time.perf_counter() < deadline:
            try:
                return str(json.loads((self.home / "run" / "state.json").read_text())["urls"][name])
            except (OSError, ValueError, KeyError):
                self.require_alive()
                time.sleep(0.01)
        raise TimeoutError(f"the mesh's {name} has no address after {TIMEOUT_SECONDS:.0f} s\n{self.output()}")

    def console(self, path: str) -> Any:
        """An answer of the console's API; raises OSError when it does not answer."""
        token = (self.home / "pki" / "console.token").read_text().strip()
        request = urllib.request.Request(self.url("console") + path, headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.load(response)

    def require_alive(self) -> None:
        """Raise RuntimeError with the command's output when it has ended."""
        if self.process.poll() is not None:
            raise RuntimeError(f"the mesh ended by itself:\n{self.output()}")

    def output(self) -> str:
        """What the command has printed so far."""
        return (self.home / "bench.out").read_text(errors="replace")

    def stop(self) -> None:
        """Ctrl-C, and wait for the end."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(TIMEOUT_SECONDS)
        self._output.close()


@contextmanager
def mesh_from(*arguments: str) -> Iterator[Mesh]:
    """Run `kaiki <arguments>` (`demo` or `up`) in a fresh home; stop it and remove the home at the end."""
    home = Path(tempfile.mkdtemp(prefix="kaiki-bench-"))
    mesh = Mesh(home, *arguments)
    try:
        yield mesh
    finally:
        mesh.stop()
        shutil.rmtree(home, ignore_errors=True)


class NotFound(RuntimeError):
    """There is no such object."""


class KubernetesApi:
    """One kept-alive connection to the mesh's Kubernetes API."""

    def __init__(self, home: Path) -> None:
        import yaml

        config = yaml.safe_load((home / "kubeconfig").read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        # A loopback address of a mesh this process has started: its certificate need not be checked.
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self._connection = http.client.HTTPSConnection(urlsplit(cluster["server"]).netloc, context=context)
        self._authorization = f"Bearer {user['token']}"

    def request(self, method: str, path: str, body: Mapping[str, Any] | None = None, kind: str = "json") -> Any:
        """One request; raises RuntimeError with the answer when it is refused."""
        headers = {"Authorization": self._authorization, "Content-Type": f"application/{kind}"}
        self._connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        response = self._connection.getresponse()
        text = response.read()
        if response.status >= http.client.BAD_REQUEST:
            error = NotFound if response.status == http.client.NOT_FOUND else RuntimeError
            raise error(f"{method} {path}: status {response.status}\n{text.decode(errors='replace')}")
        return json.loads(text) if response.headers.get_content_type() == "application/json" else text.decode()

    def find(self, path: str) -> Any:
        """An object, or None when it is not there."""
        try:
            return self.request("GET", path)
        except NotFound:
            return None

    def wait_until_gone(self, path: str) -> None:
        """Return when there is no such object any more."""
        while self.find(path) is not None:
            time.sleep(0.1)


class Probe:
    """GET requests to one loopback address over one kept-alive connection, cheap enough for every millisecond."""

    def __init__(self, url: str, path: str, host: str = "bench") -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._request = f"GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n".encode()
        self._socket: socket.socket | None = None

    def get(self) -> tuple[int, bytes]:
        """Status and head with body, as received in one piece; (0, b"") when there is no answer."""
        try:
            if self._socket is None:
                self._socket = socket.create_connection(self._address, timeout=5)
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.sendall(self._request)
            answer = self._receive()
            return int(answer.split(b" ", 2)[1]), answer
        except (OSError, IndexError, ValueError):
            self.close()
            return 0, b""

    def _receive(self) -> bytes:
        assert self._socket is not None
        answer = b""
        while True:
            piece = self._socket.recv(65536)
            answer += piece
            head, end, body = answer.partition(b"\r\n\r\n")
            if not piece:
                raise OSError("closed")
            if end and _complete(head.lower(), body):
                return answer

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _complete(head: bytes, body: bytes) -> bool:
    if b"transfer-encoding: chunked" in head:
        return body.endswith(b"0\r\n\r\n")
    for line in head.split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return len(body) >= int(line.partition(b":")[2])
    return True
