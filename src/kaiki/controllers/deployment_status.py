"""The status of a Deployment: counts and conditions as `kubectl rollout status` and `wait` read them. Pure."""

from datetime import datetime

from kaiki.controllers.conditions import find_condition, set_condition, without_condition
from kaiki.controllers.deployment import (
    Rollout,
    available_replicas,
    limits_of,
    progress_deadline_seconds,
    seconds_since,
    status_count,
)
from kaiki.controllers.replica_set import wanted_replicas
from kaiki.kube.resource import Object


def deployment_status(rollout: Rollout, now: datetime) -> Object:
    """The status to be, as a whole."""
    counts = _counts(rollout)
    conditions = list((rollout.deployment.get("status") or {}).get("conditions") or [])
    conditions = _with_available(rollout, counts, conditions, now)
    conditions = _with_progress(rollout, counts, conditions, now)
    conditions = _with_failure(rollout, conditions, now)
    return {**counts, "conditions": conditions}


def seconds_until_deadline(rollout: Rollout, status: Object, now: datetime) -> float | None:
    """When the rollout is to be looked at again for its deadline; None when it is complete or has failed."""
    progressing = find_condition({"status": status}, "Progressing")
    if progressing is None or progressing["status"] != "True" or progressing["reason"] == "NewReplicaSetAvailable":
        return None
    waited = seconds_since(progressing.get("lastUpdateTime"), now)
    return max(1.0, progress_deadline_seconds(rollout.deployment) - waited + 1)


def _counts(rollout: Rollout) -> Object:
    sets = rollout.all
    available = available_replicas(sets)
    total = sum(status_count(obj, "replicas") for obj in sets)
    return {
        "observedGeneration": rollout.deployment["metadata"].get("generation", 0),
        "replicas": total,
        "updatedReplicas": status_count(rollout.new, "replicas") if rollout.new else 0,
        "readyReplicas": sum(status_count(obj, "readyReplicas") for obj in sets),
        "availableReplicas": available,
        "unavailableReplicas": max(0, max(total, wanted_replicas(rollout.deployment)) - available),
    }


def _with_available(rollout: Rollout, counts: Object, conditions: list[Object], now: datetime) -> list[Object]:
    least = wanted_replicas(rollout.deployment) - limits_of(rollout.deployment).unavailable
    if counts["availableReplicas"] >= least:
        reason, message = "MinimumReplicasAvailable", "Deployment has minimum availability."
        return set_condition(conditions, "Available", "True", reason, message, now, update=True)
    reason, message = "MinimumReplicasUnavailable", "Deployment does not have minimum availability."
    return set_condition(conditions, "Available", "False", reason, message, now, update=True)


def _with_progress(rollout: Rollout, counts: Object, conditions: list[Object], now: datetime) -> list[Object]:
    deployment, new = rollout.deployment, rollout.new
    old = find_condition(deployment, "Progressing")
    if deployment["spec"].get("paused"):
        message = "Deployment is paused"
        return set_condition(conditions, "Progressing", "Unknown", "DeploymentPaused", message, now, update=True)
    if new is None:
        return conditions
    name = new["metadata"]["name"]
    if _complete(deployment, counts):
        message = f'ReplicaSet "{name}" has successfully progressed.'
        return set_condition(conditions, "Progressing", "True", "NewReplicaSetAvailable", message, now, update=True)
    if (
        old is None
        or old["reason"] in ("NewReplicaSetAvailable", "DeploymentPaused")
        or _progressed(deployment, counts)
    ):
        return _progress_now(name, old, conditions, now)
    if old["status"] == "True" and seconds_since(old.get("lastUpdateTime"), now) > progress_deadline_seconds(
        deployment
    ):
        message = f'ReplicaSet "{name}" has timed out progressing.'
        return set_condition(conditions, "Progressing", "False", "ProgressDeadlineExceeded", message, now, update=True)
    return conditions


def _progress_now(name: str, old: Object | None, conditions: list[Object], now: datetime) -> list[Object]:
    """Progress always moves `lastUpdateTime`, from which the deadline counts."""
    first = old is None
    reason = "NewReplicaSetCreated" if first else "ReplicaSetUpdated"
    message = f'Created new replica set "{name}"' if first else f'ReplicaSet "{name}" is progressing.'
    changed = set_condition(conditions, "Progressing", "True", reason, message, now, update=True)
    if old is not None and old["reason"] == reason:
        fresh = set_condition([], "Progressing", "True", reason, message, now, update=True)[0]
        fresh["lastTransitionTime"] = old["lastTransitionTime"]
        changed = [*without_condition(changed, "Progressing"), fresh]
    return changed


def _complete(deployment: Object, counts: Object) -> bool:
    wanted = wanted_replicas(deployment)
    return all(counts[name] == wanted for name in ("updatedReplicas", "replicas", "availableReplicas"))


def _progressed(deployment: Object, counts: Object) -> bool:
    """More new or ready pods than the status said, or fewer old ones."""
    old_before = status_count(deployment, "replicas") - status_count(deployment, "updatedReplicas")
    return bool(
        counts["updatedReplicas"] > status_count(deployment, "updatedReplicas")
        or counts["replicas"] - counts["updatedReplicas"] < old_before
        or counts["readyReplicas"] > status_count(deployment, "readyReplicas")
        or counts["availableReplicas"] > status_count(deployment, "availableReplicas")
    )


def _with_failure(rollout: Rollout, conditions: list[Object], now: datetime) -> list[Object]:
    """The reason why a ReplicaSet cannot make its pods is shown on the Deployment too."""
    for replica_set in reversed(rollout.all):
        failure = find_condition(replica_set, "ReplicaFailure")
        if failure is not None and failure["status"] == "True":
            text = failure.get("message", "")
            return set_condition(conditions, "ReplicaFailure", "True", failure["reason"], text, now, update=True)
    return without_condition(conditions, "ReplicaFailure")
