"""All controllers together on the embedded API server, as a user of kubectl sees them."""

from collections.abc import Awaitable, Callable
from typing import Any

from kaiki.controllers.conditions import is_true
from kaiki.kube.client import KubeClient
from kaiki.kube.resource import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    ENDPOINT_SLICES,
    ENDPOINTS,
    EVENTS,
    NAMESPACES,
    PODS,
    REPLICA_SETS,
    SERVICE_ACCOUNTS,
    SERVICES,
)

Object = dict[str, Any]
Until = Callable[..., Awaitable[Any]]


def deployment(replicas: int = 2, image: str = "web:1") -> Object:
    container = {"name": "web", "image": image, "ports": [{"name": "http", "containerPort": 8080}]}
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template},
    }


def service() -> Object:
    spec = {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "default"}, "spec": spec}


async def rolled_out(client: KubeClient) -> Object | None:
    found = await client.get(DEPLOYMENTS, "web", "default")
    status = found.get("status") or {}
    wanted = found["spec"]["replicas"]
    done = status.get("observedGeneration") == found["metadata"]["generation"]
    done = done and all((status.get(name) or 0) == wanted for name in ("replicas", "updatedReplicas"))
    return found if done and (status.get("availableReplicas") or 0) == wanted and is_true(found, "Available") else None


async def images(client: KubeClient) -> set[str]:
    return {pod["spec"]["containers"][0]["image"] for pod in await client.list(PODS, "default")}


async def test_a_deployment_from_first_apply_to_deletion(client: KubeClient, cluster: Any, until: Until) -> None:
    await client.apply(service())
    await client.apply(deployment())
    await until(lambda: rolled_out(client), "the first rollout")
    pods = await client.list(PODS, "default")
    assert len(pods) == 2 and {pod["spec"]["nodeName"] for pod in pods} == {"kaiki"}
    assert all(pod["metadata"]["name"].startswith(pod["metadata"]["generateName"]) for pod in pods)

    await client.patch(DEPLOYMENTS, "web", "default", {"spec": {"template": {"metadata": {"annotations": {"a": "b"}}}}})
    await client.apply(deployment(3, "web:2"))
    await until(lambda: rolled_out(client), "the second rollout")
    assert await images(client) == {"web:2"}
    found = await client.get(DEPLOYMENTS, "web", "default")
    assert int(found["metadata"]["annotations"]["deployment.kubernetes.io/revision"]) >= 2

    addresses = {pod["status"]["podIP"] for pod in await client.list(PODS, "default")}
    await until(lambda: serves(client, addresses), "the endpoints")
    await until(lambda: reported(client), "the events")

    await client.delete(SERVICES, "web", "default")
    await client.delete(DEPLOYMENTS, "web", "default", propagation="Background")
    await until(lambda: is_empty(client), "the end of all that was owned")


async def serves(client: KubeClient, addresses: set[str]) -> bool:
    slices = await client.list(ENDPOINT_SLICES, "default", label_selector="kubernetes.io/service-name=web")
    found = {address for item in slices for endpoint in item["endpoints"] for address in endpoint["addresses"]}
    ready = all(endpoint["conditions"]["ready"] for item in slices for endpoint in item["endpoints"])
    legacy = await client.find(ENDPOINTS, "web", "default") or {}
    old = {item["ip"] for subset in legacy.get("subsets") or () for item in subset.get("addresses") or ()}
    return found == old == addresses and ready and slices[0]["ports"][0]["port"] == 8080


async def reported(client: KubeClient) -> bool:
    reasons = {event["reason"] for event in await client.list(EVENTS, "default")}
    return reasons >= {"ScalingReplicaSet", "SuccessfulCreate", "SuccessfulDelete", "Scheduled"}


async def is_empty(client: KubeClient) -> bool:
    left = [await client.list(each, "default") for each in (PODS, REPLICA_SETS, ENDPOINTS)]
    slices = await client.list(ENDPOINT_SLICES, "default", label_selector="kubernetes.io/service-name=web")
    return not [item for items in (*left, slices) for item in items if item["metadata"]["name"] != "kubernetes"]


async def test_foreground_and_orphan(client: KubeClient, cluster: Any, until: Until) -> None:
    await client.apply(deployment(1))
    await until(lambda: rolled_out(client))
    await client.delete(DEPLOYMENTS, "web", "default", propagation="Orphan")
    await until(lambda: gone(client))
    (replica_set,) = await client.list(REPLICA_SETS, "default")
    assert not replica_set["metadata"].get("ownerReferences") and len(await client.list(PODS, "default")) == 1
    await client.delete(REPLICA_SETS, replica_set["metadata"]["name"], "default", propagation="Foreground")
    await until(lambda: is_empty(client))


