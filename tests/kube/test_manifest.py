"""Objects are applied in an order in which none is refused for want of another."""

from typing import Any

import pytest

from kaiki.kube.client import KubeClient
from kaiki.kube.errors import Invalid
from kaiki.kube.manifest import (
    LAST_APPLIED,
    ManifestError,
    Progress,
    apply_objects,
    delete_objects,
    in_install_order,
    load_objects,
    remembering,
)

TEXT = """
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: {name: hook}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
---
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: shop}
---
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Namespace
  metadata: {name: shop}
- apiVersion: v1
  kind: ServiceAccount
  metadata: {name: web, namespace: shop}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: virtualservices.networking.istio.io}
status: {conditions: [{type: Established, status: "True"}]}
"""
ORDER = [
    "Namespace",
    "CustomResourceDefinition",
    "ServiceAccount",
    "Deployment",
    "VirtualService",
    "MutatingWebhookConfiguration",
]


def test_the_order_is_that_of_need() -> None:
    assert [obj["kind"] for group in in_install_order(load_objects(TEXT)) for obj in group] == ORDER


@pytest.mark.parametrize("text", ["just text", "kind: Pod", "apiVersion: v1\nkind: Pod", "a: [", "- 1"])
def test_what_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(ManifestError, match=r"web\.yaml"):
        load_objects(text, "web.yaml")


async def test_all_is_applied_with_progress(fake: Any, client: KubeClient) -> None:
    seen: list[Progress] = []
    fake.refusals = [503, 0, 0, 409]
    await apply_objects(client, load_objects(TEXT), progress=seen.append)
    assert [progress.obj["kind"] for progress in seen] == ORDER
    assert [progress.done for progress in seen] == [1, 2, 3, 4, 5, 6] and seen[0].total == 6
    assert await delete_objects(client, load_objects(TEXT)) == 6
    assert fake.objects == {}
    assert await delete_objects(client, load_objects(TEXT)) == 0


async def test_a_refusal_is_raised_as_it_is(fake: Any, client: KubeClient) -> None:
    fake.refusals = [422]
    with pytest.raises(Invalid, match="apply Namespace shop"):
        await apply_objects(client, load_objects(TEXT))


def test_what_is_applied_is_noted_as_kubectl_does() -> None:
    obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "<é>"}}
    noted = remembering(obj)["metadata"]["annotations"][LAST_APPLIED]
    assert noted == (
        '{"apiVersion":"v1","data":{"k":"\\u003cé\\u003e"},"kind":"ConfigMap",'
        '"metadata":{"annotations":{},"name":"a"}}\n'
    )
    assert remembering(remembering(obj)) == remembering(obj)
    pod = {"containers": [{"name": "a", "volumeMounts": [{"name": "v"}]}], "volumes": [{"name": "v"}]}
    work = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "a"},
        "spec": {"template": {"spec": pod}},
    }
    assert '"spec":{"containers":[{"name":"a"}]}' in remembering(work)["metadata"]["annotations"][LAST_APPLIED]
    assert "volumes" in work["spec"]["template"]["spec"]  # type: ignore[index]
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "stringData": {"k": "v"}}
    assert remembering(secret) == secret
