"""Kubernetes' own kinds, as the plain dicts the API gives: the fields interpretation needs, each read in one place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kaiki.model.finding import ObjectRef

Object = Mapping[str, Any]
SIDECAR_CONTAINER = "istio-proxy"
SERVICE_NAME_LABEL = "kubernetes.io/service-name"
_ROUTER_NODE = "router~"


def name(obj: Object) -> str:
    return str(obj["metadata"]["name"])


def namespace(obj: Object) -> str:
    return str(obj["metadata"].get("namespace") or "")


def created(obj: Object) -> str:
    """When the object was made, as text that sorts by time."""
    return str(obj["metadata"].get("creationTimestamp") or "")


def generation(obj: Object) -> int:
    """Counts the changes of what the object wants."""
    return int(obj["metadata"].get("generation") or 0)


def labels(obj: Object) -> Mapping[str, str]:
    return obj["metadata"].get("labels") or {}


def spec(obj: Object) -> Mapping[str, Any]:
    return obj.get("spec") or {}


def status(obj: Object) -> Mapping[str, Any]:
    return obj.get("status") or {}


def reference(obj: Object) -> ObjectRef:
    return ObjectRef(kind=str(obj.get("kind", "")), namespace=namespace(obj), name=name(obj))


def containers(pod: Object) -> Iterator[Mapping[str, Any]]:
    """All containers of a pod, init containers first."""
    yield from spec(pod).get("initContainers") or ()
    yield from spec(pod).get("containers") or ()


def proxy_container(pod: Object) -> Mapping[str, Any] | None:
    """The container that runs the pod's proxy, or None."""
    return next((item for item in containers(pod) if item.get("name") == SIDECAR_CONTAINER), None)


def is_router(container: Mapping[str, Any]) -> bool:
    """Whether a proxy container is a gateway's: its node id, in the bootstrap it is given, begins with `router~`."""
    return any(_ROUTER_NODE in str(argument) for argument in container.get("args") or ())


def is_ready(pod: Object) -> bool:
    conditions = status(pod).get("conditions") or ()
    return any(item.get("type") == "Ready" and item.get("status") == "True" for item in conditions)


def is_finished(pod: Object) -> bool:
    return status(pod).get("phase") in ("Succeeded", "Failed")


def service_account(pod: Object) -> str:
    return str(spec(pod).get("serviceAccountName") or "default")


def named_ports(pod: Object) -> tuple[tuple[str, int], ...]:
    """The ports of all containers that have a name, sorted."""
    ports = (port for item in containers(pod) for port in item.get("ports") or ())
    return tuple(sorted({(str(port["name"]), int(port["containerPort"])) for port in ports if port.get("name")}))


def controller(obj: Object) -> tuple[str, str]:
    """(kind, name) of the object that controls this one; both empty if there is none."""
    for owner in obj["metadata"].get("ownerReferences") or ():
        if owner.get("controller", True):
            return str(owner.get("kind", "")), str(owner.get("name", ""))
    return "", ""
