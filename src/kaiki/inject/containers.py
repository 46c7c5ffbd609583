"""The two containers injection adds, and the volumes they read.

Both are init containers: `istio-init` sets the packet rules and ends; `istio-proxy` is a native sidecar
(`restartPolicy: Always`), so Envoy is ready before the application starts and leaves after it, and Jobs still end.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from kaiki.inject.policy import PROXY_CONTAINER
from kaiki.inject.settings import InjectionSettings
from kaiki.model.identity import WorkloadLabels
from kaiki.model.proxy import EXCLUSION_MARK, Capture

INIT_CONTAINER = "istio-init"
TOKEN_VOLUME = "istio-token"
ROOT_VOLUME = "istiod-ca-cert"
TOKEN_SECONDS = 43_200
READY_PROBE = {"path": "/healthz/ready", "port": 15021}

_DISCOVERY_PORT = "15012"
USER_VOLUMES_KEY = "sidecar.istio.io/userVolume"
USER_MOUNTS_KEY = "sidecar.istio.io/userVolumeMount"
_PORT_ANNOTATIONS = (
    ("traffic.sidecar.istio.io/excludeInboundPorts", "--exclude-inbound-ports"),
    ("traffic.sidecar.istio.io/includeInboundPorts", "--include-inbound-ports"),
    ("traffic.sidecar.istio.io/includeOutboundPorts", "--include-outbound-ports"),
    ("traffic.sidecar.istio.io/excludeOutboundIPRanges", "--exclude-outbound-ip-ranges"),
    ("traffic.sidecar.istio.io/includeOutboundIPRanges", "--include-outbound-ip-ranges"),
)


def volumes() -> list[dict[str, Any]]:
    """The proxy's credentials: its service account token for the control plane, and the root that signs the latter."""
    token = {"serviceAccountToken": {"audience": "istio-ca", "expirationSeconds": TOKEN_SECONDS, "path": "istio-token"}}
    return [
        {"name": TOKEN_VOLUME, "projected": {"sources": [token]}},
        {"name": ROOT_VOLUME, "configMap": {"name": "istio-ca-root-cert"}},
    ]


def volume_mounts() -> list[dict[str, Any]]:
    """Where those credentials appear in the proxy's container; the bootstrap names the same paths."""
    return [
        {"name": TOKEN_VOLUME, "mountPath": "/var/run/secrets/tokens", "readOnly": True},
        {"name": ROOT_VOLUME, "mountPath": "/var/run/secrets/istio", "readOnly": True},
    ]


def init_container(annotations: Mapping[str, str], settings: InjectionSettings) -> dict[str, Any]:
    """The step that redirects the pod's traffic to Envoy.

    The control plane's port stays out of the capture: Envoy's gRPC client can't mark its sockets, and on a cluster a
    pod's first connection must not depend on what it is to fetch.
    """
    annotations = {**dict(settings.redirection), **annotations}
    excluded = _ports(annotations.get("traffic.sidecar.istio.io/excludeOutboundPorts", ""))
    outbound = ",".join(dict.fromkeys([_DISCOVERY_PORT, *excluded]))
    arguments = ["redirect", f"--exclude={settings.capture}", f"--exclude-outbound-ports={outbound}"]
    for annotation, option in _PORT_ANNOTATIONS:
        if annotation in annotations:
            arguments.append(f"{option}={','.join(_ports(annotations[annotation]))}")
    return {
        "name": INIT_CONTAINER,
        "image": settings.resolved_init_image,
        "args": arguments,
        "resources": _requests(settings),
        "securityContext": _security(0, ("NET_ADMIN", "NET_RAW")),
    }


def proxy_container(
    bootstrap: Mapping[str, Any],
    workload: WorkloadLabels,
    annotations: Mapping[str, str],
    settings: InjectionSettings,
) -> dict[str, Any]:
    """Envoy as a native sidecar. Its whole start-up configuration is one argument, so no agent has to write a file."""
    return {
        "name": PROXY_CONTAINER,
        "image": annotations.get("sidecar.istio.io/proxyImage") or settings.proxy_image,
        "restartPolicy": "Always",
        "args": proxy_arguments(
            bootstrap,
            settings.concurrency,
            annotations.get("sidecar.istio.io/logLevel") or settings.log_level,
            settings.drain_seconds,
        ),
        "env": [*_environment(workload), *({"name": key, "value": value} for key, value in settings.environment)],
        "ports": [{"name": "http-envoy-prom", "containerPort": 15090, "protocol": "TCP"}],
        "startupProbe": _probe(period_seconds=1, failures=600),
        "readinessProbe": _probe(period_seconds=15, failures=4),
        "resources": _requests(settings, annotations),
        "securityContext": proxy_security(settings.capture),
        "volumeMounts": [*volume_mounts(), *user_list(annotations, USER_MOUNTS_KEY)],
    }


