"""What was owned goes, stays or goes first, as the policy of deletion says."""

from typing import Any

from kaiki.controllers.action import Delete, Patch
from kaiki.controllers.garbage import plan_dependent, plan_owner

Object = dict[str, Any]


def obj(name: str, *owners: str, finalizers: tuple[str, ...] = (), deleted: bool = False) -> Object:
    references = [{"uid": uid, "name": uid, "blockOwnerDeletion": True} for uid in owners]
    metadata: Object = {"name": name, "uid": name, "ownerReferences": references, "finalizers": [*finalizers]}
    if deleted:
        metadata["deletionTimestamp"] = "2030-01-01T00:00:00Z"
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


def test_without_owners_left_it_goes() -> None:
    owned = obj("a", "dead", "alive")
    alive = {"alive"}
    assert plan_dependent(obj("a"), lambda owner: False) == []
    assert plan_dependent(obj("a", "dead"), lambda owner: False) == [Delete(obj("a", "dead"), "Background")]
    assert plan_dependent(obj("a", "alive"), lambda owner: owner["uid"] in alive) == []
    (cut,) = plan_dependent(owned, lambda owner: owner["uid"] in alive)
    assert isinstance(cut, Patch)
    assert [owner["uid"] for owner in cut.patch["metadata"]["ownerReferences"]] == ["alive"]


def test_foreground_waits_for_the_dependents() -> None:
    owner = obj("owner", finalizers=("foregroundDeletion", "mine"), deleted=True)
    waiting, going = obj("a", "owner"), obj("b", "owner", deleted=True)
    assert plan_owner(owner, [waiting, going]) == [Delete(waiting, "Foreground")]
    assert plan_owner(owner, [going]) == []
    assert plan_owner(owner, []) == [Patch(owner, {"metadata": {"finalizers": ["mine"]}})]
    assert plan_owner(obj("owner", finalizers=("foregroundDeletion",)), [waiting]) == []


def test_orphans_are_cut_loose_first() -> None:
    owner = obj("owner", finalizers=("orphan",), deleted=True)
    child = obj("a", "owner")
    assert plan_owner(owner, [child]) == [
        Patch(child, {"metadata": {"ownerReferences": None}}),
        Patch(owner, {"metadata": {"finalizers": None}}),
    ]
