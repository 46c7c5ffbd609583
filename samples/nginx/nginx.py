"""Stands for the nginx image where a guide needs a server with its own certificate: its welcome page, by its config.

Of /etc/nginx/nginx.conf (or the file after -c) it understands, in each `server`: `listen PORT [ssl]`,
`ssl_certificate`, `ssl_certificate_key`, `ssl_client_certificate`, `ssl_verify_client on|optional|off`, `root` and
`index`. Every other directive is named in the log as not in force. Without a config it serves the page on port 80.
"""

from __future__ import annotations

import os
import re
import signal
import ssl
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeAlias

CONFIG = "/etc/nginx/nginx.conf"
WELCOME = b"""<!DOCTYPE html>
<html>
<head>
<title>Welcome to nginx!</title>
</head>
<body>
<h1>Welcome to nginx!</h1>
<p>This page comes from Kaiki's stand-in for the nginx image.</p>
</body>
</html>
"""
_TOKEN = re.compile(r"""\s+|\#[^\n]*|(?P<word>'[^']*'|"[^"]*"|[{};]|(?:\\.|[^\s{};])+)""")
_KNOWN = {
    "listen",
    "ssl_certificate",
    "ssl_certificate_key",
    "ssl_client_certificate",
    "ssl_verify_client",
    "server_name",
    "root",
    "index",
}
_HARMLESS = {"log_format", "access_log", "error_log", "worker_processes", "worker_connections", "user", "pid", "events"}

Directive: TypeAlias = "tuple[list[str], list[Directive]]"


@dataclass
class Settings:
    """One `server`."""

    port: int = 80
    secure: bool = False
    values: dict[str, str] = field(default_factory=dict)


def parse(text: str) -> list[Directive]:
    """nginx's grammar: words up to `;`, or up to a block in braces."""
    words = [match["word"] for match in _TOKEN.finditer(text) if match["word"]]
    stack: list[list[Directive]] = [[]]
    current: list[str] = []
    for word in words:
        if word == ";":
            stack[-1].append((current, []))
            current = []
        elif word == "{":
            inner: list[Directive] = []
            stack[-1].append((current, inner))
            stack.append(inner)
            current = []
        elif word == "}":
            if len(stack) < 2:
                raise ValueError("a closing brace too many")
            stack.pop()
        else:
            current.append(word.strip("'\""))
    if len(stack) > 1 or current:
        raise ValueError("the end comes too early")
    return stack[0]


def servers(directives: list[Directive], said: set[str]) -> list[Settings]:
    """The `server`s of a config; names of directives that are not in force go to `said`."""
    found = []
    for words, block in directives:
        if words[0] == "http":
            found += servers(block, said)
        elif words[0] == "server":
            found.append(_server(block, said))
        elif words[0] not in _HARMLESS:
            said.add(words[0])
    return found


def _server(block: list[Directive], said: set[str]) -> Settings:
    settings = Settings()
    for words, _ in block:
        if words[0] == "listen":
            settings.port = int(words[1].rpartition(":")[2])
            settings.secure = "ssl" in words[2:]
        elif words[0] in _KNOWN:
            settings.values[words[0]] = " ".join(words[1:])
        elif words[0] not in _HARMLESS:
            said.add(words[0])
    return settings


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server_version = "nginx"
    sys_version = ""
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, Server)
        refused = self._refusal(server.settings)
        body = refused or server.page(self.path)
        status = 400 if refused else 200 if body is not None else 404
        body = body if body is not None else b"<html><head><title>404 Not Found</title></head></html>\n"
        self.send_response(status)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        when = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime())
        print(f'{self.client_address[0]} - - [{when}]  {status} "{self.requestline}" {len(body)}', flush=True)

    do_HEAD = do_GET  # noqa: N815 (the base class's name)

    def _refusal(self, settings: Settings) -> bytes | None:
        """nginx takes the handshake without a certificate, and says so in the answer."""
        if settings.values.get("ssl_verify_client") != "on" or not isinstance(self.connection, ssl.SSLSocket):
            return None
        if self.connection.getpeercert(binary_form=True):
            return None
        return b"<html><head><title>400 No required SSL certificate was sent</title></head></html>\n"

    def log_message(self, *_: object) -> None:
        """Requests are logged above."""


class Server(ThreadingHTTPServer):
    """One port."""

    request_queue_size = 512
    daemon_threads = True

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.context = _context(settings.values) if settings.secure else None
        super().__init__((os.environ.get("HOST", ""), settings.port), Handler)

    def finish_request(self, request: Any, client_address: Any) -> None:
        if self.context is not None:
            try:
                request = self.context.wrap_socket(request, server_side=True)
            except OSError as error:
                print(f"handshake with {client_address[0]}: {error}", file=sys.stderr, flush=True)
                return
        super().finish_request(request, client_address)

    def page(self, path: str) -> bytes | None:
        """A file of `root`; the welcome page where that has no index of its own."""
        name = path.partition("?")[0].lstrip("/") or self.settings.values.get("index", "index.html").split()[0]
        root = Path(self.settings.values.get("root", "/usr/share/nginx/html")).resolve()
        wanted = (root / name).resolve()
        if wanted.is_relative_to(root) and wanted.is_file():
            return wanted.read_bytes()
        return WELCOME if name == "index.html" else None


def _context(values: dict[str, str]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(values["ssl_certificate"], values["ssl_certificate_key"])
    context.set_alpn_protocols(["http/1.1"])
    if values.get("ssl_verify_client", "off") in ("on", "optional"):
        context.load_verify_locations(values["ssl_client_certificate"])
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    signal.signal(signal.SIGQUIT, lambda *_: os._exit(0))
    threading.stack_size(256 * 1024)
    arguments = sys.argv[1:]
    path = Path(arguments[arguments.index("-c") + 1] if "-c" in arguments else CONFIG)
    said: set[str] = set()
    try:
        found = servers(parse(path.read_text()), said) if path.exists() else [Settings()]
        running = [Server(one) for one in found]
    except (KeyError, OSError, ValueError) as error:
        print(f"nginx: [emerg] {path}: {error}", file=sys.stderr)
        return 1
    if said:
        print(f"nginx: not in force in this stand-in: {', '.join(sorted(said))}", file=sys.stderr, flush=True)
    for server in running[1:]:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    for server in running[:1]:
        print(f"nginx (Kaiki's stand-in) serves port {server.server_port}", flush=True)
        server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
