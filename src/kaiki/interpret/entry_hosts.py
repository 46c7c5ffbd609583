"""All that can be called: the hosts of ServiceEntries added to those Kubernetes knows.

ServiceEntries of one host and namespace add up: ports, addresses, endpoints; the oldest decides the rest
workloadSelector ──▶ pods and WorkloadEntries of the same namespace become endpoints
a host without an address ──▶ an automatic one
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from kaiki.interpret.automatic_addresses import automatic_addresses
from kaiki.interpret.registry import Registry
from kaiki.interpret.services import full_host
from kaiki.interpret.workload_entries import entry_endpoints
from kaiki.model.finding import ObjectRef
from kaiki.model.memo import Memo
from kaiki.model.service import Endpoint, Resolution, Service, ServiceEntry, ServicePort
from kaiki.model.table import Overlay
from kaiki.model.workload import WorkloadInstance
from kaiki.model.workload_entry import WorkloadEntry

WorkloadEntries = tuple[WorkloadEntry, ...]
_WITHOUT_ENDPOINTS = (Resolution.NONE, Resolution.DYNAMIC_DNS)


@dataclass(frozen=True, slots=True, eq=False)
class KnownHosts:
    """All that can be called, and the ServiceEntries of what Kubernetes does not know; keys as in `MeshSnapshot`."""

    services: Mapping[str, Service]
    endpoints: Mapping[tuple[str, int], tuple[Endpoint, ...]]
    sources: Mapping[str, ObjectRef]
    all_sources: Mapping[str, tuple[ObjectRef, ...]]


def known_hosts(
    made: Registry, entries: tuple[ServiceEntry, ...], workloads: WorkloadEntries, memo: Memo
) -> KnownHosts:
    """Add the hosts of ServiceEntries, the oldest first. A host of another namespace stays what it is."""
    memo.enter(object())
    groups = _groups(made, entries)
    if not groups:
        return KnownHosts(made.services, made.endpoints, {}, {})
    automatic = memo.get(automatic_addresses, entries)
    services: dict[str, Service] = {}
    endpoints: dict[tuple[str, int], tuple[Endpoint, ...]] = {}
    chosen = {entry.source: _chosen(entry, made, workloads) for entry in entries if entry.selector}
    for host, group in groups.items():
        members = tuple(service for _, service in group)
        services[host] = service = memo.get(_merged, members, automatic.get(host, ""))
        for port in service.ports:
            parts = tuple(_endpoints(entry, host, port, chosen, memo) for entry, _ in group)
            key = host, port.number
            endpoints[key] = memo.keep(("endpoints", key), parts[0] if len(parts) == 1 else memo.get(_joined, parts))
    return KnownHosts(
        services=memo.depends("hosts", Overlay[str, Service]).of(made.services, services),
        endpoints=memo.depends("their endpoints", Overlay[tuple[str, int], tuple[Endpoint, ...]]).of(
            made.endpoints, endpoints
        ),
        sources={host: group[0][0].source for host, group in groups.items()},
        all_sources={host: tuple(entry.source for entry, _ in group) for host, group in groups.items()},
    )


def with_aliases(known: KnownHosts, aliases: Aliases, routed: tuple[str, ...], memo: Memo) -> KnownHosts:
    """Let services be called by the ExternalNames that lead to them, but for those that are `routed` themselves."""
    renamed: dict[str, Service] = {}
    for host in sorted(aliases.keys() & known.services.keys()):
        names = tuple(alias for alias in aliases[host] if full_host(*alias) not in routed)
        if names:
            renamed[host] = memo.get(_renamed, known.services[host], names)
    services = memo.depends("called by others", Overlay[str, Service]).of(known.services, renamed)
    return replace(known, services=services)


def _renamed(service: Service, aliases: tuple[tuple[str, str], ...]) -> Service:
    return replace(service, aliases=aliases)


Aliases = Mapping[str, tuple[tuple[str, str], ...]]
"""Host → (name, namespace) of the ExternalName Services that lead to it."""


def is_usable(service: Service, has_endpoints: bool) -> bool:
    """Whether a host of a ServiceEntry can be reached at all: what a wildcard stands for cannot be looked up
    before it is called."""
    if not service.hostname.startswith("*") or service.resolution in _WITHOUT_ENDPOINTS:
        return True
    return has_endpoints and service.resolution is not Resolution.DNS_ROUND_ROBIN


def _groups(made: Registry, entries: Iterable[ServiceEntry]) -> dict[str, list[tuple[ServiceEntry, Service]]]:
    found: dict[str, list[tuple[ServiceEntry, Service]]] = {}
    for entry in entries:
        for service in entry.services:
            usable = is_usable(service, bool(entry.written_endpoints or entry.selector))
            known = made.services.get(service.hostname)
            if not usable or (known is not None and not _is_hidden_from(known, service)):
                continue
            group = found.setdefault(service.hostname, [])
            if not group or group[0][1].namespace == service.namespace:
                group.append((entry, service))
    return found


def _is_hidden_from(known: Service, service: Service) -> bool:
    """Whether a Service of Kubernetes keeps to its own namespace, so that an entry of another may have its name."""
    return known.export_to == (known.namespace,) and service.namespace != known.namespace


def _merged(members: tuple[Service, ...], automatic: str) -> Service:
    first = members[0]
    addresses = tuple(dict.fromkeys(address for item in members for address in item.addresses))
    given = (automatic,) if automatic and not addresses else ()
    if len(members) == 1:
        return replace(first, automatic_addresses=given) if given else first
    ports: dict[int, ServicePort] = {}
    for item in members:
        for port in item.ports:
            ports.setdefault(port.number, port)
    names = (name for item in members for name in item.subject_alternative_names)
    return replace(
        first,
        addresses=addresses,
        automatic_addresses=given,
        subnets=tuple(dict.fromkeys(subnet for item in members for subnet in item.subnets)),
        ports=tuple(ports.values()),
        subject_alternative_names=tuple(dict.fromkeys(names)),
    )


def _joined(parts: tuple[tuple[Endpoint, ...], ...]) -> tuple[Endpoint, ...]:
    found = {(item.address, item.port): item for part in reversed(parts) for item in part}
    return tuple(found[key] for key in sorted(found))


Chosen = tuple[tuple[WorkloadInstance, ...], WorkloadEntries]


def _chosen(entry: ServiceEntry, made: Registry, workloads: WorkloadEntries) -> Chosen:
    """The pods and WorkloadEntries of its namespace that a ServiceEntry selects."""
    space = entry.source.namespace
    pods = (pod for pod in made.workloads.values() if pod.namespace == space and pod.matches(entry.selector))
    others = (item for item in workloads if item.source.namespace == space and item.matches(entry.selector))
    return tuple(pod for pod in pods if pod.address), tuple(others)


def _endpoints(
    entry: ServiceEntry, host: str, port: ServicePort, chosen: Mapping[ObjectRef, Chosen], memo: Memo
) -> tuple[Endpoint, ...]:
    selected = chosen.get(entry.source)
    if selected is None:
        return next((found for key, found in entry.endpoints if key == (host, port.number)), ())
    if entry.services[0].resolution in _WITHOUT_ENDPOINTS:
        return ()
    number = port.target_port if isinstance(port.target_port, int) and port.target_port else port.number
    names_too = entry.services[0].resolution.is_dns
    pods = memo.get(_pod_endpoints, selected[0], number)
    return memo.get(_joined, (pods, memo.get(entry_endpoints, selected[1], port.name, number, names_too)))


def _pod_endpoints(pods: tuple[WorkloadInstance, ...], number: int) -> tuple[Endpoint, ...]:
    return tuple(
        Endpoint(
            address=pod.address,
            port=number,
            healthy=pod.ready,
            mtls=pod.takes_mutual_tls(number),
            identity=pod.identity,
            metric_labels=pod.metric_labels,
            subset_labels=pod.labels,
            pod=pod.name,
            locality=pod.locality,
            node=pod.node,
        )
        for pod in pods
    )


def reached_by(
    made: Registry, known: KnownHosts, entries: tuple[ServiceEntry, ...], workloads: WorkloadEntries, memo: Memo
) -> Mapping[tuple[str, str], tuple[Service, ...]]:
    """The services that lead to each pod: by its labels, by a ServiceEntry, or by a WorkloadEntry of its address."""
    selecting = [entry for entry in entries if entry.selector]
    if not selecting and not workloads:
        return made.services_by_workload
    more: dict[tuple[str, str], list[Service]] = {}
    pods = {(pod.namespace, pod.address): pod for pod in made.workloads.values() if pod.address}
    aliases = [(item, pods.get((item.source.namespace, item.address))) for item in workloads]
    for item, pod in aliases:
        if pod is not None:
            more.setdefault(pod.key, []).extend(_of_kubernetes(made, item))
    for entry in selecting:
        chosen = [pod.key for pod in _chosen(entry, made, ())[0]]
        chosen += [pod.key for item, pod in aliases if pod and _is_chosen(entry, item)]
        for key in chosen:
            hosts = (service.hostname for service in entry.services)
            more.setdefault(key, []).extend(known.services[host] for host in hosts if host in known.services)
    found = dict(made.services_by_workload)
    for key, services in more.items():
        every = tuple({service.hostname: service for service in (*found.get(key, ()), *services)}.values())
        found[key] = memo.keep(("services of", key), every)
    return found


def _of_kubernetes(made: Registry, item: WorkloadEntry) -> list[Service]:
    services = made.services.values()
    return [one for one in services if one.namespace == item.source.namespace and item.matches(one.selector)]


def _is_chosen(entry: ServiceEntry, item: WorkloadEntry) -> bool:
    return item.source.namespace == entry.source.namespace and item.matches(entry.selector)
