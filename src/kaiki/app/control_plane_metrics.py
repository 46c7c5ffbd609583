"""What the control plane measures of itself beside discovery: changes seen, the mesh's size, its own process.

Names are Istio's (`pilot_…`, `citadel_…`, `istiod_…`) and those every Prometheus client has (`process_…`).
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

from kaiki.discovery.metrics import Metrics
from kaiki.kube.cache import Cache, CacheEvent
from kaiki.model.snapshot import MeshSnapshot

_RUNNING = frozenset(("Pod", "Service", "EndpointSlice", "Namespace", "Node"))
_EVENTS = {"added": "add", "updated": "update", "deleted": "delete"}
_STATISTICS = Path("/proc/self/statm")
_OPEN_FILES = Path("/proc/self/fd")


def count_events(caches: Mapping[str, Cache], metrics: Metrics) -> None:
    """Count what every cache sees from now on."""
    for kind, cache in caches.items():
        cache.subscribe(_counter(kind, metrics))


def _counter(kind: str, metrics: Metrics) -> Callable[[CacheEvent], None]:
    family = "pilot_k8s_reg_events" if kind in _RUNNING else "pilot_k8s_cfg_events"
    update = {"EndpointSlice": "eds", "Service": "svc"}.get(kind, "config")

    def count(event: CacheEvent) -> None:
        metrics.count(family, type=kind, event=_EVENTS[event.kind])
        metrics.count("pilot_inbound_updates", type=update)

    return count


def measure_snapshot(snapshot: MeshSnapshot, metrics: Metrics) -> None:
    """Set the gauges of the mesh's size."""
    metrics.set("pilot_services", len(snapshot.services))
    without = sum(1 for found in snapshot.endpoints.values() if not any(item.healthy for item in found))
    metrics.set("pilot_eds_no_instances", without)
    metrics.set("pilot_no_ip", sum(1 for item in snapshot.workloads.values() if not item.address))


def measure_process(metrics: Metrics, root_ends: Callable[[], datetime]) -> None:
    """Let the process be measured whenever somebody looks."""
    started, since = time.time(), time.monotonic()
    metrics.set("process_start_time_seconds", started)
    metrics.set("istiod_managed_clusters", 1, cluster_type="local")
    metrics.set("process_max_fds", resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    metrics.observe_live("istiod_uptime_seconds", lambda: time.monotonic() - since)
    metrics.observe_live("process_cpu_seconds_total", time.process_time)
    metrics.observe_live("process_virtual_memory_bytes", lambda: _pages(0))
    metrics.observe_live("process_resident_memory_bytes", lambda: _pages(1))
    metrics.observe_live("process_open_fds", lambda: float(len(os.listdir(_OPEN_FILES))))
    metrics.observe_live("citadel_server_root_cert_expiry_timestamp", lambda: root_ends().timestamp())


def _pages(field: int) -> float:
    return float(int(_STATISTICS.read_text().split()[field]) * resource.getpagesize())
