"""A server that says what reached it and does what its paths ask for: stands for go-httpbin and httpbin.

    /get /post /put /patch /delete /anything   the request, as JSON       /headers /ip /user-agent   a part of it
    /status/418 /status/200,503                a status (one of several)  /delay/2                   wait, then as /get
    /bytes/100 /stream/3 /uuid /json /html     something to fetch         /cookies /cookies/set?a=b  cookies
    /response-headers?a=b                      headers of the answer      /redirect/2 /redirect-to?url=…
    /basic-auth/USER/PASSWORD /bearer          who asks

The two images differ, and so do their names here: go-httpbin listens on 8080, lists every header's values and logs a
line a request; httpbin (`--python`) listens on 80, joins them and logs only when gunicorn is asked to, in its form.
"""

from __future__ import annotations

import base64
import json
import os
import random
import signal
import sys
import threading
import time
import urllib.parse
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_MAXIMUM_DELAY_SECONDS = 10.0
_MAXIMUM_BYTES = 1 << 20
_JSON = "application/json"
_POT = """
    -=[ teapot ]=-

          (_)
        .-----.   _
   __ .'       '_/ |
  /  |           _/
  \\__|          |
      \\________/
"""


@dataclass
class Answer:
    """What goes back."""

    body: bytes = b""
    status: int = 200
    kind: str = _JSON
    headers: list[tuple[str, str]] = field(default_factory=list)


