"""A server that says every line back, a word before it: `tcp_echo.py [ports] [word]`, default 9000,9001 and none.

It exists to have something in the mesh that isn't HTTP. One process, all ports, no thread per connection: the ends of
idle connections cost a few kilobytes each.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import sys

_LINE_LIMIT = 64 * 1024


class Connection:
    """One client: what came without an end of line yet, and what could not be sent yet."""

    def __init__(self, peer: socket.socket, prefix: bytes) -> None:
        self.peer = peer
        self.prefix = prefix
        self.partial = b""
        self.unsent = b""
        self.ended = False

    def receive(self) -> None:
        received = self.peer.recv(64 * 1024)
        if not received:
            self.ended = True
            received = b"\n" if self.partial else b""
        *lines, self.partial = (self.partial + received).split(b"\n")
        if len(self.partial) > _LINE_LIMIT:
            raise ConnectionError("a line without an end")
        self.unsent += b"".join(self.prefix + line + b"\n" for line in lines)
        self.send()

    def send(self) -> None:
        try:
            sent = self.peer.send(self.unsent) if self.unsent else 0
        except BlockingIOError:
            sent = 0
        self.unsent = self.unsent[sent:]

    def wanted(self) -> int:
        """What to wait for; a client that doesn't read what it gets is not read from either. 0 when all is said."""
        if self.unsent:
            return selectors.EVENT_WRITE
        return 0 if self.ended else selectors.EVENT_READ


def main() -> None:
    ports = (sys.argv[1] if len(sys.argv) > 1 else os.environ.get("PORT") or "9000,9001").split(",")
    word = sys.argv[2] if len(sys.argv) > 2 else os.environ.get("WORD") or ""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    selector = selectors.DefaultSelector()
    for port in ports:
        listener = socket.create_server((os.environ.get("HOST", "0.0.0.0"), int(port)), backlog=256)
        listener.setblocking(False)
        selector.register(listener, selectors.EVENT_READ)
        print(f"tcp-echo serves port {listener.getsockname()[1]}", flush=True)
    prefix = f"{word} ".encode() if word else b""
    while True:
        for key, events in selector.select():
            if key.data is None:
                _accept(selector, key.fileobj, prefix)
            else:
                _turn(selector, key.data, events)


def _accept(selector: selectors.BaseSelector, listener: object, prefix: bytes) -> None:
    assert isinstance(listener, socket.socket)
    try:
        peer, _ = listener.accept()
    except OSError:
        return
    peer.setblocking(False)
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    selector.register(peer, selectors.EVENT_READ, Connection(peer, prefix))


def _turn(selector: selectors.BaseSelector, connection: Connection, events: int) -> None:
    try:
        if events & selectors.EVENT_READ:
            connection.receive()
        else:
            connection.send()
        wanted = connection.wanted()
    except BlockingIOError:
        return
    except OSError:
        wanted = 0
    if wanted:
        selector.modify(connection.peer, wanted, connection)
    else:
        selector.unregister(connection.peer)
        connection.peer.close()


if __name__ == "__main__":
    main()