def user_list(annotations: Mapping[str, str], key: str) -> list[dict[str, Any]]:
    """What an annotation adds, as a JSON array (or an object of names); nothing where it is neither."""
    try:
        found = json.loads(annotations.get(key) or "[]")
    except ValueError:
        return []
    if isinstance(found, dict):
        found = [{"name": name, **value} for name, value in sorted(found.items()) if isinstance(value, dict)]
    return [one for one in found if isinstance(one, dict) and one.get("name")] if isinstance(found, list) else []


def proxy_arguments(
    bootstrap: Mapping[str, Any], concurrency: int, log_level: str, drain_seconds: int = 5
) -> list[str]:
    """Envoy's command line; the bootstrap is compact JSON with sorted keys, so equal input gives equal pods."""
    return [
        "--config-yaml",
        json.dumps(bootstrap, sort_keys=True, separators=(",", ":"), ensure_ascii=False),
        *(["--concurrency", str(concurrency)] if concurrency else []),
        "--disable-hot-restart",
        "--drain-time-s",
        str(drain_seconds),
        "--drain-strategy",
        "immediate",
        "-l",
        log_level,
    ]


def proxy_security(capture: Capture) -> dict[str, Any]:
    """Under `mark` Envoy needs NET_RAW to set SO_MARK and is the mesh's own root; under `uid` it needs nothing."""
    if capture is Capture.MARK:
        return _security(0, ("NET_RAW",))
    return _security(EXCLUSION_MARK, ())


def _security(user: int, capabilities: tuple[str, ...]) -> dict[str, Any]:
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {**({"add": list(capabilities)} if capabilities else {}), "drop": ["ALL"]},
        "privileged": False,
        "readOnlyRootFilesystem": True,
        "runAsGroup": user,
        "runAsNonRoot": user != 0,
        "runAsUser": user,
    }


def _environment(workload: WorkloadLabels) -> list[dict[str, Any]]:
    fields = {
        "POD_NAME": "metadata.name",
        "POD_NAMESPACE": "metadata.namespace",
        "POD_IP": "status.podIP",
        "KAIKI_WORKLOAD_NAMESPACE": "metadata.namespace",
    }
    values = {f"KAIKI_{key.upper()}": value for key, value in asdict(workload).items() if key != "namespace"}
    values["KAIKI_LABELS"] = replace(workload, namespace="$(KAIKI_WORKLOAD_NAMESPACE)").joined
    return [
        *({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in fields.items()),
        *({"name": name, "value": value} for name, value in values.items()),
        # Who the proxy's spans are of; Kubernetes expands the namespace.
        {"name": "OTEL_RESOURCE_ATTRIBUTES", "value": f"service.name={workload.canonical_service}.$(POD_NAMESPACE)"},
    ]


def _probe(period_seconds: int, failures: int) -> dict[str, Any]:
    return {
        "httpGet": dict(READY_PROBE),
        "periodSeconds": period_seconds,
        "timeoutSeconds": 3,
        "failureThreshold": failures,
    }


def _requests(settings: InjectionSettings, annotations: Mapping[str, str] | None = None) -> dict[str, Any]:
    wishes = annotations or {}
    requests = {
        "cpu": wishes.get("sidecar.istio.io/proxyCPU") or settings.cpu_request,
        "memory": wishes.get("sidecar.istio.io/proxyMemory") or settings.memory_request,
    }
    limits = {
        name: wishes[f"sidecar.istio.io/{key}"]
        for name, key in (("cpu", "proxyCPULimit"), ("memory", "proxyMemoryLimit"))
        if wishes.get(f"sidecar.istio.io/{key}")
    }
    return {"requests": requests, **({"limits": limits} if limits else {})}


def _ports(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
