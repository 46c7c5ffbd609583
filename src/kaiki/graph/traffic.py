"""From sums to the numbers people read: rates, shares, quantiles. One request an hour is never rounded to zero."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import cached_property

import numpy as np

from kaiki.graph.histogram import many_quantiles
from kaiki.graph.model import Traffic
from kaiki.graph.numbers import BoolArray, FloatArray, IntArray, added, added_rows, joined, numbered
from kaiki.graph.records import AMOUNTS, FLOWING, Counts, Flows, Names
from kaiki.graph.tolerances import classify

QUIET = Traffic(
    requests_per_second=0.0,
    request_count=0.0,
    error_count=0.0,
    bytes_sent_per_second=0.0,
    bytes_received_per_second=0.0,
    connections_opened=0.0,
)
_QUANTILES = (0.5, 0.9, 0.95, 0.99)
Outcome = tuple[str, str, str, float]
"""Protocol, response code, flags, count."""


class Totals:
    """Flows added up by groups (edges, or one direction of nodes): flow `flow[i]` belongs to group `group[i]`."""

    def __init__(self, flows: Flows, flow: IntArray, group: IntArray, count: int) -> None:
        self._flows = flows
        self._flow, self._group, self._count = flow, group, count
        self._amounts = {name: added(group, row[flow], count) for name, row in zip(AMOUNTS, flows.amounts, strict=True)}
        self._buckets = added_rows(group, flows.buckets[flow], count)
        self.any_flow: list[bool] = (np.bincount(group, minlength=count) > 0).tolist()
        """Whether a group has a flow at all."""
        self._outcomes, self._begins = self._count_outcomes()

    def _count_outcomes(self) -> tuple[list[Outcome], list[int]]:
        member, row = joined(self._flow, self._flows.codes.flow)
        group, protocol = self._group[member], self._flows.protocol[self._flow[member]]
        columns = group, protocol, self._flows.codes.code[row], self._flows.codes.word[row]
        outcome, first = numbered(*columns)
        counts = added(outcome, self._flows.codes.value[row], len(first))
        texts = self._flows.texts
        found = [
            (texts[protocol], texts[code], texts[flags], count)
            for protocol, code, flags, count in zip(
                *(column[first].tolist() for column in columns[1:]), counts.tolist(), strict=True
            )
        ]
        return found, _begins(columns[0][first], self._count)

    def outcomes(self, group: int) -> list[Outcome]:
        """What a group's requests came to, each once, sorted."""
        return self._outcomes[self._begins[group] : self._begins[group + 1]]

    def traffic(self, duration_seconds: int) -> list[Traffic]:
        """The numbers of every group."""
        quantiles = many_quantiles(self._flows.bounds, self._buckets, _QUANTILES).tolist()
        moved = np.array([self._amounts[name] for name in FLOWING]).any(axis=0)
        measured: BoolArray = np.asarray(~np.isnan(self._buckets).all(axis=1))
        flowed: list[bool] = (moved | measured).tolist()
        rows = zip(*(self._amounts[name].tolist() for name in AMOUNTS), strict=True)
        return [
            self._measure(group, dict(zip(AMOUNTS, row, strict=True)), observed, shares, duration_seconds)
            if flowed[group]
            else QUIET
            for group, (row, observed, shares) in enumerate(
                zip(rows, self._observed().tolist(), quantiles, strict=True)
            )
        ]

    def _observed(self) -> FloatArray:
        """How many requests the buckets hold."""
        if self._count and self._flows.bounds and math.isinf(self._flows.bounds[-1]):
            return np.nan_to_num(self._buckets[:, -1])
        return np.zeros(self._count)

    def _measure(
        self, group: int, amounts: Mapping[str, float], observed: float, quantiles: list[float], duration_seconds: int
    ) -> Traffic:
        outcomes = self.outcomes(group)
        requests = amounts["requests"]
        errors = sum(count for protocol, code, _, count in outcomes if classify(protocol, code))
        p50, p90, p95, p99 = (None if math.isnan(value) else tidy(value) for value in quantiles)
        return Traffic(
            requests_per_second=tidy(requests / duration_seconds),
            request_count=tidy(requests),
            error_count=tidy(errors),
            error_ratio=_share(errors, requests),
            response_codes=_response_codes(outcomes),
            average_milliseconds=_share(amounts["duration_milliseconds"], observed),
            p50_milliseconds=p50,
            p90_milliseconds=p90,
            p95_milliseconds=p95,
            p99_milliseconds=p99,
            bytes_sent_per_second=tidy((amounts["bytes_sent"] + amounts["response_bytes"]) / duration_seconds),
            bytes_received_per_second=tidy((amounts["bytes_received"] + amounts["request_bytes"]) / duration_seconds),
            connections_opened=tidy(amounts["connections"]),
            mtls_ratio=_share(amounts["mutual_tls"], amounts["mutual_tls"] + amounts["plaintext"]),
        )

    @cached_property
    def hosts(self) -> list[dict[str, dict[str, float]]]:
        """Of every group, requests by response code and host."""
        found: list[dict[str, dict[str, float]]] = [{} for _ in range(self._count)]
        for group, code, host, count in self._counted(self._flows.hosts):
            found[group].setdefault(code, {})[host] = tidy(count)
        return found

    def _counted(self, counts: Counts) -> Iterator[tuple[int, str, str, float]]:
        member, row = joined(self._flow, counts.flow)
        columns = self._group[member], counts.code[row], counts.word[row]
        found, first = numbered(*columns)
        sums = added(found, counts.value[row], len(first))
        texts = self._flows.texts
        for group, code, word, count in zip(
            *(column[first].tolist() for column in columns), sums.tolist(), strict=True
        ):
            yield group, texts[code], texts[word], count

    def names(self, names: Names) -> list[tuple[str, ...]]:
        """Of every group, the texts that are known of its flows, sorted."""
        member, row = joined(self._flow, names.flow)
        columns = self._group[member], names.word[row]
        _, first = numbered(*columns)
        words = [self._flows.texts[word] for word in columns[1][first].tolist()]
        begins = _begins(columns[0][first], self._count)
        return [tuple(words[begins[group] : begins[group + 1]]) for group in range(self._count)]


def _begins(groups: IntArray, count: int) -> list[int]:
    """Where each group begins in a sorted column, and where the last one ends."""
    begins: list[int] = np.searchsorted(groups, np.arange(count + 1)).tolist()
    return begins


def _response_codes(outcomes: list[Outcome]) -> dict[str, dict[str, float]]:
    if len({protocol for protocol, *_ in outcomes}) > 1:
        sums: dict[tuple[str, str], float] = {}
        for _, code, flags, count in outcomes:
            sums[code, flags] = sums.get((code, flags), 0.0) + count
        outcomes = [("", code, flags, count) for (code, flags), count in sorted(sums.items())]
    codes: dict[str, dict[str, float]] = {}
    for _, code, flags, count in outcomes:
        codes.setdefault(code, {})[flags] = tidy(count)
    return codes


def _share(part: float, whole: float) -> float | None:
    return tidy(part / whole) if whole > 0 else None


def tidy(value: float) -> float:
    """Nine significant digits: hides the noise of adding floats in another order, never a small value."""
    if abs(value) < 1e9 and value == int(value):
        return float(value)
    return float(f"{value:.9g}")
