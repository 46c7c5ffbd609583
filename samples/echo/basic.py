"""Stands in for the Gateway API project's echo-basic image: says in JSON which request it saw, and on which pod.

    HTTP_PORT (3000)                                     plain HTTP
    HTTPS_PORT (8443), TLS_SERVER_CERT, TLS_SERVER_PRIVKEY   HTTPS, where a certificate is given
    POD_NAME, NAMESPACE, SERVICE_NAME, INGRESS_NAME      who answers

The answer: path, host, method, proto, headers (lists of values, names as they are written in HTTP), namespace, ingress,
service, pod; over TLS also tls (version, serverName, negotiatedProtocol, cipherSuite, peerCertificates). A request can
ask for a status (/status/503, or the query status=), for a pause (query delay=, as in 500ms or 2s), and for headers of
the answer (header X-Echo-Set-Header: name:value, name:value).
"""

from __future__ import annotations

import json
import os
import re
import signal
import ssl
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0}
_DURATION = re.compile(r"([0-9.]+)(ms|s|m)")
CONTEXT = {
    "namespace": os.environ.get("NAMESPACE", ""),
    "ingress": os.environ.get("INGRESS_NAME", ""),
    "service": os.environ.get("SERVICE_NAME", ""),
    "pod": os.environ.get("POD_NAME", ""),
}


def seconds(text: str) -> float:
    """A duration such as 1s500ms; a bare number is seconds."""
    parts = _DURATION.findall(text)
    return sum(float(number) * _UNITS[unit] for number, unit in parts) if parts else float(text or 0)


class Handler(BaseHTTPRequestHandler):
    """One connection; any method is answered alike."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    names: dict[int, str] = {}

    def _handle(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        path, _, text = self.path.partition("?")
        query = {name: values[-1] for name, values in urllib.parse.parse_qs(text).items()}
        time.sleep(seconds(query.get("delay", "")))
        said = path.removeprefix("/status/") if path.startswith("/status/") else query.get("status", "200")
        body = json.dumps(self._seen(), indent=1).encode()
        self.send_response(int(said) if said.isdigit() else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Content-Length", str(len(body)))
        for wanted in self.headers.get_all("x-echo-set-header") or ():
            for pair in wanted.split(","):
                name, _, value = pair.partition(":")
                self.send_header(name.strip(), value.strip())
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_OPTIONS = _handle  # noqa: N815 (the base class's names)

    def _seen(self) -> dict[str, Any]:
        headers: dict[str, list[str]] = {}
        for name, value in self.headers.items():
            if name.lower() != "host":
                headers.setdefault("-".join(part.capitalize() for part in name.split("-")), []).append(value)
        seen: dict[str, Any] = {
            "path": self.path,
            "host": self.headers.get("host", ""),
            "method": self.command,
            "proto": self.request_version,
            "headers": headers,
            **CONTEXT,
        }
        if isinstance(self.connection, ssl.SSLSocket):
            seen["tls"] = self._tls(self.connection)
        return seen

    def _tls(self, connection: ssl.SSLSocket) -> dict[str, Any]:
        cipher = connection.cipher() or ("", "", 0)
        peer = connection.getpeercert(binary_form=True)
        return {
            "version": connection.version() or "",
            "serverName": self.names.get(id(connection), ""),
            "negotiatedProtocol": connection.selected_alpn_protocol() or "",
            "cipherSuite": cipher[0],
            "peerCertificates": [ssl.DER_cert_to_PEM_cert(peer)] if peer else [],
        }

    def log_message(self, *_: object) -> None:
        """Say nothing: a pod's log is for what goes wrong."""


class Server(ThreadingHTTPServer):
    """Plain, or over TLS with a handshake in the connection's own thread."""

    request_queue_size = 512
    daemon_threads = True
    context: ssl.SSLContext | None = None

    def finish_request(self, request: Any, client_address: Any) -> None:
        if self.context is not None:
            request = self.context.wrap_socket(request, server_side=True)
        super().finish_request(request, client_address)


def _remember(connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, _context: ssl.SSLContext) -> None:
    Handler.names[id(connection)] = name or ""


def _serve_https(port: int, certificate: str, key: str) -> None:
    server = Server(("", port), Handler)
    server.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.context.load_cert_chain(certificate, key)
    if roots := os.environ.get("TLS_CLIENT_CACERTS"):
        server.context.load_verify_locations(roots)
        server.context.verify_mode = ssl.CERT_REQUIRED
    server.context.set_alpn_protocols(["http/1.1"])
    server.context.sni_callback = _remember
    threading.Thread(target=server.serve_forever, daemon=True).start()


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    threading.stack_size(256 * 1024)
    certificate, key = os.environ.get("TLS_SERVER_CERT", ""), os.environ.get("TLS_SERVER_PRIVKEY", "")
    if certificate and key:
        _serve_https(int(os.environ.get("HTTPS_PORT") or 8443), certificate, key)
    server = Server(("", int(os.environ.get("HTTP_PORT") or 3000)), Handler)
    print(f"echo-basic serves port {server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
