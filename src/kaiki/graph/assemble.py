"""From flows to the graph: name the nodes, add up the edges, judge, decorate.

flows ─Naming─▶ hops (flow, source node, target node) ─Totals─▶ edges, and both directions of nodes
"""

from __future__ import annotations

import numpy as np

from kaiki.graph.drawing import Drawing, draw
from kaiki.graph.enrich import DECORATIONS
from kaiki.graph.health import (
    Examination,
    check_replicas,
    check_traffic,
    conclude,
    judge_traffic,
    judge_workload,
)
from kaiki.graph.model import Edge, GraphOptions, Health, Node, NodeTraffic, NodeType, Traffic, TrafficGraph
from kaiki.graph.numbers import IntArray, numbered
from kaiki.graph.records import Flows
from kaiki.graph.registry import Registry, RegistryWorkload
from kaiki.graph.series import TrafficSeries
from kaiki.graph.tolerances import Tolerance
from kaiki.graph.traffic import Outcome, Totals

_WHOLES = (NodeType.NAMESPACE, NodeType.CLUSTER)


def build_graph(series: TrafficSeries, registry: Registry, options: GraphOptions, most: int = 0) -> TrafficGraph:
    """The traffic graph of one window. The same input, in any order, gives the same output.

    With more than `most` nodes (0: any number), a coarser type is built instead: by app, else by namespace (of
    one by pod, first by workload).
    """
    sketch = _Sketch(draw(series, registry, options, most))
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
    sketch = _Sketch(draw(series, registry, options, 0))
    node = next((place for place, node in enumerate(sketch.named) if node.id == wanted), None)
    if node is not None:
        return sketch.examine_node(node)
    edge = next((place for place in range(len(sketch.edge_ids)) if sketch.edge_ids[place] == wanted), None)
    return None if edge is None else sketch.examine_edge(edge)


class _Sketch:
    """The sums of a graph. Nodes are sorted by id, edges by source, target and protocol."""

    def __init__(self, drawing: Drawing) -> None:
        self._registry, self._seconds = drawing.registry, drawing.options.duration_seconds
        self.graph_type = drawing.options.graph_type
        flow, source, target = drawing.hops()
        order = sorted(range(len(drawing.named)), key=lambda place: drawing.named[place].id)
        self.named = [drawing.named[place] for place in order]
        rank = np.argsort(np.array(order, np.int64)) if order else np.zeros(0, np.int64)
        source, target = rank[source], rank[target]
        self._outbound = Totals(drawing.flows, flow, source, len(order))
        self._inbound = Totals(drawing.flows, flow, target, len(order))
        self.members = drawing.members()
        self._tolerances = [
            _tolerances_at(node, self.members.get(node.id, ()), drawing.registry) for node in self.named
        ]
        self._connect(drawing.flows, flow, source, target)

    def _connect(self, flows: Flows, flow: IntArray, source: IntArray, target: IntArray) -> None:
        """Add up edges; what stays inside of a namespace, or of the cluster, is none."""
        inside = np.array([node.type in _WHOLES for node in self.named], np.bool_)
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
                pod=node.pod,
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
    NodeType.POD: ("workload", "workload"),
    NodeType.WORKLOAD: ("workload", "workload"),
    NodeType.GATEWAY: ("workload", "workload"),
    NodeType.APP: ("app", "app"),
    NodeType.SERVICE: ("service", "service"),
}
