"""Patches, applied by a second, naive implementation, give exactly what was wanted and say nothing else."""

import copy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from kaiki.admission.json_patch import json_patch

values = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from(("", "a", "~1/")),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(("a", "b/c", "d~e", "")), inner, max_size=3)
    ),
    max_leaves=12,
)


def apply(document: Any, operations: list[dict[str, Any]]) -> Any:
    holder = {"": copy.deepcopy(document)}
    for operation in operations:
        parts = [part.replace("~1", "/").replace("~0", "~") for part in ("" + operation["path"]).split("/")]
        target: Any = holder
        for part in parts[:-1]:
            target = target[int(part)] if isinstance(target, list) else target[part]
        last: Any = int(parts[-1]) if isinstance(target, list) else parts[-1]
        if operation["op"] == "remove":
            del target[last]
        elif operation["op"] == "add" and isinstance(target, list):
            assert last <= len(target)
            target.insert(last, operation["value"])
        else:
            assert operation["op"] == "add" or last in target or isinstance(target, list)
            target[last] = operation["value"]
    return holder[""]


@given(values, values)
@settings(max_examples=500, deadline=None)
def test_a_patch_gives_what_was_wanted(old: Any, new: Any) -> None:
    assert repr(apply(old, json_patch(old, new))) == repr(new) or apply(old, json_patch(old, new)) == new


@given(values)
def test_nothing_is_said_about_what_is_the_same(value: Any) -> None:
    assert json_patch(value, copy.deepcopy(value)) == []


def test_true_is_not_one() -> None:
    assert json_patch({"a": [1]}, {"a": [True]}) == [{"op": "replace", "path": "/a/0", "value": True}]


def test_what_is_put_in_front_of_a_list_moves_nothing() -> None:
    app, proxy = {"name": "app", "image": "x"}, {"name": "proxy"}
    assert json_patch({"c": [app]}, {"c": [proxy, app]}) == [{"op": "add", "path": "/c/0", "value": proxy}]
