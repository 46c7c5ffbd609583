"""Service + Pods → EndpointSlices, and the Endpoints object older clients still read. Pure."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

from kaiki.controllers.conditions import is_true
from kaiki.controllers.replica_set import owner_reference
from kaiki.controllers.stores import controller_uid
from kaiki.kube.resource import Object

SERVICE_NAME_LABEL = "kubernetes.io/service-name"
MANAGED_BY_LABEL = "endpointslice.kubernetes.io/managed-by"
MANAGER = "endpointslice-controller.k8s.io"
MIRROR_MANAGER = "endpointslicemirroring-controller.k8s.io"
SKIP_MIRROR_LABEL = "endpointslice.kubernetes.io/skip-mirror"
HEADLESS_LABEL = "service.kubernetes.io/headless"
ENDPOINTS_PER_SLICE = 1000

Ports = tuple[tuple[str, str, int, str | None], ...]  # name, protocol, number, appProtocol


def has_managed_endpoints(service: Object) -> bool:
    """Services without a selector have endpoints written by hand; ExternalName has none."""
    return bool(service["spec"].get("selector")) and service["spec"].get("type") != "ExternalName"


def is_selected(service: Object, pod: Object) -> bool:
    """Whether the Service's selector matches the pod's labels."""
    labels = pod["metadata"].get("labels") or {}
    selector = service["spec"].get("selector") or {}
    return bool(selector) and all(labels.get(name) == value for name, value in selector.items())


def desired_slices(service: Object, pods: Iterable[Object]) -> list[Object]:
    """The EndpointSlices of a Service: one per address family and set of resolved ports.

    A Service without any pod has one empty slice, as on Kubernetes, which tells "no endpoints" from "not there yet".
    """
    groups: dict[tuple[str, Ports], list[Object]] = {}
    for pod in sorted(pods, key=lambda pod: str(pod["metadata"]["name"])):
        if is_selected(service, pod) and has_address(pod):
            groups.setdefault((address_type(pod), resolve_ports(service, pod)), []).append(pod)
    if not groups:
        groups[("IPv4", ())] = []
    return [
        _slice(service, family, ports, members[start : start + ENDPOINTS_PER_SLICE], start // ENDPOINTS_PER_SLICE)
        for (family, ports), members in sorted(groups.items(), key=lambda item: item[0][0])
        for start in range(0, max(len(members), 1), ENDPOINTS_PER_SLICE)
    ]


def mirrored_slices(service: Object, endpoints: Object) -> list[Object]:
    """EndpointSlices for Endpoints written by hand, as they are for Services without a selector.

    Hand-written slices are left alone, and so are Endpoints that ask not to be mirrored.
    """
    labels = endpoints["metadata"].get("labels") or {}
    if labels.get(SKIP_MIRROR_LABEL) == "true" or controller_uid(endpoints) is not None:
        return []
    return [
        _mirrored(service, endpoints, subset, number) for number, subset in enumerate(endpoints.get("subsets") or ())
    ]


def _mirrored(service: Object, endpoints: Object, subset: Object, number: int) -> Object:
    metadata = endpoints["metadata"]
    digest = hashlib.sha256(repr((metadata["uid"], number)).encode()).hexdigest()[:5]
    found = [(address, True) for address in subset.get("addresses") or ()]
    found += [(address, False) for address in subset.get("notReadyAddresses") or ()]
    family = "IPv6" if found and ":" in found[0][0]["ip"] else "IPv4"
    labels = {**(metadata.get("labels") or {}), SERVICE_NAME_LABEL: service["metadata"]["name"]}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{metadata['name']}-{digest}",
            "namespace": metadata["namespace"],
            "labels": labels | {MANAGED_BY_LABEL: MIRROR_MANAGER},
            "ownerReferences": [owner_reference(endpoints)],
        },
        "addressType": family,
        "endpoints": [_mirrored_endpoint(address, ready) for address, ready in found],
        "ports": [{"name": "", "protocol": "TCP", **port} for port in subset.get("ports") or ()],
    }


def _mirrored_endpoint(address: Object, ready: bool) -> Object:
    kept = {name: address[name] for name in ("hostname", "nodeName", "targetRef") if address.get(name)}
    return {"addresses": [address["ip"]], "conditions": {"ready": ready}, **kept}


def has_address(pod: Object) -> bool:
    """Pods that have an address and have not finished."""
    status = pod.get("status") or {}
    return bool(status.get("podIP")) and status.get("phase") not in ("Succeeded", "Failed")


def address_type(pod: Object) -> str:
    """IPv4 or IPv6, by the pod's address."""
    return "IPv6" if ":" in pod["status"]["podIP"] else "IPv4"


