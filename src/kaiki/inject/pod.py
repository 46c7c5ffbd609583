"""Injection itself: the order in which a pod's parts are changed."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any

from kaiki.inject.containers import (
    INIT_CONTAINER,
    ROOT_VOLUME,
    TOKEN_VOLUME,
    USER_VOLUMES_KEY,
    init_container,
    proxy_container,
    user_list,
    volumes,
)
from kaiki.inject.policy import APPLICATION_PORT_KEY, PROXY_CONTAINER, REVISION_KEY, STATUS_KEY, injection_refusal
from kaiki.inject.probes import STATUS_PORT, rewrite_probes
from kaiki.inject.settings import ApplicationMetrics, BootstrapRequest, InjectionSettings, ProbeTarget
from kaiki.inject.workload import workload_name
from kaiki.model.identity import WorkloadLabels, workload_labels
from kaiki.model.workload import STARTED_WITH_ANNOTATION, ProxyKind

_LABEL_LIMIT = 63
_DEFAULT_CONTAINER_KEYS = ("kubectl.kubernetes.io/default-container", "kubectl.kubernetes.io/default-logs-container")
_REWRITE_KEY = "sidecar.istio.io/rewriteAppHTTPProbers"


def inject_pod(
    pod: Mapping[str, Any], namespace_labels: Mapping[str, str], settings: InjectionSettings
) -> dict[str, Any] | None:
    """Return the pod with its sidecar, or None when it stays as it is (`injection_refusal` says why).

    The input is not changed. Injecting an injected pod answers None.
    """
    if injection_refusal(pod, namespace_labels, settings) is not None:
        return None
    injected = copy.deepcopy(dict(pod))
    metadata: dict[str, Any] = injected.setdefault("metadata", {})
    spec: dict[str, Any] = injected.setdefault("spec", {})
    labels: dict[str, str] = metadata.get("labels") or {}
    annotations: dict[str, str] = metadata.get("annotations") or {}
    workload = workload_labels(workload_name(pod), metadata.get("namespace") or "", labels, settings.cluster_name)
    probes = _rewrite_all_probes(spec, settings) if annotations.get(_REWRITE_KEY, "true") != "false" else ()
    metrics = _application_metrics(annotations)
    bootstrap = settings.render_bootstrap(_bootstrap_request(workload, probes, metrics, settings))
    _add_containers(spec, annotations, settings, proxy_container(bootstrap, workload, annotations, settings))
    metadata["labels"] = {**labels, **_labels(labels, workload)}
    metadata["annotations"] = {**annotations, **_annotations(annotations, spec, settings)}
    return injected


def _rewrite_all_probes(spec: dict[str, Any], settings: InjectionSettings) -> tuple[ProbeTarget, ...]:
    """Native sidecars of the user have probes too; plain init containers can't have any."""
    targets: list[ProbeTarget] = []
    for field in ("containers", "initContainers"):
        if not spec.get(field):
            continue
        rewritten = [rewrite_probes(container, settings.probe_kinds) for container in spec[field]]
        spec[field] = [container for container, _ in rewritten]
        targets.extend(target for _, found in rewritten for target in found)
    return tuple(targets)


def _bootstrap_request(
    workload: WorkloadLabels,
    probes: tuple[ProbeTarget, ...],
    metrics: ApplicationMetrics | None,
    settings: InjectionSettings,
) -> BootstrapRequest:
    return BootstrapRequest(
        kind=ProxyKind.SIDECAR,
        workload=workload,
        capture=settings.capture,
        istio_namespace=settings.istio_namespace,
        trust_domain=settings.trust_domain,
        probes=probes,
        application_metrics=metrics,
        statistics=tuple((kind, text.replace("$", "$$")) for kind, text in settings.statistics),
    )


def _add_containers(
    spec: dict[str, Any], annotations: Mapping[str, str], settings: InjectionSettings, proxy: dict[str, Any]
) -> None:
    """Ours go first: the user's init containers then run behind the sidecar, as everything after them does."""
    spec["initContainers"] = [init_container(annotations, settings), proxy, *(spec.get("initContainers") or [])]
    present = {volume.get("name") for volume in spec.get("volumes") or []}
    spec["volumes"] = [
        *(spec.get("volumes") or []),
        *(
            volume
            for volume in (*volumes(), *user_list(annotations, USER_VOLUMES_KEY))
            if volume["name"] not in present
        ),
    ]


def _application_metrics(annotations: Mapping[str, str]) -> ApplicationMetrics | None:
    port = annotations.get("prometheus.io/port", "")
    if annotations.get("prometheus.io/scrape") != "true" or not port.isdigit() or int(port) == STATUS_PORT:
        return None
    path = annotations.get("prometheus.io/path") or "/metrics"
    return ApplicationMetrics(port=int(port), path=path.replace("$", "$$"))


def _labels(labels: Mapping[str, str], workload: WorkloadLabels) -> dict[str, str]:
    """The mesh's labels; what the user set stays. A value holds 63 characters and must end in a letter or digit."""
    additions = {
        "security.istio.io/tlsMode": "istio",
        "service.istio.io/canonical-name": workload.canonical_service[:_LABEL_LIMIT].rstrip("-_."),
        "service.istio.io/canonical-revision": workload.canonical_revision[:_LABEL_LIMIT].rstrip("-_."),
    }
    return {key: value for key, value in additions.items() if not labels.get(key)}


def _annotations(
    annotations: Mapping[str, str], spec: Mapping[str, Any], settings: InjectionSettings
) -> dict[str, str]:
    status = {
        "initContainers": [INIT_CONTAINER, PROXY_CONTAINER],
        "containers": None,
        "volumes": [TOKEN_VOLUME, ROOT_VOLUME],
        "imagePullSecrets": None,
        "revision": settings.revision,
    }
    first = next((container["name"] for container in spec.get("containers") or []), "")
    defaults = dict.fromkeys(_DEFAULT_CONTAINER_KEYS, first)
    return {
        **{key: value for key, value in defaults.items() if value and key not in annotations},
        **_scrape_annotations(annotations),
        REVISION_KEY: settings.revision,
        STATUS_KEY: json.dumps(status, separators=(",", ":")),
        **({STARTED_WITH_ANNOTATION: ",".join(settings.started_with)} if settings.started_with else {}),
    }


def _scrape_annotations(annotations: Mapping[str, str]) -> dict[str, str]:
    """Point scrapers at the sidecar, as Istio's metrics merging does.

    An application's own annotations give way, because a pod can name only one target and Istio's metrics must be found
    in every pod; the application's are then reached through the sidecar (`BootstrapRequest.application_metrics`).
    Who opts out, by `prometheus.istio.io/merge-metrics: "false"` or by refusing to be scraped, is left alone.
    """
    if (
        annotations.get("prometheus.istio.io/merge-metrics") == "false"
        or annotations.get("prometheus.io/scrape") == "false"
    ):
        return {}
    application = _application_metrics(annotations)
    return {
        **({APPLICATION_PORT_KEY: str(application.port)} if application else {}),
        "prometheus.io/scrape": "true",
        "prometheus.io/port": str(STATUS_PORT),
        "prometheus.io/path": "/stats/prometheus",
    }
