"""What the Kubernetes API knows, watched: the registry of the graph and the lists the UI shows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import aclosing, asynccontextmanager
from functools import partial
from types import MappingProxyType
from typing import Any, Protocol

from kaiki.console.errors import KubernetesUnavailable, UnknownObject
from kaiki.console.workloads import (
    SETTINGS_KEY,
    SETTINGS_NAME,
    describe_configs,
    describe_pods,
    describe_services,
    describe_tolerances,
    describe_workloads,
    trim_pod,
)
from kaiki.graph import Registry
from kaiki.kube import resource
from kaiki.kube.cache import Cache, CacheEvent, drop_managed_fields, running
from kaiki.kube.client import KubeClient
from kaiki.kube.errors import KubeError, NotFound, Unavailable
from kaiki.model.well_known import ROOT_NAMESPACE

Object = dict[str, Any]

_WATCHED = (
    resource.NAMESPACES,
    resource.DEPLOYMENTS,
    resource.PODS,
    resource.SERVICES,
    resource.VIRTUAL_SERVICES,
    resource.DESTINATION_RULES,
    resource.GATEWAYS,
)
_CONFIG = frozenset(kind.plural for kind in (resource.VIRTUAL_SERVICES, resource.DESTINATION_RULES, resource.GATEWAYS))
# Shown in lists only, so they are asked for when somebody looks, instead of being watched all the time.
_LISTED = (
    resource.SERVICE_ENTRIES,
    resource.SIDECARS,
    resource.PEER_AUTHENTICATIONS,
    resource.REQUEST_AUTHENTICATIONS,
    resource.AUTHORIZATION_POLICIES,
    resource.TELEMETRIES,
    resource.KUBERNETES_GATEWAYS,
    resource.HTTP_ROUTES,
    resource.GRPC_ROUTES,
    resource.TLS_ROUTES,
    resource.TCP_ROUTES,
    resource.ENVOY_FILTERS,
    resource.WASM_PLUGINS,
    resource.PROXY_CONFIGS,
    resource.WORKLOAD_ENTRIES,
    resource.WORKLOAD_GROUPS,
    resource.REFERENCE_GRANTS,
    resource.BACKEND_TLS_POLICIES,
    resource.LISTENER_SETS,
    resource.INGRESSES,
)
_SETTINGS_SECONDS = 5.0
_ANSWER_SECONDS = 3.0
"""How long the API may take to answer before what it told last is shown instead, and said to be old."""
_RETRY_SECONDS = 1.0
CONFIGS_KEPT_SECONDS = 2.0
"""How long listed objects are shown to others who ask, so that ten open lists cost what one does."""


class Inventory(Protocol):
    """What the handlers read. `ready` is false until every collection has been listed once.

    `silent_since` is the Unix time from which on the Kubernetes API has not answered, which is how old everything is;
    None while it answers. `revisions` differ after a change, of that too: `config` of routing, `inventory` of
    namespaces, workloads, pods and services.
    """

    @property
    def ready(self) -> bool: ...

    @property
    def connected(self) -> bool: ...

    @property
    def revisions(self) -> Mapping[str, int]: ...

    @property
    def silent_since(self) -> float | None: ...

    def registry(self) -> Registry: ...

    def objects(self, plural: str) -> Iterable[Object]: ...

    async def configs(self) -> list[Object]: ...

    async def logs(
        self, namespace: str, pod: str, container: str, *, tail_lines: int, most_bytes: int, previous: bool
    ) -> bytes: ...

    def follow(self, namespace: str, pod: str, container: str, *, tail_lines: int) -> AsyncIterator[bytes]: ...


class EmptyInventory:
    """Without a Kubernetes API."""

    ready = True
    connected = False
    revisions: Mapping[str, int] = MappingProxyType({"config": 0, "inventory": 0})
    silent_since = None

    def registry(self) -> Registry:
        """Nothing is known."""
        return Registry()

    def objects(self, plural: str) -> Iterable[Object]:
        """Nothing is known."""
        return ()

    async def configs(self) -> list[Object]:
        """Nothing is known."""
        return []

    async def logs(
        self, namespace: str, pod: str, container: str, *, tail_lines: int, most_bytes: int, previous: bool
    ) -> bytes:
        """Nothing is known."""
        raise UnknownObject("no Kubernetes API is used, so there are no logs")

    def follow(self, namespace: str, pod: str, container: str, *, tail_lines: int) -> AsyncIterator[bytes]:
        """Nothing is known."""
        raise UnknownObject("no Kubernetes API is used, so there are no logs")


class WatchedInventory:
    """Kept up to date by watches; the registry is rebuilt only after a change, when somebody asks for it."""

    connected = True

    def __init__(self, client: KubeClient) -> None:
        self._client = client
        self._caches = {
            kind.plural: Cache(client, kind, trim=trim_pod if kind is resource.PODS else drop_managed_fields)
            for kind in _WATCHED
        }
        self._registry: Registry | None = None
        self._settings = ""
        self._answered = time.time()
        self._silent_since: float | None = None
        self._known: dict[str, list[Object]] = {}
        self._listed: tuple[float, asyncio.Task[None]] | None = None
        self._revisions = {"config": 0, "inventory": 0}
        for plural, cache in self._caches.items():
            cache.subscribe(partial(self._forget, "config" if plural in _CONFIG else "inventory"))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep watching while inside; does not wait for the first lists."""
        settings = asyncio.create_task(self._follow_settings())
        try:
            async with running(*self._caches.values(), wait=False):
                yield
        finally:
            settings.cancel()
            await asyncio.gather(settings, return_exceptions=True)

    async def _follow_settings(self) -> None:
        """The console's own settings, looked at again now and then: one small object, and whether the API answers."""
        while True:
            text = self._settings  # What was said last holds on.
            try:
                async with asyncio.timeout(_ANSWER_SECONDS):
                    found = await self._client.find(resource.CONFIG_MAPS, SETTINGS_NAME, ROOT_NAMESPACE)
                text = str(((found or {}).get("data") or {}).get(SETTINGS_KEY) or "")
                self._note(answers=True)
            except (Unavailable, TimeoutError):
                self._note(answers=False)
            except KubeError:  # An answer, if only that this may not be read.
                self._note(answers=True)
            if text != self._settings:
                self._settings, self._registry = text, None
            await asyncio.sleep(_SETTINGS_SECONDS if self._silent_since is None else _RETRY_SECONDS)

    def _note(self, *, answers: bool) -> None:
        before, now = self._silent_since, time.time()
        self._answered = now if answers else self._answered
        self._silent_since = None if answers else before or self._answered
        if (before is None) is answers:
            return
        for topic in self._revisions:
            self._revisions[topic] += 1
        for cache in self._caches.values() if answers else ():
            cache.hurry()

    @property
    def silent_since(self) -> float | None:
        """Since when the API does not answer: the time of its last answer."""
        return self._silent_since

    @property
    def ready(self) -> bool:
        """Whether every collection has been listed."""
        return all(cache.synced.is_set() for cache in self._caches.values())

    def registry(self) -> Registry:
        """The graph's view of the cluster."""
        if self._registry is None:
            self._registry = Registry(
                workloads=describe_workloads(self.objects("deployments"), self.objects("pods")),
                pods=describe_pods(self.objects("pods")),
                services=describe_services(self.objects("services")),
                configs=describe_configs(self.objects("virtualservices"), self.objects("destinationrules")),
                tolerances=describe_tolerances(self._settings, self.objects("deployments"), self.objects("services")),
            )
        return self._registry

    def objects(self, plural: str) -> Iterable[Object]:
        """The watched objects of a collection."""
        return tuple(self._caches[plural].items())

    async def configs(self) -> list[Object]:
        """Every Istio and Gateway API object and every Ingress: watched ones, and others as two seconds ago at most.

        Of an API that does not answer those of its last answer, without waiting long for another.
        """
        watched = (resource.VIRTUAL_SERVICES, resource.DESTINATION_RULES, resource.GATEWAYS)
        found = [item for kind in watched for item in self.objects(kind.plural)]
        now = asyncio.get_running_loop().time()
        if self._listed is None or now - self._listed[0] > CONFIGS_KEPT_SECONDS:
            self._listed = now, asyncio.create_task(self._list_configs())
        await asyncio.wait([self._listed[1]], timeout=_ANSWER_SECONDS if self._silent_since is None else 0)
        return found + [item for kind in _LISTED for item in self._known.get(kind.plural, ())]

    async def _list_configs(self) -> None:
        await asyncio.gather(*(self._list_kind(kind) for kind in _LISTED))

    async def _list_kind(self, kind: resource.ResourceType) -> None:
        try:
            self._known[kind.plural] = await self._client.list(kind)
        except NotFound:
            self._known[kind.plural] = []  # A kind that is not installed has no objects.
        except KubeError:
            return  # What was told last holds on.

    async def logs(
        self, namespace: str, pod: str, container: str, *, tail_lines: int, most_bytes: int, previous: bool
    ) -> bytes:
        """The end of a container's output. Raises UnknownObject when the API has none, KubernetesUnavailable."""
        self._require_answers()
        pieces = self._client.logs(
            pod, namespace, container, tail_lines=tail_lines, limit_bytes=most_bytes, previous=previous
        )
        text = bytearray()
        try:
            async with aclosing(pieces):
                async for piece in pieces:
                    text += piece
                    if len(text) > most_bytes:  # The server was asked to stop there; this does not rely on it.
                        break
        except Unavailable as error:
            raise KubernetesUnavailable(error) from error
        except KubeError as error:
            raise UnknownObject(str(error), "The container may not have started yet, or not have restarted.") from error
        return bytes(text[-most_bytes:])

    async def follow(self, namespace: str, pod: str, container: str, *, tail_lines: int) -> AsyncIterator[bytes]:
        """The end of a container's output, and what follows as it comes. Raises as `logs` does."""
        self._require_answers()
        pieces = self._client.logs(pod, namespace, container, tail_lines=tail_lines, follow=True)
        try:
            async with aclosing(pieces):
                async for piece in pieces:
                    yield piece
        except Unavailable as error:
            raise KubernetesUnavailable(error) from error
        except KubeError as error:
            raise UnknownObject(str(error), "The container may not have started yet.") from error

    def _require_answers(self) -> None:
        """A log may have nothing to say for long; of an API that is known to be silent that is no reason to wait."""
        if self._silent_since is not None:
            raise KubernetesUnavailable("it has not for some seconds")

    @property
    def revisions(self) -> Mapping[str, int]:
        """How often the watched configuration, and everything else that is watched, has changed."""
        return self._revisions

    def _forget(self, topic: str, _: CacheEvent) -> None:
        self._registry = None
        self._revisions[topic] += 1
