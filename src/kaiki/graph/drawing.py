"""Which nodes a graph has, and which of them each flow passes; a coarser zoom where there would be too many."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec
import numpy as np

from kaiki.graph.labels import SINK_SERVICES
from kaiki.graph.model import GraphOptions, GraphType, Node, NodeType
from kaiki.graph.naming import Naming
from kaiki.graph.numbers import BoolArray, IntArray, numbered
from kaiki.graph.records import Flows, ServiceName, Side, collect_flows
from kaiki.graph.registry import Registry, RegistryPod, RegistryWorkload
from kaiki.graph.series import TrafficSeries

_COARSER = (GraphType.APP, GraphType.NAMESPACE)
_COARSEST = (GraphType.NAMESPACE, GraphType.CLUSTER)
_WITHOUT_SERVICES = (GraphType.SERVICE, *_COARSEST)


def draw(series: TrafficSeries, registry: Registry, options: GraphOptions, most: int) -> Drawing:
    """The nodes and hops of these options; with more than `most` nodes (0: any number), those of a coarser type."""
    flows = collect_flows(series, options.idle_edges, options.by_pod)
    for graph_type in (options.graph_type, *((GraphType.WORKLOAD,) if options.by_pod else ()), *_COARSER):
        if options.by_pod and graph_type is not GraphType.POD:
            flows = collect_flows(series, options.idle_edges)
        options = msgspec.structs.replace(options, graph_type=graph_type)
        drawing = Drawing(flows, registry, options)
        # Told from the names alone: adding up what is too many to be shown would be most of the work.
        if not most or graph_type in _COARSEST or drawing.count_nodes(most) <= most:
            break
    return drawing


class Drawing:
    """Which nodes each flow passes, named as they are asked for.

    What a pod calls is told by its own proxy, and so is who comes to a pod; which pod came to which, nobody tells. A
    workload with several pods is therefore drawn between its callers and its pods.
    """

    def __init__(self, flows: Flows, registry: Registry, options: GraphOptions) -> None:
        self.flows, self.registry, self.options = flows, registry, options
        in_scope = _in_scope(flows, options.namespaces)
        self._chosen = np.flatnonzero(in_scope & ~flows.arrival)
        arrivals = np.flatnonzero(in_scope & flows.arrival)
        only_pods = _only_pods(flows, arrivals, registry) if options.by_pod else {}
        self.naming = Naming(options.graph_type, registry, _observe_services(flows, self._chosen, options), only_pods)
        self._arrivals = _at_one_of_several(flows, arrivals, only_pods) if options.by_pod else arrivals
        self._places: dict[str, int] = {}
        self.named: list[Node] = []
        # Ends are named once, however many flows they have.
        self._source_of, self._sources = numbered(flows.source[self._chosen])
        self._target_of, self._targets = numbered(flows.destination[self._chosen], flows.service[self._chosen])
        self._pod_of, self._pods = numbered(flows.destination[self._arrivals])

    def _destination(self, flow: int) -> Side:
        return self.flows.sides[int(self.flows.destination[flow])]

    def count_nodes(self, most: int) -> int:
        """How many nodes there are; at least `most` + 1 when there are more than `most`."""
        shown = set()
        for node in self._all_nodes():
            shown.add(node.id)
            if len(shown) > most:
                break
        return len(shown)

    def _all_nodes(self) -> Iterator[Node]:
        for flow in self._chosen[self._sources].tolist():
            yield self._source(flow)
        for flow in self._chosen[self._targets].tolist():
            yield self._target(flow)
            if (service := self._between(flow)) is not None:
                yield service
        for flow in self._arrivals[self._pods].tolist():
            yield self.naming.workload(self._destination(flow))
        yield from self._idle_nodes()

    def _source(self, flow: int) -> Node:
        return self.naming.source(self.flows.sides[self.flows.source[flow]])

    def _target(self, flow: int) -> Node:
        return self.naming.destination(self._destination(flow), self.flows.services[self.flows.service[flow]])

    def _between(self, flow: int) -> Node | None:
        """The service between both ends, where services are asked for."""
        if not self.options.services or self.options.graph_type in _WITHOUT_SERVICES:
            return None
        side, service = self._destination(flow), self.flows.services[self.flows.service[flow]]
        known = side.workload and service.name and service.name not in SINK_SERVICES
        return self.naming.service(service) if known else None

    def _idle_nodes(self) -> Iterator[Node]:
        """What exists but may have had no traffic, where that is asked for, as far as the graph type shows it."""
        options, registry = self.options, self.registry
        if not options.idle:
            return
        nodes = [node for workload in registry.workloads for node in self._nodes_of(workload)]
        if options.graph_type is GraphType.SERVICE or (
            options.services and options.graph_type not in _WITHOUT_SERVICES
        ):
            nodes += [self.naming.service(ServiceName(one.namespace, one.name)) for one in registry.services]
        yield from (node for node in nodes if not options.namespaces or node.namespace in options.namespaces)

    def _nodes_of(self, workload: RegistryWorkload) -> list[Node]:
        side = _registry_side(workload)
        pods = [self.naming.workload(side._replace(pod=pod.name)) for pod in self._pods_of(workload)]
        return pods or [self.naming.workload(side)]

    def _pods_of(self, workload: RegistryWorkload) -> tuple[RegistryPod, ...]:
        """Those that have a node of their own."""
        if not self.options.by_pod:
            return ()
        return self.registry.pods_of_workload.get((workload.namespace, workload.name), ())

    def _place(self, node: Node | None) -> int:
        if node is None:
            return -1
        found = self._places.setdefault(node.id, len(self.named))
        if found == len(self.named):
            self.named.append(node)
        return found

    def hops(self) -> tuple[IntArray, IntArray, IntArray]:
        """Flow, source and target of every step on the way of a flow: one, or two with a service between its ends;
        and of every arrival, from the workload to its pod.
        """
        sources, targets = self._chosen[self._sources].tolist(), self._chosen[self._targets].tolist()
        source = _numbers(self._place(self._source(flow)) for flow in sources)[self._source_of]
        target = _numbers(self._place(self._target(flow)) for flow in targets)[self._target_of]
        between = _numbers(self._place(self._between(flow)) for flow in targets)[self._target_of]
        sides = [self._destination(flow) for flow in self._arrivals[self._pods].tolist()]
        whole = _numbers(self._place(self.naming.workload(side._replace(pod=""))) for side in sides)[self._pod_of]
        pod = _numbers(self._place(self.naming.workload(side)) for side in sides)[self._pod_of]
        for node in self._idle_nodes():
            self._place(node)
        two = between >= 0
        return (
            np.concatenate([self._chosen, self._chosen[two], self._arrivals]),
            np.concatenate([source, between[two], whole]),
            np.concatenate([np.where(two, between, target), target[two], pod]),
        )

    def members(self) -> dict[str, tuple[RegistryWorkload, ...]]:
        """The registry's workloads behind each node; a pod is a workload of one replica."""
        naming, registry = self.naming, self.registry
        found: dict[str, list[RegistryWorkload]] = {}
        for workload in sorted(registry.workloads, key=lambda item: (item.namespace, item.name)):
            side, pods = _registry_side(workload), self._pods_of(workload)
            own = naming.workload(side)
            if own.type is not NodeType.POD or not pods:
                found.setdefault(own.id, []).append(workload)
            for pod in pods:
                found[naming.workload(side._replace(pod=pod.name)).id] = [_as_workload(pod, workload)]
        for node in self.named:
            if node.type is NodeType.SERVICE:
                found[node.id] = list(registry.workloads_of_service.get((node.namespace, node.service), ()))
        return {node_id: tuple(workloads) for node_id, workloads in found.items()}


