"""From series to flows: each request is counted once, though both proxies on its way report it.

The caller's report is preferred, for it also has the requests that never arrived. Where the caller has no proxy (its
source is unknown) or does not report, the callee's is used. Only the callee can tell whether mutual TLS was used.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from kaiki.graph.series import Histogram, Sample, TrafficSeries, buckets_of, label_rows, values_of

_UNKNOWN = ("", "unknown")
SINK_SERVICES = ("PassthroughCluster", "BlackHoleCluster")
_SIDE_LABELS = ("workload", "workload_namespace", "canonical_service", "canonical_revision")
_FLOW_LABELS = (
    "reporter",
    "request_protocol",
    *(f"{side}_{name}" for side in ("source", "destination") for name in _SIDE_LABELS),
    "destination_service_name",
    "destination_service_namespace",
)
_OTHER_LABELS = ("destination_service", "connection_security_policy", "source_principal", "destination_principal")
_REQUEST_LABELS = ("request_protocol", "grpc_response_status", "response_code", "response_flags", *_OTHER_LABELS)
_NO_SERVICES = (*_UNKNOWN, "InboundPassthroughCluster")


class Side(NamedTuple):
    """One end of a flow, by Istio's labels; empty strings are unknown."""

    namespace: str = ""
    workload: str = ""
    app: str = ""
    version: str = ""


class ServiceName(NamedTuple):
    """The service that was called; both empty when unknown. A host outside of the cluster has no namespace."""

    namespace: str = ""
    name: str = ""


class FlowKey(NamedTuple):
    """What tells flows apart."""

    source: Side
    destination: Side
    service: ServiceName
    protocol: str

    @property
    def pair(self) -> tuple[str, str, str, str, str]:
        """The two workloads and the protocol: what a caller's and a callee's report agree on."""
        source, destination = self.source, self.destination
        return source.namespace, source.workload, destination.namespace, destination.workload, self.protocol


@dataclass(slots=True)
class Flow:
    """Sums over series. `codes` is counts by (response code, flags); `buckets` cumulative counts by bound in ms;

    `hosts` counts by (response code, host that was asked for); of TCP, bytes under the code `-`. `bytes_sent` and
    `bytes_received` are TCP's, as the server sees them.
    """

    codes: dict[tuple[str, str], float] = field(default_factory=dict)
    hosts: dict[tuple[str, str], float] = field(default_factory=dict)
    buckets: dict[float, float] = field(default_factory=dict)
    duration_milliseconds: float = 0.0
    request_bytes: float = 0.0
    response_bytes: float = 0.0
    bytes_sent: float = 0.0
    bytes_received: float = 0.0
    connections: float = 0.0
    mutual_tls: float = 0.0
    plaintext: float = 0.0
    source_principals: set[str] = field(default_factory=set)
    destination_principals: set[str] = field(default_factory=set)

    @property
    def requests(self) -> float:
        """The number of requests."""
        return sum(self.codes.values())

    @property
    def quiet(self) -> bool:
        """Whether nothing at all flowed. Sums alone tell nothing: Envoy merges histograms later than it counts."""
        return not (self.requests or self.bytes_sent or self.bytes_received or self.connections)

    def add(self, other: Flow) -> None:
        """Add another flow's sums to this one."""
        for outcome, count in other.codes.items():
            self.codes[outcome] = self.codes.get(outcome, 0.0) + count
        for place, count in other.hosts.items():
            self.hosts[place] = self.hosts.get(place, 0.0) + count
        for bound, count in other.buckets.items():
            self.buckets[bound] = self.buckets.get(bound, 0.0) + count
        self.duration_milliseconds += other.duration_milliseconds
        self.request_bytes += other.request_bytes
        self.response_bytes += other.response_bytes
        self.bytes_sent += other.bytes_sent
        self.bytes_received += other.bytes_received
        self.connections += other.connections
        self.add_security(other)

    def add_security(self, other: Flow) -> None:
        """Add only what another flow tells of encryption and identities."""
        self.mutual_tls += other.mutual_tls
        self.plaintext += other.plaintext
        self.source_principals |= other.source_principals
        self.destination_principals |= other.destination_principals


def collect_flows(series: TrafficSeries, quiet: bool = False) -> dict[FlowKey, Flow]:
    """Every flow with traffic, counted by one reporter; with `quiet` also those that stood still."""
    ledger = _Ledger()
    _add_requests(ledger, series.requests)
    _add_histograms(ledger, series.duration_buckets)
    for name, samples in (
        ("duration_milliseconds", series.durations),
        ("request_bytes", series.request_bytes),
        ("response_bytes", series.response_bytes),
    ):
        for flow, value in zip(ledger.flows(samples), values_of(samples), strict=True):
            setattr(flow, name, getattr(flow, name) + value)
    _add_tcp(ledger, series)
    flows = _choose_reporters(ledger.by_reporter["source"], ledger.by_reporter["destination"])
    return {key: flow for key, flow in sorted(flows.items()) if quiet or not flow.quiet}


