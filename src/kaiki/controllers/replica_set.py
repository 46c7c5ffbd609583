"""ReplicaSet → Pods: how many to create, which to delete, what the status says. Pure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kaiki.controllers.conditions import find_condition, is_true, set_condition, to_time, without_condition
from kaiki.kube.resource import Object

BURST_PODS = 500


@dataclass(frozen=True, slots=True)
class PodPlan:
    """Create this many pods, delete these."""

    create: int
    delete: tuple[Object, ...]


def active_pods(pods: Sequence[Object], deleting: Collection[str] = ()) -> list[Object]:
    """The pods that count: not finished, not being deleted, not deleted by us already (by uid)."""
    return [
        pod
        for pod in pods
        if (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")
        and not pod["metadata"].get("deletionTimestamp")
        and pod["metadata"]["uid"] not in deleting
    ]


def wanted_replicas(owner: Object) -> int:
    """`spec.replicas`, 1 when unset."""
    replicas = owner["spec"].get("replicas")
    return 1 if replicas is None else int(replicas)


def plan_pods(replica_set: Object, active: Sequence[Object], now: datetime) -> PodPlan:
    """The difference between wanted and active pods; the least useful pods go first."""
    difference = wanted_replicas(replica_set) - len(active)
    if difference >= 0:
        return PodPlan(min(difference, BURST_PODS), ())
    ranked = sorted(active, key=lambda pod: deletion_rank(pod, now))
    return PodPlan(0, tuple(ranked[: min(-difference, BURST_PODS)]))


def deletion_rank(pod: Object, now: datetime) -> tuple[Any, ...]:
    """Kubernetes' order of deletion: unassigned, pending, not ready, cheap, ready for a short time, young."""
    status = pod.get("status") or {}
    phase = {"Pending": 0, "Unknown": 1}.get(status.get("phase") or "Pending", 2)
    cost = int((pod["metadata"].get("annotations") or {}).get("controller.kubernetes.io/pod-deletion-cost") or 0)
    ready = find_condition(pod, "Ready") or {}
    ready_since = to_time(ready.get("lastTransitionTime"), now)
    created = to_time(pod["metadata"].get("creationTimestamp"), now)
    return (
        bool(pod["spec"].get("nodeName")),
        phase,
        ready.get("status") == "True",
        cost,
        -ready_since.timestamp(),
        -created.timestamp(),
        pod["metadata"]["name"],
    )


def build_pod(replica_set: Object) -> Object:
    """The pod of a ReplicaSet's template. The server makes the name's random end, as webhooks expect."""
    template = replica_set["spec"]["template"]
    metadata = template.get("metadata") or {}
    pod_metadata: Object = {
        "generateName": replica_set["metadata"]["name"] + "-",
        "namespace": replica_set["metadata"]["namespace"],
        "ownerReferences": [owner_reference(replica_set)],
    }
    for name in ("labels", "annotations", "finalizers"):
        if metadata.get(name):
            pod_metadata[name] = metadata[name]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": pod_metadata, "spec": template["spec"]}


def owner_reference(owner: Object) -> Object:
    """The reference of a controller to put into what it creates."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def replica_set_status(replica_set: Object, active: Sequence[Object], failure: str | None, now: datetime) -> Object:
    """The status to be; `failure` is why pods could not be created or deleted, if so."""
    labels = ((replica_set["spec"]["template"].get("metadata") or {}).get("labels") or {}).items()
    ready = [pod for pod in active if is_true(pod, "Ready")]
    available = [pod for pod in ready if seconds_until_available(replica_set, pod, now) <= 0]
    conditions = (replica_set.get("status") or {}).get("conditions") or []
    if failure is None:
        conditions = without_condition(conditions, "ReplicaFailure")
    else:
        conditions = set_condition(conditions, "ReplicaFailure", "True", "FailedCreate", failure, now)
    return {
        "replicas": len(active),
        "fullyLabeledReplicas": sum(1 for pod in active if labels <= (pod["metadata"].get("labels") or {}).items()),
        "readyReplicas": len(ready),
        "availableReplicas": len(available),
        "observedGeneration": replica_set["metadata"].get("generation", 0),
        "conditions": conditions,
    }


def seconds_until_available(replica_set: Object, pod: Object, now: datetime) -> float:
    """How long a ready pod has still to stay ready (`minReadySeconds`)."""
    minimum = int(replica_set["spec"].get("minReadySeconds") or 0)
    if not minimum:
        return 0.0
    ready = find_condition(pod, "Ready") or {}
    return minimum - (now.astimezone(UTC) - to_time(ready.get("lastTransitionTime"), now)).total_seconds()


def next_availability_seconds(replica_set: Object, active: Sequence[Object], now: datetime) -> float | None:
    """When the next ready pod becomes available; None when none is waited for."""
    waits = [seconds_until_available(replica_set, pod, now) for pod in active if is_true(pod, "Ready")]
    return min((wait for wait in waits if wait > 0), default=None)


def status_patch(old: Object | None, new: Object) -> Object | None:
    """The merge patch from one status to another; None when nothing differs. Zero and missing are the same."""
    old = old or {}
    changed: Object = {}
    for name, value in new.items():
        before = old.get(name)
        if value != before and (value or before):
            changed[name] = value
    return {"status": changed} if changed else None
