"""What every proxy should have under the newest snapshot: built when it is asked for, once per proxy and snapshot.

A proxy for which building fails keeps what it had: a defect that one pod brings out must not take the others' changes.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from kaiki.discovery.metrics import Metrics
from kaiki.model.proxy import Capture, Proxy, ProxyConfig, Resource
from kaiki.model.snapshot import EMPTY_SNAPSHOT, MeshSnapshot
from kaiki.model.workload import ProxyKind, WorkloadInstance

logger = logging.getLogger(__name__)

Generate = Callable[[MeshSnapshot, Proxy], ProxyConfig]
Targets = Mapping[str, Mapping[str, Resource]]


@dataclass(frozen=True, slots=True)
class Generation:
    """One published snapshot: its number, and when (monotonic seconds) the change behind it was seen."""

    number: int
    snapshot: MeshSnapshot
    changed_at: float


class Configs:
    """The newest snapshot and what follows from it for each proxy."""

    def __init__(self, generate: Generate, metrics: Metrics, *, capture: Capture = Capture.MARK) -> None:
        self._generate = generate
        self._metrics = metrics
        self._capture = capture
        self._built: dict[tuple[str, str], tuple[int, Proxy, Targets]] = {}
        self.generation = Generation(0, EMPTY_SNAPSHOT, 0.0)

    def publish(self, snapshot: MeshSnapshot, changed_at: float) -> None:
        """Take over a snapshot."""
        self.generation = Generation(self.generation.number + 1, snapshot, changed_at)
        self._metrics.count("pilot_push_triggers")
        self._metrics.observe("pilot_debounce_time", max(0.0, time.monotonic() - changed_at))

    def find_workload(self, namespace: str, name: str) -> WorkloadInstance | None:
        """The pod of this name, if the snapshot knows it."""
        return self.generation.snapshot.workloads.get((namespace, name))

    def proxy_of(self, workload: WorkloadInstance) -> Proxy:
        """The proxy of a pod."""
        kind = workload.proxy
        if kind is ProxyKind.NONE:
            # It has proved to be this pod's, so a proxy is there whatever the pod's specification shows.
            kind = ProxyKind.SIDECAR
        return Proxy(
            kind=kind,
            name=workload.name,
            namespace=workload.namespace,
            identity=workload.identity,
            metric_labels=workload.metric_labels,
            labels=workload.labels,
            address=workload.address,
            capture=self._capture if kind is ProxyKind.SIDECAR else Capture.NONE,
        )

    def refresh(self, proxy: Proxy) -> Proxy:
        """The proxy as the newest snapshot has it; unchanged when its pod has gone."""
        workload = self.find_workload(*proxy.key)
        if workload is None or workload.identity != proxy.identity:
            return proxy
        return self.proxy_of(workload)

    def of(self, proxy: Proxy) -> Targets:
        """What the proxy should have now."""
        number, known, targets = self._built.get(proxy.key, (-1, None, {}))
        if number == self.generation.number and known == proxy:
            return targets
        started = time.perf_counter()
        try:
            targets = self._generate(self.generation.snapshot, proxy).resources
        except Exception:
            logger.exception("the configuration of %s/%s could not be built; it keeps what it has", *proxy.key)
            self._metrics.count("pilot_xds_push_errors")
        self._metrics.observe("pilot_xds_push_time", time.perf_counter() - started)
        self._built[proxy.key] = (self.generation.number, proxy, targets)
        return targets

    def forget(self, proxy: Proxy) -> None:
        """Drop what was built for a proxy that is no longer connected."""
        self._built.pop(proxy.key, None)