async def test_orphans_are_adopted_and_strangers_released(client: KubeClient, cluster: Any, until: Until) -> None:
    await client.apply(deployment(1))
    await until(lambda: rolled_out(client))
    await client.delete(DEPLOYMENTS, "web", "default", propagation="Orphan")
    await until(lambda: gone(client))
    (pod,) = await client.list(PODS, "default")
    await client.apply(deployment(1))
    await until(lambda: rolled_out(client), "the adoption")
    assert [item["metadata"]["uid"] for item in await client.list(PODS, "default")] == [pod["metadata"]["uid"]]
    (replica_set,) = await client.list(REPLICA_SETS, "default")
    assert replica_set["metadata"]["ownerReferences"][0]["kind"] == "Deployment"

    await client.patch(PODS, pod["metadata"]["name"], "default", {"metadata": {"labels": {"app": "debug"}}})

    async def replaced() -> bool:
        pods = {item["metadata"]["uid"]: item for item in await client.list(PODS, "default")}
        released = pods[pod["metadata"]["uid"]]
        return len(pods) == 2 and not released["metadata"].get("ownerReferences")

    await until(replaced, "the release")


async def test_endpoints_written_by_hand_get_slices(client: KubeClient, cluster: Any, until: Until) -> None:
    outside = service()
    del outside["spec"]["selector"]
    await client.apply(outside)
    metadata = {"name": "web", "namespace": "default"}
    subsets = [{"addresses": [{"ip": "192.0.2.1"}], "ports": [{"name": "http", "port": 8080}]}]
    await client.apply({"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata, "subsets": subsets})

    async def slices() -> list[Object]:
        return await client.list(ENDPOINT_SLICES, "default", label_selector="kubernetes.io/service-name=web")

    (made,) = await until(slices)
    assert made["endpoints"][0]["addresses"] == ["192.0.2.1"]
    await client.delete(ENDPOINTS, "web", "default")

    async def none() -> bool:
        return not await slices()

    await until(none)


async def gone(client: KubeClient) -> bool:
    return await client.find(DEPLOYMENTS, "web", "default") is None


async def test_namespaces_are_furnished_and_end(client: KubeClient, cluster: Any, until: Until) -> None:
    await client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
    await until(lambda: client.find(SERVICE_ACCOUNTS, "default", "shop"), "the ServiceAccount")
    found = await until(lambda: client.find(CONFIG_MAPS, "kube-root-ca.crt", "shop"), "the certificate")
    assert found["data"]["ca.crt"] == client.config.ca_data
    await client.patch(CONFIG_MAPS, "kube-root-ca.crt", "shop", {"data": {"ca.crt": "x", "other": "y"}})

    async def repaired() -> bool:
        found = await client.get(CONFIG_MAPS, "kube-root-ca.crt", "shop")
        return bool(found["data"] == {"ca.crt": client.config.ca_data})

    await until(repaired, "the certificate put right")
    await client.delete(SERVICE_ACCOUNTS, "default", "shop")
    await until(lambda: client.find(SERVICE_ACCOUNTS, "default", "shop"), "another ServiceAccount")
    web = deployment()
    web["metadata"]["namespace"] = "shop"
    await client.apply(web)

    async def runs() -> bool:
        return len(await client.list(PODS, "shop")) == 2

    async def ended() -> bool:
        return await client.find(NAMESPACES, "shop") is None

    await until(runs)
    await client.delete(NAMESPACES, "shop")
    await until(ended, "the end of the namespace")


async def test_creation_is_tried_again_soon(client: KubeClient, cluster: Any, until: Until) -> None:
    webhook = {
        "name": "hook.example.org",
        "clientConfig": {"url": "https://127.0.0.1:1/"},
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    configuration = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": "hook"},
        "webhooks": [webhook],
    }
    stored = await client.apply(configuration)
    await client.apply(deployment(1))

    async def fails() -> bool:
        return is_true(await client.get(DEPLOYMENTS, "web", "default"), "ReplicaFailure")

    await until(fails, "the failure")
    await client.delete_object(stored)
    found = await until(lambda: rolled_out(client), "the rollout")
    assert not is_true(found, "ReplicaFailure")
