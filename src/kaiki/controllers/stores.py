"""The caches all controllers share: one watch per type, without the fields no controller reads."""

from collections.abc import Iterable

from kaiki.kube.cache import Cache, drop_managed_fields
from kaiki.kube.client import KubeClient
from kaiki.kube.resource import (
    CONFIG_MAPS,
    DAEMON_SETS,
    DEPLOYMENTS,
    ENDPOINT_SLICES,
    ENDPOINTS,
    JOBS,
    NAMESPACES,
    NODES,
    POD_DISRUPTION_BUDGETS,
    PODS,
    REPLICA_SETS,
    SECRETS,
    SERVICE_ACCOUNTS,
    SERVICES,
    STATEFUL_SETS,
    Object,
    ResourceType,
)

WATCHED_TYPES = (
    NAMESPACES,
    NODES,
    SERVICE_ACCOUNTS,
    CONFIG_MAPS,
    SECRETS,
    DEPLOYMENTS,
    REPLICA_SETS,
    STATEFUL_SETS,
    DAEMON_SETS,
    JOBS,
    PODS,
    SERVICES,
    ENDPOINT_SLICES,
    ENDPOINTS,
    POD_DISRUPTION_BUDGETS,
)
ROOT_CERTIFICATE_NAME = "kube-root-ca.crt"
_WITHOUT_CONTENT = frozenset({CONFIG_MAPS, SECRETS})


class Stores:
    """Caches by type, each indexed by `owner` (uid) and `namespace`."""

    def __init__(self, client: KubeClient) -> None:
        indexes = {"owner": owner_uids, "namespace": namespace_key}
        self.by_type: dict[ResourceType, Cache] = {
            resource: Cache(
                client,
                resource,
                trim=drop_content if resource in _WITHOUT_CONTENT else drop_managed_fields,
                indexes=indexes,
            )
            for resource in WATCHED_TYPES
        }

    def __getitem__(self, resource: ResourceType) -> Cache:
        return self.by_type[resource]

    def controlled_by(self, resource: ResourceType, owner: Object) -> list[Object]:
        """The objects of a type whose controller is `owner`."""
        uid = owner["metadata"]["uid"]
        return [obj for obj in self.by_type[resource].by_index("owner", uid) if controller_uid(obj) == uid]

    def in_namespace(self, resource: ResourceType, namespace: str) -> list[Object]:
        """The objects of a type in one namespace."""
        return self.by_type[resource].by_index("namespace", namespace)


def owner_uids(obj: Object) -> Iterable[str]:
    """The uids of all owners."""
    return [str(owner["uid"]) for owner in obj["metadata"].get("ownerReferences") or ()]


def namespace_key(obj: Object) -> Iterable[str]:
    """The namespace, as an index key."""
    return (str(obj["metadata"].get("namespace") or ""),)


def controller_of(obj: Object) -> Object | None:
    """The owner reference that is the controller, or None."""
    for owner in obj["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            return dict(owner)
    return None


def controller_uid(obj: Object) -> str | None:
    """The uid of the controller, or None."""
    owner = controller_of(obj)
    return str(owner["uid"]) if owner else None


def drop_content(obj: Object) -> None:
    """Keeps what garbage collection and namespaces need: metadata and the names of keys, and the root certificate."""
    drop_managed_fields(obj)
    if obj["metadata"]["name"] == ROOT_CERTIFICATE_NAME:
        return
    for name in ("data", "binaryData", "stringData"):
        if name in obj:
            obj[name] = dict.fromkeys(obj[name])
