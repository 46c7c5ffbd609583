"""ServiceEntries against the mesh (KAI05xx)."""

from __future__ import annotations

from collections.abc import Iterator

from kaiki.interpret.service_entries import is_address
from kaiki.model.finding import Finding, Severity
from kaiki.model.service import Protocol, Resolution, Service, ServiceEntry
from kaiki.model.snapshot import MeshSnapshot


def entry_findings(snapshot: MeshSnapshot, item: ServiceEntry) -> Iterator[Finding]:
    """Everything there is to say about one ServiceEntry."""
    for index, service in enumerate(item.services):
        path = f"spec.hosts[{index}]"
        yield from _taken(snapshot, item, service, path)
        if service.hostname.startswith("*") and service.resolution is not Resolution.NONE:
            message = f"{service.hostname} has no address that could be looked up; the host is not in force."
            hint = "Hosts with a wildcard need the resolution NONE."
            yield Finding("KAI0502", Severity.WARNING, item.source, path, message, hint)
    yield from _addresses(item)
    yield from _endpoints(item)


def _taken(snapshot: MeshSnapshot, item: ServiceEntry, service: Service, path: str) -> Iterator[Finding]:
    known = snapshot.services.get(service.hostname)
    owner = snapshot.entries.get(service.hostname)
    if known is None or owner == item.source or known == service:
        return
    message = f"{service.hostname} is already known from {owner or f'Service {known.namespace}/{known.name}'}."
    yield Finding("KAI0501", Severity.WARNING, item.source, path, message, "That one is in force, this one is not.")


def _addresses(item: ServiceEntry) -> Iterator[Finding]:
    ports = item.services[0].ports if item.services else ()
    for index, address in enumerate(item.written_addresses):
        if not any(address.split("/")[0] in service.addresses for service in item.services):
            message = f"{address} is not an IPv4 address; subnets are not in force in this version."
            yield Finding("KAI0503", Severity.WARNING, item.source, f"spec.addresses[{index}]", message)
    for index, port in enumerate(ports):
        if port.protocol in (Protocol.TCP, Protocol.AUTO) and not (item.services and item.services[0].addresses):
            message = f"connections to port {port.number} carry no name, so they cannot be told from others."
            hint = "The port is not in force; give the entry addresses, or say HTTP or TLS if that is what is spoken."
            yield Finding("KAI0504", Severity.WARNING, item.source, f"spec.ports[{index}]", message, hint)


def _endpoints(item: ServiceEntry) -> Iterator[Finding]:
    resolution = item.services[0].resolution if item.services else None
    if resolution is Resolution.DNS_ROUND_ROBIN and len(item.written_endpoints) > 1:
        message = "DNS_ROUND_ROBIN looks one name up; endpoints after the first are not in force."
        yield Finding("KAI0507", Severity.WARNING, item.source, "spec.endpoints[1]", message, "Say DNS.")
    if resolution is not Resolution.STATIC:
        return
    if not any(endpoints for _, endpoints in item.endpoints):
        message = "the resolution is STATIC and there are no endpoints, so every request will fail."
        yield Finding("KAI0505", Severity.WARNING, item.source, "spec.endpoints", message, "Add endpoints.")
    for index, address in enumerate(item.written_endpoints):
        if not is_address(address):
            message = f"{address!r} is not an address, which STATIC needs; the endpoint is not in force."
            path = f"spec.endpoints[{index}].address"
            yield Finding("KAI0506", Severity.WARNING, item.source, path, message, "Say DNS to look names up.")
