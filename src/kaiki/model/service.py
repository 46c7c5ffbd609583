"""Services: what is called. Names, virtual addresses, ports and the endpoints behind them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from kaiki.model.finding import ObjectRef
from kaiki.model.identity import Identity, WorkloadLabels


class Protocol(StrEnum):
    """What a port speaks, by `appProtocol`, else by the port name's prefix (Istio, "Protocol selection").

    `AUTO` is a port that declares nothing: HTTP is recognised by sniffing, everything else is TCP.
    """

    HTTP = "HTTP"
    HTTP2 = "HTTP2"
    GRPC = "GRPC"
    HTTPS = "HTTPS"
    TLS = "TLS"
    TCP = "TCP"
    AUTO = "AUTO"
    UDP = "UDP"

    @property
    def is_http(self) -> bool:
        return self in (Protocol.HTTP, Protocol.HTTP2, Protocol.GRPC)

    @property
    def is_http2(self) -> bool:
        return self in (Protocol.HTTP2, Protocol.GRPC)


class Resolution(StrEnum):
    """How the endpoints of a service are found.

    `STATIC`: they are known addresses; `NONE`: the address the client meant; `DNS`: every address a name has;
    `DNS_ROUND_ROBIN`: whichever address a name has when a connection is made; `DYNAMIC_DNS`: the addresses of the name
    that a request, or a TLS hello, says.
    """

    STATIC = "STATIC"
    NONE = "NONE"
    DNS = "DNS"
    DNS_ROUND_ROBIN = "DNS_ROUND_ROBIN"
    DYNAMIC_DNS = "DYNAMIC_DNS"

    @property
    def is_dns(self) -> bool:
        return self in (Resolution.DNS, Resolution.DNS_ROUND_ROBIN)


@dataclass(frozen=True, slots=True, order=True)
class ServicePort:
    """One port of a service. `target_port` is what was written (a number or a name); 0 and "" mean the port itself."""

    name: str
    number: int
    protocol: Protocol
    target_port: int | str = 0


@dataclass(frozen=True, slots=True)
class Service:
    """A service of the mesh's registry.

    `hostname` is the full name (`reviews.default.svc.cluster.local`); `addresses` are virtual IPs, empty when headless;
    `selector` picks the pods behind it, sorted. `export_to` are the namespaces that see it (`*`: all). `subnets`
    are ranges of addresses that mean it too; `aliases` are (name, namespace) of ExternalName Services that lead to it.

    Of Kubernetes: `sticks_to_client` (sessionAffinity: ClientIP), `on_same_node` (internalTrafficPolicy: Local)
    and `prefers_near` (trafficDistribution).
    """

    hostname: str
    name: str
    namespace: str
    addresses: tuple[str, ...]
    ports: tuple[ServicePort, ...]
    selector: tuple[tuple[str, str], ...] = ()
    headless: bool = False
    resolution: Resolution = Resolution.STATIC
    export_to: tuple[str, ...] = ("*",)
    automatic_addresses: tuple[str, ...] = ()
    subnets: tuple[str, ...] = ()
    subject_alternative_names: tuple[str, ...] = ()
    aliases: tuple[tuple[str, str], ...] = ()
    sticks_to_client: bool = False
    on_same_node: bool = False
    prefers_near: bool = False

    @property
    def called_at(self) -> tuple[str, ...]:
        """Every address that means this service, those given to it automatically too."""
        return self.addresses + self.automatic_addresses

    @property
    def key(self) -> tuple[str, str]:
        """(namespace, name)."""
        return self.namespace, self.name

    @property
    def is_entry(self) -> bool:
        """Whether a ServiceEntry names it: such services have no short name."""
        return self.name == self.hostname

    def port(self, number: int) -> ServicePort | None:
        """The port with this number, or None."""
        return next((port for port in self.ports if port.number == number), None)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address behind one port of a service, with what is known of the workload there.

    `mtls` is true where the other side can terminate Istio's mutual TLS (it has a sidecar). `subset_labels` are the
    pod's labels, by which DestinationRule subsets choose. `hostname` is the pod's name below a headless Service's.
    """

    address: str
    port: int
    healthy: bool
    mtls: bool
    identity: Identity | None
    metric_labels: WorkloadLabels | None
    subset_labels: tuple[tuple[str, str], ...] = ()
    pod: str = ""
    weight: int = 1
    locality: str = ""
    node: str = ""
    hostname: str = ""


@dataclass(frozen=True, slots=True)
class ServiceEntry:
    """A ServiceEntry: a service for each of its hosts, and (host, port number) → endpoints.

    `selector` picks pods and WorkloadEntries as endpoints; `automatic` are the hosts that want an address given to
    them, `held_addresses` the (host, address) pairs they were given before.
    """

    source: ObjectRef
    services: tuple[Service, ...]
    endpoints: tuple[tuple[tuple[str, int], tuple[Endpoint, ...]], ...]
    written_addresses: tuple[str, ...] = ()
    written_endpoints: tuple[str, ...] = ()
    selector: tuple[tuple[str, str], ...] = ()
    automatic: tuple[str, ...] = ()
    held_addresses: tuple[tuple[str, str], ...] = ()
    written_resolution: str = ""
    created: str = ""
