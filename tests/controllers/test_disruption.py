"""PodDisruptionBudgets: what they measure, and their status."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.controllers.test_cluster import deployment, rolled_out

from kaiki.controllers.disruption import budget_status, failed_status, selects
from kaiki.kube.client import KubeClient
from kaiki.kube.resource import DEPLOYMENTS, EVENTS, POD_DISRUPTION_BUDGETS, PODS
from kaiki.resources.disruption import Disruption, UnknownScale, measure

Object = dict[str, Any]
Until = Callable[..., Awaitable[Any]]
NOW = datetime(2030, 1, 1, tzinfo=UTC)


def budget(name: str = "web", **spec: Any) -> Object:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, **spec},
    }


def pod(name: str, ready: bool = True, owner: str = "set") -> Object:
    references = [{"kind": "ReplicaSet", "name": owner, "uid": f"uid-{owner}", "controller": True}] if owner else []
    conditions = [{"type": "Ready", "status": str(ready)}]
    return {"metadata": {"name": name, "ownerReferences": references}, "status": {"conditions": conditions}}


def find(kind: str, name: str) -> Object | None:
    """A Deployment of five, its ReplicaSet (being scaled: three), and a ReplicaSet of its own."""
    above = [{"kind": "Deployment", "name": "all", "uid": "uid-all", "controller": True}]
    known = {
        ("Deployment", "all"): {"metadata": {"uid": "uid-all"}, "spec": {"replicas": 5}},
        ("ReplicaSet", "set"): {"metadata": {"uid": "uid-set", "ownerReferences": above}, "spec": {"replicas": 3}},
        ("ReplicaSet", "own"): {"metadata": {"uid": "uid-own"}, "spec": {}},
    }
    return known.get((kind, name))


@pytest.mark.parametrize(
    ("spec", "wanted", "allowed"),
    [
        ({"minAvailable": 2}, Disruption(4, 2, 3), 1),
        ({"minAvailable": 0}, Disruption(4, 0, 3), 3),
        ({"minAvailable": 9}, Disruption(4, 9, 3), 0),
        ({"minAvailable": "41%"}, Disruption(6, 3, 3), 0),
        ({"minAvailable": "100%"}, Disruption(6, 6, 3), 0),
        ({"maxUnavailable": 4}, Disruption(6, 2, 3), 1),
        ({"maxUnavailable": "50%"}, Disruption(6, 3, 3), 0),
        ({"maxUnavailable": 99}, Disruption(6, 0, 3), 3),
        ({}, Disruption(4, 1, 3), 2),
    ],
)
def test_measures(spec: Object, wanted: Disruption, allowed: int) -> None:
    pods = [pod("a"), pod("b"), pod("c", ready=False), pod("d", owner="own")]
    found = measure(budget(**spec), pods, find)
    assert (found, found.allowed) == (wanted, allowed)


def test_pods_of_nobody_are_not_expected_and_those_of_unknown_makers_cannot_be_counted() -> None:
    assert measure(budget(maxUnavailable=1), [pod("a", owner="")], find) == Disruption(0, 0, 1)
    assert measure(budget(maxUnavailable=1), [pod("a", owner="")], find).allowed == 0
    with pytest.raises(UnknownScale, match='found no controllers for pod "a"'):
        measure(budget(maxUnavailable=1), [pod("a", owner="gone")], find)


def test_a_failure_lets_nothing_go_and_keeps_the_counts() -> None:
    before = budget() | {
        "status": {"currentHealthy": 3, "desiredHealthy": 2, "expectedPods": 3, "disruptionsAllowed": 1}
    }
    before["metadata"]["generation"] = 4
    status = failed_status(before, UnknownScale("no scale"), NOW)
    assert (status["disruptionsAllowed"], status["currentHealthy"], status["observedGeneration"]) == (0, 3, 4)
    (condition,) = status["conditions"]
    assert (condition["reason"], condition["message"], condition["observedGeneration"]) == ("SyncFailed", "no scale", 4)


def test_status_moves_its_time_only_with_its_answer() -> None:
    first = budget_status(budget(), Disruption(2, 1, 2), NOW)
    again = budget_status(budget() | {"status": first}, Disruption(3, 1, 3), datetime(2031, 1, 1, tzinfo=UTC))
    assert again["conditions"] == first["conditions"]
    assert first["conditions"][0]["reason"] == "SufficientPods"


def test_selectors() -> None:
    labelled = {"metadata": {"labels": {"app": "web"}}}
    assert selects(budget(), labelled) and not selects(budget(), {"metadata": {}})
    assert selects({"spec": {"selector": {}}}, {"metadata": {}})
    assert not selects({"spec": {}}, labelled)


async def test_a_budget_follows_its_pods(client: KubeClient, cluster: Any, until: Until) -> None:
    await client.create(budget(maxUnavailable=1))

    async def status() -> Object:
        found = await client.get(POD_DISRUPTION_BUDGETS, "web", "default")
        return found.get("status") or {}

    async def counts(*wanted: int) -> bool:
        names = ("expectedPods", "desiredHealthy", "currentHealthy", "disruptionsAllowed")
        found = await status()
        return tuple(found.get(name) for name in names) == wanted

    await until(lambda: counts(0, 0, 0, 0), "a status without pods")

    async def told() -> bool:
        return any(event["reason"] == "NoPods" for event in await client.list(EVENTS, "default"))

    await until(told, "an event")
    await client.apply(deployment(3))
    await until(lambda: rolled_out(client), "the rollout")
    await until(lambda: counts(3, 2, 3, 1), "the status of three pods")
    found = await status()
    assert found["observedGeneration"] == 1
    assert [(each["type"], each["status"], each["reason"]) for each in found["conditions"]] == [
        ("DisruptionAllowed", "True", "SufficientPods")
    ]
    await client.patch(POD_DISRUPTION_BUDGETS, "web", "default", {"spec": {"maxUnavailable": 0}})
    await until(lambda: counts(3, 3, 3, 0), "the status after a change")
    found = await status()
    assert (found["observedGeneration"], found["conditions"][0]["reason"]) == (2, "InsufficientPods")
    name = (await client.list(PODS, "default"))[0]["metadata"]["name"]
    await client.patch(POD_DISRUPTION_BUDGETS, "web", "default", {"spec": {"maxUnavailable": 2}})
    await until(lambda: counts(3, 1, 3, 2), "the status after another change")
    await client.patch(DEPLOYMENTS, "web", "default", {"spec": {"replicas": 4}})
    await until(lambda: counts(4, 2, 4, 2), "the status after scaling")
    await client.delete(PODS, name, "default")
    await until(lambda: counts(4, 2, 4, 2), "the status with a pod anew")
