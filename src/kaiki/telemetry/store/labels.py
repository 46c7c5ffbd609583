"""The labels of many series at once, as columns of numbers: a mapping is made of a series' labels when it is looked at.

The index numbers its (name, value) pairs and packs a series as the numbers of its pairs. A query that adds up a hundred
thousand series by ten labels compares numbers, all series at a time, and makes mappings of its result alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, overload

import numpy as np

from kaiki.telemetry.arrays import IdArray, IndexArray

Labels = Mapping[str, str]
Columns = np.ndarray[tuple[int, int], np.dtype[np.int32]]
"""Numbers of pairs by series and label; -1 where a series lacks the label."""
_FACTORS = np.random.default_rng(20240229).integers(0, 2**63, 64, np.uint64) * 2 + 1
"""Odd factors, by which rows of numbers become single ones."""


_MOST_KEPT = 4096
"""Of more series than these no mappings are kept: queries over so many add them up by columns."""


class PairTable(NamedTuple):
    """What the numbers of an index mean: its pairs, the number of each pair's name, and the names' numbers."""

    pairs: Sequence[tuple[str, str]]
    name_of: IndexArray
    names: Mapping[str, int]


class ColumnLabels(Sequence[Labels]):
    """Labels of several series, read-only."""

    def columns(self, names: tuple[str, ...]) -> Columns:
        """The numbers of the pairs of some labels."""
        raise NotImplementedError

    def take(self, rows: IndexArray) -> ColumnLabels:
        """Only these series, in this order."""
        raise NotImplementedError

    def grouped(self, names: tuple[str, ...]) -> tuple[CodedLabels, IndexArray]:
        """The labels of the groups that the series fall into by some labels, and each series' group."""
        raise NotImplementedError

    @property
    def one_name(self) -> bool:
        """Whether all have the same metric name."""
        raise NotImplementedError

    def mapping(self, row: int) -> Labels:
        """The labels of one series."""
        raise NotImplementedError

    @overload
    def __getitem__(self, place: int) -> Labels: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Labels]: ...
    def __getitem__(self, place: int | slice) -> Labels | Sequence[Labels]:
        if isinstance(place, slice):
            return self.take(np.arange(len(self))[place])
        return self.mapping(range(len(self))[place])

    def __iter__(self) -> Iterator[Labels]:
        return map(self.mapping, range(len(self)))


