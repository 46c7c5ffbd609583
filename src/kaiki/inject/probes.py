"""Application probes, turned towards the sidecar.

The kubelet speaks plain text and has no certificate, so its probes would fail under STRICT mutual TLS (and would be
counted as traffic). Each probe therefore asks Envoy's port 15020, which redirection leaves open, and Envoy asks the
application over the pod's loopback. The paths are Istio's: `/app-health/<container>/{readyz,livez,startupz}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kaiki.inject.settings import ProbeKind, ProbeTarget

STATUS_PORT = 15020
_PROBE_NAMES = {"readinessProbe": "readyz", "livenessProbe": "livez", "startupProbe": "startupz"}
_HANDLERS = ("httpGet", "tcpSocket", "grpc")


def rewrite_probes(
    container: Mapping[str, Any], kinds: frozenset[ProbeKind]
) -> tuple[dict[str, Any], tuple[ProbeTarget, ...]]:
    """Return the container with its probes of these kinds rewritten, and what Envoy must do for each of them.

    Left alone: `exec` probes, probes of another host, and probes whose named port the container doesn't declare
    (Kubernetes refuses to start those itself, with its own message).
    """
    rewritten = dict(container)
    targets: list[ProbeTarget] = []
    for field, suffix in _PROBE_NAMES.items():
        probe = container.get(field)
        if not probe:
            continue
        target = _probe_target(container, probe, f"/app-health/{container['name']}/{suffix}")
        if target is not None and target.kind in kinds:
            rewritten[field] = _ask_sidecar(probe, target.path)
            targets.append(target)
    return rewritten, tuple(targets)


def _ask_sidecar(probe: Mapping[str, Any], path: str) -> dict[str, Any]:
    headers = (probe.get("httpGet") or {}).get("httpHeaders")
    request = {"path": path, "port": STATUS_PORT, **({"httpHeaders": headers} if headers else {})}
    return {"httpGet": request, **{key: value for key, value in probe.items() if key not in _HANDLERS}}


def _probe_target(container: Mapping[str, Any], probe: Mapping[str, Any], path: str) -> ProbeTarget | None:
    handler_kind = next((kind for kind in _HANDLERS if probe.get(kind)), "")
    handler: Mapping[str, Any] = probe.get(handler_kind) or {}
    port = _port_number(container, handler.get("port"))
    if port is None or handler.get("host"):
        return None
    timeout_seconds = int(probe.get("timeoutSeconds") or 1)
    if handler_kind == "tcpSocket":
        return ProbeTarget(path, "tcp", port, timeout_seconds=timeout_seconds)
    if handler_kind == "grpc":
        service = _escape(handler.get("service") or "")
        return ProbeTarget(path, "grpc", port, service=service, timeout_seconds=timeout_seconds)
    kind: ProbeKind = "https" if handler.get("scheme") == "HTTPS" else "http"
    request_path = _escape("/" + str(handler.get("path") or "").removeprefix("/"))
    return ProbeTarget(path, kind, port, request_path=request_path, timeout_seconds=timeout_seconds)


def _port_number(container: Mapping[str, Any], port: Any) -> int | None:
    if isinstance(port, int):
        return port
    if isinstance(port, str) and port.isdigit():
        return int(port)
    named = (one for one in container.get("ports") or [] if one.get("name") == port)
    return next((int(one["containerPort"]) for one in named), None) if port else None


def _escape(text: str) -> str:
    """Kubernetes expands `$(NAME)` in arguments and reads `$$` as one `$`: a user's dollar is doubled to survive."""
    return text.replace("$", "$$")
