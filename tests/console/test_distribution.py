"""Counts of several replicas are added; the oldest generation counts."""

from __future__ import annotations

from typing import Any

from kaiki.console.distribution import added_up


def entry(generation: int, proxies: int, acknowledged: int, *waiting: str) -> dict[str, Any]:
    place = {"kind": "VirtualService", "group": "networking.istio.io", "namespace": "default", "name": "reviews"}
    counts = {"proxies": proxies, "acknowledged": acknowledged, "waiting": list(waiting), "refused": ""}
    return {**place, "generation": generation, **counts}


def test_replicas_are_added_up() -> None:
    found = added_up([[entry(4, 3, 3)], [entry(3, 2, 1, "a.default")]])
    assert found == [entry(3, 5, 4, "a.default")]


def test_objects_are_sorted_and_kept_apart() -> None:
    other = {**entry(1, 1, 1), "name": "details"}
    assert [one["name"] for one in added_up([[entry(1, 1, 1), other]])] == ["details", "reviews"]


def test_kinds_of_one_name_are_kept_apart() -> None:
    other = {**entry(1, 1, 1), "group": "gateway.networking.k8s.io"}
    assert len(added_up([[entry(1, 1, 1), other]])) == 2


def test_what_one_replica_holds_back_is_told() -> None:
    (found,) = added_up([[entry(4, 3, 3)], [{**entry(4, 0, 0), "refused": "no such filter"}]])
    assert found["refused"] == "no such filter"
