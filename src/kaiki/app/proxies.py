"""Joins injection, the gateway's manifest and the bootstrap's renderer, which do not know each other."""

from __future__ import annotations

from typing import Any

from kaiki.inject.containers import proxy_arguments
from kaiki.inject.settings import BootstrapRequest, ProbeTarget
from kaiki.manifests.gateway import NAME as GATEWAY_NAME
from kaiki.model.proxy import Capture
from kaiki.model.workload import ProxyKind
from kaiki.translate.bootstrap import AppProbe, BootstrapSettings, bootstrap

GATEWAY_CONCURRENCY = 2


def render_bootstrap(request: BootstrapRequest) -> dict[str, Any]:
    """The bootstrap for what injection asks."""
    metrics = request.application_metrics
    return bootstrap(
        BootstrapSettings(
            kind=request.kind,
            capture=request.capture,
            discovery_host=f"istiod.{request.istio_namespace}.svc",
            telemetry_host=f"kaiki-telemetry.{request.istio_namespace}.svc",
            probes=tuple(app_probe(target) for target in request.probes),
            metrics_port=metrics.port if metrics else 0,
            service=request.workload.canonical_service,
            metrics_path=metrics.path if metrics else "/metrics",
            statistics=request.statistics,
        )
    )


def app_probe(target: ProbeTarget) -> AppProbe:
    """One rewritten probe in the bootstrap's words."""
    return AppProbe(
        path=target.path,
        port=target.port,
        target=target.request_path,
        https=target.kind == "https",
        timeout_seconds=float(target.timeout_seconds),
    )


def gateway_arguments(capture: Capture, istio_namespace: str, service: str = GATEWAY_NAME) -> tuple[str, ...]:
    """Envoy's command line in a gateway that is installed: the ingress gateway, or the one named."""
    settings = BootstrapSettings(
        kind=ProxyKind.GATEWAY,
        capture=capture,
        discovery_host=f"istiod.{istio_namespace}.svc",
        telemetry_host=f"kaiki-telemetry.{istio_namespace}.svc",
        service=service,
    )
    return tuple(proxy_arguments(bootstrap(settings), GATEWAY_CONCURRENCY, "warning"))
