"""What the Gateway API's objects have in common: names, references, and the conditions of their status.

Objects are read as the plain dicts the API gives; what a schema promises is not promised here, because a cluster may
have another version of the definitions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from kaiki.resources import core

GROUP = "gateway.networking.k8s.io"
ISTIO_GROUP = "networking.istio.io"
CONTROLLER = "istio.io/gateway-controller"
MESH_CONTROLLER = CONTROLLER
KUBERNETES_GATEWAY = "KubernetesGateway"
"""The kind of the Gateway API's Gateways among the inputs, where `Gateway` is Istio's."""
TRUST_BUNDLE = "TrustBundle"
"""The kind, among the inputs, of ConfigMaps with roots that some object names."""
CLASS_NAME = "istio"

KINDS = (
    "GatewayClass",
    KUBERNETES_GATEWAY,
    "ListenerSet",
    "HTTPRoute",
    "GRPCRoute",
    "TLSRoute",
    "TCPRoute",
    "ReferenceGrant",
    "BackendTLSPolicy",
)
ROUTE_KINDS = ("HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute")

Object = core.Object
Key = tuple[str, str, str]
Status = dict[str, Any]
ByKind = Mapping[str, list[Object]]


class Problem(NamedTuple):
    """Why a condition is not as one would like: its reason, as the specification names it, and a sentence."""

    reason: str
    message: str


class Reference(NamedTuple):
    """A reference to an object, with the defaults filled in."""

    group: str
    kind: str
    namespace: str
    name: str

    @property
    def text(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


def reference(ref: Mapping[str, Any], namespace: str, group: str, kind: str) -> Reference:
    """A reference from `namespace`. An empty group is Kubernetes' own; a group that is not there is the default."""
    said = ref.get("group")
    return Reference(
        group=group if said is None else str(said),
        kind=str(ref.get("kind") or kind),
        namespace=str(ref.get("namespace") or namespace),
        name=str(ref.get("name") or ""),
    )


def generation(obj: Object) -> int:
    return int(obj["metadata"].get("generation") or 0)


def age(obj: Object) -> tuple[str, str, str]:
    """The order of precedence: the oldest first, then by namespace and name."""
    return core.created(obj), core.namespace(obj), core.name(obj)


def condition(obj: Object, kind: str, status: bool | None, reason: str, message: str = "") -> Status:
    """One condition of an object's status, without the time at which it changed."""
    return {
        "type": kind,
        "status": "Unknown" if status is None else str(status),
        "reason": reason,
        "message": message,
        "observedGeneration": generation(obj),
    }


def judged(obj: Object, kind: str, problem: Problem | None, reason: str = "", message: str = "") -> Status:
    """A condition that is true unless there is a problem."""
    if problem is None:
        return condition(obj, kind, True, reason or kind, message)
    return condition(obj, kind, False, problem.reason, problem.message)


def covers(pattern: str, host: str) -> bool:
    """Whether a host name of the API includes another; the empty one and `*` include all, `*.a.b` not `a.b`."""
    if pattern in ("", "*", host):
        return True
    return pattern.startswith("*.") and host.removeprefix("*").endswith(pattern[1:]) and host != pattern[2:]


def intersection(listener: str, hosts: Iterable[str]) -> tuple[str, ...]:
    """The host names a route gets at a listener: the narrower of each pair that overlaps; `*` stands for any."""
    wanted = [str(host).lower() for host in hosts]
    if not wanted:
        return (listener or "*",)
    found: dict[str, None] = {}
    for host in wanted:
        if covers(listener, host):
            found[host] = None
        elif covers(host, listener):
            found[listener] = None
    return tuple(found)
