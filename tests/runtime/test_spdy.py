"""SPDY frames: both ends of a connection understand each other, however the bytes are cut; nonsense is refused."""

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaiki.runtime import spdy

HEADERS = {"streamtype": "data", "port": "9080", "requestid": "0"}


def test_the_dictionary_is_everybodys() -> None:
    assert len(spdy.DICTIONARY) == 1423
    assert zlib.adler32(spdy.DICTIONARY) == 0xE3C6A7C2


@given(st.lists(st.binary(max_size=300), max_size=5), st.integers(1, 40))
def test_what_one_end_says_the_other_hears(pieces: list[bytes], cut: int) -> None:
    sender, receiver = spdy.Connection(), spdy.Connection()
    said = sender.open(1, HEADERS) + sender.open(3, {"streamtype": "error"}, finished=True)
    said += b"".join(spdy.data_frame(1, piece) for piece in pieces)
    said += spdy.data_frame(1, b"", finished=True) + spdy.ping_frame(7) + spdy.reset_frame(3, spdy.CANCELLED)
    heard = [event for place in range(0, len(said), cut) for event in receiver.receive(said[place : place + cut])]
    assert heard == [
        spdy.Opened(1, HEADERS, False),
        spdy.Opened(3, {"streamtype": "error"}, True),
        *(spdy.Data(1, piece, False) for piece in pieces),
        spdy.Data(1, b"", True),
        spdy.Ping(7),
        spdy.Reset(3),
    ]


def test_replies_keep_the_state_of_compression() -> None:
    one, other = spdy.Connection(), spdy.Connection()
    assert other.receive(one.reply(1) + one.reply(3)) == []
    assert other.receive(one.open(5, HEADERS) + spdy.go_away_frame(0)) == [
        spdy.Opened(5, HEADERS, False),
        spdy.GoAway(),
    ]


@pytest.mark.parametrize(
    "frame",
    [
        struct.pack("!II", 1, 0xFFFFFF),  # longer than anybody needs
        struct.pack("!II", 0x80020001, 0),  # another version
        struct.pack("!II", 0x80030001, 2) + b"ab",  # cut short
        struct.pack("!II", 0x80030001, 14) + bytes(10) + b"abcd",  # not compressed
        struct.pack("!II", 0x80030003, 1) + b"a",
    ],
)
def test_nonsense_ends_the_connection(frame: bytes) -> None:
    with pytest.raises(spdy.ProtocolError):
        spdy.Connection().receive(frame)


def test_headers_do_not_explode() -> None:
    bomb = spdy.Connection().open(1, {"a": "x" * (spdy.MAXIMUM_HEADER_BYTES * 2)})
    assert len(bomb) < 2000
    with pytest.raises(spdy.ProtocolError):
        spdy.Connection().receive(bomb)
