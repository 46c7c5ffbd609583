"""Which pods are scraped, and under which labels. Pure: pods in, targets out.

The rules are those of the `kubernetes-pods` job that Istio's Prometheus addon ships: annotations
`prometheus.io/scrape`, `port`, `path`, `scheme`; every pod label becomes a label, and `namespace` and `pod` are
added. An injected pod's annotations name the sidecar; what its application serves is a second target, reached through
the sidecar too, and labelled as if there were none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

JOB = "kubernetes-pods"
_ANNOTATION = "prometheus.io/"
_NOT_A_LABEL = re.compile(r"[^a-zA-Z0-9_]")
_FINISHED = frozenset({"Pending", "Succeeded", "Failed", "Completed"})


@dataclass(frozen=True, slots=True)
class Target:
    """One place to scrape. `started_ms` is when its process last started, 0 if unknown; its counters were zero then."""

    key: str
    url: str
    labels: tuple[tuple[str, str], ...]
    started_ms: int = 0
    leaving: bool = False

    @property
    def identity(self) -> tuple[str, tuple[tuple[str, str], ...]]:
        """When this changes, the old series end."""
        return self.url, self.labels


APPLICATION_PORT = "kaiki.io/application-metrics-port"
"""The annotation in which injection keeps the port of the application's own metrics."""
_APPLICATION_ADDRESS = "15020/app-metrics"


def pod_targets(pod: Mapping[str, Any]) -> list[Target]:
    """Every target of one pod: itself or its sidecar, and the application behind it."""
    return [target for target in (pod_target(pod), application_target(pod)) if target is not None]


def application_target(pod: Mapping[str, Any]) -> Target | None:
    """The metrics of the application in an injected pod; None if it has none, or for what `pod_target` says."""
    metadata, status = pod.get("metadata") or {}, pod.get("status") or {}
    port = (metadata.get("annotations") or {}).get(APPLICATION_PORT, "")
    sidecar = pod_target(pod)
    if sidecar is None or not port.isdigit():
        return None
    host = sidecar.url.removeprefix("http://").rpartition(":")[0]
    containers = {"containerStatuses": status.get("containerStatuses")}
    return Target(
        key=f"{sidecar.key}/application",
        url=f"http://{host}:{_APPLICATION_ADDRESS}",
        labels=_target_labels(metadata, f"{host}:{port}"),
        started_ms=_started_ms(containers),
        leaving=sidecar.leaving,
    )


def pod_target(pod: Mapping[str, Any]) -> Target | None:
    """None for a pod that is not to be scraped, has no address yet, or is over.

    A leaving pod is a target to the last.
    """
    metadata = pod.get("metadata") or {}
    status = pod.get("status") or {}
    annotations = metadata.get("annotations") or {}
    address = status.get("podIP") or ""
    if annotations.get(_ANNOTATION + "scrape") != "true" or not address or status.get("phase") in _FINISHED:
        return None
    scheme = annotations.get(_ANNOTATION + "scheme") or "http"
    path = annotations.get(_ANNOTATION + "path") or "/metrics"
    host = f"[{address}]" if ":" in address else address
    port = annotations.get(_ANNOTATION + "port") or _first_port(pod) or "80"
    instance = f"{host}:{port}"
    return Target(
        key=str(metadata.get("uid") or f"{metadata.get('namespace')}/{metadata.get('name')}"),
        url=f"{scheme}://{instance}{path if path.startswith('/') else '/' + path}",
        labels=_target_labels(metadata, instance),
        started_ms=_started_ms(status),
        leaving=bool(metadata.get("deletionTimestamp")),
    )


def static_target(address: str) -> Target:
    """A target given by hand: `host:port` or `host:port/path`."""
    instance, _, path = address.partition("/")
    return Target(
        key=f"static:{address}",
        url=f"http://{instance}/{path or 'metrics'}",
        labels=(("instance", instance), ("job", "static")),
    )


def _target_labels(metadata: Mapping[str, Any], instance: str) -> tuple[tuple[str, str], ...]:
    labels = {_NOT_A_LABEL.sub("_", name): value for name, value in sorted((metadata.get("labels") or {}).items())}
    labels |= {"namespace": metadata.get("namespace", ""), "pod": metadata.get("name", "")}
    labels |= {"instance": instance, "job": JOB}
    return tuple(sorted((name, str(value)) for name, value in labels.items() if value))


def _first_port(pod: Mapping[str, Any]) -> str:
    for container in (pod.get("spec") or {}).get("containers") or []:
        for port in container.get("ports") or []:
            return str(port.get("containerPort", ""))
    return ""


def _started_ms(status: Mapping[str, Any]) -> int:
    """The sidecar's start if there is one, else the first container's: what answers the scrape is that process."""
    sidecars = [s for s in status.get("initContainerStatuses") or [] if s.get("name") == "istio-proxy"]
    for container in [*sidecars, *(status.get("containerStatuses") or [])]:
        started = ((container.get("state") or {}).get("running") or {}).get("startedAt")
        if started:
            return parse_time_ms(started)
    return 0


def parse_time_ms(text: str) -> int:
    """A Kubernetes time; 0 if it is not one."""
    try:
        return int(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1000)
    except ValueError:
        return 0
