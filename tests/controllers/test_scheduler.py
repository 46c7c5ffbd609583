"""Which pods a node takes."""

from typing import Any

import pytest

from kaiki.controllers.scheduler import refusal, waits_for_node

Object = dict[str, Any]


def pod(**spec: Any) -> Object:
    return {"metadata": {"name": "web", "namespace": "default"}, "spec": spec}


def node(labels: Object | None = None, **spec: Any) -> Object:
    return {"metadata": {"name": "kaiki", "labels": labels or {}}, "spec": spec}


TAINT = {"key": "dedicated", "value": "db", "effect": "NoSchedule"}
SOFT = TAINT | {"effect": "PreferNoSchedule"}


@pytest.mark.parametrize(
    ("wanted", "offered", "why"),
    [
        (pod(), node(), ""),
        (pod(nodeSelector={"disk": "ssd"}), node({"disk": "ssd"}), ""),
        (pod(nodeSelector={"disk": "ssd"}), node(), "didn't match"),
        (pod(), node(unschedulable=True), "unschedulable"),
        (pod(tolerations=[{"operator": "Exists"}]), node(unschedulable=True, taints=[TAINT]), ""),
        (pod(), node(taints=[TAINT]), "{dedicated: db}"),
        (pod(), node(taints=[SOFT]), ""),
        (pod(tolerations=[{"key": "dedicated", "value": "db"}]), node(taints=[TAINT]), ""),
        (pod(tolerations=[{"key": "dedicated", "value": "web"}]), node(taints=[TAINT]), "{dedicated: db}"),
        (
            pod(tolerations=[{"key": "dedicated", "operator": "Exists", "effect": "NoExecute"}]),
            node(taints=[TAINT]),
            "d",
        ),
    ],
)
def test_refusal(wanted: Object, offered: Object, why: str) -> None:
    found = refusal(wanted, offered)
    assert (why in found) if why else (found == "")


def test_pods_that_wait() -> None:
    assert waits_for_node(pod())
    assert not waits_for_node(pod(nodeName="kaiki"))
    assert not waits_for_node(pod(schedulingGates=[{"name": "a"}]))
    assert not waits_for_node(pod(schedulerName="other"))