def resolve_ports(service: Object, pod: Object) -> Ports:
    """The Service's ports as numbers of this pod; named target ports the pod does not have are left out."""
    resolved = []
    for port in service["spec"].get("ports") or ():
        protocol = port.get("protocol") or "TCP"
        number = _target_number(port.get("targetPort") or port["port"], protocol, pod)
        if number is not None:
            resolved.append((port.get("name") or "", protocol, number, port.get("appProtocol")))
    return tuple(resolved)


def _target_number(target: Any, protocol: str, pod: Object) -> int | None:
    if isinstance(target, int):
        return target
    if str(target).isdecimal():
        return int(target)
    sidecars = [item for item in pod["spec"].get("initContainers") or () if item.get("restartPolicy") == "Always"]
    for container in [*(pod["spec"].get("containers") or ()), *sidecars]:
        for port in container.get("ports") or ():
            if port.get("name") == target and (port.get("protocol") or "TCP") == protocol:
                return int(port["containerPort"])
    return None


def endpoint(service: Object, pod: Object) -> Object:
    """One endpoint. A pod that is ending still serves but is not ready, unless the Service does not care."""
    serving = is_true(pod, "Ready")
    terminating = bool(pod["metadata"].get("deletionTimestamp"))
    ready = bool(service["spec"].get("publishNotReadyAddresses")) or (serving and not terminating)
    found: Object = {
        "addresses": [pod["status"]["podIP"]],
        "conditions": {"ready": ready, "serving": serving, "terminating": terminating},
        "targetRef": _target_reference(pod),
    }
    if node := pod["spec"].get("nodeName"):
        found["nodeName"] = node
    hostname = pod["spec"].get("hostname")
    if hostname and pod["spec"].get("subdomain") == service["metadata"]["name"]:
        found["hostname"] = hostname
    return found


def _target_reference(pod: Object) -> Object:
    metadata = pod["metadata"]
    return {"kind": "Pod", "namespace": metadata["namespace"], "name": metadata["name"], "uid": metadata["uid"]}


def _slice(service: Object, family: str, ports: Ports, pods: Sequence[Object], number: int) -> Object:
    metadata = service["metadata"]
    digest = hashlib.sha256(repr((metadata["uid"], family, ports, number)).encode()).hexdigest()[:5]
    labels = dict(metadata.get("labels") or {}) | {
        SERVICE_NAME_LABEL: metadata["name"],
        MANAGED_BY_LABEL: MANAGER,
    }
    if service["spec"].get("clusterIP") == "None":
        labels[HEADLESS_LABEL] = ""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{metadata['name']}-{digest}",
            "namespace": metadata["namespace"],
            "labels": labels,
            "ownerReferences": [owner_reference(service)],
        },
        "addressType": family,
        "endpoints": [endpoint(service, pod) for pod in pods],
        "ports": [_port(port) for port in ports],
    }


def _port(port: tuple[str, str, int, str | None], application: bool = True) -> Object:
    name, protocol, number, application_protocol = port
    found: Object = {"name": name, "port": number, "protocol": protocol}
    if application and application_protocol:
        found["appProtocol"] = application_protocol
    return found


def desired_endpoints(service: Object, pods: Iterable[Object]) -> Object:
    """The legacy Endpoints object: ready and not ready addresses by set of ports."""
    groups: dict[Ports, list[Object]] = {}
    for pod in sorted(pods, key=lambda pod: str(pod["metadata"]["name"])):
        if is_selected(service, pod) and has_address(pod):
            groups.setdefault(resolve_ports(service, pod), []).append(pod)
    metadata = service["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "labels": dict(metadata.get("labels") or {}),
            "ownerReferences": [owner_reference(service)],
        },
        "subsets": [_subset(service, ports, members) for ports, members in sorted(groups.items(), key=repr)],
    }


def _subset(service: Object, ports: Ports, pods: Sequence[Object]) -> Object:
    addresses: dict[bool, list[Object]] = {True: [], False: []}
    for pod in pods:
        found = endpoint(service, pod)
        address = {"ip": found["addresses"][0], "targetRef": found["targetRef"]}
        address |= {name: found[name] for name in ("nodeName", "hostname") if name in found}
        addresses[found["conditions"]["ready"]].append(address)
    subset: Object = {"ports": [_port(port, application=False) for port in ports]}
    if addresses[True]:
        subset["addresses"] = addresses[True]
    if addresses[False]:
        subset["notReadyAddresses"] = addresses[False]
    return subset


def merge_needed(have: Object, want: Object, fields: Sequence[str]) -> Object | None:
    """The merge patch that brings `fields` and the labels to what is wanted; None when they are."""
    patch: Object = {name: want.get(name) for name in fields if (have.get(name) or []) != (want.get(name) or [])}
    labels, before = want["metadata"].get("labels") or {}, have["metadata"].get("labels") or {}
    if labels != before:
        patch["metadata"] = {"labels": labels | {name: None for name in before if name not in labels}}
    return patch or None
