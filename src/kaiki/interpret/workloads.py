"""Pods → workload instances: which workload a pod belongs to, who it is, and whether a proxy stands before it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from kaiki.interpret.telemetry_providers import annotated_tracing
from kaiki.model.identity import Identity, workload_labels
from kaiki.model.locality import locality_of
from kaiki.model.workload import STARTED_WITH_ANNOTATION, ProxyKind, WorkloadInstance
from kaiki.resources import core

_HASH_LABEL = "pod-template-hash"
_CRON_SUFFIX = re.compile(r"-\d{8,}$")


def workload_of(pod: core.Object) -> tuple[str, str]:
    """(kind, name) of what a user deployed: a ReplicaSet's Deployment, a Job's CronJob, the pod itself if alone."""
    kind, name = core.controller(pod)
    if not kind:
        return "Pod", core.name(pod)
    if kind == "ReplicaSet":
        suffix = core.labels(pod).get(_HASH_LABEL)
        if suffix and name.endswith(f"-{suffix}"):
            return "Deployment", name[: -len(suffix) - 1]
    if kind == "Job" and _CRON_SUFFIX.search(name):
        return "CronJob", _CRON_SUFFIX.sub("", name)
    return kind, name


def _proxy_kind(pod: core.Object) -> ProxyKind:
    container = core.proxy_container(pod)
    if container is None:
        return ProxyKind.NONE
    return ProxyKind.GATEWAY if core.is_router(container) else ProxyKind.SIDECAR


def workload_instance(pod: core.Object) -> WorkloadInstance:
    """One pod as a workload instance. Pure, and depends on the pod alone."""
    kind, workload = workload_of(pod)
    namespace, labels = core.namespace(pod), core.labels(pod)
    return WorkloadInstance(
        name=core.name(pod),
        namespace=namespace,
        uid=str(pod["metadata"].get("uid") or ""),
        address=str(core.status(pod).get("podIP") or ""),
        identity=Identity(namespace=namespace, service_account=core.service_account(pod)),
        metric_labels=workload_labels(workload, namespace, labels),
        labels=_sorted(labels),
        proxy=_proxy_kind(pod),
        ready=core.is_ready(pod),
        owner_kind=kind,
        node=str(core.spec(pod).get("nodeName") or ""),
        named_ports=core.named_ports(pod),
        tracing=annotated_tracing(pod),
        locality=locality_of(labels),
        started_with=_started_with(pod),
    )


def _started_with(pod: core.Object) -> tuple[str, ...]:
    said = (pod["metadata"].get("annotations") or {}).get(STARTED_WITH_ANNOTATION)
    return tuple(said.split(",")) if said else ()


def at_node(workload: WorkloadInstance, locality: str) -> WorkloadInstance:
    """A pod that says nothing of where it is, at a node that does."""
    return replace(workload, locality=locality)


def node_localities(nodes: Iterable[core.Object]) -> dict[str, str]:
    """Name of a node → its locality (`topology.kubernetes.io/region`, `…/zone`), of those that have one."""
    found = {core.name(obj): locality_of(core.labels(obj)) for obj in nodes}
    return {name: found[name] for name in sorted(found) if found[name]}


def _sorted(labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((str(key), str(value)) for key, value in labels.items()))
