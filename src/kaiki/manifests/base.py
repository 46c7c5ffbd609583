"""What every installation needs before any of its parts runs: namespace, resource definitions, mesh config, token."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import yaml

from kaiki.manifests.objects import MANAGED, Object, metadata
from kaiki.manifests.settings import InstallSettings, Profile

CONSOLE_SECRET = "kaiki-console"
_TRACER = "otel-tracing"
ISTIO_GROUPS = ("networking.istio.io", "security.istio.io", "telemetry.istio.io", "extensions.istio.io")


def base_manifests(settings: InstallSettings) -> list[Object]:
    """The namespace first: everything else lives in it."""
    namespace = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": settings.namespace,
            "labels": {**MANAGED, "kubernetes.io/metadata.name": settings.namespace},
        },
    }
    return [namespace, *(dict(one) for one in settings.definitions), _mesh_config(settings), _console_secret(settings)]


def _mesh_config(settings: InstallSettings) -> Object:
    mesh: dict[str, Any] = {
        "accessLogFile": settings.access_log_file or ("/dev/stdout" if settings.profile is Profile.DEMO else ""),
        "defaultProviders": {"metrics": ["prometheus"]},
        "enableTracing": True,
        # Known, and used by nobody until a Telemetry object names it: Envoy's tracers cost every request an eighth of
        # its processor time, sampled or not.
        "extensionProviders": [
            {
                "name": _TRACER,
                "opentelemetry": {"service": f"jaeger-collector.{settings.namespace}.svc.cluster.local", "port": 4317},
            }
        ],
        "outboundTrafficPolicy": {"mode": settings.outbound_traffic_policy},
        "rootNamespace": settings.namespace,
        "trustDomain": settings.trust_domain,
    }
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata("istio", {"istio.io/rev": settings.revision}, settings.namespace),
        "data": {
            "mesh": yaml.safe_dump(_laid_over(mesh, settings.mesh_config), sort_keys=True),
            "meshNetworks": "networks: {}\n",
            **({"values": json.dumps(settings.values, sort_keys=True)} if settings.values else {}),
        },
    }


def _laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Mappings are joined, anything else is replaced."""
    found = dict(below)
    for name, value in above.items():
        old = found.get(name)
        found[name] = _laid_over(old, value) if isinstance(old, dict) and isinstance(value, Mapping) else value
    return found


def _console_secret(settings: InstallSettings) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata(CONSOLE_SECRET, {"app.kubernetes.io/name": "kiali"}, settings.namespace),
        "type": "Opaque",
        "stringData": {"token": settings.console_token},
    }
