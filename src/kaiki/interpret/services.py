"""Services and EndpointSlices → the registry: host names, protocols, and the endpoints behind every port."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kaiki.model.service import Endpoint, Protocol, Service, ServicePort
from kaiki.model.workload import WorkloadInstance
from kaiki.resources import core

CLUSTER_DOMAIN = "cluster.local"
Workloads = Mapping[tuple[str, str], WorkloadInstance]

_BY_NAME = {
    "http": Protocol.HTTP,
    "ws": Protocol.HTTP,
    "wss": Protocol.HTTPS,
    "http2": Protocol.HTTP2,
    "h2c": Protocol.HTTP2,
    "grpc": Protocol.GRPC,
    "https": Protocol.HTTPS,
    "tls": Protocol.TLS,
    "tcp": Protocol.TCP,
    "mongo": Protocol.TCP,
    "mysql": Protocol.TCP,
    "redis": Protocol.TCP,
    "postgres": Protocol.TCP,
    "udp": Protocol.UDP,
}
_SERVER_SPEAKS_FIRST = {25, 3306, 27017}
"""Ports where waiting for the client's first bytes would wait for ever (Istio, "Server First Protocols")."""


def protocol_of(port: Mapping[str, Any]) -> Protocol:
    """What a Service's port speaks (Istio, "Protocol selection"): `appProtocol`, else the name's prefix, else AUTO."""
    if port.get("protocol") == "UDP":
        return Protocol.UDP
    application = str(port.get("appProtocol") or "").lower()
    known = _by_name(application.removeprefix("kubernetes.io/")) if application else _by_name(str(port.get("name", "")))
    if known is not None:
        return known
    return Protocol.TCP if port.get("port") in _SERVER_SPEAKS_FIRST else Protocol.AUTO


def _by_name(name: str) -> Protocol | None:
    lowered = name.lower()
    if lowered == "grpc-web" or lowered.startswith("grpc-web-"):
        return Protocol.HTTP  # gRPC-Web is HTTP/1.1 or HTTP/2, as the client likes.
    return _BY_NAME.get(lowered.split("-", 1)[0])


def full_host(name: str, namespace: str) -> str:
    """The full host name of a Service."""
    return f"{name}.{namespace}.svc.{CLUSTER_DOMAIN}"


def service_from(obj: core.Object, export_to: tuple[str, ...] = ("*",)) -> Service | None:
    """A Service of the registry; None for an ExternalName, which is only a name in DNS."""
    spec = core.spec(obj)
    if spec.get("type") == "ExternalName":
        return None
    addresses = tuple(str(item) for item in spec.get("clusterIPs") or [spec.get("clusterIP") or ""])
    virtual = tuple(item for item in addresses if item and item != "None" and ":" not in item)
    selector = tuple(sorted((str(key), str(value)) for key, value in (spec.get("selector") or {}).items()))
    return Service(
        hostname=full_host(core.name(obj), core.namespace(obj)),
        name=core.name(obj),
        namespace=core.namespace(obj),
        addresses=virtual,
        ports=tuple(_port(item) for item in spec.get("ports") or ()),
        selector=selector,
        headless="None" in addresses,
        export_to=_exports(obj, export_to),
        sticks_to_client=spec.get("sessionAffinity") == "ClientIP",
        on_same_node=spec.get("internalTrafficPolicy") == "Local",
        prefers_near=_distribution(obj) in _NEAR,
    )


_NEAR = ("PreferClose", "PreferSameZone", "PreferSameNode")
_DISTRIBUTION_ANNOTATION = "networking.istio.io/traffic-distribution"


def _distribution(obj: core.Object) -> str:
    """Where traffic should stay, by the Service's field or Istio's annotation of it."""
    annotations = obj["metadata"].get("annotations") or {}
    return str(annotations.get(_DISTRIBUTION_ANNOTATION) or core.spec(obj).get("trafficDistribution") or "")


