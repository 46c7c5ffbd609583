"""ServiceEntry: services the cluster does not know, in the mesh's registry (Istio, "Service Entry" reference)."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from kaiki.resources.istio.common import ApiType, PortNumber, Unsigned


class ServicePort(ApiType, frozen=True):
    """A port: number, protocol (HTTP, HTTPS, HTTP2, GRPC, TCP, TLS, MONGO) and a name."""

    number: Annotated[int, Meta(ge=1, le=65535)]
    name: str
    protocol: str = ""
    target_port: PortNumber = 0


class WorkloadEntry(ApiType, frozen=True):
    """One endpoint: an address, or a name where the resolution is DNS."""

    NOT_IN_FORCE = {"network": "Leave it out: clients connect to the address itself."}

    address: str = ""
    ports: dict[str, PortNumber] = {}
    labels: dict[str, str] = {}
    network: str = ""
    locality: str = ""
    weight: Unsigned = 0
    service_account: str = ""


class WorkloadSelector(ApiType, frozen=True):
    """The pods that carry all of these labels."""

    labels: dict[str, str] = {}


class ServiceEntrySpec(ApiType, frozen=True):
    """Hosts, the ports they answer at, and how their endpoints are found."""

    ONE_OF = (("endpoints", "workloadSelector"),)

    hosts: Annotated[tuple[str, ...], Meta(min_length=1, max_length=256)]
    addresses: tuple[str, ...] = ()
    ports: tuple[ServicePort, ...] = ()
    location: Literal["MESH_EXTERNAL", "MESH_INTERNAL"] = "MESH_EXTERNAL"
    resolution: Literal["NONE", "STATIC", "DNS", "DNS_ROUND_ROBIN", "DYNAMIC_DNS"] = "NONE"
    endpoints: tuple[WorkloadEntry, ...] = ()
    workload_selector: WorkloadSelector | None = None
    export_to: tuple[str, ...] = ()
    subject_alt_names: tuple[str, ...] = ()
