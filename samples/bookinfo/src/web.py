"""The little HTTP that Bookinfo's services need, and nothing else of the standard library's larger modules.

A mesh on a laptop runs six of these beside six proxies: each must start in a blink and stay small. `http.server` and
`http.client` would cost every service twice the memory. One thread serves one connection, connections are kept alive.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

PROPAGATED = (
    "x-request-id",
    "traceparent",
    "tracestate",
    "b3",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-parentspanid",
    "x-b3-sampled",
    "x-b3-flags",
    "x-ot-span-context",
    "end-user",
    "user-agent",
)
"""Headers a service passes on to those it calls: a proxy can't know which call belongs to which request."""

_REASONS = {200: "OK", 302: "Found", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 413: "Too Large"}
_HEAD_LIMIT = 64 * 1024
_BODY_LIMIT = 1024 * 1024
_IDLE_SECONDS = 120.0


class HTTPError(Exception):
    """A request that can't be answered as asked; `status` is what the client is told."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass
class Request:
    """A request; header names are in lower case."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes

    def propagated(self) -> dict[str, str]:
        return {name: self.headers[name] for name in PROPAGATED if name in self.headers}

    def cookie(self, name: str) -> str:
        for part in self.headers.get("cookie", "").split(";"):
            key, _, value = part.strip().partition("=")
            if key == name:
                return value
        return ""


@dataclass
class Response:
    """An answer. `headers` come beside content-type and content-length."""

    body: bytes = b""
    status: int = 200
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


def json_response(value: object, status: int = 200) -> Response:
    return Response(json.dumps(value).encode(), status)


Handler = Callable[[Request], Response]