def _numbers(found: Iterator[int]) -> IntArray:
    return np.fromiter(found, np.int64)


def _as_workload(pod: RegistryPod, workload: RegistryWorkload) -> RegistryWorkload:
    available = int(pod.ready)
    return msgspec.structs.replace(workload, desired_replicas=1, available_replicas=available, sidecar=pod.sidecar)


def _registry_side(workload: RegistryWorkload) -> Side:
    return Side(workload.namespace, workload.name, workload.app, workload.version)


def _in_scope(flows: Flows, namespaces: frozenset[str]) -> BoolArray:
    if not namespaces:
        return np.ones(len(flows), np.bool_)
    sides = np.array([side.namespace in namespaces for side in flows.sides], np.bool_)
    services = np.array([service.namespace in namespaces for service in flows.services], np.bool_)
    chosen: BoolArray = sides[flows.source] | sides[flows.destination] | services[flows.service]
    return chosen


def _only_pods(flows: Flows, arrivals: IntArray, registry: Registry) -> dict[tuple[str, str], str]:
    """The pod of each workload that has one: of those that are there, and those that were during the window."""
    found: dict[tuple[str, str], set[str]] = {}
    for place, pods in registry.pods_of_workload.items():
        found[place] = {pod.name for pod in pods}
    for flow in arrivals[numbered(flows.destination[arrivals])[1]].tolist():
        side = flows.sides[flows.destination[flow]]
        if side.pod:
            found.setdefault((side.namespace, side.workload), set()).add(side.pod)
    return {place: next(iter(pods)) for place, pods in found.items() if len(pods) == 1}


def _at_one_of_several(flows: Flows, arrivals: IntArray, only_pods: Mapping[tuple[str, str], str]) -> IntArray:
    """The arrivals that tell which pod it was. Of an only pod, its workload's callers tell everything."""
    telling = [side.pod != "" and (side.namespace, side.workload) not in only_pods for side in flows.sides]
    return arrivals[np.array(telling, np.bool_)[flows.destination[arrivals]]]


def _observe_services(flows: Flows, chosen: IntArray, options: GraphOptions) -> dict[tuple[str, str], ServiceName]:
    """The service each workload was called by, the first by name when there were several; for a graph of services."""
    observed: dict[tuple[str, str], ServiceName] = {}
    if options.graph_type is not GraphType.SERVICE:
        return observed
    _, first = numbered(flows.service[chosen], flows.destination[chosen])
    for flow in chosen[first].tolist():
        side, service = flows.sides[flows.destination[flow]], flows.services[flows.service[flow]]
        if side.workload and service.name and service.name not in SINK_SERVICES:
            observed.setdefault((side.namespace, side.workload), service)
    return observed
