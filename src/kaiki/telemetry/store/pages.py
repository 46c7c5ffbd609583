"""How samples are packed: a page holds the samples of up to `PAGE_SERIES` series for one stretch of time.

Times are stored as differences, values as the XOR with the value before, both with their bytes transposed: what does
not change becomes long runs of zeros, which zlib removes. An idle counter costs next to nothing.

    magic, series, samples | ids int32[series] | counts uint32[series] | zlib(time bytes, value bytes)
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

import numpy as np

from kaiki.telemetry.arrays import FloatArray, IdArray, TimeArray

PAGE_SERIES = 128
_HEADER = struct.Struct("<4sII")
_MAGIC = b"KPG1"


@dataclass(frozen=True, slots=True)
class Page:
    """`counts[i]` consecutive samples of `times` and `values` belong to series `ids[i]`; ids ascend."""

    ids: IdArray
    counts: IdArray
    times: TimeArray
    values: FloatArray

    @property
    def size_bytes(self) -> int:
        return int(self.times.nbytes + self.values.nbytes + self.ids.nbytes * 2)


def encode_page(page: Page) -> bytes:
    """Lossless: NaN payloads survive."""
    times = np.diff(page.times, prepend=np.int64(0))
    bits = page.values.view(np.uint64)
    changes = bits.copy()
    changes[1:] ^= bits[:-1]
    packed = zlib.compress(_transpose(times.view(np.uint64)) + _transpose(changes), 1)
    header = _HEADER.pack(_MAGIC, len(page.ids), len(page.times))
    return header + page.ids.astype("<i4").tobytes() + page.counts.astype("<i4").tobytes() + packed


def decode_page(blob: bytes) -> Page:
    """Raises ValueError when the blob is not a page."""
    if len(blob) < _HEADER.size or not blob.startswith(_MAGIC):
        raise ValueError("not a page of samples: was the database written by another version?")
    _, series, samples = _HEADER.unpack_from(blob)
    offset = _HEADER.size
    ids = np.frombuffer(blob, "<i4", series, offset)
    counts = np.frombuffer(blob, "<i4", series, offset + 4 * series)
    try:
        raw = zlib.decompress(memoryview(blob)[offset + 8 * series :])
    except zlib.error as error:
        raise ValueError(f"not a whole page of samples: {error}") from error
    if len(raw) != 16 * samples or int(counts.sum()) != samples:
        raise ValueError("not a whole page of samples: their number differs")
    times = np.cumsum(_restore(raw[: 8 * samples]).view(np.int64))
    values = np.bitwise_xor.accumulate(_restore(raw[8 * samples :])).view(np.float64)
    return Page(ids, counts, times, values)


def _transpose(words: np.ndarray[tuple[int], np.dtype[np.uint64]]) -> bytes:
    return words.view(np.uint8).reshape(-1, 8).T.tobytes()


def _restore(raw: bytes) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    columns = np.frombuffer(raw, np.uint8).reshape(8, -1)
    return np.ascontiguousarray(columns.T).view(np.uint64).reshape(-1)
