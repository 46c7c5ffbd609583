"""From flows to the graph: name the nodes, add up the edges, judge, decorate.

flows ─Naming─▶ hops (flow, source node, target node) ─Totals─▶ edges, and both directions of nodes
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec
import numpy as np

from kaiki.graph.enrich import DECORATIONS
from kaiki.graph.health import (
    Examination,
    check_replicas,
    check_traffic,
    conclude,
    judge_traffic,
    judge_workload,
)
from kaiki.graph.labels import SINK_SERVICES
from kaiki.graph.model import Edge, GraphOptions, GraphType, Health, Node, NodeTraffic, NodeType, Traffic, TrafficGraph
from kaiki.graph.naming import Naming
from kaiki.graph.numbers import BoolArray, IntArray, numbered
from kaiki.graph.records import Flows, ServiceName, Side, collect_flows
from kaiki.graph.registry import Registry, RegistryWorkload
from kaiki.graph.series import TrafficSeries
from kaiki.graph.tolerances import Tolerance
from kaiki.graph.traffic import Outcome, Totals

Members = Mapping[str, tuple[RegistryWorkload, ...]]
_COARSER = (GraphType.APP, GraphType.NAMESPACE)


def build_graph(series: TrafficSeries, registry: Registry, options: GraphOptions, most: int = 0) -> TrafficGraph:
    """The traffic graph of one window. The same input, in any order, gives the same output.

    With more than `most` nodes (0: any number), a coarser type is built instead: by app, else by namespace.
    """
    sketch = _draw_all(series, registry, options, most)
    graph = TrafficGraph(
        timestamp=options.timestamp,
        duration_seconds=options.duration_seconds,
        graph_type=sketch.graph_type,
        nodes=sketch.nodes(),
        edges=sketch.edges(),
    )
    for decorate in DECORATIONS:
        graph = decorate(graph, registry, sketch.members)
    return graph


def examine(series: TrafficSeries, registry: Registry, options: GraphOptions, wanted: str) -> Examination | None:
    """Every check behind the health of one node or edge, by its id; None when the graph of these options has none."""
    sketch = _draw_all(series, registry, options, 0)
    node = next((place for place, node in enumerate(sketch.named) if node.id == wanted), None)
    if node is not None:
        return sketch.examine_node(node)
    edge = next((place for place in range(len(sketch.edge_ids)) if sketch.edge_ids[place] == wanted), None)
    return None if edge is None else sketch.examine_edge(edge)


def _draw_all(series: TrafficSeries, registry: Registry, options: GraphOptions, most: int) -> _Sketch:
    flows = collect_flows(series, options.idle_edges)
    chosen = np.flatnonzero(_in_scope(flows, options.namespaces))
    for graph_type in (options.graph_type, *_COARSER):
        options = msgspec.structs.replace(options, graph_type=graph_type)
        naming = Naming(graph_type, registry, _observe_services(flows, chosen, graph_type))
        drawing = _Drawing(flows, chosen, naming, registry, options)
        # Told from the names alone: adding up what is too many to be shown would be most of the work.
        if not most or graph_type is _COARSER[-1] or drawing.count_nodes(most) <= most:
            break
    return _Sketch(drawing)


def _in_scope(flows: Flows, namespaces: frozenset[str]) -> BoolArray:
    if not namespaces:
        return np.ones(len(flows), np.bool_)
    sides = np.array([side.namespace in namespaces for side in flows.sides], np.bool_)
    services = np.array([service.namespace in namespaces for service in flows.services], np.bool_)
    chosen: BoolArray = sides[flows.source] | sides[flows.destination] | services[flows.service]
    return chosen


def _observe_services(flows: Flows, chosen: IntArray, graph_type: GraphType) -> dict[tuple[str, str], ServiceName]:
    """The service each workload was called by, the first by name when there were several; for a graph of services."""
    observed: dict[tuple[str, str], ServiceName] = {}
    if graph_type is not GraphType.SERVICE:
        return observed
    _, first = numbered(flows.service[chosen], flows.destination[chosen])
    for flow in chosen[first].tolist():
        side, service = flows.sides[flows.destination[flow]], flows.services[flows.service[flow]]
        if side.workload and service.name and service.name not in SINK_SERVICES:
            observed.setdefault((side.namespace, side.workload), service)
    return observed


class _Drawing:
    """Which nodes each flow passes, named as they are asked for."""

    def __init__(
        self, flows: Flows, chosen: IntArray, naming: Naming, registry: Registry, options: GraphOptions
    ) -> None:
        self.flows, self.chosen, self.naming = flows, chosen, naming
        self.registry, self.options = registry, options
        self.places: dict[str, int] = {}
        self.named: list[Node] = []
        # Ends are named once, however many flows they have.
        self._source_of, self._sources = numbered(flows.source[chosen])
        self._target_of, self._targets = numbered(flows.destination[chosen], flows.service[chosen])

    def count_nodes(self, most: int) -> int:
        """How many nodes there are; at least `most` + 1 when there are more than `most`."""
        shown = set()
        for node in self._all_nodes():
            shown.add(node.id)
            if len(shown) > most:
                break
        return len(shown)

    def _all_nodes(self) -> Iterator[Node]:
        for flow in self.chosen[self._sources].tolist():
            yield self._source(flow)
        for flow in self.chosen[self._targets].tolist():
            yield self._target(flow)
            if (service := self._between(flow)) is not None:
                yield service
        yield from _idle_nodes(self.naming, self.registry, self.options)

    def _source(self, flow: int) -> Node:
        return self.naming.source(self.flows.sides[self.flows.source[flow]])

    def _target(self, flow: int) -> Node:
        flows = self.flows
        return self.naming.destination(flows.sides[flows.destination[flow]], flows.services[flows.service[flow]])

    def _between(self, flow: int) -> Node | None:
        """The service between both ends, where services are asked for."""
        options, flows = self.options, self.flows
        if not options.services or options.graph_type in (GraphType.SERVICE, GraphType.NAMESPACE):
            return None
        side, service = flows.sides[flows.destination[flow]], flows.services[flows.service[flow]]
        known = side.workload and service.name and service.name not in SINK_SERVICES
        return self.naming.service(service) if known else None

    def _place(self, node: Node | None) -> int:
        if node is None:
            return -1
        found = self.places.setdefault(node.id, len(self.named))
        if found == len(self.named):
            self.named.append(node)
        return found

    def hops(self) -> tuple[IntArray, IntArray, IntArray]:
        """Flow, source and target of every step on the way of a flow: one, or two with a service between its ends."""
        sources, targets = self.chosen[self._sources].tolist(), self.chosen[self._targets].tolist()
        source = _numbers(self._place(self._source(flow)) for flow in sources)[self._source_of]
        target = _numbers(self._place(self._target(flow)) for flow in targets)[self._target_of]
        between = _numbers(self._place(self._between(flow)) for flow in targets)[self._target_of]
        for node in _idle_nodes(self.naming, self.registry, self.options):
            self._place(node)
        two = between >= 0
        return (
            np.concatenate([self.chosen, self.chosen[two]]),
            np.concatenate([source, between[two]]),
            np.concatenate([np.where(two, between, target), target[two]]),
        )


def _numbers(found: Iterator[int]) -> IntArray:
    return np.fromiter(found, np.int64)


class _Sketch:
    """The sums of a graph. Nodes are sorted by id, edges by source, target and protocol."""

    def __init__(self, drawing: _Drawing) -> None:
        self._registry, self._seconds = drawing.registry, drawing.options.duration_seconds
        self.graph_type = drawing.options.graph_type
        flow, source, target = drawing.hops()
        order = sorted(range(len(drawing.named)), key=lambda place: drawing.named[place].id)
        self.named = [drawing.named[place] for place in order]
        rank = np.argsort(np.array(order, np.int64)) if order else np.zeros(0, np.int64)
        source, target = rank[source], rank[target]
        self._outbound = Totals(drawing.flows, flow, source, len(order))
        self._inbound = Totals(drawing.flows, flow, target, len(order))
        self.members = _members(self.named, drawing.naming, drawing.registry)
        self._tolerances = [
            _tolerances_at(node, self.members.get(node.id, ()), drawing.registry) for node in self.named
        ]
        self._connect(drawing.flows, flow, source, target)

    def _connect(self, flows: Flows, flow: IntArray, source: IntArray, target: IntArray) -> None:
        """Add up edges; what stays inside of a namespace is none."""
        inside = np.array([node.type is NodeType.NAMESPACE for node in self.named], np.bool_)
        kept = ~((source == target) & inside[source]) if self.named else np.zeros(0, np.bool_)
        flow, source, target = flow[kept], source[kept], target[kept]
        group, first = numbered(source, target, flows.protocol[flow])
        self._ends = list(zip(source[first].tolist(), target[first].tolist(), strict=True))
        self._protocols = [flows.texts[number] for number in flows.protocol[flow[first]].tolist()]
        self._edges = Totals(flows, flow, group, len(first))
        self._names = flows.source_principals, flows.destination_principals
        self.edge_ids = [
            f"{self.named[source].id}>{self.named[target].id}|{protocol}"
            for (source, target), protocol in zip(self._ends, self._protocols, strict=True)
        ]

    def nodes(self) -> tuple[Node, ...]:
        """All, with their numbers and health."""
        traffic = map(NodeTraffic, self._inbound.traffic(self._seconds), self._outbound.traffic(self._seconds))
        return tuple(
            Node(
                id=node.id,
                type=node.type,
                namespace=node.namespace,
                workload=node.workload,
                app=node.app,
                version=node.version,
                service=node.service,
                health=self._node_health(place),
                traffic=both,
            )
            for place, (node, both) in enumerate(zip(self.named, traffic, strict=True))
        )

    def _node_health(self, place: int) -> Health:
        node, tolerances = self.named[place], self._tolerances[place]
        inbound, outbound = self._inbound, self._outbound
        reasons = [
            *judge_traffic("inbound", inbound.outcomes(place), tolerances),
            *judge_traffic("outbound", outbound.outcomes(place), tolerances),
        ]
        if node.type is not NodeType.SERVICE:
            reasons += [reason for one in self.members.get(node.id, ()) for reason in judge_workload(one)]
        return conclude(reasons, traffic=inbound.any_flow[place] or outbound.any_flow[place])

    def edges(self) -> tuple[Edge, ...]:
        """All, with their numbers and health."""
        sources, destinations = (self._edges.names(names) for names in self._names)
        return tuple(
            Edge(
                id=self.edge_ids[place],
                source=self.named[source].id,
                target=self.named[target].id,
                protocol=protocol,
                source_principals=sources[place],
                destination_principals=destinations[place],
                hosts=self._edges.hosts[place],
                health=self._edge_health(place),
                **{name: getattr(traffic, name) for name in _TRAFFIC_FIELDS},
            )
            for place, ((source, target), protocol, traffic) in enumerate(
                zip(self._ends, self._protocols, self._edges.traffic(self._seconds), strict=True)
            )
        )

    def _edge_health(self, place: int) -> Health:
        tolerances = self._tolerances[self._ends[place][1]]
        return conclude(judge_traffic("edge", self._edges.outcomes(place), tolerances), traffic=True)

    def examine_node(self, place: int) -> Examination:
        """Every check of a node."""
        node, own = self.named[place], self.members.get(self.named[place].id, ())
        directions = {"inbound": self._inbound, "outbound": self._outbound}
        checks = [
            check
            for direction, totals in directions.items()
            for check in check_traffic(direction, _by_outcome(totals.outcomes(place)), self._tolerances[place])
        ]
        judged = () if node.type is NodeType.SERVICE else tuple(check_replicas(one) for one in own)
        return Examination(node.id, self._node_health(place), tuple(checks), judged, own)

    def examine_edge(self, place: int) -> Examination:
        """Every check of an edge."""
        target = self._ends[place][1]
        outcomes = _by_outcome(self._edges.outcomes(place))
        checks = check_traffic("edge", outcomes, self._tolerances[target])
        own = self.members.get(self.named[target].id, ())
        return Examination(self.edge_ids[place], self._edge_health(place), checks, (), own)


_TRAFFIC_FIELDS = Traffic.__struct_fields__


def _by_outcome(outcomes: list[Outcome]) -> dict[tuple[str, str, str], float]:
    return {(protocol, code, flags): count for protocol, code, flags, count in outcomes}


def _tolerances_at(node: Node, members: tuple[RegistryWorkload, ...], registry: Registry) -> tuple[Tolerance, ...]:
    """Those of a node: by an annotation on its object (of an app, on its workloads), a rule, or the defaults."""
    kind, name = _KINDS_OF_NODE.get(node.type, ("", ""))
    if not kind:
        return registry.tolerances.of("", node.namespace, ())
    others = [("workload", one.name) for one in members] if kind == "app" else []
    return registry.tolerances.of(kind, node.namespace, ((kind, getattr(node, name)), *others))


_KINDS_OF_NODE = {
    NodeType.WORKLOAD: ("workload", "workload"),
    NodeType.GATEWAY: ("workload", "workload"),
    NodeType.APP: ("app", "app"),
    NodeType.SERVICE: ("service", "service"),
}


def _registry_side(workload: RegistryWorkload) -> Side:
    return Side(workload.namespace, workload.name, workload.app, workload.version)


def _idle_nodes(naming: Naming, registry: Registry, options: GraphOptions) -> Iterator[Node]:
    """What exists but may have had no traffic, where that is asked for, as far as the graph type shows it."""
    if not options.idle:
        return
    nodes: list[Node] = [naming.workload(_registry_side(workload)) for workload in registry.workloads]
    if options.graph_type is GraphType.SERVICE or (options.services and options.graph_type is not GraphType.NAMESPACE):
        nodes += [naming.service(ServiceName(service.namespace, service.name)) for service in registry.services]
    yield from (node for node in nodes if not options.namespaces or node.namespace in options.namespaces)


def _members(nodes: list[Node], naming: Naming, registry: Registry) -> dict[str, tuple[RegistryWorkload, ...]]:
    """The registry's workloads behind each node."""
    found: dict[str, list[RegistryWorkload]] = {}
    for workload in sorted(registry.workloads, key=lambda item: (item.namespace, item.name)):
        found.setdefault(naming.workload(_registry_side(workload)).id, []).append(workload)
    for node in nodes:
        if node.type is NodeType.SERVICE:
            found[node.id] = list(registry.workloads_of_service.get((node.namespace, node.service), ()))
    return {node_id: tuple(workloads) for node_id, workloads in found.items()}
