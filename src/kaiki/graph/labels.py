"""Istio's labels as numbers of texts: one vocabulary for all series of a graph, in which unknown is no text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from kaiki.graph.numbers import IntArray
from kaiki.graph.series import HistogramTable, Table

AnyTable = Table | HistogramTable
UNKNOWN = ("", "unknown")
SINK_SERVICES = ("PassthroughCluster", "BlackHoleCluster")
_NO_SERVICES = (*UNKNOWN, "InboundPassthroughCluster")
_PROTOCOLS = ("grpc", "http", "tcp")


def _known(text: str) -> str:
    return "" if text in UNKNOWN else text


def _version(text: str) -> str:
    """`latest` is what Istio writes when there is no version label."""
    return "" if text == "latest" else _known(text)


def _service(text: str) -> str:
    return "" if text in _NO_SERVICES else text


def _protocol(text: str) -> str:
    protocol = text.lower()
    return protocol if protocol in ("grpc", "tcp") else "http"


def _reporter(text: str) -> str:
    return "source" if text == "source" else "destination"


READINGS: Mapping[str, Callable[[str], str]] = {
    "reporter": _reporter,
    "request_protocol": _protocol,
    **{
        f"{side}_{name}": reading
        for side in ("source", "destination")
        for name, reading in (
            ("workload_namespace", _known),
            ("workload", _known),
            ("canonical_service", _known),
            ("canonical_revision", _version),
            ("principal", _known),
        )
    },
    "pod": _known,
    "destination_service": _known,
    "destination_service_name": _service,
    "destination_service_namespace": _known,
    "connection_security_policy": str,
    "grpc_response_status": str,
    "response_code": lambda text: text or "0",
    "response_flags": lambda text: text or "-",
}
"""How each label is read."""
_ALWAYS = ("", "-", "0", "source", "destination", "mutual_tls", "none", *_PROTOCOLS, *SINK_SERVICES)


class Vocabulary:
    """Every text of some tables, each once, sorted: the order of the numbers is that of the texts; "" is 0."""

    def __init__(self, tables: Sequence[AnyTable]) -> None:
        # Most tables have the same texts in a column as the one before: each list of texts is read once.
        read: dict[str, list[tuple[Sequence[str], list[str]]]] = {name: [] for name in READINGS}
        found = set(_ALWAYS)
        for name, texts in _columns(tables):
            if not any(texts == other for other, _ in read[name]):
                read[name].append((texts, list(map(READINGS[name], texts))))
                found.update(read[name][-1][1])
        self.texts = sorted(found)
        self._numbers = {text: number for number, text in enumerate(self.texts)}
        self._arrays = {name: [(texts, self._numbers_of(own)) for texts, own in read[name]] for name in read}

    def _numbers_of(self, texts: Sequence[str]) -> IntArray:
        numbers = self._numbers
        return np.array([numbers[text] for text in texts], np.int64)

    def number(self, text: str) -> int:
        """Of a text that is there."""
        return self._numbers[text]

    def column(self, table: AnyTable, name: str) -> IntArray:
        """A label of every row, as it is read."""
        column = table.labels.get(name)
        if column is None:
            return np.full(len(table), self._numbers[READINGS[name]("")], np.int64)
        numbers = next(array for texts, array in self._arrays[name] if texts == column.texts)
        return numbers[column.of] if len(column.of) else np.zeros(0, np.int64)


def _columns(tables: Sequence[AnyTable]) -> Iterator[tuple[str, Sequence[str]]]:
    for table in tables:
        for name, column in table.labels.items():
            if name in READINGS:
                yield name, column.texts
