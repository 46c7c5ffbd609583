"""A rollout keeps its promises at every step, whatever order pods become ready in, and it ends."""

from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kaiki.controllers.action import Action, Create, Delete, Patch, Report
from kaiki.controllers.conditions import find_condition
from kaiki.controllers.deployment import (
    HASH_LABEL,
    REVISION,
    REVISION_HISTORY,
    limits_of,
    plan_deployment,
    revision_of,
    sort_out,
    template_hash,
)
from kaiki.controllers.deployment_status import deployment_status, seconds_until_deadline
from kaiki.controllers.replica_set import wanted_replicas

NOW = datetime(2030, 1, 1, tzinfo=UTC)
Object = dict[str, Any]


def deployment(replicas: int = 3, image: str = "web:1", **spec: Any) -> Object:
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": image}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop", "uid": "d1", "generation": 1},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template, **spec},
    }


class World:
    """One Deployment and its ReplicaSets, with the ReplicaSets' pods as mere numbers."""

    def __init__(self, wanted: Object) -> None:
        self.deployment = wanted
        self.sets: list[Object] = []
        self.reports: list[str] = []
        self.clock = 0

    def step(self) -> list[Action]:
        old_pods = sum(item["status"]["replicas"] for item in self.rollout.old)
        actions = plan_deployment(self.rollout, old_pods)
        for action in actions:
            self.take(action)
        return actions

    @property
    def rollout(self) -> Any:
        return sort_out(self.deployment, self.sets)

    def take(self, action: Action) -> None:
        self.clock += 1
        match action:
            case Create(made):
                obj = deepcopy(made)
                obj["metadata"] |= {"uid": f"r{self.clock}", "creationTimestamp": f"2030-01-01T00:00:{self.clock:02}Z"}
                obj["status"] = {"replicas": 0, "readyReplicas": 0, "availableReplicas": 0}
                self.sets.append(obj)
            case Patch(target, patch):
                merge(target, patch)
            case Delete(target):
                self.sets.remove(target)
            case Report(_, _, message):
                self.reports.append(message)

    def pods_follow(self, replica_set: Object, ready: bool) -> None:
        """One pod's worth of change: created, deleted, or become ready."""
        status, wanted = replica_set["status"], wanted_replicas(replica_set)
        if status["replicas"] != wanted:
            status["replicas"] = wanted
        elif ready and status["availableReplicas"] < wanted:
            status["availableReplicas"] += 1
        status["availableReplicas"] = min(status["availableReplicas"], status["replicas"])
        status["readyReplicas"] = status["availableReplicas"]

    def settle(self) -> None:
        for _ in range(500):
            moved = bool(self.step())
            before = [dict(item["status"]) for item in self.sets]
            for item in self.sets:
                self.pods_follow(item, True)
            if not moved and before == [item["status"] for item in self.sets]:
                return
        raise AssertionError("the rollout does not end")

    def status(self, at: datetime = NOW) -> Object:
        self.deployment["status"] = deployment_status(self.rollout, at)
        return dict(self.deployment["status"])

    def sizes(self) -> dict[str, int]:
        return {item["spec"]["template"]["spec"]["containers"][0]["image"]: wanted_replicas(item) for item in self.sets}


def merge(target: Object, patch: Object) -> None:
    for name, value in patch.items():
        if isinstance(value, dict):
            merge(target.setdefault(name, {}), value)
        elif value is None:
            target.pop(name, None)
        else:
            target[name] = value


def set_image(world: World, image: str) -> None:
    world.deployment["spec"]["template"]["spec"]["containers"] = [{"name": "web", "image": image}]
    world.deployment["metadata"]["generation"] += 1


def test_a_new_deployment_makes_one_replica_set() -> None:
    world = World(deployment())
    world.settle()
    (made,) = world.sets
    digest = made["metadata"]["labels"][HASH_LABEL]
    assert made["metadata"]["name"] == f"web-{digest}"
    assert made["spec"]["selector"]["matchLabels"] == {"app": "web", HASH_LABEL: digest}
    assert made["spec"]["template"]["metadata"]["labels"] == {"app": "web", HASH_LABEL: digest}
    assert (
        made["metadata"]["ownerReferences"][0] | {"uid": "d1", "controller": True}
        == (made["metadata"]["ownerReferences"][0])
    )
    assert wanted_replicas(made) == 3 and revision_of(world.deployment) == 1
    assert world.reports == [f"Scaled up replica set web-{digest} from 0 to 3"]


