"""Pods are made from the template, and the least useful are deleted first."""

from datetime import UTC, datetime
from typing import Any

from kaiki.controllers.replica_set import (
    active_pods,
    build_pod,
    next_availability_seconds,
    plan_pods,
    replica_set_status,
    status_patch,
)

NOW = datetime(2030, 1, 1, 0, 1, tzinfo=UTC)
Object = dict[str, Any]


def replica_set(replicas: int | None = 2, **spec: Any) -> Object:
    template = {"metadata": {"labels": {"app": "web"}, "annotations": {"a": "b"}}, "spec": {"containers": []}}
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {"name": "web-x", "namespace": "shop", "uid": "r", "generation": 4},
        "spec": {"template": template, **({} if replicas is None else {"replicas": replicas}), **spec},
    }


def pod(name: str, phase: str = "Running", ready: str | None = "2030-01-01T00:00:00Z", node: str = "kaiki") -> Object:
    conditions = [{"type": "Ready", "status": "True", "lastTransitionTime": ready}] if ready else []
    return {
        "metadata": {"name": name, "uid": name, "labels": {"app": "web"}},
        "spec": {"nodeName": node} if node else {},
        "status": {"phase": phase, "conditions": conditions},
    }


def test_a_pod_is_named_by_the_server() -> None:
    made = build_pod(replica_set())
    assert made["metadata"]["generateName"] == "web-x-" and "name" not in made["metadata"]
    assert made["metadata"]["labels"] == {"app": "web"} and made["metadata"]["annotations"] == {"a": "b"}
    assert made["metadata"]["ownerReferences"][0]["uid"] == "r"


def test_missing_pods_are_created() -> None:
    assert plan_pods(replica_set(3), [pod("a")], NOW).create == 2
    assert plan_pods(replica_set(None), [], NOW).create == 1


def test_the_least_useful_pods_go_first() -> None:
    pods = [
        pod("ready-long", ready="2030-01-01T00:00:00Z"),
        pod("ready-short", ready="2030-01-01T00:00:30Z"),
        pod("cheap", ready="2030-01-01T00:00:00Z"),
        pod("unready", ready=None),
        pod("pending", phase="Pending", ready=None),
        pod("unbound", phase="Pending", ready=None, node=""),
    ]
    pods[2]["metadata"]["annotations"] = {"controller.kubernetes.io/pod-deletion-cost": "-5"}
    order = [item["metadata"]["name"] for item in plan_pods(replica_set(0), pods, NOW).delete]
    assert order == ["unbound", "pending", "unready", "cheap", "ready-short", "ready-long"]


def test_ended_and_ending_pods_do_not_count() -> None:
    ending = pod("ending")
    ending["metadata"]["deletionTimestamp"] = "2030-01-01T00:00:00Z"
    pods = [pod("ok"), pod("done", phase="Succeeded"), pod("failed", phase="Failed"), ending, pod("ours")]
    assert [item["metadata"]["name"] for item in active_pods(pods, {"ours"})] == ["ok"]


def test_status_counts_and_waits_for_min_ready_seconds() -> None:
    owner = replica_set(minReadySeconds=40)
    pods = [pod("a", ready="2030-01-01T00:00:10Z"), pod("b", ready="2030-01-01T00:00:30Z"), pod("c", ready=None)]
    status = replica_set_status(owner, pods, None, NOW)
    assert status == {
        "replicas": 3,
        "fullyLabeledReplicas": 3,
        "readyReplicas": 2,
        "availableReplicas": 1,
        "observedGeneration": 4,
        "conditions": [],
    }
    assert next_availability_seconds(owner, pods, NOW) == 10
    assert status_patch(status, status) is None
    assert status_patch({"replicas": 3}, {"replicas": 2, "readyReplicas": 0}) == {"status": {"replicas": 2}}


def test_a_failure_comes_and_goes() -> None:
    owner = replica_set()
    owner["status"] = replica_set_status(owner, [], "quota", NOW)
    (condition,) = owner["status"]["conditions"]
    assert (condition["type"], condition["reason"], condition["message"]) == ("ReplicaFailure", "FailedCreate", "quota")
    assert replica_set_status(owner, [], None, NOW)["conditions"] == []
