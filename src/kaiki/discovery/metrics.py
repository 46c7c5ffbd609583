"""The control plane's own metrics, under Istio's names, in the Prometheus text format.

A registry of this size is smaller than a dependency, and does nothing at import.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

Labels = tuple[tuple[str, str], ...]
Kind = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True, slots=True)
class Family:
    """A metric's name, what it counts, and, for histograms, its buckets (seconds)."""

    name: str
    kind: Kind
    help: str
    buckets: tuple[float, ...] = ()


CONVERGENCE_BUCKETS = (0.01, 0.03, 0.1, 0.5, 1, 3, 5, 10, 20, 30)

FAMILIES = (
    Family("istio_build", "gauge", "Build information of the component."),
    Family("pilot_xds", "gauge", "Number of proxies connected."),
    Family("pilot_xds_pushes", "counter", "Responses sent to proxies, by type."),
    Family("pilot_xds_push_errors", "counter", "Configurations that could not be built."),
    Family("pilot_total_xds_rejects", "counter", "Responses refused by proxies, by type."),
    Family("pilot_total_xds_internal_errors", "counter", "Streams ended by an error of the control plane."),
    Family("pilot_xds_expired_nonce", "counter", "Answers to responses that are no longer awaited, by type."),
    Family(
        "pilot_xds_config_size_bytes",
        "histogram",
        "Bytes of responses to proxies, by type.",
        (1, 10_000, 1_000_000, 4_000_000, 10_000_000, 40_000_000),
    ),
    Family("pilot_xds_cds_reject", "gauge", "Clusters that proxies refuse."),
    Family("pilot_xds_eds_reject", "gauge", "Endpoints that proxies refuse."),
    Family("pilot_xds_lds_reject", "gauge", "Listeners that proxies refuse."),
    Family("pilot_xds_rds_reject", "gauge", "Route tables that proxies refuse."),
    Family("pilot_xds_authentication_failures", "counter", "Streams refused because of who opened them."),
    Family(
        "pilot_proxy_convergence_time",
        "histogram",
        "Seconds from a change until a proxy has taken it over.",
        CONVERGENCE_BUCKETS,
    ),
    Family(
        "pilot_xds_push_time",
        "histogram",
        "Seconds to build a configuration.",
        (0.001, 0.01, 0.1, 1),
    ),
    Family(
        "pilot_proxy_queue_time",
        "histogram",
        "Seconds from a change until a proxy's turn comes.",
        CONVERGENCE_BUCKETS,
    ),
    Family(
        "pilot_debounce_time",
        "histogram",
        "Seconds from a change until the snapshot with it is published.",
        (0.01, 0.1, 1, 3, 5, 10, 20, 30),
    ),
    Family("pilot_push_triggers", "counter", "Snapshots published."),
    Family("pilot_inbound_updates", "counter", "Changes seen in the API, by what they are about."),
    Family("pilot_k8s_cfg_events", "counter", "Changes of configuration seen in the API, by kind and event."),
    Family("pilot_k8s_reg_events", "counter", "Changes of what runs seen in the API, by kind and event."),
    Family("pilot_eds_no_instances", "gauge", "Service ports without a ready endpoint."),
    Family("pilot_no_ip", "gauge", "Pods without an address."),
    Family("istiod_managed_clusters", "gauge", "Clusters watched."),
    Family("istiod_uptime_seconds", "gauge", "Seconds since the control plane started."),
    Family("pilot_services", "gauge", "Services known."),
    Family("pilot_virt_services", "gauge", "VirtualServices known."),
    Family("citadel_server_csr_count", "counter", "Certificates asked for."),
    Family("citadel_server_success_cert_issuance_count", "counter", "Certificates issued to workloads."),
    Family("citadel_server_authentication_failure_count", "counter", "Callers whose identity could not be proved."),
    Family("citadel_server_root_cert_expiry_timestamp", "gauge", "When the root ends, in seconds since 1970."),
    Family("sidecar_injection_requests_total", "counter", "Pods offered for injection."),
    Family("sidecar_injection_success_total", "counter", "Pods injected."),
    Family("sidecar_injection_skip_total", "counter", "Pods left as they are."),
    Family("sidecar_injection_failure_total", "counter", "Pods that could not be injected."),
    Family("galley_validation_passed", "counter", "Objects admitted, by resource."),
    Family("galley_validation_failed", "counter", "Objects denied, by resource."),
    Family("process_cpu_seconds_total", "counter", "Processor time used."),
    Family("process_resident_memory_bytes", "gauge", "Memory in use."),
    Family("process_virtual_memory_bytes", "gauge", "Address space in use."),
    Family("process_start_time_seconds", "gauge", "When the process started, in seconds since 1970."),
    Family("process_open_fds", "gauge", "Open files."),
    Family("process_max_fds", "gauge", "Files that may be open."),
)


