"""What every namespace has (a default ServiceAccount, the API server's root certificate), and how one ends."""

import contextlib
from typing import Any

from kaiki.controllers.queue import WorkQueue
from kaiki.controllers.stores import ROOT_CERTIFICATE_NAME, Stores
from kaiki.kube.cache import CacheEvent
from kaiki.kube.client import KubeClient
from kaiki.kube.errors import AlreadyExists, KubeError, NotFound
from kaiki.kube.resource import CONFIG_MAPS, EVENTS, NAMESPACES, PODS, SERVICE_ACCOUNTS, Object, ResourceType

FIRST_RECHECK_SECONDS = 0.1
LAST_RECHECK_SECONDS = 2.0


class NamespaceController:
    """Furnishes namespaces and empties those being deleted."""

    def __init__(self, client: KubeClient, stores: Stores) -> None:
        self._client = client
        self._stores = stores
        self._rechecks: dict[str, int] = {}
        self.queue: WorkQueue[str] = WorkQueue("namespace", self.sync)

    def start(self) -> None:
        """Follows namespaces, and changes of what they are furnished with."""
        self._stores[NAMESPACES].subscribe(lambda event: self.queue.add(event.object["metadata"]["name"]))
        self._stores[SERVICE_ACCOUNTS].subscribe(self._furniture_changed)
        self._stores[CONFIG_MAPS].subscribe(self._furniture_changed)
        self._stores[PODS].subscribe(self._pod_gone)

    def _furniture_changed(self, event: CacheEvent) -> None:
        if event.kind != "added" and event.object["metadata"]["name"] in ("default", ROOT_CERTIFICATE_NAME):
            self.queue.add(event.object["metadata"]["namespace"])

    def _pod_gone(self, event: CacheEvent) -> None:
        """Pods are what a namespace's end waits for longest."""
        name = event.object["metadata"]["namespace"]
        if event.kind == "deleted" and name in self._rechecks and not self._stores.in_namespace(PODS, name):
            self.queue.add(name)

    async def sync(self, name: str) -> float | None:
        """Furnishes one namespace, or takes one step to its end."""
        namespace = self._stores[NAMESPACES].get(None, name)
        if namespace is None:
            self._rechecks.pop(name, None)
            return None
        if namespace["metadata"].get("deletionTimestamp"):
            return await self._terminate(namespace)
        await self._furnish(name)
        return None

    async def _furnish(self, name: str) -> None:
        wanted: list[tuple[ResourceType, Object]] = [(SERVICE_ACCOUNTS, {"metadata": {"name": "default"}})]
        if certificate := self._client.config.ca_data:
            content = {"metadata": {"name": ROOT_CERTIFICATE_NAME}, "data": {"ca.crt": certificate}}
            wanted.append((CONFIG_MAPS, content))
        for resource, content in wanted:
            have = self._stores[resource].get(name, content["metadata"]["name"])
            obj = {"apiVersion": resource.api_version, "kind": resource.kind, **content}
            if have is None:
                with contextlib.suppress(AlreadyExists):
                    await self._client.create(obj, namespace=name)
            elif have.get("data") != content.get("data"):
                data = {**dict.fromkeys(have.get("data") or ()), **content["data"]}
                with contextlib.suppress(NotFound):
                    await self._client.patch(resource, content["metadata"]["name"], name, {"data": data})

    async def _terminate(self, namespace: Object) -> float | None:
        """Deletes all content; when nothing is left, gives up the finalizer, which ends the namespace."""
        name = namespace["metadata"]["name"]
        if await self._delete_content(name):
            count = self._rechecks[name] = self._rechecks.get(name, 0) + 1
            return min(FIRST_RECHECK_SECONDS * 2.0 ** min(count, 8), LAST_RECHECK_SECONDS)
        self._rechecks.pop(name, None)
        with contextlib.suppress(NotFound):
            current = await self._client.get(NAMESPACES, name)
            finalizers = [item for item in (current.get("spec") or {}).get("finalizers") or () if item != "kubernetes"]
            current["spec"] = {**(current.get("spec") or {}), "finalizers": finalizers}
            await self._client.update_subresource(current, "finalize")
        return None

    async def _delete_content(self, name: str) -> int:
        """Asks for the deletion of everything in a namespace; answers how much there still is."""
        remaining = 0
        for resource in await namespaced_types(self._client):
            try:
                objects = await self._client.list(resource, name)
            except KubeError:
                continue  # not listable, or its CRD is going away as well
            for obj in objects:
                remaining += 1
                if not obj["metadata"].get("deletionTimestamp"):
                    with contextlib.suppress(NotFound):
                        await self._client.delete(resource, obj["metadata"]["name"], name, propagation="Background")
        return remaining


async def namespaced_types(client: KubeClient) -> list[ResourceType]:
    """The namespaced types that can be listed and deleted, each once, owners of pods first and Events last."""
    found: dict[tuple[str, str], ResourceType] = {}
    for api_version in await preferred_versions(client):
        for resource in await _deletable(client, api_version):
            found.setdefault((resource.group, resource.plural), resource)
    ordered = sorted(found.values(), key=lambda resource: (resource == EVENTS, resource == PODS, resource.group == ""))
    return ordered


async def preferred_versions(client: KubeClient) -> list[str]:
    """The preferred version of every API group."""
    answer = await client.request("GET", "/apis", call="discover the API groups")
    return ["v1", *(group["preferredVersion"]["groupVersion"] for group in answer.get("groups") or ())]


async def _deletable(client: KubeClient, api_version: str) -> list[ResourceType]:
    group, _, version = api_version.rpartition("/")
    answer = await client.request("GET", f"/apis/{api_version}" if group else f"/api/{version}", call="discover types")
    return [
        ResourceType(group, version, item["name"], item["kind"])
        for item in answer.get("resources") or ()
        if item["namespaced"] and "/" not in item["name"] and _verbs(item) >= {"list", "delete"}
    ]


def _verbs(item: dict[str, Any]) -> set[str]:
    return set(item.get("verbs") or ())
