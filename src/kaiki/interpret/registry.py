"""The registry: what runs and what can be called, from Kubernetes' own objects.

    Pod ─────────────▶ WorkloadInstance ─┐
    EndpointSlice ───────────────────────┼─▶ endpoints of (host, port)
    Service ─▶ Service ──────────────────┘   services of a pod (by selector)

A changed pod redoes its own instance, the endpoints of the services it is in, and nothing else: the registrar follows
the three tables and remembers which slices belong to which service, and which pods they name.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from kaiki.interpret.services import Workloads, endpoints_of, full_host, pods_of, service_from
from kaiki.interpret.workload_entries import entry_endpoints
from kaiki.interpret.workloads import at_node, workload_instance
from kaiki.model.policy.peer import PeerPolicy, peer_modes
from kaiki.model.service import Endpoint, Service, ServicePort
from kaiki.model.table import Table, differences, updated
from kaiki.model.workload import ProxyKind, WorkloadInstance
from kaiki.model.workload_entry import WorkloadEntry
from kaiki.resources import core

Key = tuple[str, str, str]
Place = tuple[str, str]
"""(namespace, name)"""
Objects = Table[Key, core.Object]
_MOST_EQUAL = 100_000


@dataclass(frozen=True, slots=True, eq=False)
class Registry:
    """Services, endpoints and workloads; keys as in `MeshSnapshot`."""

    services: Table[str, Service] = field(default_factory=Table)
    endpoints: Table[tuple[str, int], tuple[Endpoint, ...]] = field(default_factory=Table)
    workloads: Table[Place, WorkloadInstance] = field(default_factory=Table)
    services_by_workload: Table[Place, tuple[Service, ...]] = field(default_factory=Table)


class Registrar:
    """Keeps a registry of the newest pods, Services and slices. What is equal to before stays the same object."""

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._pods: Objects = Table()
        self._services: Objects = Table()
        self._slices: Objects = Table()
        self._entries: tuple[WorkloadEntry, ...] = ()
        self._export_to: tuple[str, ...] = ("*",)
        self._nodes: Mapping[str, str] = {}
        self._peers: tuple[PeerPolicy, ...] = ()
        self._registry = Registry()
        self._pieces: dict[Place, dict[Key, core.Object]] = {}
        self._named_by: dict[Place, tuple[Place, ...]] = {}
        self._names: dict[Place, frozenset[Place]] = {}
        self._pods_in: dict[str, set[Place]] = defaultdict(set)
        self._services_in: dict[str, set[Key]] = defaultdict(set)
        self._equal: dict[Any, Any] = {}

    def update(
        self,
        pods: Objects,
        services: Objects,
        slices: Objects,
        entries: tuple[WorkloadEntry, ...] = (),
        export_to: tuple[str, ...] = ("*",),
        nodes: Mapping[str, str] | None = None,
        peers: tuple[PeerPolicy, ...] = (),
    ) -> Registry:
        """The registry of these objects. `entries` are endpoints of what selects them; `export_to` is where Services
        are visible that do not say it; `nodes` are the localities of nodes by name; `peers` say who
        is not to be called with mutual TLS, the oldest first."""
        try:
            return self._update(pods, services, slices, entries, export_to, nodes or {}, peers)
        except BaseException:
            # Half of a change is no ground to build the next one on.
            self._forget()
            raise

    def _update(
        self,
        pods: Objects,
        services: Objects,
        slices: Objects,
        entries: tuple[WorkloadEntry, ...],
        export_to: tuple[str, ...],
        nodes: Mapping[str, str],
        peers: tuple[PeerPolicy, ...],
    ) -> Registry:
        before = self._registry
        workloads = self._follow_pods(pods, nodes, peers)
        changed_pods = differences(before.workloads, workloads)
        wanted = services if export_to != self._export_to else differences(self._services, services)
        known, affected = self._follow_services(services, wanted, export_to)
        affected |= self._follow_slices(slices)
        for pod in changed_pods:
            affected.update(self._named_by.get(pod, ()))
        if entries != self._entries:
            moved = {id(item) for item in entries} ^ {id(item) for item in self._entries}
            spaces = {item.source.namespace for item in (*entries, *self._entries) if id(item) in moved}
            affected |= {(space, key[2]) for space in spaces for key in self._services_in.get(space, ())}
        made = Registry(
            services=known,
            endpoints=self._endpoints(affected, known, workloads, entries),
            workloads=workloads,
            services_by_workload=self._selections(services, known, workloads, changed_pods),
        )
        self._pods, self._services, self._slices = pods, services, slices
        self._entries, self._export_to, self._nodes, self._peers = entries, export_to, nodes, peers
        if not _same(before, made):
            self._registry = made
        return self._registry

    def _follow_pods(
        self, pods: Objects, nodes: Mapping[str, str], peers: tuple[PeerPolicy, ...]
    ) -> Table[Place, WorkloadInstance]:
        changes: dict[Place, WorkloadInstance | None] = {}
        same = nodes == self._nodes and peers == self._peers
        for key in differences(self._pods, pods) if same else {**self._pods, **pods}:
            place, pod = key[1:], pods.get(key)
            known = self._registry.workloads.get(place)
            made = None if pod is None or core.is_finished(pod) else self._shared(_instance(pod, nodes, peers))
            changes[place] = known if known == made else made
            (self._pods_in[place[0]].discard if made is None else self._pods_in[place[0]].add)(place)
        if len(self._equal) > _MOST_EQUAL + len(pods):
            self._equal.clear()
        return updated(self._registry.workloads, changes)

    def _shared(self, made: WorkloadInstance) -> WorkloadInstance:
        """Pods of one workload have the same labels and identity: a hundred thousand of them hold these once."""
        known = self._equal.setdefault
        for name in ("labels", "identity", "metric_labels", "peer_modes"):
            value = getattr(made, name)
            object.__setattr__(made, name, known(value, value))
        return made

    def _follow_services(
        self, services: Objects, keys: Iterable[Key], export_to: tuple[str, ...]
    ) -> tuple[Table[str, Service], set[Place]]:
        """All services, and the places of those that were looked at again."""
        changes: dict[str, Service | None] = {}
        touched: set[Place] = set()
        for key in keys:
            host, obj = full_host(key[2], key[1]), services.get(key)
            known = self._registry.services.get(host)
            made = service_from(obj, export_to) if obj is not None else None
            changes[host] = known if known == made else made
            (self._services_in[key[1]].discard if made is None else self._services_in[key[1]].add)(key)
            touched.add((key[1], key[2]))
        return updated(self._registry.services, changes), touched

    def _follow_slices(self, slices: Objects) -> set[Place]:
        """The places of services whose slices changed."""
        touched: set[Place] = set()
        for key in differences(self._slices, slices):
            for piece in (self._slices.get(key), slices.get(key)):
                if piece is not None and (owner := core.labels(piece).get(core.SERVICE_NAME_LABEL)):
                    place = core.namespace(piece), owner
                    pieces = self._pieces.setdefault(place, {})
                    pieces.pop(key, None)
                    if piece is slices.get(key):
                        pieces[key] = piece
                    elif not pieces:
                        del self._pieces[place]
                    touched.add(place)
        return touched

    def _endpoints(
        self,
        places: Iterable[Place],
        known: Mapping[str, Service],
        workloads: Workloads,
        entries: tuple[WorkloadEntry, ...],
    ) -> Table[tuple[str, int], tuple[Endpoint, ...]]:
        table = self._registry.endpoints
        changes: dict[tuple[str, int], tuple[Endpoint, ...] | None] = {}
        for place in places:
            host = full_host(place[1], place[0])
            old, service = self._registry.services.get(host), known.get(host)
            changes |= dict.fromkeys((host, port.number) for port in (old.ports if old else ()))
            pieces = tuple(self._pieces.get(place, {})[key] for key in sorted(self._pieces.get(place, ())))
            pods = pods_of(pieces, workloads)
            self._note_names(place, pieces)
            selected = _selected(service, entries) if service else ()
            for port in service.ports if service else ():
                made = endpoints_of(port.name, pieces, pods)
                if selected:
                    made = _with_workload_entries(made, selected, port)
                before = table.get((host, port.number))
                changes[host, port.number] = before if before == made else made
        return updated(table, changes)

    def _note_names(self, place: Place, pieces: Iterable[core.Object]) -> None:
        """Remember which pods, there already or not, the slices of a service name."""
        named = frozenset(_named_pods(pieces))
        before = self._names.get(place, frozenset())
        for pod in before - named:
            if others := tuple(one for one in self._named_by[pod] if one != place):
                self._named_by[pod] = others
            else:
                del self._named_by[pod]
        alone = (place,)
        for pod in named - before:
            self._named_by[pod] = (*others, place) if (others := self._named_by.get(pod, ())) else alone
        self._names[place] = named
        if not named:
            del self._names[place]

    def _selections(
        self,
        objects: Objects,
        known: Mapping[str, Service],
        workloads: Workloads,
        changed_pods: Collection[Place],
    ) -> Table[Place, tuple[Service, ...]]:
        """The services that select each pod, the oldest first."""
        moved = {_namespace_of(host) for host in differences(self._registry.services, known)}
        affected = {*changed_pods, *(pod for space in moved for pod in self._pods_in.get(space, ()))}
        candidates: dict[str, list[Service]] = {}
        equal: dict[tuple[int, ...], tuple[Service, ...]] = {}
        changes: dict[Place, tuple[Service, ...] | None] = {}
        before = self._registry.services_by_workload
        for place in affected:
            workload, space = workloads.get(place), place[0]
            if workload is None:
                changes[place] = None
                continue
            if space not in candidates:
                candidates[space] = self._oldest_first(space, objects, known)
            made = tuple(service for service in candidates[space] if workload.matches(service.selector))
            # The many pods of one service hold one tuple.
            made = equal.setdefault(tuple(map(id, made)), made)
            changes[place] = before[place] if place in before and before[place] == made else made
        return updated(before, changes)

    def _oldest_first(self, space: str, objects: Objects, known: Mapping[str, Service]) -> list[Service]:
        keys = sorted(self._services_in.get(space, ()), key=lambda key: (core.created(objects[key]), key))
        return [known[full_host(key[2], key[1])] for key in keys]


def _instance(pod: core.Object, nodes: Mapping[str, str], peers: tuple[PeerPolicy, ...]) -> WorkloadInstance:
    """A pod, which is where its node is unless it says otherwise, and takes what its policies say."""
    made = workload_instance(pod)
    if peers and made.proxy is ProxyKind.SIDECAR:
        made = replace(made, peer_modes=peer_modes(peers, made.namespace, made.labels))
    return made if made.locality or made.node not in nodes else at_node(made, nodes[made.node])


def _same(one: Registry, other: Registry) -> bool:
    return (
        one.services is other.services
        and one.endpoints is other.endpoints
        and one.workloads is other.workloads
        and one.services_by_workload is other.services_by_workload
    )


def _namespace_of(host: str) -> str:
    return host.split(".", 2)[1]


def _named_pods(pieces: Iterable[core.Object]) -> Iterable[Place]:
    for piece in pieces:
        for item in piece.get("endpoints") or ():
            target = item.get("targetRef") or {}
            yield target.get("namespace") or core.namespace(piece), target.get("name") or ""


def _selected(service: Service, entries: tuple[WorkloadEntry, ...]) -> tuple[WorkloadEntry, ...]:
    return tuple(
        item for item in entries if item.source.namespace == service.namespace and item.matches(service.selector)
    )


def _with_workload_entries(
    endpoints: tuple[Endpoint, ...], entries: tuple[WorkloadEntry, ...], port: ServicePort
) -> tuple[Endpoint, ...]:
    number = port.target_port if isinstance(port.target_port, int) and port.target_port else port.number
    return endpoints + entry_endpoints(entries, port.name, number)
