"""Bytes between two sockets: what comes in on the host's loopback, and what leaves the mesh.

    browser ─▶ 127.0.0.1:8080 (host) ──accept──▶ relay ──connect──▶ 10.97.0.5:8080 (gateway pod)
    pod ─▶ 93.184.x.y:443 ──nft──▶ 10.97.0.1:<egress> ──accept──▶ relay ══ a socket of the host, asked of the launcher

Why a process of its own: it is the only code of ours a request passes, so it shares its interpreter with nothing else,
and imports nothing. A socket belongs to the network namespace it was made in, whoever uses it: sockets cross the
border,
bytes need not. One epoll, no framework: 64 KiB reads, an attempt to write at once, buffering only when the other side
is slow. Ends are closed one direction at a time, as TCP does.
"""

from __future__ import annotations

import errno
import json
import os
import random
import select
import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import Any

from kaiki.runtime import syscalls

_CHUNK_BYTES = 1 << 16
_ACCEPT_BATCH = 64
_ATTEMPTS = 3
_READ = select.EPOLLIN | select.EPOLLRDHUP
_WRITE = select.EPOLLOUT
_RESET = struct.pack("ii", 1, 0)
HOST_ALIAS = "10.97.255.254"
_HOST_ALIASES = "10.97.255."


def _reset(connection: socket.socket) -> None:
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    except OSError:
        pass
    connection.close()


class _Side:
    """One of the two sockets of a pair, with what waits to be written to it."""

    __slots__ = ("closing", "events", "finished", "other", "pair", "pending", "socket")

    def __init__(self, pair: _Pair, connection: socket.socket) -> None:
        self.pair = pair
        self.socket = connection
        self.pending = b""
        self.finished = False  # nothing more comes from it
        self.closing = False  # nothing more will be written to it, once `pending` is out
        self.events = 0
        self.other: _Side = self


class _Pair:
    """Two connected sockets and the copying between them."""

    __slots__ = ("loop", "one", "two")

    def __init__(self, loop: Relay, one: socket.socket, two: socket.socket) -> None:
        self.loop = loop
        self.one, self.two = _Side(self, one), _Side(self, two)
        self.one.other, self.two.other = self.two, self.one
        for side in (self.one, self.two):
            side.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            loop.watch(side, _READ)

    def handle(self, side: _Side, events: int) -> None:
        try:
            if events & _WRITE and side.pending:
                self._write(side)
            if events & ~_WRITE and not side.finished and not side.other.pending:
                self._copy(side)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self.abort()
            return
        if self.one.finished and self.two.finished and not self.one.pending and not self.two.pending:
            self.close()

    def _copy(self, side: _Side) -> None:
        data = side.socket.recv(_CHUNK_BYTES)
        other = side.other
        if not data:
            side.finished = True
            self.loop.watch(side, side.events & ~_READ)
            other.socket.shutdown(socket.SHUT_WR)
            return
        try:
            sent = other.socket.send(data)
        except BlockingIOError:
            sent = 0
        if sent < len(data):
            other.pending = data[sent:]
            self.loop.watch(side, side.events & ~_READ)
            self.loop.watch(other, other.events | _WRITE)

    def _write(self, side: _Side) -> None:
        side.pending = side.pending[side.socket.send(side.pending) :]
        if not side.pending:
            self.loop.watch(side, side.events & ~_WRITE)
            if not side.other.finished:
                self.loop.watch(side.other, side.other.events | _READ)

    def close(self) -> None:
        for side in (self.one, self.two):
            self.loop.forget(side.socket)
            side.socket.close()

    def abort(self) -> None:
        for side in (self.one, self.two):
            self.loop.forget(side.socket)
            _reset(side.socket)


