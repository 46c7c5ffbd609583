"""Deployment → ReplicaSets: which one is the new one, who grows, who shrinks, what the status says. Pure.

template ──hash──▶ new ReplicaSet  ↑ up to replicas + maxSurge in all
                   old ReplicaSets ↓ as far as replicas − maxUnavailable stay available
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from kaiki.controllers.action import Action, Create, Delete, Patch, Report
from kaiki.controllers.conditions import to_time
from kaiki.controllers.replica_set import owner_reference, wanted_replicas
from kaiki.kube.resource import Object

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED_REPLICAS = "deployment.kubernetes.io/desired-replicas"
MAX_REPLICAS = "deployment.kubernetes.io/max-replicas"
_NOT_COPIED = frozenset(
    {"kubectl.kubernetes.io/last-applied-configuration", REVISION, REVISION_HISTORY, DESIRED_REPLICAS, MAX_REPLICAS}
)
_SAFE_LETTERS = "bcdfghjklmnpqrstvwxz2456789"


@dataclass(frozen=True, slots=True)
class Limits:
    """How far a rolling update may go: pods above and below the wanted number."""

    surge: int
    unavailable: int


@dataclass(frozen=True, slots=True)
class Rollout:
    """A Deployment with its ReplicaSets sorted out: `new` has the wanted template, `old` is by age."""

    deployment: Object
    new: Object | None
    old: tuple[Object, ...]

    @property
    def all(self) -> tuple[Object, ...]:
        """All ReplicaSets, the new one last."""
        return self.old if self.new is None else (*self.old, self.new)


def sort_out(deployment: Object, replica_sets: Sequence[Object]) -> Rollout:
    """Finds the ReplicaSet that has the Deployment's template; of several equal ones the oldest counts."""
    by_age = sorted(
        replica_sets, key=lambda obj: (obj["metadata"].get("creationTimestamp") or "", obj["metadata"]["name"])
    )
    wanted = _comparable(deployment["spec"]["template"])
    new = next((obj for obj in by_age if _comparable(obj["spec"]["template"]) == wanted), None)
    return Rollout(deployment, new, tuple(obj for obj in by_age if obj is not new))


def limits_of(deployment: Object) -> Limits:
    """maxSurge rounds up, maxUnavailable down; both 0 would stand still, so then one may be unavailable."""
    strategy = deployment["spec"].get("strategy") or {}
    replicas = wanted_replicas(deployment)
    if strategy.get("type") == "Recreate":
        return Limits(0, replicas)
    rolling = strategy.get("rollingUpdate") or {}
    surge = _share(rolling.get("maxSurge", "25%"), replicas, math.ceil)
    unavailable = _share(rolling.get("maxUnavailable", "25%"), replicas, math.floor)
    return Limits(surge, 1 if not surge and not unavailable else unavailable)


def plan_deployment(rollout: Rollout, old_pods: int) -> list[Action]:
    """The next actions towards the wanted state. `old_pods` counts pods of old ReplicaSets, those ending included.

    Called again after every change; an empty list means there is nothing to do now.
    """
    deployment = rollout.deployment
    if deployment["spec"].get("paused"):
        return _scale_paused(rollout)
    recreate = (deployment["spec"].get("strategy") or {}).get("type") == "Recreate"
    if recreate and (shrink := [step for old in rollout.old for step in _scale(deployment, old, 0)]):
        return shrink
    if recreate and old_pods and (rollout.new is None or not wanted_replicas(rollout.new)):
        return []
    if rollout.new is None:
        return _create_new(rollout)
    actions = _number_revision(rollout, rollout.new)
    actions += _grow(rollout, rollout.new) or _shrink(rollout, rollout.new)
    return actions or _forget_history(rollout)


