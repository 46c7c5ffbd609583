"""From series to flows: each request is counted once, though both proxies on its way report it.

The caller's report is preferred, for it also has the requests that never arrived. Where the caller has no proxy (its
source is unknown) or does not report, the callee's is used. Only the callee can tell whether mutual TLS was used.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from kaiki.graph.series import Histogram, Sample, TrafficSeries

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

    `hosts` counts by (response code, host that was asked for); of TCP, bytes under the code `-`.
    """

    codes: dict[tuple[str, str], float] = field(default_factory=dict)
    hosts: dict[tuple[str, str], float] = field(default_factory=dict)
    buckets: dict[float, float] = field(default_factory=dict)
    duration_milliseconds: float = 0.0
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
        """Whether nothing at all flowed."""
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
    for sample in series.requests:
        _add_requests(ledger.flow(sample), sample)
    for histogram in series.duration_buckets:
        buckets = ledger.flow(histogram).buckets
        for bound, count in histogram.buckets.items():
            buckets[bound] = buckets.get(bound, 0.0) + count
    for sample in series.durations:
        ledger.flow(sample).duration_milliseconds += sample.value
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


def _add_requests(flow: Flow, sample: Sample) -> None:
    labels = sample.labels
    status = labels.get("grpc_response_status", "") if _protocol(labels) == "grpc" else ""
    outcome = status or labels.get("response_code", "") or "0", labels.get("response_flags", "") or "-"
    if sample.value > 0:
        flow.codes[outcome] = flow.codes.get(outcome, 0.0) + sample.value
        _add_host(flow, outcome[0], sample)
        _add_security(flow, sample)


def _add_host(flow: Flow, code: str, sample: Sample) -> None:
    if host := _known(sample.labels, "destination_service"):
        flow.hosts[code, host] = flow.hosts.get((code, host), 0.0) + sample.value


def _add_tcp(ledger: _Ledger, series: TrafficSeries) -> None:
    for sample in _positive(series.tcp_sent):
        flow = ledger.flow(sample, "tcp")
        flow.bytes_sent += sample.value
        _add_host(flow, "-", sample)
        _add_security(flow, sample)
    for sample in _positive(series.tcp_received):
        ledger.flow(sample, "tcp").bytes_received += sample.value
    for sample in _positive(series.tcp_opened):
        ledger.flow(sample, "tcp").connections += sample.value


def _positive(samples: Iterable[Sample]) -> Iterable[Sample]:
    return (sample for sample in samples if sample.value > 0)


def _add_security(flow: Flow, sample: Sample) -> None:
    labels = sample.labels
    policy = labels.get("connection_security_policy", "")
    if policy == "mutual_tls":
        flow.mutual_tls += sample.value
    elif policy == "none":
        flow.plaintext += sample.value
    for name, principals in (("source", flow.source_principals), ("destination", flow.destination_principals)):
        if principal := _known(labels, f"{name}_principal"):
            principals.add(principal)


class _Ledger:
    """The flows by reporter. Several samples are of one and the same flow, so what their labels mean is kept."""

    def __init__(self) -> None:
        self.by_reporter: dict[str, dict[FlowKey, Flow]] = {"source": {}, "destination": {}}
        self._known: dict[tuple[str | None, ...], Flow] = {}

    def flow(self, sample: Sample | Histogram, protocol: str = "") -> Flow:
        """The flow a sample belongs to."""
        value = sample.labels.get
        identity = (protocol, *[value(name) for name in _FLOW_LABELS])
        found = self._known.get(identity)
        if found is None:
            found = self._known[identity] = self._find(sample.labels, protocol)
        return found

    def _find(self, labels: Mapping[str, str], protocol: str) -> Flow:
        reporter = "source" if labels.get("reporter") == "source" else "destination"
        key = FlowKey(
            _side(labels, "source"), _side(labels, "destination"), _service(labels), protocol or _protocol(labels)
        )
        return self.by_reporter[reporter].setdefault(key, Flow())


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
