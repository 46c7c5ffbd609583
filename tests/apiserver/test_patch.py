"""The three patch types, case by case."""

from __future__ import annotations

from typing import Any

import pytest

from kaiki.apiserver.patch import PatchError, json_patch, merge_patch, strategic_merge
from kaiki.apiserver.schemas import definition

POD = definition("io.k8s.api.core.v1.Pod")


def pod(*containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {"spec": {"containers": list(containers), **spec}}


def test_merge_patch_deletes_nulls_and_replaces_lists() -> None:
    assert merge_patch({"a": {"b": 1, "c": 2}, "l": [1, 2]}, {"a": {"b": None, "d": 3}, "l": [9]}) == {
        "a": {"c": 2, "d": 3},
        "l": [9],
    }


def test_json_patch_operations() -> None:
    value = {"a": [1, 2], "b": {"x/y": 1}}
    operations = [
        {"op": "test", "path": "/a/0", "value": 1},
        {"op": "add", "path": "/a/-", "value": 3},
        {"op": "add", "path": "/a/0", "value": 0},
        {"op": "replace", "path": "/b/x~1y", "value": 2},
        {"op": "copy", "from": "/a/1", "path": "/c"},
        {"op": "move", "from": "/a/0", "path": "/d"},
        {"op": "remove", "path": "/a/0"},
    ]
    assert json_patch(value, operations) == {"a": [2, 3], "b": {"x/y": 2}, "c": 1, "d": 0}
    assert value == {"a": [1, 2], "b": {"x/y": 1}}


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/a", "value": 2},
        {"op": "remove", "path": "/missing"},
        {"op": "replace", "path": "/missing", "value": 1},
        {"op": "add", "path": "/a/b/c", "value": 1},
        {"op": "wrong", "path": "/a"},
        {"op": "add", "path": "a", "value": 1},
    ],
)
def test_json_patch_that_does_not_fit(operation: dict[str, Any]) -> None:
    with pytest.raises(PatchError):
        json_patch({"a": 1}, [operation])


def test_strategic_merge_joins_lists_by_key() -> None:
    current = pod({"name": "a", "image": "1"}, {"name": "b", "image": "1"})
    patch = pod({"name": "b", "image": "2"}, {"name": "c", "image": "1"})
    merged = strategic_merge(current, patch, POD)["spec"]["containers"]
    assert [(each["name"], each["image"]) for each in merged] == [("a", "1"), ("b", "2"), ("c", "1")]


def test_strategic_merge_deletes_elements_and_keeps_the_stated_order() -> None:
    current = pod({"name": "a"}, {"name": "b"}, {"name": "c"})
    patch = {
        "spec": {
            "$setElementOrder/containers": [{"name": "c"}, {"name": "a"}],
            "containers": [{"name": "b", "$patch": "delete"}],
        }
    }
    assert strategic_merge(current, patch, POD) == pod({"name": "c"}, {"name": "a"})


def test_strategic_merge_order_alone_reorders() -> None:
    patch = {"spec": {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]}}
    assert strategic_merge(pod({"name": "a"}, {"name": "b"}), patch, POD) == pod({"name": "b"}, {"name": "a"})


def test_strategic_merge_replaces_when_told() -> None:
    current = pod({"name": "a"}, {"name": "b"})
    patch = {"spec": {"containers": [{"$patch": "replace"}, {"name": "c"}]}}
    assert strategic_merge(current, patch, POD) == pod({"name": "c"})


def test_strategic_merge_retains_only_the_named_keys() -> None:
    current = {"spec": {"volumes": [{"name": "v", "emptyDir": {}}]}}
    patch = {"spec": {"volumes": [{"name": "v", "$retainKeys": ["name", "configMap"], "configMap": {"name": "c"}}]}}
    merged = strategic_merge(current, patch, POD)
    assert merged == {"spec": {"volumes": [{"name": "v", "configMap": {"name": "c"}}]}}


def test_strategic_merge_primitive_lists() -> None:
    current = {"metadata": {"finalizers": ["a", "b"]}}
    patch = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"], "finalizers": ["c"]}}
    assert strategic_merge(current, patch, POD) == {"metadata": {"finalizers": ["b", "c"]}}


def test_strategic_merge_replaces_atomic_lists() -> None:
    current = pod({"name": "a", "args": ["1", "2"]})
    assert strategic_merge(current, pod({"name": "a", "args": ["3"]}), POD) == pod({"name": "a", "args": ["3"]})


def test_strategic_merge_without_the_key_is_refused() -> None:
    with pytest.raises(PatchError, match="does not contain declared merge key: name"):
        strategic_merge(pod({"name": "a"}), pod({"image": "x"}), POD)
