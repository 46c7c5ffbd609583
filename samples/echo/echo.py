"""A server that says what reached it, and a client that can be told what to send: `echo.py [http [lines [greeting]]]`.

What a mesh does to a request shows only at its ends. GET / answers with the path, host, headers and pod as JSON; the
query shapes the answer:

    ?status=503&times=2&key=a   fail the first two requests of this key, then answer 200
    ?delay=0.5                  answer after half a second
    ?size=1000                  a body of so many bytes instead of the JSON
    ?header=name:value          an answer header

GET /count?key=a says how many requests of the key have arrived. POST /relay with a JSON list of requests sends them
from here, at the same time, and answers with what came back:

    {"url": "http://other:8080/", "method": "PUT", "headers": {}, "size": 5000000}
    {"connect": "other:9000", "send": "a line\\n", "until": "line"}

The second port says every line back; the third greets first, as some databases do.
"""

from __future__ import annotations

import collections
import http.client
import json
import os
import signal
import socket
import sys
import threading
import time
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TIMEOUT_SECONDS = 30.0
WHO = {name: os.environ.get(name.upper(), "") for name in ("version", "pod", "namespace")}
_counts: collections.Counter[str] = collections.Counter()
_lock = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    """One connection; any method is answered alike."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def _handle(self) -> None:
        path, _, query = self.path.partition("?")
        wanted = {name: values[-1] for name, values in urllib.parse.parse_qs(query).items()}
        if self.headers.get("upgrade"):
            self._upgrade()
            return
        body = self._body()
        if path == "/relay":
            self._reply(200, json.dumps(relay(json.loads(body))).encode(), wanted)
        elif path == "/count":
            self._reply(200, json.dumps(_counts[wanted.get("key", "")]).encode(), wanted)
        else:
            self._echo(body, wanted)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_OPTIONS = _handle  # noqa: N815 (the base class's names)

    def _echo(self, body: bytes, wanted: dict[str, str]) -> None:
        with _lock:
            _counts[wanted.get("key", "")] += 1
            number = _counts[wanted.get("key", "")]
        time.sleep(float(wanted.get("delay", 0)))
        fails = number <= int(wanted.get("times", sys.maxsize))
        status = int(wanted.get("status", 200)) if fails else 200
        said = {
            "method": self.command,
            "path": self.path,
            "host": self.headers.get("host", ""),
            "headers": {name.lower(): value for name, value in self.headers.items()},
            "received": len(body),
            "peer": self.client_address[0],
            **WHO,
        }
        size = int(wanted.get("size", 0))
        self._reply(status, b"x" * size if size else json.dumps(said).encode(), wanted)

    def _reply(self, status: int, body: bytes, wanted: dict[str, str]) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        if name := wanted.get("header", ""):
            self.send_header(*name.split(":", 1))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("transfer-encoding", "").lower():
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        body = bytearray()
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return bytes(body)

    def _upgrade(self) -> None:
        """Take any upgrade, and say back what comes."""
        self.send_response(101)
        self.send_header("connection", "upgrade")
        self.send_header("upgrade", self.headers["upgrade"])
        self.end_headers()
        self.close_connection = True
        while data := self.rfile.read1(65536):
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing: a pod's log is for what goes wrong."""


def relay(requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Send all requests at the same time; the answers in their order."""
    with ThreadPoolExecutor(max(len(requests), 1)) as threads:
        return list(threads.map(_send, requests))


def _send(wanted: dict[str, Any]) -> dict[str, Any]:
    started = time.monotonic()
    try:
        answer = _converse(wanted) if "connect" in wanted else _request(wanted)
    except (OSError, http.client.HTTPException) as error:
        answer = {"error": repr(error)}
    return {**answer, "seconds": time.monotonic() - started}


def _request(wanted: dict[str, Any]) -> dict[str, Any]:
    url = urllib.parse.urlsplit(wanted["url"])
    connection = http.client.HTTPConnection(url.netloc, timeout=TIMEOUT_SECONDS)
    target = url.path + (f"?{url.query}" if url.query else "")
    body = b"x" * wanted["size"] if "size" in wanted else None
    connection.request(wanted.get("method", "GET"), target, body, wanted.get("headers", {}))
    response = connection.getresponse()
    received = response.read()
    connection.close()
    answer = {"status": response.status, "headers": {name.lower(): value for name, value in response.getheaders()}}
    if len(received) > 65536:
        return answer | {"length": len(received)}
    return answer | {"length": len(received), "body": received.decode("latin-1")}


def _converse(wanted: dict[str, Any]) -> dict[str, Any]:
    host, _, port = wanted["connect"].rpartition(":")
    with socket.create_connection((host, int(port)), TIMEOUT_SECONDS) as connection:
        connection.sendall(wanted.get("send", "").encode())
        lines: list[str] = []
        for line in connection.makefile("rb"):
            lines.append(line.decode("latin-1").strip())
            if wanted.get("until", "") in lines[-1]:
                break
        return {"lines": lines}


def _serve_lines(port: int, greeting: str) -> None:
    listener = socket.create_server(("", port), backlog=128)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_answer_lines, args=(connection, greeting), daemon=True).start()


def _answer_lines(connection: socket.socket, greeting: str) -> None:
    with connection, connection.makefile("rwb", buffering=0) as stream:
        try:
            if greeting:
                stream.write(greeting.encode() + b"\n")
            while line := stream.readline():
                stream.write(f"{WHO['version']} ".encode() + line)
        except OSError:
            return


class Server(ThreadingHTTPServer):
    """Connections come in bursts."""

    request_queue_size = 512
    daemon_threads = True


def main() -> None:
    ports = [int(text) for text in sys.argv[1:]] or [8080, 9000, 9001]
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    threading.stack_size(256 * 1024)
    for port, greeting in zip(ports[1:], ("", f"welcome to {WHO['version']}"), strict=False):
        threading.Thread(target=_serve_lines, args=(port, greeting), daemon=True).start()
    server = Server((os.environ.get("HOST", ""), ports[0]), Handler)
    print(f"echo serves port {server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
