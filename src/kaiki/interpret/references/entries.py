"""ServiceEntries against the mesh (KAI05xx)."""

from __future__ import annotations

from collections.abc import Iterator

from kaiki.interpret.entry_hosts import is_usable
from kaiki.interpret.service_entries import is_address, is_subnet, single_address
from kaiki.model.finding import Finding, Severity
from kaiki.model.service import Protocol, Resolution, Service, ServiceEntry
from kaiki.model.snapshot import MeshSnapshot
from kaiki.model.workload import WorkloadInstance
from kaiki.model.workload_entry import WorkloadEntry


def entry_findings(snapshot: MeshSnapshot, item: ServiceEntry) -> Iterator[Finding]:
    """Everything there is to say about one ServiceEntry."""
    for index, service in enumerate(item.services):
        path = f"spec.hosts[{index}]"
        yield from _taken(snapshot, item, service, path)
        if not is_usable(service, bool(item.written_endpoints or item.selector)):
            message = f"{service.hostname} has no address that could be looked up; the host is not in force."
            hint = "Hosts with a wildcard need the resolution NONE, or endpoints."
            yield Finding("KAI0502", Severity.WARNING, item.source, path, message, hint)
    yield from _looked_up_when_called(item)
    yield from _addresses(item)
    yield from _endpoints(item)
    yield from _selected(snapshot, item)


def _selected(snapshot: MeshSnapshot, item: ServiceEntry) -> Iterator[Finding]:
    """A selector that picks nothing leaves every request without an answer."""
    without = (Resolution.NONE, Resolution.DYNAMIC_DNS)
    if not item.selector or not item.services or item.services[0].resolution in without:
        return
    workloads: list[WorkloadInstance | WorkloadEntry] = [*snapshot.workloads.values(), *snapshot.workload_entries]
    spaces = ((_namespace(one), one) for one in workloads)
    if not any(space == item.source.namespace and one.matches(item.selector) for space, one in spaces):
        labels = ", ".join(f"{key}={value}" for key, value in item.selector)
        message = f"no pod and no WorkloadEntry of namespace {item.source.namespace} has the labels {labels}."
        hint = "Every request will fail until there is one."
        yield Finding("KAI0508", Severity.WARNING, item.source, "spec.workloadSelector", message, hint)


def _namespace(one: WorkloadInstance | WorkloadEntry) -> str:
    return one.source.namespace if isinstance(one, WorkloadEntry) else one.namespace


def _taken(snapshot: MeshSnapshot, item: ServiceEntry, service: Service, path: str) -> Iterator[Finding]:
    known = snapshot.services.get(service.hostname)
    owner = snapshot.entries.get(service.hostname)
    if known is None or owner == item.source or known == service:
        return
    if owner is not None and owner.namespace == item.source.namespace:
        return  # ServiceEntries of one namespace add up.
    message = f"{service.hostname} is already known from {owner or f'Service {known.namespace}/{known.name}'}."
    yield Finding("KAI0501", Severity.WARNING, item.source, path, message, "That one is in force, this one is not.")


def _looked_up_when_called(item: ServiceEntry) -> Iterator[Finding]:
    if item.written_resolution != "DYNAMIC_DNS":
        return
    hint = "Say NONE to go where the client means to, or DNS or STATIC for endpoints."
    unused = {
        "addresses": item.written_addresses,
        "endpoints": item.written_endpoints,
        "workloadSelector": item.selector,
    }
    for field, value in unused.items():
        if value:
            message = "with DYNAMIC_DNS the name that is called is looked up; this is not in force."
            yield Finding("KAI0510", Severity.WARNING, item.source, f"spec.{field}", message, hint)
    for index, port in enumerate(item.services[0].ports if item.services else ()):
        if port.protocol in (Protocol.TCP, Protocol.AUTO):
            message = f"connections to port {port.number} say no name to look up; the port is not in force."
            yield Finding("KAI0510", Severity.WARNING, item.source, f"spec.ports[{index}]", message, hint)


def _addresses(item: ServiceEntry) -> Iterator[Finding]:
    ports = item.services[0].ports if item.services else ()
    for index, address in enumerate(item.written_addresses):
        if not single_address(address) and not is_subnet(address):
            message = f"{address} is not an IPv4 address or subnet; it is not in force."
            yield Finding("KAI0503", Severity.WARNING, item.source, f"spec.addresses[{index}]", message)
    for index, port in enumerate(ports if item.written_resolution != "DYNAMIC_DNS" else ()):
        told_apart = bool(item.services and item.services[0].addresses) or item.written_addresses or item.automatic
        catches_all = item.services and item.services[0].resolution is Resolution.NONE
        if port.protocol in (Protocol.TCP, Protocol.AUTO) and not told_apart and catches_all:
            message = f"nothing tells connections to port {port.number} from others: all of that port are taken for it."
            hint = "Give the entry addresses, or say HTTP or TLS if that is what is spoken."
            yield Finding("KAI0509", Severity.WARNING, item.source, f"spec.ports[{index}]", message, hint)
        elif port.protocol in (Protocol.TCP, Protocol.AUTO) and not told_apart:
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
    if not item.selector and not any(endpoints for _, endpoints in item.endpoints):
        message = "the resolution is STATIC and there are no endpoints, so every request will fail."
        yield Finding("KAI0505", Severity.WARNING, item.source, "spec.endpoints", message, "Add endpoints.")
    for index, address in enumerate(item.written_endpoints):
        if not is_address(address):
            message = f"{address!r} is not an address, which STATIC needs; the endpoint is not in force."
            path = f"spec.endpoints[{index}].address"
            yield Finding("KAI0506", Severity.WARNING, item.source, path, message, "Say DNS to look names up.")