EXPORT_ANNOTATION = "networking.istio.io/exportTo"


def _exports(obj: core.Object, default: tuple[str, ...]) -> tuple[str, ...]:
    """The namespaces that see a Service: its annotation says so (`*`, `.`, `~` for none, names), else the mesh."""
    written = (obj["metadata"].get("annotations") or {}).get(EXPORT_ANNOTATION) or ""
    chosen = tuple(part.strip() for part in written.split(",") if part.strip()) or default
    return tuple(sorted({core.namespace(obj) if item == "." else item for item in chosen}))


def _port(item: Mapping[str, Any]) -> ServicePort:
    number = int(item["port"])
    return ServicePort(
        name=str(item.get("name") or ""),
        number=number,
        protocol=protocol_of(item),
        target_port=item.get("targetPort") or number,
    )


def endpoints_of(
    port_name: str, slices: tuple[core.Object, ...], workloads: tuple[WorkloadInstance, ...]
) -> tuple[Endpoint, ...]:
    """The endpoints of one port: `slices` are its service's, `workloads` the pods they name. Sorted."""
    pods = {item.key: item for item in workloads}
    found: dict[tuple[str, int], Endpoint] = {}
    for piece in slices:
        if piece.get("addressType", "IPv4") != "IPv4":
            continue
        for port in piece.get("ports") or ():
            if (port.get("name") or "") != port_name or not port.get("port"):
                continue
            for endpoint in _endpoints(piece, int(port["port"]), pods):
                found.setdefault((endpoint.address, endpoint.port), endpoint)
    return tuple(found[key] for key in sorted(found))


def _endpoints(piece: core.Object, port: int, pods: Workloads) -> Iterable[Endpoint]:
    for item in piece.get("endpoints") or ():
        target = item.get("targetRef") or {}
        pod = pods.get((target.get("namespace") or core.namespace(piece), target.get("name") or ""))
        ready = (item.get("conditions") or {}).get("ready")
        for address in item.get("addresses") or ():
            yield Endpoint(
                address=str(address),
                port=port,
                healthy=ready is None or bool(ready),
                mtls=pod is not None and pod.takes_mutual_tls(port),
                identity=pod.identity if pod else None,
                metric_labels=pod.metric_labels if pod else None,
                subset_labels=pod.labels if pod else (),
                pod=pod.name if pod else "",
                locality=pod.locality if pod else "",
                node=pod.node if pod else str(item.get("nodeName") or ""),
                hostname=str(item.get("hostname") or ""),
            )


def pods_of(slices: tuple[core.Object, ...], workloads: Workloads) -> tuple[WorkloadInstance, ...]:
    """The pods that the endpoints of some slices name, in a stable order."""
    keys = {
        (item["targetRef"].get("namespace") or core.namespace(piece), item["targetRef"].get("name", ""))
        for piece in slices
        for item in piece.get("endpoints") or ()
        if item.get("targetRef")
    }
    return tuple(workloads[key] for key in sorted(keys) if key in workloads)


def external_names(services: Iterable[core.Object]) -> dict[str, tuple[tuple[str, str], ...]]:
    """Host → (name, namespace) of the ExternalName Services that lead to it, over other ExternalNames too; sorted."""
    targets: dict[str, str] = {}
    keys: dict[str, tuple[str, str]] = {}
    for obj in services:
        if core.spec(obj).get("type") == "ExternalName":
            host = full_host(core.name(obj), core.namespace(obj))
            targets[host] = str(core.spec(obj).get("externalName") or "").rstrip(".").lower()
            keys[host] = core.name(obj), core.namespace(obj)
    found: dict[str, list[tuple[str, str]]] = {}
    for host in sorted(keys):
        end, steps = targets[host], 0
        while end in targets and steps < _LONGEST_CHAIN:
            end, steps = targets[end], steps + 1
        found.setdefault(end, []).append(keys[host])
    return {host: tuple(names) for host, names in found.items()}


_LONGEST_CHAIN = 8
