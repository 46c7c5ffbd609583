"""The registry: what runs and what can be called, from Kubernetes' own objects.

    Pod ─────────────▶ WorkloadInstance ─┐
    EndpointSlice ───────────────────────┼─▶ endpoints of (host, port)
    Service ─▶ Service ──────────────────┘   services of a pod (by selector)

Every arrow is a function of one key, run through the memo layer: a changed pod redoes its own instance, the endpoints
of the services it is in, and nothing else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kaiki.interpret.services import Workloads, endpoints_of, pods_of, service_from
from kaiki.interpret.workload_entries import entry_endpoints
from kaiki.interpret.workloads import at_node, workload_instance
from kaiki.model.memo import Memo
from kaiki.model.service import Endpoint, Service, ServicePort
from kaiki.model.workload import WorkloadInstance
from kaiki.model.workload_entry import WorkloadEntry
from kaiki.resources import core


@dataclass(frozen=True, slots=True, eq=False)
class Registry:
    """Services, endpoints and workloads; keys as in `MeshSnapshot`."""

    services: Mapping[str, Service]
    endpoints: Mapping[tuple[str, int], tuple[Endpoint, ...]]
    workloads: Workloads
    services_by_workload: Mapping[tuple[str, str], tuple[Service, ...]]


def registry(
    pods: Iterable[core.Object],
    services: Iterable[core.Object],
    slices: Iterable[core.Object],
    memo: Memo,
    entries: tuple[WorkloadEntry, ...] = (),
    export_to: tuple[str, ...] = ("*",),
    nodes: Mapping[str, str] | None = None,
) -> Registry:
    """Build the registry. The order of the inputs does not matter; `entries` are endpoints of what selects them.

    `export_to` is where Services are visible that do not say it; `nodes` are the localities of nodes by name.
    """
    workloads = _workloads(pods, nodes or {}, memo)
    oldest_first = sorted(services, key=lambda obj: (core.created(obj), core.namespace(obj), core.name(obj)))
    made = [memo.get(service_from, obj, export_to) for obj in oldest_first]
    known = [memo.keep(("service", item.hostname), item) for item in made if item is not None]
    return Registry(
        services={item.hostname: item for item in sorted(known, key=lambda item: item.hostname)},
        endpoints=_endpoints(known, _slices_by_service(slices), workloads, memo, entries),
        workloads=workloads,
        services_by_workload=_services_by_workload(known, workloads, memo),
    )


def _workloads(
    pods: Iterable[core.Object], nodes: Mapping[str, str], memo: Memo
) -> dict[tuple[str, str], WorkloadInstance]:
    made = (memo.get(workload_instance, pod) for pod in pods if not core.is_finished(pod))
    if nodes:
        made = (
            item if item.locality or item.node not in nodes else memo.get(at_node, item, nodes[item.node])
            for item in made
        )
    kept = {item.key: memo.keep(("pod", item.key), item) for item in made}
    return {key: kept[key] for key in sorted(kept)}


def _slices_by_service(slices: Iterable[core.Object]) -> dict[tuple[str, str], list[core.Object]]:
    found: dict[tuple[str, str], list[core.Object]] = defaultdict(list)
    for piece in slices:
        owner = core.labels(piece).get(core.SERVICE_NAME_LABEL)
        if owner:
            found[core.namespace(piece), owner].append(piece)
    return found


def _endpoints(
    services: Iterable[Service],
    slices: Mapping[tuple[str, str], list[core.Object]],
    workloads: Workloads,
    memo: Memo,
    entries: tuple[WorkloadEntry, ...],
) -> dict[tuple[str, int], tuple[Endpoint, ...]]:
    found = {}
    for service in services:
        pieces = tuple(sorted(slices.get(service.key, ()), key=core.name))
        pods = pods_of(pieces, workloads)
        for port in service.ports:
            key = service.hostname, port.number
            endpoints = memo.get(endpoints_of, port.name, pieces, pods)
            if selected := _selected(service, entries):
                endpoints = memo.get(_with_workload_entries, endpoints, selected, port)
            found[key] = memo.keep(("endpoints", key), endpoints)
    return {key: found[key] for key in sorted(found)}


def _selected(service: Service, entries: tuple[WorkloadEntry, ...]) -> tuple[WorkloadEntry, ...]:
    return tuple(
        item for item in entries if item.source.namespace == service.namespace and item.matches(service.selector)
    )


def _with_workload_entries(
    endpoints: tuple[Endpoint, ...], entries: tuple[WorkloadEntry, ...], port: ServicePort
) -> tuple[Endpoint, ...]:
    number = port.target_port if isinstance(port.target_port, int) and port.target_port else port.number
    return endpoints + entry_endpoints(entries, port.name, number)


def _services_by_workload(
    services: Iterable[Service], workloads: Workloads, memo: Memo
) -> dict[tuple[str, str], tuple[Service, ...]]:
    by_namespace: dict[str, list[Service]] = defaultdict(list)
    for service in services:
        by_namespace[service.namespace].append(service)
    # One object per namespace, so that the many pods of a namespace are not each keyed by all its services.
    candidates = {namespace: memo.get(_Candidates, tuple(items)) for namespace, items in by_namespace.items()}
    none = memo.get(_Candidates, ())
    return {
        key: memo.get(_selecting, candidates.get(workload.namespace, none), workload)
        for key, workload in workloads.items()
    }


@dataclass(frozen=True, slots=True, eq=False)
class _Candidates:
    services: tuple[Service, ...]


def _selecting(candidates: _Candidates, workload: WorkloadInstance) -> tuple[Service, ...]:
    return tuple(service for service in candidates.services if workload.matches(service.selector))