def build_replica_set(rollout: Rollout, replicas: int) -> Object:
    """The ReplicaSet for the Deployment's template; its name ends in the template's hash."""
    deployment = rollout.deployment
    spec, metadata = deployment["spec"], deployment["metadata"]
    digest = template_hash(spec["template"], int((deployment.get("status") or {}).get("collisionCount") or 0))
    template_metadata = spec["template"].get("metadata") or {}
    labels = {**(template_metadata.get("labels") or {}), HASH_LABEL: digest}
    selector = dict(spec["selector"])
    selector["matchLabels"] = {**(selector.get("matchLabels") or {}), HASH_LABEL: digest}
    replica_set_spec: Object = {
        "replicas": replicas,
        "selector": selector,
        "template": {**spec["template"], "metadata": {**template_metadata, "labels": labels}},
    }
    if spec.get("minReadySeconds"):
        replica_set_spec["minReadySeconds"] = spec["minReadySeconds"]
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{metadata['name']}-{digest}",
            "namespace": metadata["namespace"],
            "labels": labels,
            "annotations": _annotations(deployment) | {REVISION: str(_last_revision(rollout.old) + 1)},
            "ownerReferences": [owner_reference(deployment)],
        },
        "spec": replica_set_spec,
    }


def template_hash(template: Object, collisions: int) -> str:
    """A short stable name for a template, in letters that spell no words."""
    data = orjson.dumps(_comparable(template), option=orjson.OPT_SORT_KEYS) + (
        b"%d" % collisions if collisions else b""
    )
    number = int.from_bytes(hashlib.sha256(data).digest()[:4], "big")
    return "".join(_SAFE_LETTERS[ord(letter) % len(_SAFE_LETTERS)] for letter in str(number))


def available_replicas(replica_sets: Sequence[Object]) -> int:
    """The sum of `status.availableReplicas`."""
    return sum(status_count(obj, "availableReplicas") for obj in replica_sets)


def status_count(obj: Object, name: str) -> int:
    """A number of the status, 0 when missing."""
    return int((obj.get("status") or {}).get(name) or 0)


def _comparable(template: Object) -> Object:
    """The template without the hash label, which only ReplicaSets have, and without empty metadata."""
    metadata = dict(template.get("metadata") or {})
    labels = {name: value for name, value in (metadata.get("labels") or {}).items() if name != HASH_LABEL}
    metadata = {name: value for name, value in (metadata | {"labels": labels}).items() if value}
    return {**template, "metadata": metadata}


def _share(value: Any, whole: int, rounding: Any) -> int:
    if isinstance(value, str) and value.endswith("%"):
        return int(rounding(int(value[:-1]) * whole / 100))
    return int(value or 0)


def _annotations(deployment: Object) -> dict[str, str]:
    copied = {k: v for k, v in (deployment["metadata"].get("annotations") or {}).items() if k not in _NOT_COPIED}
    return copied | _scale_annotations(deployment)


def _scale_annotations(deployment: Object) -> dict[str, str]:
    replicas = wanted_replicas(deployment)
    return {DESIRED_REPLICAS: str(replicas), MAX_REPLICAS: str(replicas + limits_of(deployment).surge)}


def revision_of(obj: Object) -> int:
    """The revision a Deployment or ReplicaSet is at; 0 for none."""
    text = (obj["metadata"].get("annotations") or {}).get(REVISION) or "0"
    return int(text) if text.isdecimal() else 0


def _last_revision(replica_sets: Sequence[Object]) -> int:
    return max((revision_of(obj) for obj in replica_sets), default=0)


def _create_new(rollout: Rollout) -> list[Action]:
    deployment = rollout.deployment
    replicas = min(_room(rollout), wanted_replicas(deployment))
    obj = build_replica_set(rollout, max(replicas, 0))
    actions: list[Action] = [Create(obj)]
    if replicas > 0:
        name = obj["metadata"]["name"]
        actions.append(Report(deployment, "ScalingReplicaSet", f"Scaled up replica set {name} from 0 to {replicas}"))
    return [*actions, *_set_revision(deployment, obj["metadata"]["annotations"][REVISION])]


def _room(rollout: Rollout) -> int:
    """How many more pods may be asked for."""
    most = wanted_replicas(rollout.deployment) + limits_of(rollout.deployment).surge
    return most - sum(wanted_replicas(obj) for obj in rollout.all)


