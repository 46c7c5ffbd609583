"""From flows to the graph: name the nodes, add up the edges, judge, decorate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import TypeVar

import msgspec

from kaiki.graph.enrich import DECORATIONS
from kaiki.graph.health import (
    Examination,
    check_replicas,
    check_traffic,
    conclude,
    judge_traffic,
    judge_workload,
)
from kaiki.graph.model import Edge, GraphOptions, GraphType, Node, NodeTraffic, NodeType, TrafficGraph
from kaiki.graph.naming import Naming
from kaiki.graph.records import SINK_SERVICES, Flow, FlowKey, ServiceName, Side, collect_flows
from kaiki.graph.registry import Registry, RegistryWorkload
from kaiki.graph.series import TrafficSeries
from kaiki.graph.tolerances import Tolerance
from kaiki.graph.traffic import count_hosts, flagged_counts, measure_flow, outcome_counts

EdgeKey = tuple[str, str, str]
Key = TypeVar("Key")
Sums = dict[str, dict[str, Flow]]


_COARSER = (GraphType.APP, GraphType.NAMESPACE)


def build_graph(series: TrafficSeries, registry: Registry, options: GraphOptions, most: int = 0) -> TrafficGraph:
    """The traffic graph of one window. The same input, in any order, gives the same output.

    With more than `most` nodes (0: any number), a coarser type is built instead: by app, else by namespace.
    """
    draft, naming, options = _draw_all(series, registry, options, most)
    members = _members(draft, naming, registry)
    graph = TrafficGraph(
        timestamp=options.timestamp,
        duration_seconds=options.duration_seconds,
        graph_type=options.graph_type,
        nodes=tuple(
            _finish_node(draft, node, members.get(node.id, ()), options.duration_seconds, registry)
            for _, node in sorted(draft.nodes.items())
        ),
        edges=tuple(
            _finish_edge(key, flow, options.duration_seconds, _tolerances_at(draft.nodes[key[1]], members, registry))
            for key, flow in sorted(draft.edges.items())
        ),
    )
    for decorate in DECORATIONS:
        graph = decorate(graph, registry, members)
    return graph


def examine(series: TrafficSeries, registry: Registry, options: GraphOptions, wanted: str) -> Examination | None:
    """Every check behind the health of one node or edge, by its id; None when the graph of these options has none."""
    draft, naming, options = _draw_all(series, registry, options, 0)
    members = _members(draft, naming, registry)
    node = draft.nodes.get(wanted)
    if node is not None:
        tolerances, own = _tolerances_at(node, members, registry), members.get(node.id, ())
        flows = {"inbound": draft.inbound.get(node.id, {}), "outbound": draft.outbound.get(node.id, {})}
        checks = [
            check
            for direction, found in flows.items()
            for check in check_traffic(direction, flagged_counts(found), tolerances)
        ]
        judged = () if node.type is NodeType.SERVICE else tuple(check_replicas(one) for one in own)
        health = _finish_node(draft, node, own, options.duration_seconds, registry).health
        return Examination(node.id, health, tuple(checks), judged, tuple(own))
    for key, flow in draft.edges.items():
        tolerances = _tolerances_at(draft.nodes[key[1]], members, registry)
        edge = _finish_edge(key, flow, options.duration_seconds, tolerances)
        if edge.id == wanted:
            found_checks = check_traffic("edge", flagged_counts({key[2]: flow}), tolerances)
            return Examination(edge.id, edge.health, found_checks, (), tuple(members.get(key[1], ())))
    return None


def _tolerances_at(
    node: Node, members: Mapping[str, tuple[RegistryWorkload, ...]], registry: Registry
) -> tuple[Tolerance, ...]:
    """Those of a node: by an annotation on its object (of an app, on its workloads), a rule, or the defaults."""
    kind, name = _KINDS_OF_NODE.get(node.type, ("", ""))
    if not kind:
        return registry.tolerances.of("", node.namespace, ())
    others = [("workload", one.name) for one in members.get(node.id, ())] if kind == "app" else []
    return registry.tolerances.of(kind, node.namespace, ((kind, getattr(node, name)), *others))


_KINDS_OF_NODE = {
    NodeType.WORKLOAD: ("workload", "workload"),
    NodeType.GATEWAY: ("workload", "workload"),
    NodeType.APP: ("app", "app"),
    NodeType.SERVICE: ("service", "service"),
}


def _draw_all(
    series: TrafficSeries, registry: Registry, options: GraphOptions, most: int
) -> tuple[_Draft, Naming, GraphOptions]:
    """The sums of the graph, how its nodes are named, and its type, which may be coarser than the asked one."""
    flows = {
        key: flow
        for key, flow in collect_flows(series, options.idle_edges).items()
        if _in_scope(key, options.namespaces)
    }
    observed = _observe_services(flows)
    for graph_type in (options.graph_type, *_COARSER):
        options = msgspec.structs.replace(options, graph_type=graph_type)
        naming = Naming(graph_type, registry, observed)
        # Told from the names alone: adding up what is too many to be shown would be most of the work.
        if not most or graph_type is _COARSER[-1] or _count_nodes(flows, naming, registry, options) <= most:
            break
    draft = _Draft()
    for key, flow in flows.items():
        _draw(draft, naming, key, flow, options)
    for node in _idle_nodes(naming, registry, options):
        draft.nodes.setdefault(node.id, node)
    return draft, naming, options


def _count_nodes(flows: Iterable[FlowKey], naming: Naming, registry: Registry, options: GraphOptions) -> int:
    shown = {node.id for key in flows for node in _nodes_of(naming, key, options)}
    return len(shown | {node.id for node in _idle_nodes(naming, registry, options)})


class _Draft:
    """Sums while the graph is being drawn."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.edges: dict[EdgeKey, Flow] = {}
        self.inbound: Sums = {}
        self.outbound: Sums = {}

    def connect(self, source: Node, target: Node, protocol: str, flow: Flow) -> None:
        """Add a flow to both nodes and to the edge between them; what stays inside of a namespace is no edge."""
        self.nodes.setdefault(source.id, source)
        self.nodes.setdefault(target.id, target)
        if source.id != target.id or source.type is not NodeType.NAMESPACE:
            _sum_at(self.edges, (source.id, target.id, protocol)).add(flow)
        _sum_at(self.outbound.setdefault(source.id, {}), protocol).add(flow)
        _sum_at(self.inbound.setdefault(target.id, {}), protocol).add(flow)


