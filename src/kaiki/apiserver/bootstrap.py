"""What is there from the start: the standard namespaces, and the Service `kubernetes` that leads to this server."""

from __future__ import annotations

import asyncio
import ipaddress
import uuid
from typing import Any

from kaiki.apiserver.defaults import apply_defaults
from kaiki.apiserver.ownership import write_entries
from kaiki.apiserver.preparation import SERVER, all_owned
from kaiki.apiserver.registry import Registry
from kaiki.apiserver.requests import timestamp
from kaiki.apiserver.standard_roles import GROUP, standard_bindings, standard_roles
from kaiki.apiserver.store import Event, Store

NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")
RBAC = f"{GROUP}/v1"
Object = dict[str, Any]

_OWN = tuple(
    (collection, "default", "kubernetes")
    for collection in ("/services", "/endpoints", "discovery.k8s.io/endpointslices")
)
_SKIP_MIRROR = "endpointslice.kubernetes.io/skip-mirror"


def keep_standard_objects(store: Store, registry: Registry, service_range: str, endpoint: tuple[str, int]) -> None:
    """Create the standard objects, and again those of this server when somebody deletes them (`delete all --all`)."""
    create_standard_objects(store, registry, service_range, endpoint)
    loop = asyncio.get_running_loop()

    def observe(collection: str, event: Event) -> None:
        if event.type == "DELETED" and (collection, event.record.namespace, event.record.name) in _OWN:
            loop.call_soon(create_standard_objects, store, registry, service_range, endpoint)

    store.listeners.append(observe)


def create_standard_objects(store: Store, registry: Registry, service_range: str, endpoint: tuple[str, int]) -> None:
    """Create what is missing; what is there already stays as it is."""
    for name in NAMESPACES:
        _create(store, registry, "v1", "namespaces", {"kind": "Namespace", "metadata": {"name": name}})
    for role in standard_roles():
        _create(store, registry, RBAC, "clusterroles", role)
    for binding in standard_bindings():
        _create(store, registry, RBAC, "clusterrolebindings", binding)
    for component in ("controller-manager", "etcd-0", "scheduler"):
        healthy = [{"type": "Healthy", "status": "True", "message": "ok"}]
        status = {"kind": "ComponentStatus", "metadata": {"name": component}, "conditions": healthy}
        _create(store, registry, "v1", "componentstatuses", status)
    address = str(ipaddress.ip_network(service_range)[1])
    labels = {"component": "apiserver", "provider": "kubernetes"}
    metadata: Object = {"name": "kubernetes", "namespace": "default", "labels": labels}
    port = {"name": "https", "protocol": "TCP", "port": 443, "targetPort": endpoint[1]}
    spec = {"clusterIP": address, "clusterIPs": [address], "ports": [port]}
    service = {"kind": "Service", "metadata": metadata, "spec": spec, "status": {"loadBalancer": {}}}
    _create(store, registry, "v1", "services", service)
    owned = {**metadata, "labels": {"kubernetes.io/service-name": "kubernetes"}}
    endpoints: Object = {
        "kind": "EndpointSlice",
        "metadata": owned,
        "addressType": "IPv4",
        "endpoints": [{"addresses": [endpoint[0]], "conditions": {"ready": True}}],
        "ports": [{"name": "https", "port": endpoint[1], "protocol": "TCP"}],
    }
    _create(store, registry, "discovery.k8s.io/v1", "endpointslices", endpoints)
    ports = endpoints["ports"]
    legacy: Object = {"kind": "Endpoints", "metadata": {**metadata, "labels": {_SKIP_MIRROR: "true"}}}
    legacy["subsets"] = [{"addresses": [{"ip": endpoint[0]}], "ports": ports}]
    _create(store, registry, "v1", "endpoints", legacy)


def _create(store: Store, registry: Registry, api_version: str, plural: str, value: Object) -> None:
    group, _, version = api_version.rpartition("/")
    kind = registry.find(group, version, plural)
    assert kind is not None
    metadata = dict(value["metadata"])
    namespace, name = metadata.get("namespace", ""), metadata["name"]
    if store.get(kind.storage, namespace, name):
        return
    metadata |= {"uid": str(uuid.uuid4()), "creationTimestamp": timestamp()}
    if kind.generation:
        metadata["generation"] = 1
    complete = {"apiVersion": api_version, **value, "metadata": metadata}
    apply_defaults(kind, complete)
    write_entries(complete, all_owned(kind, complete, SERVER))
    store.put(kind.storage, namespace, name, complete, 0)
