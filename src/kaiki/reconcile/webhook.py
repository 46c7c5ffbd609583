"""Keeps `caBundle` of our webhook configurations equal to the CA, so that the API server trusts our webhooks."""

import base64
from collections.abc import Callable

from kaiki.kube.cache import Cache, CacheEvent
from kaiki.kube.client import KubeClient
from kaiki.kube.errors import NotFound
from kaiki.kube.resource import MUTATING_WEBHOOKS, VALIDATING_WEBHOOKS, Object, ResourceType
from kaiki.reconcile.keyed import KeyedWork

INJECTOR_NAME = "istio-sidecar-injector"
VALIDATOR_NAME = "istio-validator-istio-system"
WEBHOOK_CONFIGURATIONS: tuple[tuple[ResourceType, str], ...] = (
    (MUTATING_WEBHOOKS, INJECTOR_NAME),
    (VALIDATING_WEBHOOKS, VALIDATOR_NAME),
)


def bundle_patch(configuration: Object, authority: str) -> list[Object]:
    """The JSON patch that gives every webhook the CA (a PEM text); empty when all have it.

    Tests the name before each change, since the patch goes by position.
    """
    bundle = base64.b64encode(authority.encode()).decode()
    patch: list[Object] = []
    for index, webhook in enumerate(configuration.get("webhooks") or ()):
        if (webhook.get("clientConfig") or {}).get("caBundle") != bundle:
            patch.append({"op": "test", "path": f"/webhooks/{index}/name", "value": webhook["name"]})
            patch.append({"op": "add", "path": f"/webhooks/{index}/clientConfig/caBundle", "value": bundle})
    return patch


class WebhookBundle:
    """Follows one webhook configuration."""

    def __init__(self, client: KubeClient, cache: Cache, name: str, authority: Callable[[], str]) -> None:
        self._client = client
        self._cache = cache
        self._name = name
        self._authority = authority
        self.work = KeyedWork(f"CA bundle of {name}", self.sync)

    def start(self) -> None:
        """Follows the configuration."""
        self._cache.subscribe(self._changed)

    def renew(self) -> None:
        """Looks again: the CA may have changed."""
        self.work.add(self._name)

    def _changed(self, event: CacheEvent) -> None:
        if event.object["metadata"]["name"] == self._name:
            self.work.add(self._name)

    async def sync(self, name: str) -> None:
        """Patches the configuration when a bundle differs."""
        configuration = self._cache.get(None, name)
        if configuration is None:
            return
        if patch := bundle_patch(configuration, self._authority()):
            try:
                await self._client.patch(self._cache.resource, name, None, patch, "json")
            except NotFound:
                return
