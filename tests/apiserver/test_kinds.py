"""Every built-in kind is served by one path: stored, patched, listed, watched; idle ones say that they are."""

from __future__ import annotations

from typing import Any

import pytest

from kaiki.apiserver.catalog import BUILT_IN, ResourceType, is_idle

KINDS = [kind for kind in BUILT_IN if "patch" in kind.verbs]
POD = {"containers": [{"name": "a", "image": "a"}]}
LABELS = {"matchLabels": {"a": "b"}}
TEMPLATE = {"metadata": {"labels": {"a": "b"}}, "spec": POD}
WORKLOAD = {"selector": LABELS, "template": TEMPLATE}
JOB = {"template": {"spec": {**POD, "restartPolicy": "Never"}}}
HOOK = {"clientConfig": {"url": "https://a.example"}, "sideEffects": "None", "admissionReviewVersions": ["v1"]}
CONTENT: dict[str, dict[str, Any]] = {
    "Pod": {"spec": POD},
    "Service": {"spec": {"ports": [{"port": 80}]}},
    "Deployment": {"spec": WORKLOAD},
    "ReplicaSet": {"spec": WORKLOAD},
    "DaemonSet": {"spec": WORKLOAD},
    "StatefulSet": {"spec": WORKLOAD | {"serviceName": "a"}},
    "ReplicationController": {"spec": {"selector": {"a": "b"}, "template": TEMPLATE}},
    "Job": {"spec": JOB},
    "CronJob": {"spec": {"schedule": "* * * * *", "jobTemplate": {"spec": JOB}}},
    "ControllerRevision": {"revision": 1},
    "HorizontalPodAutoscaler": {"spec": {"scaleTargetRef": {"kind": "Deployment", "name": "a"}, "maxReplicas": 2}},
    "NetworkPolicy": {"spec": {"podSelector": {}}},
    "RoleBinding": {"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "a"}},
    "ClusterRoleBinding": {"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "a"}},
    "EndpointSlice": {"addressType": "IPv4", "endpoints": []},
    "PriorityClass": {"value": 1},
    "StorageClass": {"provisioner": "a"},
    "VolumeAttributesClass": {"driverName": "a"},
    "RuntimeClass": {"handler": "a"},
    "CSINode": {"spec": {"drivers": []}},
    "CSIDriver": {"spec": {}},
    "CSIStorageCapacity": {"storageClassName": "a"},
    "VolumeAttachment": {"spec": {"attacher": "a", "nodeName": "a", "source": {}}},
    "PersistentVolumeClaim": {
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    },
    "DeviceClass": {"spec": {}},
    "ResourceClaim": {"spec": {}},
    "ResourceClaimTemplate": {"spec": {"spec": {}}},
    "ResourceSlice": {"spec": {"driver": "a", "pool": {"name": "a", "generation": 1, "resourceSliceCount": 1}}},
    "LimitRange": {"spec": {"limits": []}},
    "IPAddress": {"spec": {"parentRef": {"resource": "services", "name": "a"}}},
    "ValidatingAdmissionPolicyBinding": {"spec": {"policyName": "a", "validationActions": ["Deny"]}},
    "FlowSchema": {"spec": {"priorityLevelConfiguration": {"name": "a"}}},
    "PriorityLevelConfiguration": {"spec": {"type": "Exempt"}},
    "Event": {"involvedObject": {"kind": "Pod", "name": "a", "namespace": "default"}},
    "ClusterTrustBundle": {"spec": {"trustBundle": "a"}},
    "PodCertificateRequest": {
        "spec": {
            "signerName": "a.b/c",
            "podName": "a",
            "podUID": "a",
            "serviceAccountName": "a",
            "serviceAccountUID": "a",
            "nodeName": "a",
            "nodeUID": "a",
            "stubPKCS10Request": "AAAA",
        }
    },
    "LeaseCandidate": {"spec": {"leaseName": "a", "binaryVersion": "1.36.0", "strategy": "OldestEmulationVersion"}},
    "StorageVersion": {"spec": {}, "status": {}},
    "StorageVersionMigration": {"spec": {"resource": {"group": "", "resource": "pods"}}},
    "DeviceTaintRule": {"spec": {"taint": {"key": "a", "effect": "NoSchedule"}}},
    "ResourcePoolStatusRequest": {"spec": {"driver": "a"}},
    "PodGroup": {"spec": {"schedulingPolicy": {"basic": {}}}},
    "Workload": {"spec": {"podGroupTemplates": [{"name": "a", "schedulingPolicy": {"basic": {}}}]}},
    "APIService": {"spec": {"groupPriorityMinimum": 1, "versionPriority": 1}},
    "MutatingWebhookConfiguration": {"webhooks": [{"name": "a.b.example", **HOOK}]},
    "ValidatingWebhookConfiguration": {"webhooks": [{"name": "a.b.example", **HOOK}]},
}
ELSEWHERE = {"CustomResourceDefinition", "CertificateSigningRequest"}
"""Their content has rules of its own, and tests of its own."""


@pytest.mark.parametrize(
    "kind",
    [each for each in KINDS if each.kind not in ELSEWHERE],
    ids=lambda kind: f"{kind.qualified_name}-{kind.version}",
)
async def test_a_kind(api: Any, kind: ResourceType) -> None:
    root = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
    path = f"{root}/namespaces/default/{kind.plural}" if kind.namespaced else f"{root}/{kind.plural}"
    content = CONTENT.get(kind.kind, {})
    if kind.group == "events.k8s.io":
        content = {"regarding": content["involvedObject"], "eventTime": "2030-01-01T00:00:00.000000Z"}
    name = "10.1.2.3" if kind.kind == "IPAddress" else "thing"
    code, made = await api.post(path, {"metadata": {"name": name}, **content})
    assert code == 201, made
    assert bool(api.warnings) == is_idle(kind), api.warnings
    assert made["metadata"].get("generation", 1) == 1
    code, patched = await api.patch(f"{path}/{name}", {"metadata": {"labels": {"x": "y"}}})
    assert (code, patched["metadata"]["labels"]["x"]) == (200, "y")
    strategic = {"metadata": {"annotations": {"p": "q"}}}
    code, patched = await api.patch(f"{path}/{name}", strategic, "application/strategic-merge-patch+json")
    assert code == 200, patched
    applied = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"labels": {"z": "1"}}}
    code, patched = await api.patch(f"{path}/{name}?fieldManager=t", applied, "application/apply-patch+yaml")
    assert code == 200, patched
    code, table = await api.get(path + "?labelSelector=x%3Dy,z", "application/json;as=Table;v=v1;g=meta.k8s.io")
    assert [row["cells"] is not None for row in table["rows"]] == [True]
    assert all(len(row["cells"]) == len(table["columnDefinitions"]) for row in table["rows"])
    async for event in api.watch(f"{path}?watch=true&labelSelector=x"):
        assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", name)
        break
    code, refused = await api.patch(f"{path}/{name}?fieldValidation=Strict", {"nonsense": 1})
    assert (code, "nonsense" in refused["message"]) == (400, True)
    code, _ = await api.delete(f"{path}/{name}")
    assert code == 200


async def test_required_fields_of_any_kind(api: Any) -> None:
    code, answer = await api.post("/apis/storage.k8s.io/v1/storageclasses", {"metadata": {"name": "a"}})
    assert (code, answer["message"]) == (422, 'StorageClass.storage.k8s.io "a" is invalid: provisioner: Required value')
