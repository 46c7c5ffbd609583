"""Which series exist: labels to id, and postings from label values to ids.

A series of Istio's has about thirty labels and differs from its neighbours in one or two, so a series is kept as the
packed numbers of its (name, value) pairs: about 150 bytes instead of two kilobytes. Label mappings are built when
asked for.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import numpy as np

from kaiki.telemetry.arrays import BoolArray, IdArray
from kaiki.telemetry.matchers import NAME, Matcher
from kaiki.telemetry.store.labels import Labels, PackedLabels, PairTable

_CACHED_LABELS = 4096
_NONE: IdArray = np.zeros(0, np.int32)


class SeriesIndex:
    """Not thread-safe: the store's lock guards it."""

    def __init__(self) -> None:
        self._pairs: list[tuple[str, str]] = []
        self._holders: list[array[int]] = []
        self._pair_numbers: dict[tuple[str, str], int] = {}
        self._ids: dict[bytes, int] = {}
        self._keys: list[bytes | None] = []
        self._free: list[int] = []
        self.retired: set[int] = set()
        self._postings: dict[str, dict[str, array[int]]] = {}
        self._cache: dict[int, Labels] = {}
        self._names: dict[str, int] = {}
        self._name_of = array("I")
        self._table = PairTable((), np.zeros(0, np.intp), {})
        self.version = 0

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def size(self) -> int:
        """One more than the highest id ever in use."""
        return len(self._keys)

    def find(self, pairs: Sequence[tuple[str, str]]) -> int | None:
        """The id of the series with exactly these labels; `pairs` ascend, and no value is empty."""
        numbers = [self._pair_numbers.get(pair, -1) for pair in pairs]
        return None if -1 in numbers else self._ids.get(array("I", numbers).tobytes())

    def add(self, pairs: Sequence[tuple[str, str]], series_id: int | None = None) -> int:
        """Adds a series that `find` does not know. A given id (from the database) must be free."""
        numbers = [self._number(pair) for pair in pairs]
        key = array("I", numbers).tobytes()
        if series_id is None:
            series_id = self._free.pop() if self._free else len(self._keys)
        self.version += 1
        while len(self._keys) <= series_id:
            self._keys.append(None)
        self._keys[series_id] = key
        self._ids[key] = series_id
        holders = self._holders
        for number in numbers:
            holders[number].append(series_id)
        return series_id

    def retire(self, ids: Sequence[int]) -> None:
        """Keeps free ids from being given out: blocks still hold samples under them."""
        self.retired.update(ids)
        while ids and len(self._keys) <= max(ids):
            self._keys.append(None)
        self._free = [series_id for series_id in self._free if series_id not in self.retired]

    def release(self, ids: Sequence[int]) -> None:
        """Retired ids may be given out again, after the next removal."""
        self.retired.difference_update(ids)

    def holds(self, ids: IdArray) -> BoolArray:
        """Which of some ids belong to a series."""
        size = len(self._keys)
        return np.fromiter((i < size and self._keys[i] is not None for i in ids.tolist()), np.bool_, len(ids))

    def remove(self, ids: Sequence[int]) -> None:
        """Forgets series; their ids may be given out again, unless they are retired."""
        for series_id in ids:
            key = self._keys[series_id]
            if key is not None:
                del self._ids[key]
                self._keys[series_id] = None
        self._cache.clear()
        self.version += 1
        self._rebuild()

    def labels(self, series_id: int) -> Labels:
        """The labels of a series, names ascending; read-only."""
        found = self._cache.get(series_id)
        if found is None:
            if len(self._cache) >= _CACHED_LABELS:
                self._cache.clear()
            key = self._keys[series_id] or b""
            found = dict([self._pairs[number] for number in memoryview(key).cast("I")])
            self._cache[series_id] = found
        return found

    def packed(self, ids: IdArray, matchers: Sequence[Matcher]) -> PackedLabels:
        """The labels of several series that some matchers chose; they stay what they are when series come and go."""
        if len(self._table.name_of) != len(self._pairs) or self._table.pairs is not self._pairs:
            self._table = PairTable(self._pairs, np.array(self._name_of, np.intp), self._names)
        keys = self._keys
        one_name = any(matcher.name == NAME and matcher.operator == "=" for matcher in matchers)
        return PackedLabels(self._table, [keys[i] or b"" for i in ids.tolist()], one_name)

    def pairs(self, series_id: int) -> tuple[tuple[str, str], ...]:
        """The labels as the index's own pairs: what other series share is there once."""
        return tuple(self._items(self._keys[series_id] or b""))

    def select(self, matchers: Sequence[Matcher]) -> IdArray:
        """Ids of the series that satisfy all matchers, ascending."""
        wanted: list[IdArray] = []
        unwanted: list[IdArray] = []
        for matcher in matchers:
            values = self._postings.get(matcher.name, {})
            if matcher.operator == "=" and matcher.value:
                wanted.append(_ids(values.get(matcher.value)))
                continue
            accepts = matcher.predicate()
            absent_matches = accepts("")
            hits = [_ids(ids) for value, ids in values.items() if accepts(value) != absent_matches]
            found = np.concatenate(hits) if hits else _NONE
            (unwanted if absent_matches else wanted).append(found)
        return self._combine(wanted, unwanted)

    def _combine(self, wanted: list[IdArray], unwanted: list[IdArray]) -> IdArray:
        size = len(self._keys)
        if wanted:
            wanted.sort(key=len)
            result = np.unique(wanted[0])
            for more in wanted[1:]:
                result = result[_mask(more, size)[result]]
        else:
            result = np.fromiter((i for i, key in enumerate(self._keys) if key is not None), np.int32)
        for less in unwanted:
            result = result[~_mask(less, size)[result]]
        return result

    def names(self, ids: IdArray | None = None) -> list[str]:
        """Label names in use, ascending; of the given series only, when given."""
        if ids is None:
            return sorted(self._postings)
        return sorted({self._pairs[n][0] for n in self._pair_set(ids)})

    def values(self, name: str, ids: IdArray | None = None) -> list[str]:
        """Values of one label, ascending."""
        values = self._postings.get(name, {})
        if ids is None:
            return sorted(values)
        chosen = _mask(ids, len(self._keys))
        return sorted(value for value, holders in values.items() if chosen[_ids(holders)].any())

    def cardinality(self) -> dict[str, dict[str, int]]:
        """label name → value → number of series."""
        return {name: {value: len(ids) for value, ids in values.items()} for name, values in self._postings.items()}

    def _pair_set(self, ids: IdArray) -> set[int]:
        seen: set[int] = set()
        for series_id in ids.tolist():
            seen.update(memoryview(self._keys[series_id] or b"").cast("I"))
        return seen

    def _number(self, pair: tuple[str, str]) -> int:
        number = self._pair_numbers.get(pair)
        if number is None:
            number = self._pair_numbers[pair] = len(self._pairs)
            self._pairs.append(pair)
            self._name_of.append(self._names.setdefault(pair[0], len(self._names)))
            holders = array("i")
            self._holders.append(holders)
            self._postings.setdefault(pair[0], {})[pair[1]] = holders
        return number

    def _rebuild(self) -> None:
        """Postings and pairs are made anew: removal is rare (retention), and this also forgets dead label values."""
        survivors = [(i, self._items(key)) for i, key in enumerate(self._keys) if key is not None]
        size = len(self._keys)
        self._pairs, self._holders, self._pair_numbers, self._postings = [], [], {}, {}
        self._names, self._name_of = {}, array("I")
        self._ids, self._keys = {}, [None] * size
        for series_id, pairs in survivors:
            self.add(pairs, series_id)
        self._free = [i for i in range(size - 1, -1, -1) if self._keys[i] is None and i not in self.retired]

    def _items(self, key: bytes) -> list[tuple[str, str]]:
        return [self._pairs[number] for number in memoryview(key).cast("I")]


def _ids(holders: array[int] | None) -> IdArray:
    return np.array(holders, np.int32) if holders is not None else _NONE


def _mask(ids: IdArray, size: int) -> BoolArray:
    mask = np.zeros(size, np.bool_)
    mask[ids] = True
    return mask
