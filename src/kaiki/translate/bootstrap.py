"""What an Envoy starts with: enough to say who it is, to be scraped and probed, and to ask for the rest.

The bootstrap is rendered once, at injection, and is the argument of `--config-yaml`: plain JSON, no protobuf, so that the
injector stays light. `$(POD_NAME)`, `$(POD_NAMESPACE)` and `$(POD_IP)` are expanded by Kubernetes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kaiki.model.proxy import Capture
from kaiki.model.workload import ProxyKind


@dataclass(frozen=True, slots=True)
class AppProbe:
    """A probe of the application, rewritten to 15020: `path` there (`/app-health/reviews/readyz`) → `port` and `target`."""

    path: str
    port: int
    target: str
    https: bool = False
    timeout_seconds: float = 1.0


@dataclass(frozen=True, slots=True)
class BootstrapSettings:
    """What a bootstrap depends on. `probes` are the application's HTTP probes; `metrics_*` its own Prometheus port."""

    kind: ProxyKind
    capture: Capture
    discovery_host: str = "istiod.istio-system.svc"
    discovery_port: int = 15012
    telemetry_host: str = "kaiki-telemetry.istio-system.svc"
    telemetry_port: int = 9093
    token_path: str = "/var/run/secrets/tokens/istio-token"
    root_certificate_path: str = "/var/run/secrets/istio/root-cert.pem"
    probes: tuple[AppProbe, ...] = ()


def bootstrap(settings: BootstrapSettings) -> dict[str, Any]:
    """The Envoy bootstrap of one pod, as JSON."""
    raise NotImplementedError