class PackedLabels(ColumnLabels):
    """As the index packs them: the numbers of a series' pairs, names ascending, one after the other."""

    def __init__(self, table: PairTable, keys: Sequence[bytes], one_name: bool) -> None:
        self._table = table
        self._keys = keys
        self._one_name = one_name
        self._mappings: dict[int, Labels] = {}
        self._groups: dict[tuple[str, ...], tuple[CodedLabels, IndexArray]] = {}
        self._texts: dict[str, tuple[list[str], IdArray]] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def grouped(self, names: tuple[str, ...]) -> tuple[CodedLabels, IndexArray]:
        """Kept, because the same queries come again and again."""
        found = self._groups.get(names)
        if found is None:
            found = self._groups[names] = _grouped(self._table, names, self.columns(names))
        return found

    @property
    def one_name(self) -> bool:
        return self._one_name

    def mapping(self, row: int) -> Labels:
        found = self._mappings.get(row)
        if found is None:
            pairs = self._table.pairs
            found = dict([pairs[number] for number in memoryview(self._keys[row]).cast("I")])
            if len(self._keys) <= _MOST_KEPT:
                self._mappings[row] = found
        return found

    def take(self, rows: IndexArray) -> PackedLabels:
        if len(rows) == len(self._keys) and bool((np.diff(rows) == 1).all()):
            return self
        keys = self._keys
        return PackedLabels(self._table, [keys[row] for row in rows.tolist()], self._one_name)

    def columns(self, names: tuple[str, ...]) -> Columns:
        wanted = np.full(len(self._table.names) + 1, -1, np.int64)
        for column, name in enumerate(names):
            wanted[self._table.names.get(name, -1)] = column
        wanted[-1] = -1
        made = np.full((len(self._keys), len(names)), -1, np.int32)
        sizes = np.fromiter(map(len, self._keys), np.int64, len(self._keys))
        for size in np.unique(sizes).tolist():
            rows = np.nonzero(sizes == size)[0]
            packed = b"".join([self._keys[row] for row in rows.tolist()])
            numbers = np.frombuffer(packed, np.uint32).reshape(len(rows), size // 4)
            places = wanted[self._table.name_of[numbers]]
            if len(rows) and bool((places == places[0]).all()):
                # Series of one metric have the same names, so a label stands at the same place in all.
                at = np.nonzero(places[0] >= 0)[0]
                made[np.ix_(rows, places[0][at])] = numbers[:, at]
            else:
                row, at = np.nonzero(places >= 0)
                made[rows[row], places[row, at]] = numbers[row, at]
        return made


class CodedLabels(ColumnLabels):
    """As a sum by some labels leaves them; no two are the same."""

    def __init__(self, table: PairTable, names: tuple[str, ...], codes: Columns) -> None:
        self._table = table
        self.names = names
        self.codes = codes
        self._groups: dict[tuple[str, ...], tuple[CodedLabels, IndexArray]] = {}
        self._texts: dict[str, tuple[list[str], IdArray]] = {}

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def one_name(self) -> bool:
        return True  # A sum has none, unless it is by name.

    def mapping(self, row: int) -> Labels:
        pairs = self._table.pairs
        return dict([pairs[code] for code in self.codes[row].tolist() if code >= 0])

    def take(self, rows: IndexArray) -> CodedLabels:
        if len(rows) == len(self.codes) and bool((np.diff(rows) == 1).all()):
            return self
        return CodedLabels(self._table, self.names, self.codes[rows])

    def columns(self, names: tuple[str, ...]) -> Columns:
        places = [self.names.index(name) if name in self.names else -1 for name in names]
        missing = np.full(len(self.codes), -1, np.int32)
        columns = [self.codes[:, place] if place >= 0 else missing for place in places]
        return np.stack(columns, axis=1) if columns else np.zeros((len(self.codes), 0), np.int32)

    def grouped(self, names: tuple[str, ...]) -> tuple[CodedLabels, IndexArray]:
        """Kept, as these labels may be a kept sum's."""
        found = self._groups.get(names)
        if found is None:
            found = self._groups[names] = _grouped(self._table, names, self.columns(names))
        return found

    def texts(self, name: str) -> tuple[list[str], IdArray]:
        """The different values of a label ("" for none), and which of them each series has; kept, as groups are."""
        found = self._texts.get(name)
        if found is None:
            found = self._texts[name] = self._find_texts(name)
        return found

    def _find_texts(self, name: str) -> tuple[list[str], IdArray]:
        codes = self.columns((name,))[:, 0] + 1
        used = np.zeros(int(codes.max(initial=0)) + 1, np.bool_)
        used[codes] = True
        places = np.cumsum(used, dtype=np.int32) - 1
        pairs = self._table.pairs
        return [pairs[code - 1][1] if code else "" for code in np.nonzero(used)[0].tolist()], places[codes]


def group_rows(codes: Columns) -> tuple[IndexArray, IndexArray]:
    """(the group of each row, the first row of each group): equal rows are one group, in the order they appear."""
    if not codes.shape[1]:
        return np.zeros(len(codes), np.intp), np.zeros(min(len(codes), 1), np.intp)
    factors = np.resize(_FACTORS, codes.shape[1])
    # Wraps around, which is what makes different rows different numbers; checked below all the same.
    mixed = (codes.astype(np.uint64) * factors).sum(axis=1, dtype=np.uint64)
    _, first, member = np.unique(mixed, return_index=True, return_inverse=True)
    if not bool((codes == codes[first[member]]).all()):
        _, first, member = np.unique(codes, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    places = np.empty(len(order), np.intp)
    places[order] = np.arange(len(order))
    return places[member], first[order]


def _grouped(table: PairTable, names: tuple[str, ...], codes: Columns) -> tuple[CodedLabels, IndexArray]:
    member, first = group_rows(codes)
    return CodedLabels(table, names, codes[first]), member
