"""HorizontalPodAutoscalers under both of their versions: one object, nothing lost on the way."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from kaiki.apiserver import autoscaling
from kaiki.apiserver.protobuf import decode

ONE = "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers"
TWO = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers"
KIND = "HorizontalPodAutoscaler"
TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "reviews"}
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
CPU = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}
SELECTOR = {"matchLabels": {"a": "b"}}
METRICS: list[dict[str, Any]] = [
    {"type": "Resource", "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": "1Gi"}}},
    {
        "type": "ContainerResource",
        "containerResource": {
            "name": "cpu", "container": "c", "target": {"type": "Utilization", "averageUtilization": 20},
        },
    },
    {
        "type": "Pods",
        "pods": {
            "metric": {"name": "queued", "selector": SELECTOR}, "target": {"type": "AverageValue", "averageValue": "3"},
        },
    },
    {
        "type": "Object",
        "object": {
            "metric": {"name": "hits"},
            "describedObject": {"kind": "Ingress", "name": "i"},
            "target": {"type": "Value", "value": "10"},
        },
    },
    {
        "type": "External",
        "external": {
            "metric": {"name": "jobs", "selector": SELECTOR}, "target": {"type": "AverageValue", "averageValue": "7"},
        },
    },
]  # fmt: skip


def autoscaler(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "reviews"}, "spec": {"scaleTargetRef": TARGET, "maxReplicas": 5, **spec}}


async def test_made_in_v1_it_has_a_metric_in_v2(api: Any) -> None:
    code, made = await api.post(ONE, autoscaler(targetCPUUtilizationPercentage=50))
    assert (code, made["apiVersion"], made["spec"]["minReplicas"]) == (201, "autoscaling/v1", 1)
    assert made["spec"]["targetCPUUtilizationPercentage"] == 50
    _, new = await api.get(f"{TWO}/reviews")
    assert (new["apiVersion"], new["spec"]["metrics"]) == ("autoscaling/v2", [CPU])
    assert new["metadata"]["uid"] == made["metadata"]["uid"]
    _, listed = await api.get(ONE)
    assert [(each["apiVersion"], "metrics" in each["spec"]) for each in listed["items"]] == [("autoscaling/v1", False)]
    for path in (ONE, TWO):
        _, table = await api.get(path, TABLE)
        assert table["rows"][0]["cells"][:6] == ["reviews", "Deployment/reviews", "cpu: <unknown>/50%", 1, 5, 0]
    async for event in api.watch(f"{ONE}?watch=true"):
        assert event["object"]["spec"]["targetCPUUtilizationPercentage"] == 50
        break


async def test_what_v1_cannot_say_survives_a_change_through_v1(api: Any) -> None:
    behavior = {"scaleDown": {"stabilizationWindowSeconds": 60}}
    code, made = await api.post(TWO, autoscaler(metrics=[*METRICS, CPU], behavior=behavior))
    assert code == 201, made
    _, old = await api.get(f"{ONE}/reviews")
    assert old["spec"] == {
        "scaleTargetRef": TARGET, "minReplicas": 1, "maxReplicas": 5, "targetCPUUtilizationPercentage": 50,
    }  # fmt: skip
    kept = orjson.loads(old["metadata"]["annotations"][autoscaling.METRICS])
    assert kept[0] == {"type": "Resource", "resource": {"name": "memory", "targetAverageValue": "1Gi"}}
    assert kept[2]["pods"] == {"metricName": "queued", "selector": SELECTOR, "targetAverageValue": "3"}
    assert kept[3]["object"]["target"] == {"kind": "Ingress", "name": "i"}
    assert kept[4]["external"] == {"metricName": "jobs", "metricSelector": SELECTOR, "targetAverageValue": "7"}
    old["spec"]["maxReplicas"] = 9
    assert (await api.put(f"{ONE}/reviews", old))[0] == 200
    _, new = await api.get(f"{TWO}/reviews")
    assert new["spec"] == made["spec"] | {"maxReplicas": 9}
    assert "annotations" not in new["metadata"]
    unchanged = new["metadata"]["resourceVersion"]
    _, again = await api.patch(f"{ONE}/reviews", {"spec": {"maxReplicas": 9}})
    assert again["metadata"]["resourceVersion"] == unchanged


async def test_status_in_both(api: Any) -> None:
    await api.post(TWO, autoscaler())
    current = {
        "type": "Resource",
        "resource": {"name": "cpu", "current": {"averageUtilization": 33, "averageValue": "9m"}},
    }
    conditions = [{"type": "AbleToScale", "status": "True", "lastTransitionTime": "2030-01-01T00:00:00Z"}]
    status = {"currentReplicas": 2, "desiredReplicas": 2, "currentMetrics": [current], "conditions": conditions}
    code, answer = await api.patch(f"{TWO}/reviews/status", {"status": status})
    assert code == 200, answer
    _, old = await api.get(f"{ONE}/reviews")
    assert old["status"] == {"currentReplicas": 2, "desiredReplicas": 2, "currentCPUUtilizationPercentage": 33}
    assert orjson.loads(old["metadata"]["annotations"][autoscaling.CONDITIONS]) == conditions
    await api.patch(f"{ONE}/reviews", {"metadata": {"labels": {"a": "b"}}})
    _, new = await api.get(f"{TWO}/reviews")
    assert new["status"] == status
    _, table = await api.get(ONE, TABLE)
    assert table["rows"][0]["cells"][2] == "cpu: 33%/80%"


@pytest.mark.parametrize("text", ["nonsense", "7", "[7]", '[{"type":"Odd"}]', '{"a":1}'])
async def test_annotations_that_hold_no_metrics_do_no_harm(api: Any, text: str) -> None:
    value = autoscaler()
    value["metadata"]["annotations"] = {autoscaling.METRICS: text}
    code, made = await api.post(ONE, value)
    assert code in (201, 422), made


def test_the_two_versions_are_different_in_protobuf() -> None:
    spec = b"\x18\x05\x20\x32"  # 3: 5, 4: 50
    body = tagged(2, tagged(2, spec))
    identity = tagged(1, tagged(1, b"autoscaling/v1") + tagged(2, b"HorizontalPodAutoscaler"))
    assert decode(b"k8s\x00" + identity + body)["spec"] == {"maxReplicas": 5, "targetCPUUtilizationPercentage": 50}


def tagged(number: int, data: bytes) -> bytes:
    return bytes([number << 3 | 2, len(data)]) + data


@pytest.mark.parametrize("path", [ONE, TWO])
@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"maxReplicas": 0}, "spec.maxReplicas"),
        ({"minReplicas": 6}, "spec.maxReplicas"),
        ({"minReplicas": 0}, "spec.minReplicas"),
        ({"scaleTargetRef": {"kind": "Deployment", "name": ""}}, "spec.scaleTargetRef.name"),
    ],
)
async def test_what_makes_no_sense_is_refused(api: Any, path: str, spec: dict[str, Any], field: str) -> None:
    code, answer = await api.post(path, autoscaler(**spec))
    assert (code, [each["field"] for each in answer["details"]["causes"]]) == (422, [field]), answer


async def test_applied_server_side_in_either_version(api: Any) -> None:
    form = "application/apply-patch+yaml"
    old = autoscaler(targetCPUUtilizationPercentage=50) | {"apiVersion": "autoscaling/v1", "kind": KIND}
    new = autoscaler(metrics=[CPU]) | {"apiVersion": "autoscaling/v2", "kind": KIND}
    code, made = await api.patch(f"{ONE}/reviews?fieldManager=one", old, form)
    assert code == 201, made
    code, again = await api.patch(f"{ONE}/reviews?fieldManager=one", old, form)
    assert (code, again["metadata"]["resourceVersion"]) == (200, made["metadata"]["resourceVersion"])
    code, answer = await api.patch(f"{TWO}/reviews?fieldManager=two", new, form)
    assert code == 200, answer
    assert answer["spec"]["metrics"] == [CPU]
    new["spec"]["maxReplicas"] = 7
    code, refused = await api.patch(f"{TWO}/reviews?fieldManager=two", new, form)
    assert (code, refused["details"]["causes"][0]["field"]) == (409, ".spec.maxReplicas")
    code, answer = await api.patch(f"{TWO}/reviews?fieldManager=two&force=true", new, form)
    assert (code, answer["spec"]["maxReplicas"]) == (200, 7)
    entries = {(each["manager"], each["apiVersion"]) for each in answer["metadata"]["managedFields"]}
    assert ("two", "autoscaling/v2") in entries
    code, answer = await api.patch(f"{ONE}/reviews", {"spec": {"minReplicas": 2}})
    assert (code, answer["spec"]["targetCPUUtilizationPercentage"], answer["spec"]["minReplicas"]) == (200, 50, 2)
