"""ServiceEntries → services of the registry, one per host, with their endpoints. Depends on one object alone."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from kaiki.interpret.hosts import resolve_export
from kaiki.interpret.services import protocol_of
from kaiki.model.finding import ObjectRef
from kaiki.model.service import Endpoint, Protocol, Resolution, Service, ServiceEntry, ServicePort
from kaiki.resources.istio import service_entry as api

_MESH_TLS_LABEL = "security.istio.io/tlsMode"
_PROTOCOLS = {"MONGO": "tcp", "GRPC-WEB": "http"}
_RESOLUTIONS = {
    "NONE": Resolution.NONE,
    "STATIC": Resolution.STATIC,
    "DNS": Resolution.DNS,
    "DNS_ROUND_ROBIN": Resolution.DNS_ROUND_ROBIN,
}


def service_entry(source: ObjectRef, spec: api.ServiceEntrySpec, created: str) -> ServiceEntry:
    """Translate one spec."""
    hosts = tuple(dict.fromkeys(host.lower() for host in spec.hosts if host))
    return ServiceEntry(
        source=source,
        services=tuple(_service(source, spec, host) for host in hosts),
        endpoints=tuple(
            ((host, port.number), tuple(_endpoints(spec, port, host))) for host in hosts for port in spec.ports
        ),
        written_addresses=spec.addresses,
        written_endpoints=tuple(item.address for item in spec.endpoints),
        created=created,
    )


def _service(source: ObjectRef, spec: api.ServiceEntrySpec, host: str) -> Service:
    return Service(
        hostname=host,
        name=host,
        namespace=source.namespace,
        addresses=tuple(address for text in spec.addresses if (address := single_address(text))),
        ports=tuple(_port(item) for item in spec.ports),
        resolution=_RESOLUTIONS[spec.resolution],
        export_to=resolve_export(spec.export_to, source.namespace),
    )


def single_address(text: str) -> str:
    """The IPv4 address that a text is, or that its subnet of one is; empty for wider subnets and anything else."""
    try:
        network = ipaddress.IPv4Network(text, strict=False)
    except ValueError:
        return ""
    return str(network.network_address) if network.num_addresses == 1 else ""


def is_address(text: str) -> bool:
    """Whether a text is an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def spoken_protocol(protocol: str, name: str, number: int) -> Protocol:
    """What a port speaks by the protocol its author named, else by its name."""
    spoken = protocol.upper()
    return protocol_of({"port": number, "name": _PROTOCOLS.get(spoken, spoken.lower()) or name})


def _port(item: api.ServicePort) -> ServicePort:
    protocol = spoken_protocol(item.protocol, item.name, item.number)
    return ServicePort(item.name, item.number, protocol, item.target_port or item.number)


def _endpoints(spec: api.ServiceEntrySpec, port: api.ServicePort, host: str) -> Iterator[Endpoint]:
    if spec.resolution == "NONE":
        return
    # One name is looked up at a time; what follows the first would be refused by Envoy.
    for item in spec.endpoints[:1] if spec.resolution == "DNS_ROUND_ROBIN" else spec.endpoints:
        # An endpoint without an address, and a unix socket of a pod, are nothing a proxy can connect to.
        named = bool(item.address) and not item.address.startswith("unix:")
        if is_address(item.address) or (named and spec.resolution != "STATIC"):
            number = item.ports.get(port.name) or port.target_port or port.number
            yield _endpoint(item.address, number, item.labels)
    if not spec.endpoints and spec.resolution != "STATIC":
        yield _endpoint(host, port.target_port or port.number, {})


def _endpoint(address: str, port: int, labels: dict[str, str]) -> Endpoint:
    return Endpoint(
        address=address,
        port=port,
        healthy=True,
        mtls=labels.get(_MESH_TLS_LABEL) == "istio",
        identity=None,
        metric_labels=None,
        subset_labels=tuple(sorted(labels.items())),
    )
