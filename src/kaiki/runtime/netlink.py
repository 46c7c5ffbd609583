"""Netlink messages as bytes, and the socket they go through.

Why by hand: a fresh machine has no `nft` and often no `ip`, and the general library for this takes longer to import
(0.4 s) than all the namespaces of a mesh take to make. Four kinds of message are needed; many of them go in one send.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from dataclasses import dataclass

NETLINK_ROUTE = 0
NETLINK_NETFILTER = 12

FLAG_REQUEST = 0x1
FLAG_ACKNOWLEDGE = 0x4
FLAG_EXCLUSIVE = 0x200
FLAG_CREATE = 0x400
FLAG_APPEND = 0x800

_ERROR = 2
_NESTED = 0x8000
_SO_SNDBUFFORCE = 32
_BUFFER_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class Message:
    """One netlink request: its type, flags beside REQUEST, and everything after the header."""

    kind: int
    flags: int
    body: bytes


def attribute(kind: int, value: bytes) -> bytes:
    """An attribute padded to four bytes."""
    return struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def nested(kind: int, *parts: bytes) -> bytes:
    """An attribute that holds attributes."""
    return attribute(kind | _NESTED, b"".join(parts))


def text(kind: int, value: str) -> bytes:
    """An attribute that holds a zero-terminated string."""
    return attribute(kind, value.encode() + b"\0")


def encode(messages: list[Message]) -> bytes:
    """The messages in one buffer, numbered from 1."""
    parts = []
    for number, message in enumerate(messages, 1):
        length = 16 + len(message.body)
        parts.append(struct.pack("=IHHII", length, message.kind, message.flags | FLAG_REQUEST, number, 0))
        parts.append(message.body + b"\0" * (-len(message.body) % 4))
    return b"".join(parts)


class NetlinkError(OSError):
    """The kernel refused a message; `errno` says why and `number` which (from 1)."""

    def __init__(self, code: int, number: int) -> None:
        super().__init__(code, f"netlink message {number}: {os.strerror(code)}")
        self.number = number


class NetlinkSocket:
    """A netlink socket of the network namespace it was opened in (wherever it is used from)."""

    def __init__(self, protocol: int) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        self._socket.settimeout(10)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, _BUFFER_BYTES)
        except OSError:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
        self._socket.bind((0, 0))

    def send(self, messages: list[Message]) -> None:
        """Send all in one piece and wait for the answers of those that ask for one; raises NetlinkError."""
        expected = sum(1 for message in messages if message.flags & FLAG_ACKNOWLEDGE)
        self.send_encoded(encode(messages), expected)

    def send_encoded(self, buffer: bytes, expected: int) -> None:
        """As `send`, for bytes made before by `encode`, `expected` of whose messages ask for an acknowledgement."""
        self._socket.send(buffer)
        while expected > 0:
            expected -= self._read_answers()

    def _read_answers(self) -> int:
        data = self._socket.recv(1 << 16)
        offset = answers = 0
        while offset + 16 <= len(data):
            length, kind, _, number, _ = struct.unpack_from("=IHHII", data, offset)
            if kind == _ERROR:
                (code,) = struct.unpack_from("=i", data, offset + 16)
                if code:
                    raise NetlinkError(-code, number)
                answers += 1
            offset += (length + 3) & ~3
        return answers

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


def is_missing(error: OSError) -> bool:
    """Whether the kernel lacks what was asked for (as against refusing it)."""
    return error.errno in (errno.EOPNOTSUPP, errno.ENOENT, errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT)