def _sum_at(sums: dict[Key, Flow], key: Key) -> Flow:
    found = sums.get(key)
    if found is None:
        found = sums[key] = Flow()
    return found


def _nodes_of(naming: Naming, key: FlowKey, options: GraphOptions) -> tuple[Node, ...]:
    """The nodes on the way of a flow: its ends, and the service between them where services are asked for."""
    source, target = naming.source(key.source), naming.destination(key)
    between = options.services and options.graph_type not in (GraphType.SERVICE, GraphType.NAMESPACE)
    if between and key.destination.workload and key.service.name and key.service.name not in SINK_SERVICES:
        return source, naming.service(key.service), target
    return source, target


def _draw(draft: _Draft, naming: Naming, key: FlowKey, flow: Flow, options: GraphOptions) -> None:
    for source, target in pairwise(_nodes_of(naming, key, options)):
        draft.connect(source, target, key.protocol, flow)


def _in_scope(key: FlowKey, namespaces: frozenset[str]) -> bool:
    touched = {key.source.namespace, key.destination.namespace, key.service.namespace}
    return not namespaces or bool(touched & namespaces)


def _observe_services(flows: dict[FlowKey, Flow]) -> dict[tuple[str, str], ServiceName]:
    """The service each workload was called by; the first by name when there were several."""
    observed: dict[tuple[str, str], ServiceName] = {}
    for key in sorted(flows, key=lambda item: item.service):
        if key.destination.workload and key.service.name and key.service.name not in SINK_SERVICES:
            observed.setdefault((key.destination.namespace, key.destination.workload), key.service)
    return observed


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


def _members(draft: _Draft, naming: Naming, registry: Registry) -> dict[str, tuple[RegistryWorkload, ...]]:
    """The registry's workloads behind each node."""
    found: dict[str, list[RegistryWorkload]] = {}
    for workload in sorted(registry.workloads, key=lambda item: (item.namespace, item.name)):
        found.setdefault(naming.workload(_registry_side(workload)).id, []).append(workload)
    for node in draft.nodes.values():
        if node.type is NodeType.SERVICE:
            found[node.id] = list(registry.workloads_of_service.get((node.namespace, node.service), ()))
    return {node_id: tuple(workloads) for node_id, workloads in found.items()}


def _finish_node(
    draft: _Draft, node: Node, members: Iterable[RegistryWorkload], duration_seconds: int, registry: Registry
) -> Node:
    inbound, outbound = draft.inbound.get(node.id, {}), draft.outbound.get(node.id, {})
    members = tuple(members)
    tolerances = _tolerances_at(node, {node.id: members}, registry)
    reasons = [
        *judge_traffic("inbound", outcome_counts(inbound), tolerances),
        *judge_traffic("outbound", outcome_counts(outbound), tolerances),
    ]
    if node.type is not NodeType.SERVICE:
        reasons += [reason for workload in members for reason in judge_workload(workload)]
    return Node(
        id=node.id,
        type=node.type,
        namespace=node.namespace,
        workload=node.workload,
        app=node.app,
        version=node.version,
        service=node.service,
        health=conclude(reasons, traffic=bool(inbound or outbound)),
        traffic=NodeTraffic(measure_flow(inbound, duration_seconds), measure_flow(outbound, duration_seconds)),
    )


def _finish_edge(key: EdgeKey, flow: Flow, duration_seconds: int, tolerances: tuple[Tolerance, ...]) -> Edge:
    source, target, protocol = key
    traffic = measure_flow({protocol: flow}, duration_seconds)
    return Edge(
        id=f"{source}>{target}|{protocol}",
        source=source,
        target=target,
        protocol=protocol,
        source_principals=tuple(sorted(flow.source_principals)),
        destination_principals=tuple(sorted(flow.destination_principals)),
        hosts=count_hosts(flow),
        health=conclude(judge_traffic("edge", outcome_counts({protocol: flow}), tolerances), traffic=True),
        **{name: getattr(traffic, name) for name in traffic.__struct_fields__},
    )
