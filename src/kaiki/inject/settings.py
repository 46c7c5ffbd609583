"""What injection is told from outside: an installation's settings, and what it asks of the bootstrap's renderer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from kaiki.model.identity import DEFAULT_TRUST_DOMAIN, WorkloadLabels
from kaiki.model.proxy import Capture
from kaiki.model.workload import ProxyKind

ProbeKind = Literal["http", "https", "tcp", "grpc"]


@dataclass(frozen=True, slots=True)
class ProbeTarget:
    """One application probe that Envoy answers on port 15020 in the kubelet's stead.

    `path` is where the kubelet now asks (`/app-health/<container>/readyz`); `request_path` (path and query, http and
    https) or `service` (grpc) is what the application is then asked. Headers stay in the kubelet's own request.
    """

    path: str
    kind: ProbeKind
    port: int
    request_path: str = "/"
    service: str = ""
    timeout_seconds: int = 1


@dataclass(frozen=True, slots=True)
class ApplicationMetrics:
    """Where the application serves its own metrics, from the `prometheus.io/*` annotations the user wrote."""

    port: int
    path: str = "/metrics"


@dataclass(frozen=True, slots=True)
class BootstrapRequest:
    """Everything about one proxy that its bootstrap may depend on.

    The pod's name, namespace and address are not known at admission: the answer writes `$(POD_NAME)`,
    `$(POD_NAMESPACE)` and `$(POD_IP)`, which Kubernetes expands in the container's arguments. Texts in here that users
    wrote are already escaped against that expansion (`$` doubled).
    """

    kind: ProxyKind
    workload: WorkloadLabels
    capture: Capture
    istio_namespace: str
    trust_domain: str
    probes: tuple[ProbeTarget, ...] = ()
    application_metrics: ApplicationMetrics | None = None
    statistics: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class InjectionSettings:
    """The installation's side.

    `concurrency` counts Envoy's worker threads (0: one per core); `environment` is for the proxy's container; requests
    are Kubernetes quantities. `probe_kinds` are the probes the bootstrap can answer; others are left as they are: a
    probe that nobody answers would keep its pod from starting. `statistics` are further ones the proxy keeps: pairs of
    `prefix`, `suffix` or `regex` and a text. `started_with` are the editions of the objects in all this.
    `redirection` are annotations of pods that have none of their own.
    """

    version: str
    render_bootstrap: Callable[[BootstrapRequest], Mapping[str, Any]]
    capture: Capture = Capture.UID
    revision: str = "default"
    istio_namespace: str = "istio-system"
    trust_domain: str = DEFAULT_TRUST_DOMAIN
    cluster_name: str = "Kubernetes"
    proxy_image: str = "envoyproxy/envoy:v1.40.0"
    init_image: str = ""
    concurrency: int = 2
    probe_kinds: frozenset[ProbeKind] = frozenset({"http", "https"})
    log_level: str = "warning"
    environment: tuple[tuple[str, str], ...] = ()
    drain_seconds: int = 5
    statistics: tuple[tuple[str, str], ...] = ()
    started_with: tuple[str, ...] = ()
    redirection: tuple[tuple[str, str], ...] = ()
    cpu_request: str = "10m"
    memory_request: str = "64Mi"
    ignored_namespaces: frozenset[str] = frozenset({"kube-system", "kube-public", "kube-node-lease"})

    @property
    def resolved_init_image(self) -> str:
        """The image of the redirection step: Kaiki's own at this version unless the installation names another."""
        return self.init_image or f"kaiki/kaiki:{self.version}"