def _choose_reporters(reported: dict[FlowKey, Flow], received: dict[FlowKey, Flow]) -> dict[FlowKey, Flow]:
    flows = dict(reported)
    reported_pairs: dict[tuple[str, str, str, str, str], list[Flow]] = {}
    for key, flow in reported.items():
        if not flow.quiet:
            reported_pairs.setdefault(key.pair, []).append(flow)
    for key, flow in received.items():
        callers = reported_pairs.get(key.pair, ()) if key.source.workload else ()
        if not callers:
            if (known := flows.get(key)) is not None:
                known.add(flow)
            else:
                flows[key] = flow
        for caller in callers:
            caller.add_security(flow)
    return flows


class _Ledger:
    """The flows by reporter. Several samples are of one and the same flow, so what their labels mean is kept."""

    def __init__(self) -> None:
        self.by_reporter: dict[str, dict[FlowKey, Flow]] = {"source": {}, "destination": {}}
        self._known: dict[tuple[str, tuple[str, ...]], Flow] = {}

    def flows(self, samples: Sequence[Sample] | Sequence[Histogram], protocol: str = "") -> Iterator[Flow]:
        """The flow each sample belongs to."""
        for values in label_rows(samples, _FLOW_LABELS):
            found = self._known.get((protocol, values))
            if found is None:
                found = self._known[protocol, values] = self._find(
                    dict(zip(_FLOW_LABELS, values, strict=True)), protocol
                )
            yield found

    def _find(self, labels: Mapping[str, str], protocol: str) -> Flow:
        reporter = "source" if labels["reporter"] == "source" else "destination"
        key = FlowKey(
            _side(labels, "source"), _side(labels, "destination"), _service(labels), protocol or _protocol(labels)
        )
        return self.by_reporter[reporter].setdefault(key, Flow())


def _add_requests(ledger: _Ledger, samples: Sequence[Sample]) -> None:
    rows = zip(ledger.flows(samples), values_of(samples), label_rows(samples, _REQUEST_LABELS), strict=True)
    for flow, value, (protocol, status, code, flags, *others) in rows:
        if value > 0:
            outcome = (status if protocol.lower() == "grpc" else "") or code or "0", flags or "-"
            flow.codes[outcome] = flow.codes.get(outcome, 0.0) + value
            _add_others(flow, outcome[0], value, others)


def _add_histograms(ledger: _Ledger, histograms: Sequence[Histogram]) -> None:
    for flow, found in zip(ledger.flows(histograms), buckets_of(histograms), strict=True):
        if not flow.buckets:
            flow.buckets.update(found)
            continue
        for bound, count in found.items():
            flow.buckets[bound] = flow.buckets.get(bound, 0.0) + count


def _add_tcp(ledger: _Ledger, series: TrafficSeries) -> None:
    sent, received, opened = map(_positive, (series.tcp_sent, series.tcp_received, series.tcp_opened))
    rows = zip(ledger.flows(sent, "tcp"), sent, label_rows(sent, _OTHER_LABELS), strict=True)
    for flow, sample, others in rows:
        flow.bytes_sent += sample.value
        _add_others(flow, "-", sample.value, others)
    for flow, sample in zip(ledger.flows(received, "tcp"), received, strict=True):
        flow.bytes_received += sample.value
    for flow, sample in zip(ledger.flows(opened, "tcp"), opened, strict=True):
        flow.connections += sample.value


def _positive(samples: Iterable[Sample]) -> tuple[Sample, ...]:
    return tuple(sample for sample in samples if sample.value > 0)


def _add_others(flow: Flow, code: str, value: float, others: Sequence[str]) -> None:
    """What host was asked for, and what both ends are known by: the values of `_OTHER_LABELS`."""
    host, policy, source, destination = others
    if host not in _UNKNOWN:
        flow.hosts[code, host] = flow.hosts.get((code, host), 0.0) + value
    if policy == "mutual_tls":
        flow.mutual_tls += value
    elif policy == "none":
        flow.plaintext += value
    if source not in _UNKNOWN:
        flow.source_principals.add(source)
    if destination not in _UNKNOWN:
        flow.destination_principals.add(destination)


def _protocol(labels: Mapping[str, str]) -> str:
    protocol = labels.get("request_protocol", "").lower()
    return protocol if protocol in ("grpc", "tcp") else "http"


def _side(labels: Mapping[str, str], side: str) -> Side:
    workload = _known(labels, f"{side}_workload")
    if not workload:
        return Side()
    version = _known(labels, f"{side}_canonical_revision")
    return Side(
        namespace=_known(labels, f"{side}_workload_namespace"),
        workload=workload,
        app=_known(labels, f"{side}_canonical_service"),
        version="" if version == "latest" else version,  # What Istio writes when there is no version label.
    )


def _service(labels: Mapping[str, str]) -> ServiceName:
    name = labels.get("destination_service_name", "")
    if name in _NO_SERVICES:
        return ServiceName()
    if name in SINK_SERVICES:
        return ServiceName("", name)
    return ServiceName(_known(labels, "destination_service_namespace"), name)


def _known(labels: Mapping[str, str], name: str) -> str:
    value = labels.get(name, "")
    return "" if value in _UNKNOWN else value
