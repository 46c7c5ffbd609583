"""SPDY/3.1 frames, as far as port forwarding speaks them: kubectl tunnels this protocol through a WebSocket.

A pure state machine: bytes in, events out; what is to be sent is returned as bytes. Flow control is left to the
connection below, as the clients of Kubernetes leave it. Source: the SPDY/3.1 draft.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

MAXIMUM_FRAME_BYTES = 1 << 20
MAXIMUM_HEADER_BYTES = 1 << 16
_SYN_STREAM, _SYN_REPLY, _RST_STREAM, _PING, _GOAWAY = 1, 2, 3, 6, 7
_FIN = 1
PROTOCOL_ERROR, REFUSED, CANCELLED = 1, 3, 5

_WORDS = (
    "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow "
    "authorization cache-control connection content-base content-encoding content-language content-length "
    "content-location content-md5 content-range content-type date etag expect expires from host if-match "
    "if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma "
    "proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade "
    "user-agent vary via warning www-authenticate method get status"
)
_ENTRIES = (*_WORDS.split(), "200 OK", "version", "HTTP/1.1", "url", "public", "set-cookie", "keep-alive", "origin")
_TEXT = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized"
    "403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable"
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
    "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,"
    "text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)
DICTIONARY = b"".join(struct.pack("!I", len(entry)) + entry.encode() for entry in _ENTRIES) + _TEXT.encode()
"""What both ends' compression of headers starts from; its Adler-32 is 0xe3c6a7c2."""


class ProtocolError(Exception):
    """What came is not SPDY, or more than is allowed: the connection has to end."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The peer opened a stream."""

    stream: int
    headers: Mapping[str, str]
    finished: bool


@dataclass(frozen=True, slots=True)
class Data:
    """Bytes of a stream; `finished` when they are its last."""

    stream: int
    payload: bytes
    finished: bool


@dataclass(frozen=True, slots=True)
class Reset:
    """The peer gave a stream up."""

    stream: int


@dataclass(frozen=True, slots=True)
class Ping:
    """To be answered with the same number."""

    number: int


@dataclass(frozen=True, slots=True)
class GoAway:
    """The peer opens no more streams."""


Event: TypeAlias = Opened | Data | Reset | Ping | GoAway


class Connection:
    """One end of a connection."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)
        self._deflate = zlib.compressobj(zdict=DICTIONARY)

    def receive(self, data: bytes) -> list[Event]:
        """The events in what came; raises ProtocolError."""
        self._buffer += data
        events: list[Event] = []
        while len(self._buffer) >= 8:
            first, second = struct.unpack_from("!II", self._buffer)
            length = second & 0xFFFFFF
            if length > MAXIMUM_FRAME_BYTES:
                raise ProtocolError(f"a frame of {length} bytes; {MAXIMUM_FRAME_BYTES} are allowed")
            if len(self._buffer) < 8 + length:
                break
            payload = bytes(self._buffer[8 : 8 + length])
            del self._buffer[: 8 + length]
            event = self._event(first, second >> 24, payload)
            if event is not None:
                events.append(event)
        return events

    def _event(self, first: int, flags: int, payload: bytes) -> Event | None:
        if not first >> 31:
            return Data(first, payload, bool(flags & _FIN))
        if first >> 16 & 0x7FFF != 3:
            raise ProtocolError(f"SPDY version {first >> 16 & 0x7FFF} is not spoken here")
        try:
            return self._control_event(first & 0xFFFF, flags, payload)
        except (struct.error, zlib.error, UnicodeDecodeError) as error:
            raise ProtocolError(f"a malformed frame: {error}") from error

    def _control_event(self, kind: int, flags: int, payload: bytes) -> Event | None:
        match kind:
            case 1:
                (stream,) = struct.unpack_from("!I", payload)
                return Opened(stream & 0x7FFFFFFF, self._read_headers(payload[10:]), bool(flags & _FIN))
            case 2:
                self._read_headers(payload[4:])  # keeps the state of the compression
            case 3:
                return Reset(struct.unpack_from("!I", payload)[0] & 0x7FFFFFFF)
            case 6:
                return Ping(struct.unpack_from("!I", payload)[0])
            case 7:
                return GoAway()
            case 8:
                self._read_headers(payload[4:])
        return None

    def _read_headers(self, block: bytes) -> dict[str, str]:
        text = self._inflate.decompress(block, MAXIMUM_HEADER_BYTES)
        if self._inflate.unconsumed_tail:
            raise ProtocolError(f"headers of more than {MAXIMUM_HEADER_BYTES} bytes")
        (count,) = struct.unpack_from("!I", text)
        place, headers = 4, {}
        for _ in range(count):
            name, place = _read_text(text, place)
            headers[name.lower()], place = _read_text(text, place)
        return headers

    def open(self, stream: int, headers: Mapping[str, str], finished: bool = False) -> bytes:
        """Open a stream."""
        body = struct.pack("!IIBB", stream, 0, 0, 0) + self._write_headers(headers)
        return _control(_SYN_STREAM, body, _FIN if finished else 0)

    def reply(self, stream: int) -> bytes:
        """Accept a stream."""
        return _control(_SYN_REPLY, struct.pack("!I", stream) + self._write_headers({}))

    def _write_headers(self, headers: Mapping[str, str]) -> bytes:
        block = bytearray(struct.pack("!I", len(headers)))
        for pair in headers.items():
            for text in pair:
                block += struct.pack("!I", len(text.encode())) + text.encode()
        return self._deflate.compress(bytes(block)) + self._deflate.flush(zlib.Z_SYNC_FLUSH)


def _read_text(text: bytes, place: int) -> tuple[str, int]:
    (length,) = struct.unpack_from("!I", text, place)
    end = place + 4 + length
    if end > len(text):
        raise ProtocolError("a header is longer than its block")
    return text[place + 4 : end].decode(), end


def _control(kind: int, body: bytes, flags: int = 0) -> bytes:
    return struct.pack("!II", 0x80030000 | kind, flags << 24 | len(body)) + body


def data_frame(stream: int, payload: bytes, finished: bool = False) -> bytes:
    """Bytes of a stream."""
    return struct.pack("!II", stream, (_FIN if finished else 0) << 24 | len(payload)) + payload


def reset_frame(stream: int, status: int) -> bytes:
    """Give a stream up."""
    return _control(_RST_STREAM, struct.pack("!II", stream, status))


def ping_frame(number: int) -> bytes:
    """The answer to a ping."""
    return _control(_PING, struct.pack("!I", number))


def go_away_frame(last_stream: int) -> bytes:
    """No more streams, please."""
    return _control(_GOAWAY, struct.pack("!II", last_stream, 0))
