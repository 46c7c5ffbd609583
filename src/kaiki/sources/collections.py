"""The collections interpretation reads, and what of their objects is kept in memory."""

from __future__ import annotations

from kaiki.interpret.gateway_api.objects import KUBERNETES_GATEWAY
from kaiki.interpret.interpretation import KINDS
from kaiki.interpret.mesh_config import MESH_CONFIG
from kaiki.kube import resource
from kaiki.kube.cache import Cache, drop_managed_fields
from kaiki.kube.client import KubeClient
from kaiki.kube.resource import Object, ResourceType

_TYPES: dict[str, ResourceType] = {
    known.kind: known
    for known in (
        resource.NAMESPACES,
        resource.PODS,
        resource.NODES,
        resource.SERVICES,
        resource.ENDPOINT_SLICES,
        resource.REPLICA_SETS,
        resource.SERVICE_ACCOUNTS,
        resource.VIRTUAL_SERVICES,
        resource.DESTINATION_RULES,
        resource.GATEWAYS,
        resource.SERVICE_ENTRIES,
        resource.WORKLOAD_ENTRIES,
        resource.WORKLOAD_GROUPS,
        resource.PROXY_CONFIGS,
        resource.SIDECARS,
        resource.ENVOY_FILTERS,
        resource.AUTHORIZATION_POLICIES,
        resource.PEER_AUTHENTICATIONS,
        resource.REQUEST_AUTHENTICATIONS,
        resource.TELEMETRIES,
        resource.WASM_PLUGINS,
        resource.HTTP_ROUTES,
        resource.GATEWAY_CLASSES,
        resource.LISTENER_SETS,
        resource.GRPC_ROUTES,
        resource.TLS_ROUTES,
        resource.TCP_ROUTES,
        resource.REFERENCE_GRANTS,
        resource.BACKEND_TLS_POLICIES,
        resource.INGRESSES,
        resource.INGRESS_CLASSES,
    )
}
_TYPES[KUBERNETES_GATEWAY] = resource.KUBERNETES_GATEWAYS


def caches_of(client: KubeClient, kinds: tuple[str, ...] = KINDS) -> dict[str, Cache]:
    """A cache for each kind. Raises KeyError for a kind that has no collection here."""
    return {kind: _cache(client, kind) for kind in kinds}


def _cache(client: KubeClient, kind: str) -> Cache:
    if kind == MESH_CONFIG[0]:
        # Of all ConfigMaps only the one that configures the mesh is read.
        _, namespace, name = MESH_CONFIG
        return Cache(
            client, resource.CONFIG_MAPS, namespace=namespace, field_selector=f"metadata.name={name}", trim=_trim
        )
    return Cache(client, _TYPES[kind], trim=_trim_node if kind == "Node" else _trim)


def type_of_kind(kind: str) -> ResourceType | None:
    """The collection of a kind."""
    return _TYPES.get(kind)


def _trim_node(obj: Object) -> None:
    """Of a node only its labels are read; its status is large, and changes all the time."""
    _trim(obj)
    obj.pop("status", None)
    obj.pop("spec", None)


def _trim(obj: Object) -> None:
    drop_managed_fields(obj)
