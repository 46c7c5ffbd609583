"""StatefulSet and DaemonSet → Pods: the next step and the status, from what there is now. Pure.

StatefulSet   web-0, web-1, …: made in order, each after the one before is ready; replaced from the last
DaemonSet     one pod for the one node there is
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from kaiki.controllers.action import Action, Create, Delete
from kaiki.controllers.conditions import is_true
from kaiki.controllers.deployment import template_hash
from kaiki.controllers.replica_set import active_pods, build_pod, seconds_until_available, wanted_replicas
from kaiki.kube.resource import Object

REVISION_LABEL = "controller-revision-hash"
POD_NAME_LABEL = "statefulset.kubernetes.io/pod-name"
POD_INDEX_LABEL = "apps.kubernetes.io/pod-index"


@dataclass(frozen=True, slots=True)
class Step:
    """What to do now, the status to write, and when to look again even if nothing changes."""

    actions: tuple[Action, ...]
    status: Object
    again_seconds: float | None = None


def plan_stateful_set(owner: Object, pods: Sequence[Object], now: datetime) -> Step:
    """One step of a StatefulSet: at most one pod is made or replaced at a time, unless it is Parallel."""
    revision = template_hash(owner["spec"]["template"], 0)
    by_ordinal = {ordinal: pod for pod in pods if (ordinal := _ordinal(owner, pod)) is not None}
    return Step(tuple(_stateful_actions(owner, by_ordinal, revision)), _stateful_status(owner, pods, revision, now))


def _stateful_actions(owner: Object, pods: dict[int, Object], revision: str) -> list[Action]:
    first = int((owner["spec"].get("ordinals") or {}).get("start") or 0)
    wanted = range(first, first + wanted_replicas(owner))
    parallel = owner["spec"].get("podManagementPolicy") == "Parallel"
    if ended := [pod for pod in pods.values() if _has_ended(pod)]:
        return [Delete(pod) for pod in ended]
    missing: list[Action] = []
    for ordinal in wanted:
        if ordinal not in pods:
            missing.append(Create(_stateful_pod(owner, ordinal, revision)))
        if not parallel and (missing or not is_true(pods[ordinal], "Ready")):
            return missing
    if missing:
        return missing
    surplus = sorted((ordinal for ordinal in pods if ordinal not in wanted), reverse=True)
    if surplus:
        return [Delete(pods[ordinal]) for ordinal in (surplus if parallel else surplus[:1])]
    return _replace_last_outdated(owner, pods, revision, wanted)


def _replace_last_outdated(owner: Object, pods: dict[int, Object], revision: str, wanted: range) -> list[Action]:
    strategy = owner["spec"].get("updateStrategy") or {}
    partition = int((strategy.get("rollingUpdate") or {}).get("partition") or 0)
    if strategy.get("type") == "OnDelete" or any(not is_true(pod, "Ready") for pod in pods.values()):
        return []
    outdated = [ordinal for ordinal in wanted if ordinal >= partition and _revision(pods[ordinal]) != revision]
    return [Delete(pods[max(outdated)])] if outdated else []


def _stateful_pod(owner: Object, ordinal: int, revision: str) -> Object:
    pod = build_pod(owner)
    name = f"{owner['metadata']['name']}-{ordinal}"
    metadata = pod["metadata"]
    del metadata["generateName"]
    identity = {REVISION_LABEL: revision, POD_NAME_LABEL: name, POD_INDEX_LABEL: str(ordinal)}
    metadata |= {"name": name, "labels": {**(metadata.get("labels") or {}), **identity}}
    claims = [claim["metadata"]["name"] for claim in owner["spec"].get("volumeClaimTemplates") or ()]
    volumes = [volume for volume in pod["spec"].get("volumes") or () if volume["name"] not in claims]
    volumes += [{"name": claim, "persistentVolumeClaim": {"claimName": f"{claim}-{name}"}} for claim in claims]
    spec = {**pod["spec"], "hostname": name, "subdomain": owner["spec"].get("serviceName") or ""}
    return {**pod, "spec": {**spec, "volumes": volumes} if volumes else spec}


def _ordinal(owner: Object, pod: Object) -> int | None:
    base, _, number = str(pod["metadata"]["name"]).rpartition("-")
    return int(number) if base == owner["metadata"]["name"] and number.isdecimal() else None


def _stateful_status(owner: Object, pods: Sequence[Object], revision: str, now: datetime) -> Object:
    active = active_pods(pods)
    ready = [pod for pod in active if is_true(pod, "Ready")]
    updated = [pod for pod in active if _revision(pod) == revision]
    current = str((owner.get("status") or {}).get("currentRevision") or f"{owner['metadata']['name']}-{revision}")
    latest = f"{owner['metadata']['name']}-{revision}"
    finished = len(updated) == len(active) == len(ready) == wanted_replicas(owner)
    return {
        "observedGeneration": owner["metadata"].get("generation", 0),
        "replicas": len(active),
        "readyReplicas": len(ready),
        "availableReplicas": sum(1 for pod in ready if seconds_until_available(owner, pod, now) <= 0),
        "updatedReplicas": len(updated),
        "currentReplicas": len(updated) if finished else len(active) - len(updated),
        "currentRevision": latest if finished else current,
        "updateRevision": latest,
    }


def plan_daemon_set(owner: Object, pods: Sequence[Object], now: datetime) -> Step:
    """One step of a DaemonSet: an outdated or ended pod goes first, its successor comes when it is gone."""
    revision = template_hash(owner["spec"]["template"], 0)
    on_delete = (owner["spec"].get("updateStrategy") or {}).get("type") == "OnDelete"
    good = [pod for pod in active_pods(pods) if on_delete or _revision(pod) == revision]
    bad = [pod for pod in pods if pod not in good and not pod["metadata"].get("deletionTimestamp")]
    actions: list[Action] = [Delete(pod) for pod in [*good[1:], *bad]]
    if not pods:
        pod = build_pod(owner)
        pod["metadata"]["labels"] = {**(pod["metadata"].get("labels") or {}), REVISION_LABEL: revision}
        actions.append(Create(pod))
    return Step(tuple(actions), _daemon_status(owner, active_pods(pods)[:1], revision, now))


def _daemon_status(owner: Object, pods: Sequence[Object], revision: str, now: datetime) -> Object:
    ready = [pod for pod in pods if is_true(pod, "Ready")]
    available = sum(1 for pod in ready if seconds_until_available(owner, pod, now) <= 0)
    return {
        "observedGeneration": owner["metadata"].get("generation", 0),
        "desiredNumberScheduled": 1,
        "currentNumberScheduled": len(pods),
        "updatedNumberScheduled": sum(1 for pod in pods if _revision(pod) == revision),
        "numberReady": len(ready),
        "numberAvailable": available,
        "numberUnavailable": 1 - available,
        "numberMisscheduled": 0,
    }


def _revision(pod: Object) -> str:
    return str((pod["metadata"].get("labels") or {}).get(REVISION_LABEL) or "")


def _has_ended(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
