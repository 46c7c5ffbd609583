"""From series to flows: each request is counted once, though both proxies on its way report it.

The caller's report is preferred, for it also has the requests that never arrived. Where the caller has no proxy (its
source is unknown) or does not report, the callee's is used. Only the callee can tell whether mutual TLS was used.

    tables ─Vocabulary─▶ rows of numbers ─▶ reports (a flow as one reporter tells of it) ─▶ flows
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from kaiki.graph.labels import SINK_SERVICES, AnyTable, Vocabulary
from kaiki.graph.numbers import BoolArray, FloatArray, IntArray, added, added_rows, joined, numbered
from kaiki.graph.queries import POD
from kaiki.graph.series import HistogramTable, Table, TrafficSeries, histogram_table_of, table_of

_SIDE_LABELS = ("workload_namespace", "workload", "canonical_service", "canonical_revision")
AMOUNTS = (
    "requests",
    "duration_milliseconds",
    "request_bytes",
    "response_bytes",
    "bytes_sent",
    "bytes_received",
    "connections",
    "mutual_tls",
    "plaintext",
)
"""What is added up: counts, milliseconds, bytes. `bytes_sent` and `bytes_received` are TCP's, as the server sees them;
of the last two, requests, and of TCP bytes."""
_HTTP_SUMS = {
    "duration_milliseconds": "durations",
    "request_bytes": "request_bytes",
    "response_bytes": "response_bytes",
}
_TCP_SUMS = {"bytes_sent": "tcp_sent", "bytes_received": "tcp_received", "connections": "tcp_opened"}
"""The table each amount is read from."""
_PLACE = {name: place for place, name in enumerate(AMOUNTS)}
FLOWING = ("requests", "bytes_sent", "bytes_received", "connections")
"""Whether anything flowed. Sums of durations tell nothing: Envoy merges histograms later than it counts."""


class Side(NamedTuple):
    """One end of a flow, by Istio's labels; empty strings are unknown.

    `pod` is told of the end that reports, and only where flows are collected by pod.
    """

    namespace: str = ""
    workload: str = ""
    app: str = ""
    version: str = ""
    pod: str = ""


class ServiceName(NamedTuple):
    """The service that was called; both empty when unknown. A host outside of the cluster has no namespace."""

    namespace: str = ""
    name: str = ""


class Counts(NamedTuple):
    """So many (requests, or bytes of TCP) of a flow that have two texts; all are numbers of the vocabulary's texts."""

    flow: IntArray
    code: IntArray
    word: IntArray
    value: FloatArray


class Names(NamedTuple):
    """Texts that are known of a flow."""

    flow: IntArray
    word: IntArray


@dataclass(frozen=True)
class Flows:
    """All flows as columns, sorted by source, destination (of `sides`), service (of `services`) and protocol (a text).

    `amounts` has a row for each of AMOUNTS; `buckets` a row for each flow by `bounds` (milliseconds), of cumulative
    counts, NaN where there is none; `codes` counts by response code and flags (without TCP), `hosts` by response code
    (of TCP `-`) and the host that was asked for.

    `arrival` is set where flows are collected by pod, for what a callee says of requests that their caller tells of
    too: which of its pods they came to. Adding up both would count them twice.
    """

    texts: Sequence[str]
    sides: Sequence[Side]
    services: Sequence[ServiceName]
    source: IntArray
    destination: IntArray
    service: IntArray
    protocol: IntArray
    arrival: BoolArray
    amounts: FloatArray
    bounds: Sequence[float]
    buckets: FloatArray
    codes: Counts
    hosts: Counts
    source_principals: Names
    destination_principals: Names

    def __len__(self) -> int:
        return len(self.source)


def collect_flows(series: TrafficSeries, quiet: bool = False, by_pod: bool = False) -> Flows:
    """Every flow with traffic, counted by one reporter; with `quiet` also those that stood still.

    With `by_pod` those of each pod apart, and as `arrival` what the pods of callees say beside their callers.
    """
    reading = _Reading(series)
    reports = _Reports(reading, by_pod)
    amounts = reading.amounts(reports)
    return _finish(reading, reports, amounts, _choose_reporters(reports, amounts, by_pod), quiet)


