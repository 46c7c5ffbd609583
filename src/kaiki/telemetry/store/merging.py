"""Small blocks become a large one: fewer pages to read for a long range, and fewer samples in each for a narrow query.

ten blocks, pages of 128 series × 120 samples  ──▶  one block, pages of 16 series × 1,200 samples
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from kaiki.telemetry.arrays import FloatArray, IdArray, IndexArray, TimeArray
from kaiki.telemetry.store.database import Block
from kaiki.telemetry.store.pages import PAGE_SERIES, Page

MERGED_BLOCKS = 10
MERGED_PAGE_SERIES = 16
LEAST_MERGED_BLOCKS = 3
Piece = tuple[IndexArray, TimeArray, FloatArray]
Gather = Callable[[Block, IdArray], Sequence[Piece]]
"""All samples of a block that belong to some series: (position in the ids, time, value), by series, then by time."""


def choose_blocks(blocks: Sequence[Block], longest_ms: int) -> list[Block]:
    """The oldest run of small blocks to make one of, or none. Merged blocks have negative numbers.

    Together they last `longest_ms` at most, so that retention, which drops whole blocks, stays exact enough.
    """
    small = [block for block in sorted(blocks, key=lambda block: block.start_ms) if block.number >= 0]
    if len(small) <= MERGED_BLOCKS:
        return []
    run = small[:MERGED_BLOCKS]
    while run and run[-1].end_ms - run[0].start_ms > longest_ms:
        run.pop()
    return run if len(run) >= LEAST_MERGED_BLOCKS else []


def merged_pages(blocks: Sequence[Block], ids: IdArray, gather: Gather) -> Iterator[Page]:
    """The pages of the merged block; a hundred series are in memory at a time."""
    for start in range(0, len(ids), PAGE_SERIES):
        chunk = ids[start : start + PAGE_SERIES]
        pieces = [piece for block in blocks for piece in gather(block, chunk)]
        if not pieces:
            continue
        owners, times, values = (np.concatenate(columns) for columns in zip(*pieces, strict=True))
        order = np.lexsort((times, owners))
        owners, times, values = owners[order], times[order], values[order]
        present = np.unique(owners)
        for begin in range(0, len(present), MERGED_PAGE_SERIES):
            part = present[begin : begin + MERGED_PAGE_SERIES]
            low, high = np.searchsorted(owners, part[0], "left"), np.searchsorted(owners, part[-1], "right")
            counts = np.bincount(owners[low:high], minlength=len(chunk))[part].astype(np.int32)
            yield Page(chunk[part], counts, times[low:high], values[low:high])