class Trouble(Exception):
    """A request that cannot be answered as asked."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass
class Style:
    """Which of the two this is, and whether requests are logged."""

    python: bool = False
    log: bool = True


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    style = Style()

    def _handle(self) -> None:
        started = time.time()
        self.content = self._read_body()
        path, _, query = self.path.partition("?")
        self.query = urllib.parse.parse_qs(query, keep_blank_values=True)
        parts = [urllib.parse.unquote(part) for part in path.split("/")[1:]]
        try:
            answer = (_PATHS.get(parts[0]) or _unknown)(self, parts[1:])
        except Trouble as trouble:
            answer = Answer(_text({"status_code": trouble.status, "error": str(trouble)}), trouble.status)
        self._send(answer)
        self._log(answer, time.time() - started)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_OPTIONS = _handle  # noqa: N815 (the base class's names)

    def _read_body(self) -> bytes:
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            chunks = []
            while length := int(self.rfile.readline().split(b";")[0], 16):
                chunks.append(self.rfile.read(length))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(chunks)
        return self.rfile.read(int(self.headers.get("content-length") or 0))

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        if answer.kind:
            self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("Access-Control-Allow-Origin", "*")
        self.send_header("Access-Control-Allow-Credentials", "true")
        for name, value in answer.headers:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def _log(self, answer: Answer, seconds: float) -> None:
        if not self.style.log:
            return
        if self.style.python:
            when = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime())
            request = f'"{self.command} {self.path} {self.request_version}"'
            agent = self.headers.get("user-agent", "-")
            line = f'{self.client_address[0]} - - [{when}] {request} {answer.status} {len(answer.body)} "-" "{agent}"'
        else:
            when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            line = (
                f'time={when} level=INFO msg="{answer.status} {self.command} {self.path}" status={answer.status} '
                f'method={self.command} uri="{self.path}" size_bytes={len(answer.body)} '
                f'duration_ms={seconds * 1000:.2f} user_agent="{self.headers.get("user-agent", "")}" '
                f"client_ip={self.client_address[0]}"
            )
        print(line, flush=True)

    def log_message(self, *_: object) -> None:
        """Requests are logged above, in the form of the image this stands for."""

    def header_values(self) -> dict[str, object]:
        """All headers by their usual names: lists of values, or values joined by commas."""
        found: dict[str, list[str]] = {}
        for name, value in self.headers.items():
            found.setdefault("-".join(part.capitalize() for part in name.split("-")), []).append(value)
        return {name: ",".join(values) if self.style.python else values for name, values in sorted(found.items())}

    def arguments(self) -> dict[str, object]:
        """The query, in the same form."""
        if not self.style.python:
            return dict(self.query)
        return {name: values[0] if len(values) == 1 else values for name, values in self.query.items()}

    def seen(self) -> dict[str, object]:
        """The request as JSON."""
        scheme = self.headers.get("x-forwarded-proto", "http")
        origin = self.headers.get("x-forwarded-for") or self.client_address[0]
        text = self.content.decode(errors="replace")
        seen: dict[str, object] = {"args": self.arguments(), "headers": self.header_values()}
        if self.command not in ("GET", "HEAD"):
            kind = self.headers.get("content-type", "")
            form = urllib.parse.parse_qs(text) if kind.startswith("application/x-www-form-urlencoded") else {}
            seen |= {"data": "" if form else text, "files": {}, "form": form, "json": _parse(text)}
        seen |= {"method": self.command, "origin": origin, "url": f"{scheme}://{self.headers.get('host')}{self.path}"}
        return seen


def _parse(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _text(value: object) -> bytes:
    return json.dumps(value, indent=2).encode() + b"\n"


def _number(parts: list[str], most: float) -> float:
    try:
        return min(float(parts[0]), most)
    except (IndexError, ValueError):
        raise Trouble(400, "a number belongs at the end of the path") from None


def _unknown(handler: Handler, _: list[str]) -> Answer:
    raise Trouble(404, f"there is nothing at {handler.path}")


def _request(handler: Handler, _: list[str]) -> Answer:
    return Answer(_text(handler.seen()))


def _only(*methods: str) -> Callable[[Handler, list[str]], Answer]:
    def answer(handler: Handler, _: list[str]) -> Answer:
        if handler.command not in methods:
            raise Trouble(405, f"this path takes {' and '.join(methods)}")
        return _request(handler, [])

    return answer


def _status(handler: Handler, parts: list[str]) -> Answer:
    codes = (parts[0] if parts else "").split(",")
    chosen = random.choices(codes, [float(code.partition(":")[2] or 1) for code in codes])[0].partition(":")[0]
    if not chosen.isdigit() or not 200 <= int(chosen) <= 599:
        raise Trouble(400, f"{chosen!r} is not a status from 200 to 599")
    status = int(chosen)
    if status == 418:
        body = _POT.encode() if handler.style.python else b"I'm a teapot!"
        return Answer(body, 418, "text/plain; charset=utf-8", [("X-More-Info", "http://tools.ietf.org/html/rfc2324")])
    if status == 401:
        return Answer(b"", 401, "", [("WWW-Authenticate", 'Basic realm="Fake Realm"')])
    if status in (301, 302, 303, 307, 308):
        return Answer(b"", status, "", [("Location", "/redirect/1")])
    return Answer(b"", status, "text/plain; charset=utf-8")


def _delay(handler: Handler, parts: list[str]) -> Answer:
    time.sleep(max(0.0, _number([part.removesuffix("s") for part in parts], _MAXIMUM_DELAY_SECONDS)))
    return _request(handler, [])


def _response_headers(handler: Handler, _: list[str]) -> Answer:
    pairs = [(name, value) for name, values in handler.query.items() for value in values]
    return Answer(_text(handler.arguments()), headers=pairs)


def _redirect(_: Handler, parts: list[str]) -> Answer:
    count = int(_number(parts, 20))
    return Answer(b"", 302, "", [("Location", f"/redirect/{count - 1}" if count > 1 else "/get")])


def _redirect_to(handler: Handler, _: list[str]) -> Answer:
    status = int(handler.query.get("status_code", ["302"])[0])
    return Answer(b"", status, "", [("Location", handler.query.get("url", ["/get"])[0])])


def _cookies(handler: Handler, parts: list[str]) -> Answer:
    if parts[:1] == ["set"]:
        pairs = [("Set-Cookie", f"{name}={values[0]}; Path=/") for name, values in handler.query.items()]
        return Answer(b"", 302, "", [*pairs, ("Location", "/cookies")])
    given = (part.strip().partition("=") for part in handler.headers.get("cookie", "").split(";") if part)
    found = {name: value for name, _, value in given}
    return Answer(_text({"cookies": found} if handler.style.python else found))


def _basic_auth(handler: Handler, parts: list[str]) -> Answer:
    expected = base64.b64encode(":".join(parts[:2]).encode()).decode()
    known = handler.headers.get("authorization", "") == f"Basic {expected}"
    headers = [] if known else [("WWW-Authenticate", 'Basic realm="Fake Realm"')]
    user = parts[0] if parts else ""
    return Answer(_text({"authenticated": known, "user": user}), 200 if known else 401, headers=headers)


def _bearer(handler: Handler, _: list[str]) -> Answer:
    kind, _, token = handler.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not token:
        return Answer(b"", 401, "", [("WWW-Authenticate", "Bearer")])
    return Answer(_text({"authenticated": True, "token": token}))


def _stream(handler: Handler, parts: list[str]) -> Answer:
    lines = [json.dumps({"id": number, **handler.seen()}) for number in range(int(_number(parts, 100)))]
    return Answer("\n".join(lines).encode() + b"\n")


def _page(*_: object) -> Answer:
    text = "<!doctype html><html><head><title>httpbin</title></head><body><h1>httpbin</h1>" + __doc__.replace(
        "<", "&lt;"
    )
    return Answer(text.encode(), kind="text/html; charset=utf-8")


_PATHS: dict[str, Callable[[Handler, list[str]], Answer]] = {
    "": _page,
    "html": _page,
    "get": _only("GET", "HEAD"),
    "post": _only("POST"),
    "put": _only("PUT"),
    "patch": _only("PATCH"),
    "delete": _only("DELETE"),
    "anything": _request,
    "headers": lambda handler, _: Answer(_text({"headers": handler.header_values()})),
    "ip": lambda handler, _: Answer(_text({"origin": handler.seen()["origin"]})),
    "user-agent": lambda handler, _: Answer(_text({"user-agent": handler.headers.get("user-agent", "")})),
    "uuid": lambda *_: Answer(_text({"uuid": str(uuid.uuid4())})),
    "json": lambda *_: Answer(_text({"slideshow": {"title": "Sample", "author": "Kaiki", "slides": []}})),
    "robots.txt": lambda *_: Answer(b"User-agent: *\nDisallow: /deny\n", kind="text/plain"),
    "status": _status,
    "delay": _delay,
    "response-headers": _response_headers,
    "redirect": _redirect,
    "relative-redirect": _redirect,
    "redirect-to": _redirect_to,
    "cookies": _cookies,
    "basic-auth": _basic_auth,
    "bearer": _bearer,
    "bytes": lambda _, parts: Answer(os.urandom(int(_number(parts, _MAXIMUM_BYTES))), kind="application/octet-stream"),
    "stream": _stream,
}


class Server(ThreadingHTTPServer):
    request_queue_size = 512
    daemon_threads = True


def configure(arguments: list[str]) -> tuple[Style, str, int]:
    """Style, address and port: of go-httpbin's flags and environment, or of gunicorn's."""
    style = Style(python="--python" in arguments, log="--python" not in arguments)
    address, port = os.environ.get("HOST", ""), int(os.environ.get("PORT") or (80 if style.python else 8080))
    for index, name in enumerate(arguments):
        flag, _, value = name.partition("=")
        value = value or (arguments[index + 1] if index + 1 < len(arguments) else "")
        if flag == "--access-logfile":
            style.log = True
        elif flag in ("-b", "--bind"):
            address, _, text = value.rpartition(":")
            port = int(text)
        elif flag in ("-port", "--port"):
            port = int(value)
        elif flag in ("-host", "--host"):
            address = value
    return style, address, port


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    threading.stack_size(256 * 1024)
    Handler.style, address, port = configure(sys.argv[1:])
    server = Server((address, port), Handler)
    print(f"httpbin serves port {server.server_port}", file=sys.stderr, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