class _Reading:
    """The tables of a graph by their names in TrafficSeries, and their vocabulary; their rows, one after another."""

    def __init__(self, series: TrafficSeries) -> None:
        self.requests = table_of(series.requests)
        self.histograms = histogram_table_of(series.duration_buckets)
        self.sums = {
            **{table: table_of(getattr(series, table)) for table in _HTTP_SUMS.values()},
            **{table: _positive(table_of(getattr(series, table))) for table in _TCP_SUMS.values()},
        }
        self.tables: dict[str, AnyTable] = {
            "requests": self.requests,
            "duration_buckets": self.histograms,
            **self.sums,
        }
        self.vocabulary = Vocabulary(tuple(self.tables.values()))
        ends = np.cumsum([len(table) for table in self.tables.values()]).tolist()
        self.rows = {
            name: slice(end - len(self.tables[name]), end) for name, end in zip(self.tables, ends, strict=True)
        }

    def column(self, name: str) -> IntArray:
        """A label of all rows; whatever TCP's series say, their protocol is TCP."""
        tcp = frozenset(_TCP_SUMS.values()) if name == "request_protocol" else frozenset[str]()
        return np.concatenate(
            [
                np.full(len(table), self.vocabulary.number("tcp"), np.int64)
                if one in tcp
                else self.vocabulary.column(table, name)
                for one, table in self.tables.items()
            ]
        )

    def amounts(self, reports: _Reports) -> FloatArray:
        """AMOUNTS of every report, but for the last two."""
        found = np.zeros((len(AMOUNTS), len(reports)))
        values = np.maximum(self.requests.values, 0.0)
        found[_PLACE["requests"]] = added(reports.of[self.rows["requests"]], values, len(reports))
        for amount, table in (_HTTP_SUMS | _TCP_SUMS).items():
            found[_PLACE[amount]] = added(reports.of[self.rows[table]], self.sums[table].values, len(reports))
        return found


def _positive(table: Table) -> Table:
    return table.where(table.values > 0) if len(table) else table


class _Reports:
    """The flows as one reporter tells of them. `of` says of each row which report it belongs to."""

    def __init__(self, reading: _Reading, by_pod: bool) -> None:
        vocabulary, texts = reading.vocabulary, reading.vocabulary.texts
        ends = [_side_columns(reading, side, by_pod) for side in ("source", "destination")]
        sides, first = numbered(*(np.concatenate(columns) for columns in zip(*ends, strict=True)))
        parts = [np.concatenate(columns)[first] for columns in zip(*ends, strict=True)]
        self.sides = [Side(*(texts[number] for number in row)) for row in np.column_stack(parts).tolist()]
        # The two workloads and the protocol are what a caller's and a callee's report agree on.
        self.place_of_side, _ = numbered(*parts[:2])
        self.known_side: BoolArray = parts[1] > 0
        namespaces, names = _service_columns(reading)
        services, first = numbered(namespaces, names)
        self.services = [
            ServiceName(texts[namespace], texts[name])
            for namespace, name in zip(namespaces[first].tolist(), names[first].tolist(), strict=True)
        ]
        source, destination = sides[: len(services)], sides[len(services) :]
        protocol, by_source = reading.column("request_protocol"), reading.column("reporter")
        self.of, first = numbered(source, destination, services, protocol, by_source)
        self.source, self.destination, self.service = source[first], destination[first], services[first]
        self.protocol = protocol[first]
        self.by_source: BoolArray = by_source[first] == vocabulary.number("source")

    def __len__(self) -> int:
        return len(self.source)

    @property
    def pairs(self) -> IntArray:
        """A number for each two workloads and protocol."""
        places = self.place_of_side
        return numbered(places[self.source], places[self.destination], self.protocol)[0]


def _side_columns(reading: _Reading, side: str, by_pod: bool) -> list[IntArray]:
    columns = [reading.column(f"{side}_{name}") for name in _SIDE_LABELS]
    if by_pod:
        reports = reading.column("reporter") == reading.vocabulary.number(side)
        columns.append(np.where(reports, reading.column(POD), 0))
    known = columns[1] > 0
    return [np.where(known, column, 0) for column in columns]


def _service_columns(reading: _Reading) -> tuple[IntArray, IntArray]:
    namespaces, names = reading.column("destination_service_namespace"), reading.column("destination_service_name")
    nowhere = [0, *map(reading.vocabulary.number, SINK_SERVICES)]
    return np.where(np.isin(names, nowhere), 0, namespaces), names


class _Choice(NamedTuple):
    """Which flow each report belongs to, and -1 for a callee's whose caller reports; a report of each flow; those
    callees' reports, each beside each of its callers' flows; and which flows are such a callee's (`Flows.arrival`).
    """

    flow_of: IntArray
    flows: IntArray
    callers: tuple[IntArray, IntArray]
    arrival: BoolArray


def _choose_reporters(reports: _Reports, amounts: FloatArray, by_pod: bool) -> _Choice:
    flowing = amounts[[_PLACE[name] for name in FLOWING]].any(axis=0)
    pairs = reports.pairs
    callers = np.flatnonzero(reports.by_source & flowing)
    spoken_for = ~reports.by_source & reports.known_side[reports.source] & np.isin(pairs, pairs[callers])
    kept = np.arange(len(reports)) if by_pod else np.flatnonzero(~spoken_for)
    keys = (reports.source, reports.destination, reports.service, reports.protocol, spoken_for.astype(np.int64))
    member, first = numbered(*(key[kept] for key in keys))
    flow_of = np.full(len(reports), -1, np.int64)
    flow_of[kept] = member
    callees = np.flatnonzero(spoken_for)
    callee, caller = joined(pairs[callees], pairs[callers])
    flows = kept[first]
    return _Choice(flow_of, flows, (callees[callee], flow_of[callers[caller]]), spoken_for[flows])


