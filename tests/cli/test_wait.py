"""When an object counts as in force, and what is said of one that is not."""

from __future__ import annotations

from typing import Any

import pytest

from kaiki.cli.wait import entry_of, is_in_force, problems, progress

OBJECT: dict[str, Any] = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "VirtualService",
    "metadata": {"namespace": "default", "name": "reviews", "generation": 2},
}


def entry(generation: int = 2, acknowledged: int = 3, waiting: tuple[str, ...] = ()) -> dict[str, Any]:
    counts = {"proxies": 3, "acknowledged": acknowledged, "waiting": list(waiting), "refused": ""}
    return {"generation": generation, **counts}


@pytest.mark.parametrize(
    ("told", "in_force", "text"),
    [
        (entry(), True, ""),
        (entry(generation=3), True, ""),
        (entry(generation=1), False, "the control plane has not taken over its last change"),
        (entry(acknowledged=2, waiting=("a.default",)), False, "2 of 3 proxies have it, waiting for a.default"),
        ({**entry(), "refused": "bad."}, False, "Envoy refuses what comes of it (bad)"),
        (None, False, "no proxy has anything of it"),
    ],
)
def test_when_it_is_in_force(told: dict[str, Any] | None, in_force: bool, text: str) -> None:
    assert is_in_force(told, OBJECT) is in_force
    assert in_force or progress(told, OBJECT) == text


def test_an_object_is_found_by_kind_namespace_and_name() -> None:
    place = {"group": "networking.istio.io", "kind": "VirtualService", "namespace": "default", "name": "reviews"}
    objects = [{**place, "namespace": "shop"}, {**place, "kind": "Gateway"}, {**place, "group": "other"}, place]
    assert entry_of({"objects": objects}, OBJECT) is place
    assert entry_of({"objects": objects[:3]}, OBJECT) is None


def test_what_its_status_says_is_told() -> None:
    status = {
        "validationMessages": [{"type": {"code": "KAI0301"}, "message": "no such subset"}],
        "conditions": [
            {"type": "Accepted", "status": "False", "message": "held back"},
            {"type": "Programmed", "status": "True", "message": "fine"},
        ],
    }
    assert problems({**OBJECT, "status": status}) == "\n  KAI0301 no such subset\n  Accepted=False: held back"
    assert problems(OBJECT) == ""
    refused = {"type": "Accepted", "status": "False", "message": "refused"}
    assert problems({**OBJECT, "status": {"parents": [{"conditions": [refused]}]}}) == "\n  Accepted=False: refused"
