"""Reads sealed samples: pages of blocks, of which the ones asked for last are kept unpacked."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Iterator

import numpy as np

from kaiki.telemetry.arrays import FloatArray, IdArray, IndexArray, TimeArray
from kaiki.telemetry.store.database import Block, Database
from kaiki.telemetry.store.pages import Page, decode_page

log = logging.getLogger(__name__)
_CACHED_PAGE_BYTES = 6 << 20
Piece = tuple[IndexArray, TimeArray, FloatArray]


class PageReader:
    """For any thread. `damaged` are the pages (block, number) whose samples are missing in answers."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._pages: OrderedDict[tuple[int, int], Page] = OrderedDict()
        self._pages_bytes = 0
        self.damaged: set[tuple[int, int]] = set()

    def gather(self, block: Block, ids: IdArray, start_ms: int, end_ms: int) -> Iterator[Piece]:
        """Samples in [start, end] of the given series, a page at a time: (position in `ids`, time, value)."""
        low = np.searchsorted(ids, block.first, "left")
        high = np.searchsorted(ids, block.last, "right")
        for number in np.nonzero(high > low)[0].tolist():
            page = self._page(block.number, number)
            if page is None:
                continue
            places = np.searchsorted(ids, page.ids)
            places[places == len(ids)] = 0
            held = ids[places] == page.ids
            if not held.any():
                continue
            picked = _samples_of(page.counts, np.nonzero(held)[0])
            times = page.times[picked]
            wanted = (times >= start_ms) & (times <= end_ms)
            owners = np.repeat(places[held], page.counts[held])
            yield owners[wanted], times[wanted], page.values[picked][wanted]

    def everything(self, block: Block, ids: IdArray) -> list[Piece]:
        """All samples of a block."""
        return list(self.gather(block, ids, block.start_ms, block.end_ms))

    def _page(self, block: int, number: int) -> Page | None:
        key = (block, number)
        with self._lock:
            page = self._pages.get(key)
            if page is not None:
                self._pages.move_to_end(key)
                return page
        page = self._read_page(key)
        if page is None:
            return None
        with self._lock:
            if key not in self._pages:
                self._pages[key] = page
                self._pages_bytes += page.size_bytes
            while self._pages_bytes > _CACHED_PAGE_BYTES and len(self._pages) > 1:
                self._pages_bytes -= self._pages.popitem(last=False)[1].size_bytes
        return page

    def _read_page(self, key: tuple[int, int]) -> Page | None:
        """A page of the file; None if retention has removed it, or it is damaged: others still have their answers."""
        if key in self.damaged:
            return None
        try:
            blob = self._database.page(*key)
            return None if blob is None else decode_page(blob)
        except sqlite3.OperationalError:
            raise  # The file may be whole: a full disk, a lock.
        except (sqlite3.DatabaseError, ValueError) as error:
            self.damaged.add(key)
            log.error(
                "page %d of block %d cannot be read (%s): its samples are missing in answers", key[1], key[0], error
            )
            return None


def _samples_of(counts: IdArray, rows: IndexArray) -> IndexArray | slice:
    """Where a page's samples of some of its series are; the rest of the page is not looked at."""
    if len(rows) == len(counts):
        return slice(None)
    starts, chosen = np.cumsum(counts) - counts, counts[rows]
    gaps = starts[rows] - (np.cumsum(chosen) - chosen)
    return np.repeat(gaps, chosen) + np.arange(int(chosen.sum()))
