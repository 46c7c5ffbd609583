"""A local copy of one collection, kept up to date by list and watch.

    list ──▶ replace (diff: added, updated, deleted) ──▶ watch from there ──▶ events one by one
      ▲                                                     │ ended: watch again from the last version seen
      └──────────── 410 Gone, or it fails repeatedly ◀──────┘

Subscribers are told every change in order, with the old and the new object, and nothing twice. An API server that
restarts costs a reconnection; one that lost its history costs a list, whose difference is told as ordinary changes.
Objects handed out are shared: treat them as frozen.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, ValuesView
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Literal, NoReturn

from kaiki.kube.client import KubeClient
from kaiki.kube.config import ConfigError
from kaiki.kube.errors import Gone, KubeError, NotFound
from kaiki.kube.resource import Object, ResourceType

Key = tuple[str, str]
IndexFunction = Callable[[Object], Iterable[str]]

logger = logging.getLogger(__name__)

FIRST_RETRY_SECONDS = 0.1
LAST_RETRY_SECONDS = 5.0
ABSENT_RETRY_SECONDS = 30.0
FAILED_WATCHES_BEFORE_LIST = 3


@dataclass(frozen=True, slots=True)
class CacheEvent:
    """One change. `old` is None for added, `new` for deleted; `object` is the newest state known."""

    kind: Literal["added", "updated", "deleted"]
    old: Object | None
    new: Object | None

    @property
    def object(self) -> Object:
        """The object after the change, or as it was before its deletion."""
        found = self.new if self.new is not None else self.old
        assert found is not None
        return found


Subscriber = Callable[[CacheEvent], None]


class Cache:
    """A watched collection. `run` keeps it going; `synced` is set after the first list.

    `trim` may change an object in place before it is stored, to save memory (see `drop_managed_fields`). `indexes`
    are functions from an object to the keys it is found by with `by_index`. A type the server does not serve (a CRD
    not installed) is an empty collection until it does.
    """

    def __init__(
        self,
        client: KubeClient,
        resource: ResourceType,
        *,
        namespace: str | None = None,
        label_selector: str | None = None,
        field_selector: str | None = None,
        trim: Callable[[Object], None] | None = None,
        indexes: Mapping[str, IndexFunction] | None = None,
    ) -> None:
        self.resource = resource
        self.synced = asyncio.Event()
        self._client = client
        self._namespace = namespace
        self._label_selector = label_selector
        self._field_selector = field_selector
        self._trim = trim
        self._objects: dict[Key, Object] = {}
        self._index_functions = dict(indexes or {})
        self._indexes: dict[str, dict[str, dict[Key, Object]]] = {name: {} for name in self._index_functions}
        self._subscribers: list[Subscriber] = []
        self._resource_version = ""
        self._retry_seconds = FIRST_RETRY_SECONDS
        self._hurried = asyncio.Event()

    # Reading

    @property
    def resource_version(self) -> str:
        """The version of the collection this copy is at."""
        return self._resource_version

    def get(self, namespace: str | None, name: str) -> Object | None:
        """One object; `namespace` is None or empty for cluster types."""
        return self._objects.get((namespace or "", name))

    def items(self) -> ValuesView[Object]:
        """All objects, unsorted; do not await while iterating."""
        return self._objects.values()

    def __len__(self) -> int:
        return len(self._objects)

    def by_index(self, index: str, key: str) -> list[Object]:
        """The objects whose index function gave `key`."""
        return list(self._indexes[index].get(key, {}).values())

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Calls `subscriber` for every object there is (as added) and every change from now; returns how to stop.

        Called synchronously, in order, after the cache holds the change. Must not block.
        """
        for obj in list(self._objects.values()):
            subscriber(CacheEvent("added", None, obj))
        self._subscribers.append(subscriber)
        return lambda: self._subscribers.remove(subscriber) if subscriber in self._subscribers else None

    # Keeping up to date

    async def run(self) -> NoReturn:
        """Lists and watches until cancelled; failures are logged, waited out and tried again."""
        while True:
            try:
                if await self._list():
                    await self._watch_until_stale()
            except Exception:
                logger.exception("the cache of %s failed; listing again", self.resource.plural)
                await self._wait_before_retry()

    async def _list(self) -> bool:
        try:
            objects, version = await self._client.list_at(
                self.resource,
                self._namespace,
                label_selector=self._label_selector,
                field_selector=self._field_selector,
                managed_fields=False,
            )
        except NotFound:
            self._replace([], "")
            self.synced.set()
            await self._wait_before_retry(ABSENT_RETRY_SECONDS)
            return False
        except (KubeError, ConfigError) as error:
            first = self._retry_seconds == FIRST_RETRY_SECONDS
            logger.log(logging.WARNING if first else logging.DEBUG, "%s; trying again", error)
            await self._wait_before_retry()
            return False
        self._replace(objects, version)
        self.synced.set()
        return True

    async def _watch_until_stale(self) -> None:
        """Watches again and again from the last version seen, until only a new list helps."""
        failures = 0
        while failures < FAILED_WATCHES_BEFORE_LIST:
            before = self._resource_version
            try:
                await self._watch()
                failures = 0
                if before == self._resource_version:
                    await asyncio.sleep(FIRST_RETRY_SECONDS * random.random())
            except Gone:
                await self._wait_before_retry()
                return
            except (KubeError, ConfigError, ValueError) as error:
                failures = 1 if before != self._resource_version else failures + 1
                logger.info("%s; watching again", error)
                await self._wait_before_retry()

    async def _watch(self) -> None:
        """Takes in events until the server ends the watch."""
        events = self._client.watch(
            self.resource,
            self._namespace,
            resource_version=self._resource_version,
            label_selector=self._label_selector,
            field_selector=self._field_selector,
            timeout_seconds=random.randint(240, 480),
            managed_fields=False,
        )
        async with aclosing(events):
            async for event in events:
                self._retry_seconds = FIRST_RETRY_SECONDS
                self._take(str(event["type"]), event["object"])

    def hurry(self) -> None:
        """Ends a wait before a retry: the caller knows that the server, or the type's CRD, has just come."""
        self._retry_seconds = FIRST_RETRY_SECONDS
        self._hurried.set()

    async def _wait_before_retry(self, last_seconds: float = LAST_RETRY_SECONDS) -> None:
        self._hurried.clear()
        seconds = self._retry_seconds * (0.5 + random.random() / 2)
        self._retry_seconds = min(self._retry_seconds * 2, last_seconds)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._hurried.wait()

    # Changing the copy

    def observe(self, obj: Object) -> None:
        """Takes in an object this process has just written, so that it need not wait for the watch to see it.

        Ignored when the copy is already past it: the watch may have seen the write, and a deletion after it.
        """
        version = _number(obj)
        if version is not None and version > (_parse(self._resource_version) or 0) and self._resource_version:
            self._store(obj)

    def _take(self, kind: str, obj: Object) -> None:
        if kind in ("ADDED", "MODIFIED"):
            self._store(obj)
        elif kind == "DELETED":
            self._remove(obj)
        self._resource_version = str(obj["metadata"].get("resourceVersion") or self._resource_version)

    def _replace(self, objects: list[Object], version: str) -> None:
        """Makes the copy equal to a list, telling the difference. Own writes newer than the list stay."""
        listed = {_key(obj) for obj in objects}
        at = _parse(version)
        self._retry_seconds = FIRST_RETRY_SECONDS if version else self._retry_seconds
        for key in [key for key in self._objects if key not in listed]:
            seen = _number(self._objects[key])
            if at is None or seen is None or seen <= at:
                self._drop(key)
        for obj in objects:
            self._store(obj, authoritative=True)
        self._resource_version = version

    def _store(self, obj: Object, authoritative: bool = False) -> None:
        """Puts an object in, unless the copy has this or a newer version of it.

        A list is authoritative: after an API server lost its data, its versions may be lower than those seen before.
        """
        key = _key(obj)
        old = self._objects.get(key)
        if old is not None and _same_version(old, obj):
            return
        if old is not None and not authoritative and _is_newer(old, obj):
            return
        if self._trim is not None:
            self._trim(obj)
        self._objects[key] = obj
        self._reindex(key, old, obj)
        self._tell(CacheEvent("added" if old is None else "updated", old, obj))

    def _remove(self, obj: Object) -> None:
        key = _key(obj)
        old = self._objects.get(key)
        if old is not None and not _is_newer(old, obj):
            self._drop(key)

    def _drop(self, key: Key) -> None:
        old = self._objects.pop(key)
        self._reindex(key, old, None)
        self._tell(CacheEvent("deleted", old, None))

    def _reindex(self, key: Key, old: Object | None, new: Object | None) -> None:
        for name, function in self._index_functions.items():
            index = self._indexes[name]
            for value in set(function(old)) if old is not None else ():
                entries = index.get(value)
                if entries is not None:
                    entries.pop(key, None)
                    if not entries:
                        del index[value]
            for value in function(new) if new is not None else ():
                index.setdefault(value, {})[key] = new  # type: ignore[assignment]

    def _tell(self, event: CacheEvent) -> None:
        for subscriber in tuple(self._subscribers):
            try:
                subscriber(event)
            except Exception:
                logger.exception("a subscriber of %s failed", self.resource.plural)


