"""Proxies and what they are told: who is asking, and the Envoy resources that are the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from kaiki.model.envoy_filter import PatchResult
from kaiki.model.finding import ObjectRef
from kaiki.model.identity import Identity, WorkloadLabels
from kaiki.model.workload import ProxyKind, WorkloadInstance

CLUSTER_TYPE = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
ENDPOINT_TYPE = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
LISTENER_TYPE = "type.googleapis.com/envoy.config.listener.v3.Listener"
ROUTE_TYPE = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
VIRTUAL_HOST_TYPE = "type.googleapis.com/envoy.config.route.v3.VirtualHost"
SECRET_TYPE = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
EXTENSION_TYPE = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig"
"""Configurations of filters that stand apart; only EnvoyFilters make them."""
PUSH_ORDER = (CLUSTER_TYPE, ENDPOINT_TYPE, LISTENER_TYPE, ROUTE_TYPE)
"""The order in which a change must reach a proxy so that nothing ever refers to what is not there yet."""

EXCLUSION_MARK = 1337
"""The SO_MARK (and, on a cluster, the uid) by which a proxy's own traffic escapes redirection."""


class Capture(StrEnum):
    """How a proxy's own traffic is told apart from its application's: by socket mark, by user id, or not at all."""

    MARK = "mark"
    UID = "uid"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Proxy:
    """One Envoy that asks for its configuration.

    `name` is the pod's; `labels` are the pod's, sorted; `address` is the pod's IP. Nothing here comes from Envoy's own
    node message except what the control plane has checked.
    """

    kind: ProxyKind
    name: str
    namespace: str
    identity: Identity
    metric_labels: WorkloadLabels
    labels: tuple[tuple[str, str], ...] = ()
    address: str = ""
    capture: Capture = Capture.NONE

    @property
    def key(self) -> tuple[str, str]:
        """(namespace, pod name)."""
        return self.namespace, self.name

    @classmethod
    def of(cls, workload: WorkloadInstance, kind: ProxyKind, capture: Capture = Capture.MARK) -> Proxy:
        """The proxy of a pod; `capture` is how sidecars are told apart from their applications."""
        return cls(
            kind=kind,
            name=workload.name,
            namespace=workload.namespace,
            identity=workload.identity,
            metric_labels=workload.metric_labels,
            labels=workload.labels,
            address=workload.address,
            capture=capture if kind is ProxyKind.SIDECAR else Capture.NONE,
        )


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Resource:
    """One xDS resource, serialized once, which all proxies that see it share: `version` is a hash of its body.

    `content` is the body, or the pieces that make it, of which those that did not change are the same objects. A table
    of ten thousand virtual hosts changes by one piece, and is seldom needed as a whole.
    """

    name: str
    type_url: str
    version: str
    content: bytes | tuple[bytes, ...]

    @property
    def body(self) -> bytes:
        """The whole message."""
        return self.content if isinstance(self.content, bytes) else b"".join(self.content)

    @property
    def pieces(self) -> tuple[bytes, ...]:
        """What follows one another in the body."""
        return (self.content,) if isinstance(self.content, bytes) else self.content


@dataclass(frozen=True, slots=True, eq=False)
class ProxyConfig:
    """Everything one proxy should have: type URL → name → resource, names sorted; all of `PUSH_ORDER` are keys.

    `touched` says which EnvoyFilters changed a resource (by type and name), `patches` what became of each patch.
    """

    resources: Mapping[str, Mapping[str, Resource]]
    touched: Mapping[tuple[str, str], tuple[ObjectRef, ...]] = field(default_factory=dict)
    patches: tuple[PatchResult, ...] = ()

    def of(self, type_url: str) -> Mapping[str, Resource]:
        """The resources of one type; empty for a type that translation does not produce."""
        return self.resources.get(type_url, {})
