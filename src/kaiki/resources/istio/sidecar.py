"""Sidecar: what the proxies of a namespace, or of some of its pods, accept and may reach (Istio, "Sidecar")."""

from __future__ import annotations

from typing import Literal

from kaiki.resources.istio.common import ApiType, PortNumber
from kaiki.resources.istio.destination_rule import ConnectionPoolSettings
from kaiki.resources.istio.gateway import ServerTLSSettings
from kaiki.resources.istio.service_entry import WorkloadSelector
from kaiki.resources.istio.virtual_service import Destination

CaptureMode = Literal["DEFAULT", "IPTABLES", "NONE"]


class SidecarPort(ApiType, frozen=True):
    """A port of a listener: number, protocol (HTTP, HTTPS, HTTP2, GRPC, TCP, TLS, MONGO) and a name."""

    NOT_IN_FORCE = {"targetPort": "Say defaultEndpoint where the application listens elsewhere."}

    number: PortNumber = 0
    protocol: str = ""
    name: str = ""
    target_port: PortNumber = 0


class IstioIngressListener(ApiType, frozen=True):
    """A port at which the workload is called, and where the application listens for it."""

    port: SidecarPort
    bind: str = ""
    capture_mode: CaptureMode = "DEFAULT"
    default_endpoint: str = ""
    tls: ServerTLSSettings | None = None
    connection_pool: ConnectionPoolSettings | None = None


class IstioEgressListener(ApiType, frozen=True):
    """Hosts (`namespace/host`) the workload may reach: at one port, or without a port at all that others leave."""

    hosts: tuple[str, ...]
    port: SidecarPort | None = None
    bind: str = ""
    capture_mode: CaptureMode = "DEFAULT"


class OutboundTrafficPolicy(ApiType, frozen=True):
    """What happens to calls of hosts the mesh does not know."""

    mode: Literal["REGISTRY_ONLY", "ALLOW_ANY"] = "REGISTRY_ONLY"
    egress_proxy: Destination | None = None


class SidecarSpec(ApiType, frozen=True):
    """What proxies accept and may reach: of all pods of a namespace, or of those `workloadSelector` picks."""

    workload_selector: WorkloadSelector | None = None
    ingress: tuple[IstioIngressListener, ...] = ()
    egress: tuple[IstioEgressListener, ...] = ()
    inbound_connection_pool: ConnectionPoolSettings | None = None
    outbound_traffic_policy: OutboundTrafficPolicy | None = None
