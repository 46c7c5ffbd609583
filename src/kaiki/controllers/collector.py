"""Runs garbage collection over the types the controllers watch, and over the types of the owners they name.

A custom resource that owns something (a Gateway that owns a Deployment) is watched from when it is first seen as an
owner, with nothing kept but its metadata.
"""

import asyncio
import contextlib

from kaiki.controllers.action import Effects
from kaiki.controllers.garbage import FOREGROUND, ORPHAN, plan_dependent, plan_owner
from kaiki.controllers.queue import WorkQueue
from kaiki.controllers.stores import Stores, owner_uids
from kaiki.controllers.workloads import key_of
from kaiki.kube.cache import Cache, CacheEvent
from kaiki.kube.client import KubeClient
from kaiki.kube.errors import Conflict, NotFound
from kaiki.kube.resource import Object, ResourceType

WorkKey = tuple[ResourceType, str, str]


class Collector:
    """Deletes what lost its owners, and lets owners go that wait for their dependents."""

    def __init__(self, client: KubeClient, stores: Stores, effects: Effects) -> None:
        self._client = client
        self._effects = effects
        self._caches: dict[ResourceType, Cache] = dict(stores.by_type)
        self._dependent_types = tuple(stores.by_type)
        self._watches: list[asyncio.Task[object]] = []
        self.queue: WorkQueue[WorkKey] = WorkQueue("garbage", self.sync)

    def start(self) -> None:
        """Follows all watched types."""
        for resource, cache in self._caches.items():
            self._follow(resource, cache)

    async def close(self) -> None:
        """Ends the watches started for owners."""
        for task in self._watches:
            task.cancel()
        await asyncio.gather(*self._watches, return_exceptions=True)

    def _follow(self, resource: ResourceType, cache: Cache) -> None:
        cache.subscribe(lambda event: self._changed(resource, event))

    def _changed(self, resource: ResourceType, event: CacheEvent) -> None:
        metadata = event.object["metadata"]
        if event.kind == "deleted":
            self._owner_gone(metadata["uid"], event.object)
            return
        owned_anew = event.old is None or _owners(event.old) != _owners(event.object)
        if (metadata.get("ownerReferences") and owned_anew) or _is_waiting(event.object):
            self.queue.add((resource, *key_of(event.object)))

    def _owner_gone(self, uid: str, gone: Object) -> None:
        for resource, dependent in self._dependents(uid):
            self.queue.add((resource, *key_of(dependent)))
        for reference in gone["metadata"].get("ownerReferences") or ():
            for resource, cache in self._caches.items():
                owner = cache.get(key_of(gone)[0], reference["name"])
                if owner and owner["metadata"]["uid"] == reference["uid"] and _is_waiting(owner):
                    self.queue.add((resource, *key_of(owner)))

    def _dependents(self, uid: str) -> list[tuple[ResourceType, Object]]:
        return [
            (resource, obj)
            for resource in self._dependent_types
            for obj in self._caches[resource].by_index("owner", uid)
        ]

    async def sync(self, key: WorkKey) -> None:
        """One object: as an owner that waits, else as a dependent."""
        resource, namespace, name = key
        cache = self._caches[resource]
        obj = cache.get(namespace, name)
        if obj is None:
            return
        if _is_waiting(obj):
            dependents = [item for _, item in self._dependents(obj["metadata"]["uid"])]
            await self._effects.run(plan_owner(obj, dependents))
            return
        owners = obj["metadata"].get("ownerReferences") or ()
        alive = {owner["uid"]: await self._is_alive(owner, namespace) for owner in owners}
        with contextlib.suppress(NotFound, Conflict):
            await self._effects.run(plan_dependent(obj, lambda owner: alive[owner["uid"]]))

    async def _is_alive(self, owner: Object, namespace: str) -> bool:
        """Asks the server when the cache has not the owner: a cache may lag, and a deletion can't be undone."""
        try:
            resource = await self._client.discover(str(owner["apiVersion"]), str(owner["kind"]))
            cache = self._caches.get(resource)
            if cache is None:
                cache = await self._watch(resource)
            known = cache.get(namespace if resource.namespaced else None, str(owner["name"]))
            if known is not None and known["metadata"]["uid"] == owner["uid"]:
                return True
            found = await self._client.get(resource, str(owner["name"]), namespace)
            return bool(found["metadata"]["uid"] == owner["uid"])
        except NotFound:
            return False

    async def _watch(self, resource: ResourceType) -> Cache:
        cache = Cache(self._client, resource, trim=_keep_metadata, indexes={"owner": owner_uids})
        self._caches[resource] = cache
        self._watches.append(asyncio.create_task(cache.run(), name=f"cache {resource.plural}"))
        await cache.synced.wait()
        self._follow(resource, cache)
        return cache


def _is_waiting(obj: Object) -> bool:
    metadata = obj["metadata"]
    ours = {FOREGROUND, ORPHAN} & set(metadata.get("finalizers") or ())
    return bool(metadata.get("deletionTimestamp") and ours)


def _owners(obj: Object) -> object:
    return obj["metadata"].get("ownerReferences")


def _keep_metadata(obj: Object) -> None:
    obj["metadata"].pop("managedFields", None)
    obj["metadata"].pop("annotations", None)
    for name in [name for name in obj if name not in ("apiVersion", "kind", "metadata")]:
        del obj[name]