def _finish(reading: _Reading, reports: _Reports, amounts: FloatArray, choice: _Choice, quiet: bool) -> Flows:
    flow_of, flows, callers, arrival = choice
    counted, count = flow_of >= 0, len(flows)
    sums = np.array([added(flow_of[counted], row[counted], count) for row in amounts]).reshape(len(AMOUNTS), count)
    shown = np.ones(count, np.bool_) if quiet else sums[[_PLACE[name] for name in FLOWING]].any(axis=0)
    renumbered = np.where(shown, np.cumsum(shown) - 1, -1)
    flow_of = np.where(counted, renumbered[flow_of], -1) if count else flow_of
    callers = callers[0], renumbered[callers[1]] if count else callers[1]
    sums, flows = sums[:, shown], flows[shown]
    outcomes = _Outcomes(reading, reports)
    sums[_PLACE["mutual_tls"]], sums[_PLACE["plaintext"]] = outcomes.security(flow_of, callers, len(flows))
    return Flows(
        texts=reading.vocabulary.texts,
        sides=reports.sides,
        services=reports.services,
        source=reports.source[flows],
        destination=reports.destination[flows],
        service=reports.service[flows],
        protocol=reports.protocol[flows],
        arrival=arrival[shown],
        amounts=sums,
        bounds=tuple(reading.histograms.bounds),
        buckets=_buckets(reading.histograms, flow_of[reports.of[reading.rows["duration_buckets"]]], len(flows)),
        codes=outcomes.codes(flow_of),
        hosts=outcomes.hosts(flow_of),
        source_principals=outcomes.principals("source_principal", flow_of, callers),
        destination_principals=outcomes.principals("destination_principal", flow_of, callers),
    )


def _buckets(histograms: HistogramTable, flow: IntArray, count: int) -> FloatArray:
    return added_rows(flow[flow >= 0], histograms.counts[flow >= 0], count)


class _Outcomes:
    """What requests, and bytes of TCP, say beside their number: rows of both tables, one after another."""

    def __init__(self, reading: _Reading, reports: _Reports) -> None:
        self._vocabulary = vocabulary = reading.vocabulary
        requests, sent = reading.requests, reading.sums["tcp_sent"]
        self._some: BoolArray = np.concatenate([requests.values > 0, np.ones(len(sent), np.bool_)])
        self._tables = (requests, sent)
        self._http = len(requests)
        self._report = np.concatenate([reports.of[reading.rows["requests"]], reports.of[reading.rows["tcp_sent"]]])[
            self._some
        ]
        self._count = np.concatenate([requests.values, sent.values])[self._some]
        status, code = (vocabulary.column(requests, name) for name in ("grpc_response_status", "response_code"))
        grpc = vocabulary.column(requests, "request_protocol") == vocabulary.number("grpc")
        of_http = np.where(grpc & (status > 0), status, code)
        self._code = np.concatenate([of_http, np.full(len(sent), vocabulary.number("-"), np.int64)])[self._some]

    def _column(self, name: str) -> IntArray:
        return np.concatenate([self._vocabulary.column(table, name) for table in self._tables])[self._some]

    def codes(self, flow_of: IntArray) -> Counts:
        """Requests by code and flags."""
        http = np.flatnonzero(self._some) < self._http
        return self._counts(flow_of, self._column("response_flags"), http)

    def hosts(self, flow_of: IntArray) -> Counts:
        """All by code and host."""
        host = self._column("destination_service")
        return self._counts(flow_of, host, host > 0)

    def _counts(self, flow_of: IntArray, words: IntArray, which: BoolArray) -> Counts:
        flow = flow_of[self._report]
        kept = which & (flow >= 0)
        columns = flow[kept], self._code[kept], words[kept]
        member, first = numbered(*columns)
        flow, code, word = (column[first] for column in columns)
        return Counts(flow, code, word, added(member, self._count[kept], len(first)))

    def security(
        self, flow_of: IntArray, callers: tuple[IntArray, IntArray], count: int
    ) -> tuple[FloatArray, FloatArray]:
        """How much each flow had with mutual TLS, and how much without."""
        row, flow = self._told(flow_of, callers)
        policy = self._column("connection_security_policy")[row]
        mutual, plain = (policy == self._vocabulary.number(name) for name in ("mutual_tls", "none"))
        counts = self._count[row]
        return added(flow[mutual], counts[mutual], count), added(flow[plain], counts[plain], count)

    def principals(self, name: str, flow_of: IntArray, callers: tuple[IntArray, IntArray]) -> Names:
        """What one end of each flow is known by."""
        row, flow = self._told(flow_of, callers)
        word = self._column(name)[row]
        flow, word = flow[word > 0], word[word > 0]
        _, first = numbered(flow, word)
        return Names(flow[first], word[first])

    def _told(self, flow_of: IntArray, callers: tuple[IntArray, IntArray]) -> tuple[IntArray, IntArray]:
        """Rows, and the flows they tell of: a row of a callee's report tells of each of its callers' flows."""
        own = np.flatnonzero(flow_of[self._report] >= 0)
        spoken_for, caller = callers
        place, row = joined(spoken_for, self._report)
        return np.concatenate([own, row]), np.concatenate([flow_of[self._report[own]], caller[place]])