class Stream:
    """A connection's incoming side: buffered reads of lines and lengths."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.buffer = b""

    def _fill(self) -> bool:
        received = self.connection.recv(64 * 1024)
        self.buffer += received
        return bool(received)

    def head(self) -> list[str] | None:
        """The lines up to the empty one; None when the other side ended before the first byte of one."""
        while b"\r\n\r\n" not in self.buffer:
            if len(self.buffer) > _HEAD_LIMIT:
                raise HTTPError(413, "the head is too large")
            if not self._fill():
                if self.buffer.strip():
                    raise HTTPError(400, "the connection ended within a head")
                return None
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        return head.decode("latin-1").lstrip("\r\n").split("\r\n")

    def exactly(self, count: int) -> bytes:
        if count > _BODY_LIMIT:
            raise HTTPError(413, "the body is too large")
        while len(self.buffer) < count:
            if not self._fill():
                raise HTTPError(400, "the connection ended within a body")
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def line(self) -> str:
        while b"\r\n" not in self.buffer:
            if len(self.buffer) > _HEAD_LIMIT or not self._fill():
                raise HTTPError(400, "a line is incomplete")
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        return line.decode("latin-1")

    def rest(self) -> bytes:
        while self._fill():
            if len(self.buffer) > _BODY_LIMIT:
                raise HTTPError(413, "the body is too large")
        return self.buffer

    def chunked(self) -> bytes:
        body = b""
        while size := _number(self.line().partition(";")[0], 16):
            body += self.exactly(size)
            self.line()
            if len(body) > _BODY_LIMIT:
                raise HTTPError(413, "the body is too large")
        while self.line():
            pass
        return body


def _number(text: str, base: int = 10) -> int:
    try:
        number = int(text.strip() or "0", base)
    except ValueError:
        raise HTTPError(400, f"{text!r} is not a length") from None
    if number < 0:
        raise HTTPError(400, f"{text!r} is not a length")
    return number


def _headers(lines: list[str]) -> dict[str, str]:
    pairs = (line.partition(":") for line in lines)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _body(stream: Stream, headers: Mapping[str, str]) -> bytes:
    if "chunked" in headers.get("transfer-encoding", "").lower():
        return stream.chunked()
    return stream.exactly(_number(headers.get("content-length", "0")))


class Server:
    """Serves one handler until SIGTERM or SIGINT; requests in hand get a moment to finish."""

    def __init__(self, name: str, handler: Handler, grace_seconds: float = 3.0) -> None:
        self.name = name
        self.handler = handler
        self.grace_seconds = grace_seconds
        self.busy = 0
        self.idle = threading.Condition()
        self.stopping = False

    def run(self, host: str, port: int) -> None:
        threading.stack_size(256 * 1024)
        listener = socket.create_server((host, port), backlog=512)
        listener.setblocking(False)
        # The interpreter writes to this pair the moment a signal comes. A handler alone may run too late: for a signal
        # between the last instruction and the wait for a connection, only after that connection.
        signals, told = socket.socketpair()
        told.setblocking(False)
        signal.set_wakeup_fd(told.fileno())
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        print(f"{self.name} serves {host}:{listener.getsockname()[1]}", flush=True)
        while True:
            ready, _, _ = select.select([listener, signals], [], [])
            if signals in ready:
                break
            try:
                connection, _ = listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                continue  # Its client has given up.
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()
        self.stopping = True
        listener.close()
        with self.idle:
            self.idle.wait_for(lambda: self.busy == 0, self.grace_seconds)
        os._exit(0)

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            connection.settimeout(_IDLE_SECONDS)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            stream = Stream(connection)
            try:
                while self._exchange(stream):
                    pass
            except HTTPError as error:
                _reply(connection, json_response({"error": str(error)}, error.status), keep=False, head_only=False)
            except OSError:
                pass

    def _exchange(self, stream: Stream) -> bool:
        """Answer one request; False when the connection is to be closed."""
        lines = stream.head()
        if lines is None:
            return False
        parts = lines[0].split(" ")
        if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
            raise HTTPError(400, "this is not HTTP/1.1")
        headers = _headers(lines[1:])
        if headers.get("expect", "").lower() == "100-continue":
            stream.connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        path, _, query = parts[1].partition("?")
        request = Request(parts[0], path, query, headers, _body(stream, headers))
        response = self._answer(request)
        wish = headers.get("connection", "").lower()
        keep = not self.stopping and wish != "close" and (parts[2] != "HTTP/1.0" or wish == "keep-alive")
        _reply(stream.connection, response, keep, head_only=request.method == "HEAD")
        return keep

    def _answer(self, request: Request) -> Response:
        with self.idle:
            self.busy += 1
        try:
            return self.handler(request)
        except HTTPError as error:
            return json_response({"error": str(error)}, error.status)
        except Exception as error:
            print(f"{self.name}: {request.method} {request.path} failed: {error!r}", file=sys.stderr, flush=True)
            return json_response({"error": "internal error"}, 500)
        finally:
            with self.idle:
                self.busy -= 1
                self.idle.notify_all()


def _reply(connection: socket.socket, response: Response, keep: bool, head_only: bool) -> None:
    lines = [f"HTTP/1.1 {response.status} {_REASONS.get(response.status, 'Status')}"]
    lines += [f"{name}: {value}" for name, value in response.headers.items()]
    lines.append(f"content-type: {response.content_type}")
    lines.append(f"content-length: {len(response.body)}")
    lines.append(f"connection: {'keep-alive' if keep else 'close'}")
    head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
    try:
        connection.sendall(head if head_only else head + response.body)
    except OSError:
        return


class Peer:
    """A service this one calls. Idle connections are kept and used again."""

    def __init__(self, host: str, port: int, timeout_seconds: float) -> None:
        self.host = host
        self.port = port
        self.timeout_seconds = timeout_seconds
        self._idle: list[Stream] = []

    def get(self, path: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """GET a path: (status, body). A connection that was closed while idle is replaced once; raises OSError."""
        while self._idle:
            try:
                return self._exchange(self._idle.pop(), path, headers)
            except TimeoutError:
                raise
            except (OSError, HTTPError):
                continue
        address = (self.host, self.port)
        return self._exchange(Stream(socket.create_connection(address, self.timeout_seconds)), path, headers)

    def _exchange(self, stream: Stream, path: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        lines = [f"GET {path} HTTP/1.1", f"host: {self.host}:{self.port}", "accept: application/json"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        try:
            stream.connection.settimeout(self.timeout_seconds)
            stream.connection.sendall("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n")
            answer = stream.head()
            if answer is None:
                raise ConnectionResetError(f"{self.host} closed the connection")
            status, received = int(answer[0].split(" ")[1]), _headers(answer[1:])
            reusable = received.get("connection", "").lower() != "close"
            if "content-length" in received or "transfer-encoding" in received:
                body = _body(stream, received)
            else:
                reusable, body = False, stream.rest()
        except BaseException:
            stream.connection.close()
            raise
        if reusable:
            self._idle.append(stream)
        else:
            stream.connection.close()
        return status, body

    def get_json(self, path: str, headers: Mapping[str, str]) -> tuple[int, object]:
        """GET a path as JSON: (status, value). Whatever fails on the way is (503, None): callers only show it."""
        try:
            status, body = self.get(path, headers)
            return status, json.loads(body) if body else None
        except (OSError, HTTPError, ValueError):
            return 503, None


def peer(name: str, timeout_seconds: float) -> Peer:
    """The service of this name: `<NAME>_HOSTNAME` and `<NAME>_PORT` override what the mesh's DNS knows."""
    domain = os.environ.get("SERVICES_DOMAIN", "")
    host = os.environ.get(f"{name.upper()}_HOSTNAME") or (f"{name}.{domain}" if domain else name)
    port = os.environ.get(f"{name.upper()}_PORT", "")
    return Peer(host, int(port) if port.isdigit() else 9080, timeout_seconds)


def product_id(request: Request, prefix: str) -> int:
    """The number that follows `prefix` in the path; raises HTTPError where it is none."""
    text = request.path.removeprefix(prefix).strip("/")
    if not text.isdigit() or len(text) > 9:
        raise HTTPError(400, "please give the product's number")
    return int(text)


def serve(name: str, handler: Handler) -> None:
    """Serve on the port given as first argument, else in PORT, else 9080; on all addresses unless HOST names one."""
    port = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("PORT") or "9080"
    if not port.isdigit():
        sys.exit(f"{name}: {port!r} is not a port; usage: {name}.py [port]")
    Server(name, handler).run(os.environ.get("HOST", "0.0.0.0"), int(port))
