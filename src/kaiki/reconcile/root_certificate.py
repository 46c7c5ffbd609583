"""ConfigMap `istio-ca-root-cert` in every namespace: what sidecars check the control plane's certificate against."""

from collections.abc import Callable

from kaiki.kube.cache import Cache, CacheEvent
from kaiki.kube.client import KubeClient
from kaiki.kube.errors import AlreadyExists, Forbidden, NotFound
from kaiki.kube.resource import CONFIG_MAPS, Object
from kaiki.reconcile.keyed import KeyedWork

CONFIG_MAP_NAME = "istio-ca-root-cert"
CONFIG_MAP_KEY = "root-cert.pem"
CONFIG_LABEL = "istio.io/config"
SKIPPED_NAMESPACES = frozenset({"kube-system", "kube-public", "kube-node-lease"})


def is_served(namespace: Object | None) -> bool:
    """Whether a namespace gets the ConfigMap: not Kubernetes' own ones, and none that is going away."""
    if namespace is None or namespace["metadata"].get("deletionTimestamp"):
        return False
    return namespace["metadata"]["name"] not in SKIPPED_NAMESPACES


def is_current(config_map: Object | None, certificates: str) -> bool:
    """Whether the ConfigMap says what it should; other keys are somebody else's business."""
    return config_map is not None and (config_map.get("data") or {}).get(CONFIG_MAP_KEY) == certificates


class RootCertificates:
    """Writes the ConfigMap into new namespaces at once, and puts it right where it is changed or deleted."""

    def __init__(
        self, client: KubeClient, namespaces: Cache, config_maps: Cache, certificates: Callable[[], str]
    ) -> None:
        self._client = client
        self._namespaces = namespaces
        self._config_maps = config_maps
        self._certificates = certificates
        self.work = KeyedWork("root certificate", self.sync)

    def start(self) -> None:
        """Follows namespaces and the ConfigMaps themselves."""
        self._namespaces.subscribe(self._namespace_changed)
        self._config_maps.subscribe(lambda event: self.work.add(event.object["metadata"]["namespace"]))

    def renew(self) -> None:
        """Looks at every namespace again: the certificates may have changed."""
        for namespace in list(self._namespaces.items()):
            self.work.add(namespace["metadata"]["name"])

    def _namespace_changed(self, event: CacheEvent) -> None:
        if event.kind != "deleted":
            self.work.add(event.object["metadata"]["name"])

    async def sync(self, namespace: str) -> None:
        """Creates or patches the ConfigMap of one namespace when it differs."""
        certificates = self._certificates()
        have = self._config_maps.get(namespace, CONFIG_MAP_NAME)
        if not is_served(self._namespaces.get(None, namespace)) or is_current(have, certificates):
            return
        data = {CONFIG_MAP_KEY: certificates}
        try:
            if have is None:
                await self._client.create(config_map(namespace, certificates))
            else:
                await self._client.patch(CONFIG_MAPS, CONFIG_MAP_NAME, namespace, {"data": data})
        except AlreadyExists:
            await self._client.patch(CONFIG_MAPS, CONFIG_MAP_NAME, namespace, {"data": data})
        except NotFound:
            return
        except Forbidden as error:
            if not any(cause.get("reason") == "NamespaceTerminating" for cause in error.causes):
                raise


def config_map(namespace: str, certificates: str) -> Object:
    """The ConfigMap of one namespace."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": CONFIG_MAP_NAME, "namespace": namespace, "labels": {CONFIG_LABEL: "true"}},
        "data": {CONFIG_MAP_KEY: certificates},
    }