def _number_revision(rollout: Rollout, new: Object) -> list[Action]:
    """A ReplicaSet that is new again (an undo) gets the next revision, and remembers the ones it had."""
    revision, last_old = revision_of(new), _last_revision(rollout.old)
    if revision > last_old:
        return _set_revision(rollout.deployment, str(revision))
    annotations = {REVISION: str(last_old + 1)}
    if revision:
        history = (new["metadata"].get("annotations") or {}).get(REVISION_HISTORY)
        annotations[REVISION_HISTORY] = f"{history},{revision}" if history else str(revision)
    return [
        Patch(new, {"metadata": {"annotations": annotations}}),
        *_set_revision(rollout.deployment, str(last_old + 1)),
    ]


def _set_revision(deployment: Object, revision: str) -> list[Action]:
    if revision_of(deployment) == int(revision):
        return []
    return [Patch(deployment, {"metadata": {"annotations": {REVISION: revision}}})]


def _scale(deployment: Object, replica_set: Object, replicas: int) -> list[Action]:
    before = wanted_replicas(replica_set)
    if before == replicas:
        return []
    direction = "up" if replicas > before else "down"
    name = replica_set["metadata"]["name"]
    patch = {"spec": {"replicas": replicas}, "metadata": {"annotations": _scale_annotations(deployment)}}
    message = f"Scaled {direction} replica set {name} from {before} to {replicas}"
    return [Patch(replica_set, patch), Report(deployment, "ScalingReplicaSet", message)]


def _scale_paused(rollout: Rollout) -> list[Action]:
    """A paused Deployment starts no rollout, but its newest active ReplicaSet follows `replicas`."""
    active = [obj for obj in rollout.all if wanted_replicas(obj)] or list(rollout.all[-1:])
    if len(active) != 1:
        return []
    return _scale(rollout.deployment, active[0], wanted_replicas(rollout.deployment))


def _grow(rollout: Rollout, new: Object) -> list[Action]:
    wanted, now = wanted_replicas(rollout.deployment), wanted_replicas(new)
    if now > wanted:
        return _scale(rollout.deployment, new, wanted)
    return _scale(rollout.deployment, new, now + max(0, min(_room(rollout), wanted - now)))


def _shrink(rollout: Rollout, new: Object) -> list[Action]:
    """Old pods that are not available go first; then as many available ones as the new ones allow."""
    deployment = rollout.deployment
    old = [obj for obj in rollout.old if wanted_replicas(obj)]
    if not old:
        return []
    least = wanted_replicas(deployment) - limits_of(deployment).unavailable
    new_unavailable = wanted_replicas(new) - status_count(new, "availableReplicas")
    spare = sum(wanted_replicas(obj) for obj in (*old, new)) - least - new_unavailable
    targets = {obj["metadata"]["name"]: wanted_replicas(obj) for obj in old}
    for obj in old:
        sick = min(max(spare, 0), wanted_replicas(obj) - status_count(obj, "availableReplicas"))
        targets[obj["metadata"]["name"]] -= max(sick, 0)
        spare -= max(sick, 0)
    healthy_spare = min(spare, available_replicas((*old, new)) - least)
    for obj in old:
        gone = max(0, min(healthy_spare, targets[obj["metadata"]["name"]]))
        targets[obj["metadata"]["name"]] -= gone
        healthy_spare -= gone
    return [step for obj in old for step in _scale(deployment, obj, targets[obj["metadata"]["name"]])]


def _forget_history(rollout: Rollout) -> list[Action]:
    """Deletes the oldest empty ReplicaSets beyond `revisionHistoryLimit`."""
    limit = rollout.deployment["spec"].get("revisionHistoryLimit")
    excess = len(rollout.old) - (10 if limit is None else int(limit))
    empty = [
        obj
        for obj in sorted(rollout.old, key=revision_of)
        if not wanted_replicas(obj)
        and not status_count(obj, "replicas")
        and not obj["metadata"].get("deletionTimestamp")
    ]
    return [Delete(obj, "Background") for obj in empty[: max(excess, 0)]]


def progress_deadline_seconds(deployment: Object) -> float:
    """After how long without progress a rollout has failed; 10 minutes by default."""
    return float(deployment["spec"].get("progressDeadlineSeconds") or 600)


def seconds_since(text: str | None, now: datetime) -> float:
    """Seconds since an RFC 3339 time; 0 for none."""
    return (now - to_time(text, now)).total_seconds()
