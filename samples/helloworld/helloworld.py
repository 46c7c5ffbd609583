"""Says hello, which version it is and on which pod: GET /hello on port 5000. SERVICE_VERSION names the version."""

from __future__ import annotations

import os
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

VERSION = os.environ.get("SERVICE_VERSION") or "v1"
POD = os.environ.get("HOSTNAME") or "unknown"
ANSWERS = {"/hello": f"Hello version: {VERSION}, instance: {POD}\n", "/health": "Helloworld is healthy\n"}


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        text = ANSWERS.get(self.path.partition("?")[0])
        body = (text or "there is /hello and /health\n").encode()
        self.send_response(200 if text else 404)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815 (the base class's name)

    def log_message(self, *_: object) -> None:
        """Say nothing: a pod's log is for what goes wrong."""


class Server(ThreadingHTTPServer):
    request_queue_size = 512
    daemon_threads = True


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    threading.stack_size(256 * 1024)
    server = Server((os.environ.get("HOST", ""), int(os.environ.get("PORT") or 5000)), Handler)
    print(f"helloworld {VERSION} serves port {server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
