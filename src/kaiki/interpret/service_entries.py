"""ServiceEntries → services of the registry, one per host, with their endpoints. Depends on one object alone."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from kaiki.interpret.hosts import resolve_export
from kaiki.interpret.services import protocol_of
from kaiki.model.finding import ObjectRef
from kaiki.model.identity import Identity
from kaiki.model.service import Endpoint, Protocol, Resolution, Service, ServiceEntry, ServicePort
from kaiki.resources import core
from kaiki.resources.istio import service_entry as api

_MESH_TLS_LABEL = "security.istio.io/tlsMode"
_PROTOCOLS = {"MONGO": "tcp", "GRPC-WEB": "http"}
_RESOLUTIONS = {
    "NONE": Resolution.NONE,
    "STATIC": Resolution.STATIC,
    "DNS": Resolution.DNS,
    "DNS_ROUND_ROBIN": Resolution.DNS_ROUND_ROBIN,
    "DYNAMIC_DNS": Resolution.DYNAMIC_DNS,
}


ALLOCATE_LABEL = "networking.istio.io/enable-autoallocate-ip"


def service_entry(source: ObjectRef, spec: api.ServiceEntrySpec, created: str, obj: core.Object) -> ServiceEntry:
    """Translate one spec; `obj` says whether its hosts get addresses, and which they have."""
    hosts = tuple(dict.fromkeys(host.lower() for host in spec.hosts if host))
    return ServiceEntry(
        source=source,
        services=tuple(_service(source, spec, host) for host in hosts),
        endpoints=tuple(
            ((host, port.number), tuple(_endpoints(spec, port, host, source.namespace)))
            for host in hosts
            for port in spec.ports
        ),
        written_addresses=spec.addresses,
        written_endpoints=tuple(item.address for item in spec.endpoints),
        selector=tuple(sorted(spec.workload_selector.labels.items())) if spec.workload_selector else (),
        automatic=_automatic(spec, hosts, obj),
        held_addresses=tuple(_held(obj)),
        written_resolution=spec.resolution,
        created=created,
    )


def _automatic(spec: api.ServiceEntrySpec, hosts: tuple[str, ...], obj: core.Object) -> tuple[str, ...]:
    """The hosts that get an address (Istio's rule): none is written, there is something behind, and nobody objects."""
    if spec.addresses or spec.resolution in ("NONE", "DYNAMIC_DNS") or core.labels(obj).get(ALLOCATE_LABEL) == "false":
        return ()
    return tuple(host for host in hosts if not host.startswith("*"))


def _held(obj: core.Object) -> Iterator[tuple[str, str]]:
    for item in core.status(obj).get("addresses") or ():
        if isinstance(item, dict) and item.get("host") and item.get("value"):
            yield str(item["host"]), str(item["value"])


def _subnet(text: str) -> str:
    """A range of IPv4 addresses as it is written; empty for anything else."""
    try:
        network = ipaddress.IPv4Network(text, strict=False)
    except ValueError:
        return ""
    return str(network) if network.num_addresses > 1 else ""


def is_subnet(text: str) -> bool:
    """Whether a text is a range of IPv4 addresses."""
    return bool(_subnet(text))


def _service(source: ObjectRef, spec: api.ServiceEntrySpec, host: str) -> Service:
    # What is looked up when it is called has names only.
    addresses = () if spec.resolution == "DYNAMIC_DNS" else spec.addresses
    return Service(
        hostname=host,
        name=host,
        namespace=source.namespace,
        addresses=tuple(address for text in addresses if (address := single_address(text))),
        ports=tuple(_port(item) for item in spec.ports),
        resolution=_RESOLUTIONS[spec.resolution],
        export_to=resolve_export(spec.export_to, source.namespace),
        subnets=tuple(subnet for text in addresses if (subnet := _subnet(text))),
        subject_alternative_names=spec.subject_alt_names,
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


def _endpoints(spec: api.ServiceEntrySpec, port: api.ServicePort, host: str, namespace: str) -> Iterator[Endpoint]:
    if spec.resolution in ("NONE", "DYNAMIC_DNS"):
        return
    # One name is looked up at a time; what follows the first would be refused by Envoy.
    for item in spec.endpoints[:1] if spec.resolution == "DNS_ROUND_ROBIN" else spec.endpoints:
        # An endpoint without an address, and a unix socket of a pod, are nothing a proxy can connect to.
        named = bool(item.address) and not item.address.startswith("unix:")
        if is_address(item.address) or (named and spec.resolution != "STATIC"):
            number = item.ports.get(port.name) or port.target_port or port.number
            yield _endpoint(item, number, spec.location == "MESH_EXTERNAL", namespace)
    nothing_said = not spec.endpoints and not spec.workload_selector and not host.startswith("*")
    if nothing_said and spec.resolution in ("DNS", "DNS_ROUND_ROBIN"):
        yield _endpoint(api.WorkloadEntry(address=host), port.target_port or port.number, True, namespace)


def _endpoint(item: api.WorkloadEntry, port: int, external: bool, namespace: str) -> Endpoint:
    mode = item.labels.get(_MESH_TLS_LABEL)
    in_mesh = mode == "istio" if mode is not None else bool(item.service_account) and not external
    return Endpoint(
        address=item.address,
        port=port,
        healthy=True,
        mtls=in_mesh,
        identity=Identity(namespace, item.service_account) if item.service_account else None,
        metric_labels=None,
        subset_labels=tuple(sorted(item.labels.items())),
        weight=item.weight or 1,
        locality=item.locality,
    )
