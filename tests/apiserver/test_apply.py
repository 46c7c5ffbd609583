"""Server-side apply: merging, ownership, conflicts."""

from __future__ import annotations

from typing import Any

import pytest

from kaiki.apiserver.apply import ApplyConflict, server_side_apply
from kaiki.apiserver.ownership import Manager, track_update
from kaiki.apiserver.schemas import definition

DEPLOYMENT = definition("io.k8s.api.apps.v1.Deployment")


def manager(name: str, operation: str = "Apply") -> Manager:
    return Manager(name, operation, "apps/v1", "2030-01-01T00:00:00Z")


def deployment(replicas: int | None = None, **containers: str) -> dict[str, Any]:
    listed = [{"name": name, "image": image} for name, image in containers.items()]
    spec: dict[str, Any] = {"template": {"spec": {"containers": listed}}}
    if replicas is not None:
        spec["replicas"] = replicas
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}


def images(value: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each.get("image") for each in value["spec"]["template"]["spec"]["containers"]}


def test_what_is_no_longer_applied_goes_away() -> None:
    first = server_side_apply(None, deployment(2, a="1", b="1"), DEPLOYMENT, manager("kubectl"), False)
    second = server_side_apply(first, deployment(a="2"), DEPLOYMENT, manager("kubectl"), False)
    assert images(second) == {"a": "2"}
    assert "replicas" not in second["spec"]


def test_two_managers_own_their_own_containers() -> None:
    first = server_side_apply(None, deployment(a="1"), DEPLOYMENT, manager("one"), False)
    second = server_side_apply(first, deployment(b="1"), DEPLOYMENT, manager("two"), False)
    assert images(second) == {"a": "1", "b": "1"}
    third = server_side_apply(second, deployment(), DEPLOYMENT, manager("two"), False)
    assert images(third) == {"a": "1"}
    assert [entry["manager"] for entry in third["metadata"]["managedFields"]] == ["one"]


def test_changing_what_another_owns_is_a_conflict_unless_forced() -> None:
    first = server_side_apply(None, deployment(2, a="1"), DEPLOYMENT, manager("one"), False)
    with pytest.raises(ApplyConflict) as refused:
        server_side_apply(first, deployment(3, a="2"), DEPLOYMENT, manager("two"), False)
    assert {each.field for each in refused.value.conflicts} == {
        ".spec.replicas",
        '.spec.template.spec.containers[name="a"].image',
    }
    forced = server_side_apply(first, deployment(3, a="2"), DEPLOYMENT, manager("two"), True)
    assert forced["spec"]["replicas"] == 3
    # The first manager lost what was taken from it, so it can be given back only by force as well.
    with pytest.raises(ApplyConflict):
        server_side_apply(forced, deployment(2, a="1"), DEPLOYMENT, manager("one"), False)


def test_agreeing_is_no_conflict_and_shares_ownership() -> None:
    first = server_side_apply(None, deployment(2), DEPLOYMENT, manager("one"), False)
    both = server_side_apply(first, deployment(2), DEPLOYMENT, manager("two"), False)
    left = server_side_apply(both, deployment(), DEPLOYMENT, manager("one"), False)
    assert left["spec"]["replicas"] == 2


def test_an_update_takes_ownership_of_what_it_changes() -> None:
    first = server_side_apply(None, deployment(2, a="1"), DEPLOYMENT, manager("one"), False)
    scaled = {**first, "spec": {**first["spec"], "replicas": 5}, "metadata": dict(first["metadata"])}
    track_update(first, scaled, DEPLOYMENT, manager("scaler", "Update"))
    owners = {entry["manager"]: entry["fieldsV1"] for entry in scaled["metadata"]["managedFields"]}
    assert owners["scaler"] == {"f:spec": {"f:replicas": {}}}
    assert "f:replicas" not in owners["one"]["f:spec"]
    with pytest.raises(ApplyConflict):
        server_side_apply(scaled, deployment(2, a="1"), DEPLOYMENT, manager("one"), False)


def test_applying_the_same_again_changes_nothing() -> None:
    first = server_side_apply(None, deployment(2, a="1"), DEPLOYMENT, manager("one"), False)
    assert server_side_apply(first, deployment(2, a="1"), DEPLOYMENT, manager("one"), False) == first