@dataclass(slots=True)
class _Histogram:
    counts: list[int]
    total: float = 0.0


@dataclass(slots=True)
class Metrics:
    """Values by family and labels. `observe_live` adds gauges that are read when somebody looks."""

    families: tuple[Family, ...] = FAMILIES
    _values: dict[str, dict[Labels, float]] = field(default_factory=dict)
    _histograms: dict[str, dict[Labels, _Histogram]] = field(default_factory=dict)
    _live: dict[str, Callable[[], float]] = field(default_factory=dict)
    _by_name: dict[str, Family] = field(default_factory=dict)

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        """Add to a counter."""
        table, key = self._values.setdefault(name, {}), tuple(sorted(labels.items()))
        table[key] = table.get(key, 0) + amount

    def set(self, name: str, value: float, **labels: str) -> None:
        """Set a gauge."""
        self._values.setdefault(name, {})[tuple(sorted(labels.items()))] = value

    def observe(self, name: str, seconds: float, **labels: str) -> None:
        """Add a value to a histogram. Raises KeyError for a family that is not there."""
        if not self._by_name:
            self._by_name = {family.name: family for family in self.families}
        family = self._by_name[name]
        table, key = self._histograms.setdefault(name, {}), tuple(sorted(labels.items()))
        histogram = table.setdefault(key, _Histogram([0] * (len(family.buckets) + 1)))
        histogram.counts[bisect_left(family.buckets, seconds)] += 1
        histogram.total += seconds

    def observe_live(self, name: str, read: Callable[[], float]) -> None:
        """Let a gauge be read at scrape time."""
        self._live[name] = read

    def value(self, name: str, **labels: str) -> float:
        """A counter or gauge; 0 if it was never touched."""
        if name in self._live and not labels:
            return self._live[name]()
        return self._values.get(name, {}).get(tuple(sorted(labels.items())), 0)

    def render(self) -> str:
        """All families in the Prometheus text format, version 0.0.4."""
        return "".join(f"{line}\n" for family in self.families for line in self._family(family))

    def _family(self, family: Family) -> Iterator[str]:
        yield f"# HELP {family.name} {family.help}"
        yield f"# TYPE {family.name} {family.kind}"
        if family.name in self._live:
            yield f"{family.name} {_number(self._live[family.name]())}"
        for labels, value in sorted(self._values.get(family.name, {}).items()):
            yield f"{family.name}{_labels(labels)} {_number(value)}"
        for labels, histogram in sorted(self._histograms.get(family.name, {}).items()):
            yield from _histogram(family, labels, histogram)


def _histogram(family: Family, labels: Labels, histogram: _Histogram) -> Iterator[str]:
    seen = 0
    for bound, count in zip((*map(_number, family.buckets), "+Inf"), histogram.counts, strict=True):
        seen += count
        yield f"{family.name}_bucket{_labels((*labels, ('le', bound)))} {seen}"
    yield f"{family.name}_sum{_labels(labels)} {_number(histogram.total)}"
    yield f"{family.name}_count{_labels(labels)} {seen}"


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escape(value)}"' for name, value in labels) + "}"


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))
