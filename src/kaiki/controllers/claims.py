"""Which objects a controller takes as its own: adopts what matches its selector, releases what no longer does. Pure.

Adoption is why a Deployment applied again after `kubectl delete --cascade=orphan` goes on with its pods, release is why
taking a label off a pod takes the pod out of its ReplicaSet, alive.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from kaiki.controllers.action import Action, Patch
from kaiki.controllers.replica_set import owner_reference
from kaiki.controllers.stores import controller_uid
from kaiki.kube.resource import Object


@dataclass(frozen=True, slots=True)
class Claims:
    """What is owned now, and the patches that make it so for the others."""

    owned: tuple[Object, ...]
    actions: tuple[Action, ...]


def plan_claims(owner: Object, candidates: Iterable[Object]) -> Claims:
    """Sorts the objects of the owner's namespace: owned, to adopt, to release, somebody else's."""
    owned: list[Object] = []
    actions: list[Action] = []
    uid = owner["metadata"]["uid"]
    for obj in candidates:
        holder, matches = controller_uid(obj), is_matching(owner["spec"]["selector"], obj)
        if holder == uid and matches:
            owned.append(obj)
        elif holder == uid:
            actions.append(_release(obj, uid))
        elif holder is None and matches and not obj["metadata"].get("deletionTimestamp"):
            actions.append(_adopt(owner, obj))
    return Claims(tuple(owned), tuple(actions))


def is_matching(selector: Object, obj: Object) -> bool:
    """Whether a label selector (`matchLabels`, `matchExpressions`) matches; an empty one matches nothing here."""
    labels = obj["metadata"].get("labels") or {}
    wanted, expressions = selector.get("matchLabels") or {}, selector.get("matchExpressions") or ()
    if not wanted and not expressions:
        return False
    if any(labels.get(name) != value for name, value in wanted.items()):
        return False
    return all(_holds(expression, labels) for expression in expressions)


def _holds(expression: Object, labels: dict[str, Any]) -> bool:
    value, values = labels.get(expression["key"]), expression.get("values") or ()
    match expression["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
    return False


def _adopt(owner: Object, obj: Object) -> Patch:
    references = [*(obj["metadata"].get("ownerReferences") or ()), owner_reference(owner)]
    return Patch(obj, {"metadata": {"uid": obj["metadata"]["uid"], "ownerReferences": references}})


def _release(obj: Object, uid: str) -> Patch:
    kept = [item for item in obj["metadata"].get("ownerReferences") or () if item["uid"] != uid]
    return Patch(obj, {"metadata": {"uid": obj["metadata"]["uid"], "ownerReferences": kept or None}})