class Relay:
    """One epoll loop: listeners, connections being made, pairs, and the supervisor's orders."""

    def __init__(self, control: socket.socket, host_sockets: socket.socket) -> None:
        self._epoll = select.epoll()
        self._sides: dict[int, _Side] = {}
        self._callbacks: dict[int, Callable[[int], None]] = {}
        self._listeners: dict[str, socket.socket] = {}
        self._targets: dict[str, list[tuple[str, int]]] = {}
        self._waiting: deque[tuple[socket.socket, tuple[str, int]]] = deque()
        self._control = control
        self._host_sockets = host_sockets
        self._running = True
        self.call_when(control, select.EPOLLIN, self._obey)
        self.call_when(host_sockets, select.EPOLLIN, self._take_host_socket)

    def run(self) -> None:
        """Work until the supervisor is gone."""
        poll, sides = self._epoll.poll, self._sides
        while self._running:
            for descriptor, events in poll():
                side = sides.get(descriptor)
                if side is not None:
                    side.pair.handle(side, events)
                elif descriptor in self._callbacks:
                    self._callbacks[descriptor](events)

    def watch(self, side: _Side, events: int) -> None:
        """Ask for `events` of one side of a pair. None at all means to leave it alone: a hang-up is told unasked."""
        descriptor = side.socket.fileno()
        known = self._callbacks.pop(descriptor, None) is not None or side.events != 0
        self._sides[descriptor] = side
        if events and known:
            self._epoll.modify(descriptor, events)
        elif events:
            self._epoll.register(descriptor, events)
        elif known:
            self._epoll.unregister(descriptor)
        side.events = events

    def call_when(self, connection: socket.socket, events: int, callback: Callable[[int], None]) -> None:
        """Call back with the events of a socket that is not in a pair."""
        self._callbacks[connection.fileno()] = callback
        self._epoll.register(connection.fileno(), events)

    def forget(self, connection: socket.socket) -> None:
        """Stop watching; to be called before the socket is closed."""
        descriptor = connection.fileno()
        side = self._sides.pop(descriptor, None)
        if self._callbacks.pop(descriptor, None) or (side and side.events):
            self._epoll.unregister(descriptor)

    def _obey(self, _: int) -> None:
        data, descriptors, _, _ = socket.recv_fds(self._control, 1 << 16, 4)
        if not data:
            self._running = False
            return
        order = json.loads(data)
        name = order["name"]
        if order["op"] == "listen":
            self._listen(name, descriptors[0])
        elif order["op"] == "targets":
            self._targets[name] = [(address, port) for address, port in order["targets"]]
        elif order["op"] == "close" and name in self._listeners:
            self._targets.pop(name, None)
            listener = self._listeners.pop(name)
            self.forget(listener)
            listener.close()

    def _listen(self, name: str, descriptor: int) -> None:
        listener = socket.socket(fileno=descriptor)
        listener.setblocking(False)
        self._listeners[name] = listener
        accept = self._accept_leaving if name == "egress" else self._accept_entering
        self.call_when(listener, select.EPOLLIN, lambda _: self._accept(listener, name, accept))

    def _accept(self, listener: socket.socket, name: str, take: Callable[[socket.socket, str], None]) -> None:
        for _ in range(_ACCEPT_BATCH):
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.setblocking(False)
            take(connection, name)

    def _accept_entering(self, connection: socket.socket, name: str) -> None:
        targets = list(self._targets.get(name, ()))
        random.shuffle(targets)
        self._connect(connection, None, targets[:_ATTEMPTS])

    def _accept_leaving(self, connection: socket.socket, _: str) -> None:
        try:
            packed = connection.getsockopt(socket.SOL_IP, syscalls.SO_ORIGINAL_DST, 16)
            port, raw = struct.unpack_from("!2xH4s", packed)
            address = socket.inet_ntoa(raw)
            self._host_sockets.send(b"s")
        except OSError:
            _reset(connection)
            return
        self._waiting.append((connection, (_host_address(address), port)))

    def _take_host_socket(self, _: int) -> None:
        data, descriptors, _, _ = socket.recv_fds(self._host_sockets, 16, 1)
        if not data:
            self._running = False
        elif self._waiting:
            connection, target = self._waiting.popleft()
            if not descriptors:
                _reset(connection)
            else:
                self._connect(connection, socket.socket(fileno=descriptors[0]), [target])

    def _connect(
        self, connection: socket.socket, upstream: socket.socket | None, targets: list[tuple[str, int]]
    ) -> None:
        if not targets:
            _reset(connection)
            return
        upstream = upstream or socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        upstream.setblocking(False)
        code = upstream.connect_ex(targets[0])
        if code not in (0, errno.EINPROGRESS):
            upstream.close()
            self._connect(connection, None, targets[1:])
            return
        self.call_when(upstream, _WRITE, lambda _: self._connected(connection, upstream, targets))

    def _connected(self, connection: socket.socket, upstream: socket.socket, targets: list[tuple[str, int]]) -> None:
        if upstream.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self.forget(upstream)
            upstream.close()
            self._connect(connection, None, targets[1:])
            return
        try:
            _Pair(self, connection, upstream)
        except OSError:
            self.forget(upstream)
            _reset(connection)
            upstream.close()


def _host_address(address: str) -> str:
    """What a pod's address for something on the host's loopback means there (see `kaiki.names.hosts`)."""
    if address == HOST_ALIAS:
        return "127.0.0.1"
    return address.replace(_HOST_ALIASES, "127.0.0.", 1) if address.startswith(_HOST_ALIASES) else address


def main(control: socket.socket, host_sockets: socket.socket) -> None:
    """Run a relay in this process until the other end of `control` closes."""
    _raise_descriptor_limit()
    Relay(control, host_sockets).run()


def _raise_descriptor_limit() -> None:
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def send_order(control: socket.socket, order: dict[str, Any], descriptors: tuple[int, ...] = ()) -> None:
    """What the supervisor says to the relay: `listen` (with a descriptor), `targets`, `close`."""
    socket.send_fds(control, [json.dumps(order).encode()], list(descriptors))


def open_egress_listener(address: str) -> socket.socket:
    """The socket rules send all that leaves the mesh to; any free port of `address`."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    listener.bind((address, 0))
    listener.listen(1024)
    os.set_inheritable(listener.fileno(), False)
    return listener
