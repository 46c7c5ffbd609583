"""What the Kubernetes API knows, watched: the registry of the graph and the lists the UI shows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing, asynccontextmanager
from typing import Any, Protocol

from kaiki.console.errors import UnknownObject
from kaiki.console.workloads import describe_configs, describe_services, describe_workloads, trim_pod
from kaiki.graph import Registry
from kaiki.kube import resource
from kaiki.kube.cache import Cache, CacheEvent, drop_managed_fields, running
from kaiki.kube.client import KubeClient
from kaiki.kube.errors import KubeError

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
)


class Inventory(Protocol):
    """What the handlers read. `ready` is false until every collection has been listed once."""

    @property
    def ready(self) -> bool: ...

    @property
    def connected(self) -> bool: ...

    def registry(self) -> Registry: ...

    def objects(self, plural: str) -> Iterable[Object]: ...

    async def configs(self) -> list[Object]: ...

    async def logs(
        self, namespace: str, pod: str, container: str, *, tail_lines: int, most_bytes: int, previous: bool
    ) -> bytes: ...


class EmptyInventory:
    """Without a Kubernetes API."""

    ready = True
    connected = False

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
        for cache in self._caches.values():
            cache.subscribe(self._forget)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep watching while inside; does not wait for the first lists."""
        async with running(*self._caches.values(), wait=False):
            yield

    @property
    def ready(self) -> bool:
        """Whether every collection has been listed."""
        return all(cache.synced.is_set() for cache in self._caches.values())

    def registry(self) -> Registry:
        """The graph's view of the cluster."""
        if self._registry is None:
            self._registry = Registry(
                workloads=describe_workloads(self.objects("deployments"), self.objects("pods")),
                services=describe_services(self.objects("services")),
                configs=describe_configs(self.objects("virtualservices"), self.objects("destinationrules")),
            )
        return self._registry

    def objects(self, plural: str) -> Iterable[Object]:
        """The watched objects of a collection."""
        return tuple(self._caches[plural].items())

    async def configs(self) -> list[Object]:
        """Every Istio and Gateway API object, watched or asked for now."""
        found: list[Object] = []
        for kind in (resource.VIRTUAL_SERVICES, resource.DESTINATION_RULES, resource.GATEWAYS):
            found += self.objects(kind.plural)
        for kind in _LISTED:
            try:
                found += await self._client.list(kind)
            except KubeError:
                continue  # A kind that is not installed has no objects.
        return found

    async def logs(
        self, namespace: str, pod: str, container: str, *, tail_lines: int, most_bytes: int, previous: bool
    ) -> bytes:
        """The end of a container's output. Raises UnknownObject when the API has none."""
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
        except KubeError as error:
            raise UnknownObject(str(error), "The container may not have started yet, or not have restarted.") from error
        return bytes(text[-most_bytes:])

    def _forget(self, _: CacheEvent) -> None:
        self._registry = None