def test_status_is_what_kubectl_waits_for() -> None:
    world = World(deployment())
    world.step()
    status = world.status()
    assert find_condition(world.deployment, "Available")["status"] == "False"  # type: ignore[index]
    assert find_condition(world.deployment, "Progressing")["reason"] == "NewReplicaSetCreated"  # type: ignore[index]
    assert seconds_until_deadline(world.rollout, status, NOW) == 601
    world.settle()
    status = world.status(NOW + timedelta(seconds=5))
    assert status["observedGeneration"] == 1 and status["unavailableReplicas"] == 0
    assert [status[name] for name in ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")] == [3] * 4
    assert find_condition(world.deployment, "Available")["status"] == "True"  # type: ignore[index]
    progressing = find_condition(world.deployment, "Progressing")
    assert progressing is not None and progressing["reason"] == "NewReplicaSetAvailable"
    assert progressing["lastTransitionTime"] == "2030-01-01T00:00:00Z", "True it was before"
    assert seconds_until_deadline(world.rollout, status, NOW) is None
    assert world.status(NOW + timedelta(hours=1)) == status, "the same state writes nothing"


def test_no_progress_is_a_failure_in_the_end() -> None:
    world = World(deployment(progressDeadlineSeconds=10))
    world.step()
    world.status()
    world.status(NOW + timedelta(seconds=9))
    assert find_condition(world.deployment, "Progressing")["status"] == "True"  # type: ignore[index]
    world.status(NOW + timedelta(seconds=11))
    assert find_condition(world.deployment, "Progressing")["reason"] == "ProgressDeadlineExceeded"  # type: ignore[index]


def test_a_failure_to_create_pods_is_shown() -> None:
    world = World(deployment())
    world.step()
    failure = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "no webhook"}
    world.sets[0]["status"]["conditions"] = [failure]
    world.status()
    assert find_condition(world.deployment, "ReplicaFailure")["message"] == "no webhook"  # type: ignore[index]
    world.sets[0]["status"]["conditions"] = []
    world.status()
    assert find_condition(world.deployment, "ReplicaFailure") is None


def test_undo_uses_the_old_replica_set_under_a_new_revision() -> None:
    world = World(deployment())
    world.settle()
    set_image(world, "web:2")
    world.settle()
    assert world.sizes() == {"web:1": 0, "web:2": 3} and revision_of(world.deployment) == 2
    set_image(world, "web:1")
    world.settle()
    assert world.sizes() == {"web:1": 3, "web:2": 0} and revision_of(world.deployment) == 3
    annotations = world.rollout.new["metadata"]["annotations"]
    assert (annotations[REVISION], annotations[REVISION_HISTORY]) == ("3", "1")


def test_recreate_waits_for_the_old_pods_to_end() -> None:
    world = World(deployment(strategy={"type": "Recreate"}))
    world.settle()
    set_image(world, "web:2")
    world.step()
    assert world.sizes() == {"web:1": 0}
    assert world.step() == [], "the old pods are still there"
    world.settle()
    assert world.sizes() == {"web:1": 0, "web:2": 3}


def test_paused_scales_but_does_not_roll() -> None:
    world = World(deployment())
    world.settle()
    world.deployment["spec"] |= {"paused": True, "replicas": 5}
    set_image(world, "web:2")
    world.settle()
    assert world.sizes() == {"web:1": 5}
    world.status()
    assert find_condition(world.deployment, "Progressing")["reason"] == "DeploymentPaused"  # type: ignore[index]


def test_history_is_limited() -> None:
    world = World(deployment(revisionHistoryLimit=1))
    for number in range(1, 5):
        set_image(world, f"web:{number}")
        world.settle()
    assert world.sizes() == {"web:3": 0, "web:4": 3}


def test_the_hash_ignores_its_own_label_and_order() -> None:
    one = {"metadata": {"labels": {"a": "b"}}, "spec": {"x": 1, "y": 2}}
    two = {"spec": {"y": 2, "x": 1}, "metadata": {"annotations": {}, "labels": {HASH_LABEL: "z", "a": "b"}}}
    assert template_hash(one, 0) == template_hash(two, 0) != template_hash(one, 1)


@pytest.mark.parametrize(
    ("rolling", "surge", "unavailable"),
    [
        ({}, 3, 2),
        ({"maxSurge": 0, "maxUnavailable": 0}, 0, 1),
        ({"maxSurge": "10%", "maxUnavailable": "10%"}, 1, 1),
        ({"maxSurge": 2, "maxUnavailable": "0%"}, 2, 0),
    ],
)
def test_shares_are_rounded_as_kubernetes_does(rolling: Object, surge: int, unavailable: int) -> None:
    limits = limits_of(deployment(10, strategy={"type": "RollingUpdate", "rollingUpdate": rolling}))
    assert (limits.surge, limits.unavailable) == (surge, unavailable)


@settings(max_examples=150, deadline=None)
@given(
    replicas=st.integers(0, 8),
    surge=st.sampled_from([0, 1, 3, "25%", "100%"]),
    unavailable=st.sampled_from([0, 1, 2, "25%", "100%"]),
    moves=st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.sampled_from(["", "", "", "web:2", "web:3"]))),
)
def test_a_rolling_update_keeps_its_limits(replicas: int, surge: Any, unavailable: Any, moves: Any) -> None:
    rolling = {"maxSurge": surge, "maxUnavailable": unavailable}
    world = World(deployment(replicas, strategy={"type": "RollingUpdate", "rollingUpdate": rolling}))
    world.settle()
    limits = limits_of(world.deployment)
    for which, ready, image in [*moves, (0, True, "web:9")]:
        if image:
            set_image(world, image)
        world.step()
        world.pods_follow(world.sets[which % len(world.sets)], ready)
        assert sum(world.sizes().values()) <= replicas + limits.surge
        available = sum(min(item["status"]["availableReplicas"], wanted_replicas(item)) for item in world.sets)
        assert available >= replicas - limits.unavailable
    world.settle()
    assert {image: size for image, size in world.sizes().items() if size} == ({"web:9": replicas} if replicas else {})