@asynccontextmanager
async def running(*caches: Cache, wait: bool = True) -> AsyncGenerator[None, None]:
    """Keeps caches up to date while inside; enters once all have synced, unless told not to wait."""
    tasks = [asyncio.create_task(cache.run(), name=f"cache {cache.resource.plural}") for cache in caches]
    try:
        if wait:
            await asyncio.gather(*(cache.synced.wait() for cache in caches))
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def drop_managed_fields(obj: Object) -> None:
    """A `trim` for caches: the bookkeeping of server-side apply is often half of an object.

    Objects trimmed like this must not be written back whole (PUT); change them by patches.
    """
    obj["metadata"].pop("managedFields", None)
    annotations = obj["metadata"].get("annotations")
    if annotations:
        annotations.pop("kubectl.kubernetes.io/last-applied-configuration", None)


def _key(obj: Object) -> Key:
    metadata = obj["metadata"]
    return str(metadata.get("namespace") or ""), str(metadata["name"])


def _parse(version: str) -> int | None:
    return int(version) if version.isdecimal() else None


def _number(obj: Object) -> int | None:
    return _parse(str(obj["metadata"].get("resourceVersion") or ""))


def _same_version(old: Object, new: Object) -> bool:
    """Only when both say so: objects without a version are always taken."""
    version = old["metadata"].get("resourceVersion")
    same_object = old["metadata"].get("uid") == new["metadata"].get("uid")
    return version is not None and same_object and version == new["metadata"].get("resourceVersion")


def _is_newer(old: Object, new: Object) -> bool:
    """Versions are integers in practice (and by promise since Kubernetes 1.35); others are not compared."""
    before, after = _number(old), _number(new)
    return before is not None and after is not None and before > after
