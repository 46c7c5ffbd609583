"""Workloads: what runs. A `WorkloadInstance` is one pod; several of one `workload` name are a Deployment."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from kaiki.model.identity import Identity, WorkloadLabels
from kaiki.model.policy.peer import PERMISSIVE, PeerModes
from kaiki.model.policy.telemetry import TracingDefaults

REACH_LOOPBACK_ANNOTATION = "kaiki.io/reach-loopback"
"""Of a pod: `true`, or the ports, that others reach though the application listens on its loopback only."""
STARTED_WITH_ANNOTATION = "kaiki.io/started-with"
"""Of a pod, written at admission: the ProxyConfigs and EnvoyFilters its proxy was started with, their editions, by
comma."""
REACHABLE_CONDITION = "kaiki.io/Reachable"
"""Of a pod, False when only the pod itself reaches its application; the message begins with the ports."""


class ProxyKind(StrEnum):
    """What stands before a workload: nothing, a sidecar, or the workload is itself a gateway."""

    NONE = "none"
    SIDECAR = "sidecar"
    GATEWAY = "gateway"


@dataclass(frozen=True, slots=True)
class WorkloadInstance:
    """One pod of the mesh.

    `labels` are the pod's own, sorted; `ready` is its Ready condition; `owner_kind` is the kind of the workload that
    owns it (`Deployment`, `Pod`, …). `address` is empty until the pod has one. `tracing` is what the pod's annotation
    `proxy.istio.io/config` says of it. `locality` is the pod's own, else that of its node. `peer_modes` is which TLS
    its sidecar takes. `started_with` are the ProxyConfigs and EnvoyFilters (editions) its proxy was started with.
    """

    name: str
    namespace: str
    uid: str
    address: str
    identity: Identity
    metric_labels: WorkloadLabels
    labels: tuple[tuple[str, str], ...]
    proxy: ProxyKind
    ready: bool
    owner_kind: str = "Deployment"
    node: str = ""
    named_ports: tuple[tuple[str, int], ...] = field(default=())
    tracing: TracingDefaults | None = None
    locality: str = ""
    peer_modes: PeerModes = PERMISSIVE
    started_with: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        """(namespace, name)."""
        return self.namespace, self.name

    def takes_mutual_tls(self, port: int) -> bool:
        """Whether clients of the mesh speak mutual TLS to a port of the pod."""
        return self.proxy is ProxyKind.SIDECAR and not self.peer_modes.refuses_mutual_tls(port)

    def matches(self, selector: tuple[tuple[str, str], ...]) -> bool:
        """Whether every pair of a non-empty equality selector is among the pod's labels."""
        return bool(selector) and set(selector) <= set(self.labels)
