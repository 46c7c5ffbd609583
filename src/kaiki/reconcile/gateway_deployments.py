"""Gateways of the Gateway API get their pods: what interpretation wants deployed is applied, and taken away again.

Also keeps the GatewayClass `istio` there, so that Gateways have something to name.
"""

import logging
from collections.abc import Callable, Iterable

from kaiki.kube.cache import Cache, CacheEvent
from kaiki.kube.client import KubeClient
from kaiki.kube.errors import AlreadyExists, NotFound
from kaiki.kube.resource import (
    DEPLOYMENTS,
    GATEWAY_CLASSES,
    KUBERNETES_GATEWAYS,
    SERVICE_ACCOUNTS,
    SERVICES,
    Object,
    ResourceType,
)
from kaiki.model.deployment import GatewayDeployment
from kaiki.model.well_known import GATEWAY_NAME_LABEL
from kaiki.reconcile.keyed import KeyedWork

logger = logging.getLogger(__name__)

RENDERED = "kaiki.io/rendered"
FIELD_MANAGER = "kaiki-gateway"
CLASS_NAME = "istio"
CONTROLLER = "istio.io/gateway-controller"
_CLASS_KEY = "class"
DEPLOYED: tuple[ResourceType, ...] = (SERVICE_ACCOUNTS, SERVICES, DEPLOYMENTS)

Render = Callable[[GatewayDeployment], list[Object]]


class GatewayDeployments:
    """Follows what is wanted (`take`) and what is there (`start`, given the caches)."""

    def __init__(self, client: KubeClient, render: Render) -> None:
        self._client = client
        self._render = render
        self._wanted: dict[str, GatewayDeployment] = {}
        self._classes: Cache | None = None
        self._caches: dict[str, Cache] = {}
        self.work = KeyedWork("gateway deployments", self.sync)

    def caches(self) -> list[Cache]:
        """What has to be kept up to date while this runs."""
        self._classes = Cache(self._client, GATEWAY_CLASSES)
        self._caches = {one.kind: Cache(self._client, one, label_selector=GATEWAY_NAME_LABEL) for one in DEPLOYED}
        return [self._classes, *self._caches.values()]

    def start(self) -> None:
        """Follow the caches, which have synced."""
        assert self._classes is not None
        self._classes.subscribe(lambda _: self.work.add(_CLASS_KEY))
        self.work.add(_CLASS_KEY)
        for cache in self._caches.values():
            cache.subscribe(self._changed)
        self.renew()

    def renew(self) -> None:
        """Look at everything again."""
        for key in [*self._wanted, *self._present()]:
            self.work.add(key)

    def take(self, wanted: Iterable[GatewayDeployment]) -> None:
        """What is wanted now; what is no longer wanted is taken away."""
        before, self._wanted = self._wanted, {one.key: one for one in wanted}
        for key in before.keys() | self._wanted.keys():
            if before.get(key) != self._wanted.get(key):
                self.work.add(key)

    def _present(self) -> set[str]:
        return {_key(obj) for cache in self._caches.values() for obj in cache.items() if _is_ours(obj)}

    def _changed(self, event: CacheEvent) -> None:
        if _is_ours(event.object):
            self.work.add(_key(event.object))

    async def sync(self, key: str) -> None:
        """One Gateway, or the class."""
        if key == _CLASS_KEY:
            await self._keep_class()
            return
        if not self._caches:
            return
        wanted = self._wanted.get(key)
        if wanted is None:
            await self._remove(key)
            return
        for obj in self._render(wanted):
            metadata = obj["metadata"]
            have = self._caches[obj["kind"]].get(metadata["namespace"], metadata["name"])
            if have is None or _rendered(have) != _rendered(obj):
                await self._client.apply(obj, field_manager=FIELD_MANAGER)

    async def _remove(self, key: str) -> None:
        """Take away what was made for a Gateway that wants nothing any more; one that is gone takes its own along."""
        namespace, _, gateway = key.partition("/")
        if await self._client.find(KUBERNETES_GATEWAYS, gateway, namespace) is None:
            return
        for cache in self._caches.values():
            for obj in list(cache.items()):
                if _is_ours(obj) and _key(obj) == key and key not in self._wanted:
                    try:
                        await self._client.delete_object({**obj, **_typed(cache.resource)})
                    except NotFound:
                        continue

    async def _keep_class(self) -> None:
        if self._classes is None or self._classes.get(None, CLASS_NAME) is not None:
            return
        try:
            await self._client.create(
                {
                    "apiVersion": GATEWAY_CLASSES.api_version,
                    "kind": GATEWAY_CLASSES.kind,
                    "metadata": {"name": CLASS_NAME, "labels": {"app.kubernetes.io/managed-by": "kaiki"}},
                    "spec": {
                        "controllerName": CONTROLLER,
                        "description": "A gateway of its own for each Gateway, deployed beside it.",
                    },
                }
            )
        except AlreadyExists:
            return
        except NotFound:
            # The definitions are not installed; the cache looks for them from time to time.
            return


def _typed(resource: ResourceType) -> Object:
    return {"apiVersion": resource.api_version, "kind": resource.kind}


def _is_ours(obj: Object) -> bool:
    return RENDERED in (obj["metadata"].get("annotations") or {})


def _rendered(obj: Object) -> str:
    return str((obj["metadata"].get("annotations") or {}).get(RENDERED, ""))


def _key(obj: Object) -> str:
    metadata = obj["metadata"]
    return f"{metadata.get('namespace')}/{(metadata.get('labels') or {}).get(GATEWAY_NAME_LABEL, '')}"
