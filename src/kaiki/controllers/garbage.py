"""Garbage collection: what to do with an object whose owners go, by the three policies of deletion. Pure.

background   the owner is gone              → delete what only it owned
foreground   the owner waits (finalizer)    → delete its dependents first, then let it go
orphan       the owner waits (finalizer)    → cut the references, then let it go
"""

from collections.abc import Callable, Sequence

from kaiki.controllers.action import Action, Delete, Patch
from kaiki.kube.resource import Object

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"


def plan_dependent(dependent: Object, is_alive: Callable[[Object], bool]) -> list[Action]:
    """What to do with an object that has owner references, given which owners still live.

    Deleted when no owner lives; references to dead owners are cut when another owner lives.
    """
    metadata = dependent["metadata"]
    owners = metadata.get("ownerReferences") or []
    if not owners or metadata.get("deletionTimestamp"):
        return []
    living = [owner for owner in owners if is_alive(owner)]
    if not living:
        return [Delete(dependent, "Background")]
    if len(living) < len(owners):
        return [Patch(dependent, {"metadata": {"ownerReferences": living}})]
    return []


def plan_owner(owner: Object, dependents: Sequence[Object]) -> list[Action]:
    """What to do with an object that waits for its deletion with a finalizer of garbage collection."""
    metadata = owner["metadata"]
    finalizers = metadata.get("finalizers") or []
    if not metadata.get("deletionTimestamp"):
        return []
    if ORPHAN in finalizers:
        cuts: list[Action] = [Patch(item, _without_owner(item, metadata["uid"])) for item in dependents]
        return [*cuts, _without_finalizer(owner, ORPHAN)]
    if FOREGROUND not in finalizers:
        return []
    blocking = [item for item in dependents if _blocks(item, metadata["uid"])]
    pending = [item for item in dependents if not item["metadata"].get("deletionTimestamp")]
    if pending:
        return [Delete(item, "Foreground") for item in pending]
    return [] if blocking else [_without_finalizer(owner, FOREGROUND)]


def _blocks(dependent: Object, uid: str) -> bool:
    references = dependent["metadata"].get("ownerReferences") or ()
    return any(item["uid"] == uid and item.get("blockOwnerDeletion") for item in references)


def _without_owner(dependent: Object, uid: str) -> Object:
    references = dependent["metadata"].get("ownerReferences") or ()
    return {"metadata": {"ownerReferences": [item for item in references if item["uid"] != uid] or None}}


def _without_finalizer(owner: Object, name: str) -> Patch:
    kept = [item for item in owner["metadata"].get("finalizers") or () if item != name]
    return Patch(owner, {"metadata": {"finalizers": kept or None}})
