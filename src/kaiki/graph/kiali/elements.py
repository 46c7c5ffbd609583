"""Nodes and edges in Kiali's form, made of our graph.

Ids are hashes of what a node is, so the same thing has the same id at every refresh.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import msgspec

from kaiki.graph.kiali.health import EdgeIndex, Members, describe_health
from kaiki.graph.kiali.rates import edge_rates, edge_traffic, node_traffic
from kaiki.graph.model import Edge, GraphType, Node, NodeType, TrafficGraph
from kaiki.graph.registry import Registry, RegistryConfig

Object = dict[str, Any]
UNKNOWN = "unknown"
BOXES = ("cluster", "namespace", "app")
"""What nodes can be boxed by, from the outermost."""

_BADGES = {
    "circuitBreaker": "hasCB",
    "faultInjection": "hasFaultInjection",
    "mirroring": "hasMirroring",
    "timeout": "hasRequestTimeout",
    "trafficSplit": "hasTrafficShifting",
    "dead": "isDead",
    "missingSidecar": "isOutOfMesh",
}
_APPENDER_OF_BADGE = {"dead": "deadNode", "missingSidecar": "sidecarsCheck"}


class KialiOptions(msgspec.Struct, frozen=True):
    """Parameters of Kiali's graph API. `appenders` None runs all of them.

    `response_time` is avg, 50, 95 or 99; `tcp` is sent, received, total or none; `grpc` and `http` only say whether
    there are such edges at all; `throughput` is request or response. `boxes` is a subset of `BOXES`.
    """

    cluster: str = "Kubernetes"
    namespaces: frozenset[str] = frozenset()
    appenders: frozenset[str] | None = None
    boxes: tuple[str, ...] = ()
    response_time: str = "95"
    http: str = "requests"
    grpc: str = "requests"
    tcp: str = "sent"
    throughput: str = "response"

    def runs(self, appender: str) -> bool:
        """Whether that decoration was asked for."""
        return self.appenders is None or appender in self.appenders


def render_graph(graph: TrafficGraph, registry: Registry, options: KialiOptions) -> Object:
    """`{timestamp, duration, graphType, elements: {nodes: [{data}], edges: [{data}]}}`."""
    return _Rendering(graph, registry, options).document()


class _Rendering:
    def __init__(self, graph: TrafficGraph, registry: Registry, options: KialiOptions) -> None:
        self.graph, self.registry, self.options = graph, registry, options
        chosen = {"http": options.http, "grpc": options.grpc, "tcp": options.tcp}
        self.edges = [edge for edge in graph.edges if chosen.get(edge.protocol) != "none"]
        self.rates = {edge.id: edge_rates(edge, graph.duration_seconds, options.tcp) for edge in self.edges}
        self.members = Members(registry)
        self.ids = {node.id: _hash(self._identity(node)) for node in graph.nodes}
        index = EdgeIndex(self.edges)
        self.index, self.incoming, self.outgoing = index, index.incoming, index.outgoing

    def document(self) -> Object:
        nodes = [self._node(node) for node in self.graph.nodes]
        boxes = _Boxes(self.options).put(nodes)
        return {
            "timestamp": int(self.graph.timestamp),
            "duration": self.graph.duration_seconds,
            "graphType": self.graph.graph_type.value,
            "elements": {
                "nodes": [{"data": data} for data in (*boxes, *nodes)],
                "edges": [{"data": self._edge(edge)} for edge in self.edges],
            },
        }

    def _identity(self, node: Node) -> str:
        cluster, place = self.options.cluster, f"{node.namespace or UNKNOWN}"
        if node.type is NodeType.UNKNOWN:
            return f"{UNKNOWN}_{node.namespace}"
        if node.service:
            return f"svc_{cluster}_{place}_{node.service}"
        if self._is_app(node):
            workload = self._only_workload(node)
            if self.graph.graph_type is GraphType.VERSIONED_APP and (workload or node.version):
                return f"vapp_{cluster}_{place}_{workload or f'{node.app}_{node.version}'}"
            return f"app_{cluster}_{place}_{node.app}"
        return f"wl_{cluster}_{place}_{node.workload}"

    def _is_app(self, node: Node) -> bool:
        return self.graph.graph_type in (GraphType.APP, GraphType.VERSIONED_APP) and bool(node.app)

    def _only_workload(self, node: Node) -> str:
        if node.workload:
            return node.workload
        members = self.members.of(node)
        return members[0].name if len(members) == 1 else ""

    def _node(self, node: Node) -> Object:
        data: Object = {"id": self.ids[node.id], "cluster": self.options.cluster}
        if node.type is NodeType.UNKNOWN:
            place = node.namespace or UNKNOWN
            data |= {"nodeType": UNKNOWN, "cluster": UNKNOWN, "namespace": place}
            data |= {"workload": UNKNOWN, "app": UNKNOWN, "version": UNKNOWN}
        elif node.service:
            data |= {"nodeType": "service", "namespace": node.namespace or UNKNOWN, "service": node.service}
            apps = {one.app for one in self.members.of(node)}
            data |= {"app": apps.pop()} if len(apps) == 1 else {}
        else:
            data |= {"nodeType": "app" if self._is_app(node) else "workload", "namespace": node.namespace}
            data |= self._names(node)
        data |= self._destinations(node)
        data["traffic"] = self._traffic(node)
        data |= self._marks(node)
        if node.type is not NodeType.UNKNOWN:
            data["healthData"] = describe_health(node, self.index, self.graph.duration_seconds, self.members.of(node))
        return data

    def _names(self, node: Node) -> Object:
        names: Object = {"app": node.app} if node.app else {}
        if self.graph.graph_type is not GraphType.APP or not node.app:
            workload = self._only_workload(node)
            names |= {"workload": workload} if workload else {}
            names |= {"version": node.version} if node.version else {"version": "latest"} if workload else {}
        return names

    def _destinations(self, node: Node) -> Object:
        """The services by which a node was called."""
        if node.type is NodeType.SERVICE:
            names = {(node.namespace, node.service)}
        else:
            names = {name for edge in self.incoming.get(node.id, ()) for name in _services_of(edge)}
        services = [
            {"cluster": self.options.cluster if namespace else UNKNOWN, "namespace": namespace or UNKNOWN, "name": name}
            for namespace, name in sorted(names)
        ]
        return {"destServices": services} if services else {}

    def _traffic(self, node: Node) -> list[Object]:
        inbound = (self.rates[edge.id] for edge in self.incoming.get(node.id, ()))
        return node_traffic(inbound, (self.rates[edge.id] for edge in self.outgoing.get(node.id, ())))

    def _marks(self, node: Node) -> Object:
        marks: Object = {
            mark: True
            for badge, mark in _BADGES.items()
            if badge in node.badges and self.options.runs(_APPENDER_OF_BADGE.get(badge, "istio"))
        }
        if "virtualService" in node.badges and self.options.runs("istio"):
            marks["hasVS"] = {"hostnames": sorted({host for one in self._rules(node) for _, host in one.hosts})}
            marks["hasRequestRouting"] = True
        if node.type is NodeType.GATEWAY:
            marks["isGateway"] = {"ingressInfo": {"hostnames": []}, "egressInfo": {}, "gatewayAPIInfo": {}}
        if "external" in node.badges and self.options.runs("serviceEntry"):
            marks["isServiceEntry"] = {"location": "MESH_EXTERNAL", "hosts": [node.service], "namespace": UNKNOWN}
        outgoing, incoming = self.outgoing.get(node.id), self.incoming.get(node.id)
        if outgoing and not incoming:
            marks["isRoot"] = True
        if not outgoing and not incoming:
            marks["isIdle"] = True
        wanted = self.options.namespaces
        if node.type is not NodeType.UNKNOWN and wanted and node.namespace not in wanted:
            marks["isOutside"] = True
        return marks

    def _rules(self, node: Node) -> Iterable[RegistryConfig]:
        services = {(node.namespace, node.service)} if node.service else set()
        for member in self.members.of(node):
            services.add((member.namespace, self.registry.service_of_workload.get((member.namespace, member.name), "")))
        rules = (one for one in self.registry.configs if one.kind == "VirtualService")
        return (one for one in rules if services & set(one.hosts))

    def _edge(self, edge: Edge) -> Object:
        source, target = self.ids[edge.source], self.ids[edge.target]
        siblings = self.outgoing.get(edge.source, ())
        sent = sum(self.rates[one.id].get(edge.protocol, 0.0) for one in siblings)
        data: Object = {
            "id": _hash(f"{source}.{target}.{edge.protocol}"),
            "source": source,
            "target": target,
            "traffic": edge_traffic(edge, self.rates[edge.id], sent),
        }
        return data | self._security(edge) | self._times(edge)

    def _security(self, edge: Edge) -> Object:
        if not self.options.runs("securityPolicy"):
            return {}
        data: Object = {"isMTLS": f"{100 * edge.mtls_ratio:.0f}"} if edge.mtls_ratio else {}
        data |= {"sourcePrincipal": edge.source_principals[0]} if edge.source_principals else {}
        data |= {"destPrincipal": edge.destination_principals[0]} if edge.destination_principals else {}
        return data

    def _times(self, edge: Edge) -> Object:
        time = {
            "avg": edge.average_milliseconds,
            "50": edge.p50_milliseconds,
            "95": edge.p95_milliseconds,
            "99": edge.p99_milliseconds,
        }.get(self.options.response_time)
        data = {"responseTime": f"{time:.0f}"} if time is not None and self.options.runs("responseTime") else {}
        if edge.protocol == "tcp" or not self.options.runs("throughput"):
            return data
        asked = self.options.throughput == "request"
        throughput = edge.bytes_received_per_second if asked else edge.bytes_sent_per_second
        return data | ({"throughput": f"{throughput:.0f}"} if throughput > 0 else {})


class _Boxes:
    """Nodes put into boxes, and those into each other: `parent` is the box's id."""

    def __init__(self, options: KialiOptions) -> None:
        self._options = options
        self._boxes: dict[str, Object] = {}

    def put(self, nodes: list[Object]) -> list[Object]:
        apps: dict[tuple[str, str], int] = {}
        for node in nodes:
            if node.get("app"):
                apps[node["namespace"], node["app"]] = apps.get((node["namespace"], node["app"]), 0) + 1
        for node in nodes:
            if node["nodeType"] != UNKNOWN:
                parent = ""
                for kind in (kind for kind in BOXES if kind in self._options.boxes):
                    if kind != "app" or apps.get((node["namespace"], node.get("app", "")), 0) > 1:
                        parent = self._box(kind, node, parent)
                if parent:
                    node["parent"] = parent
        return list(self._boxes.values())

    def _box(self, kind: str, node: Object, parent: str) -> str:
        fields = BOXES[: BOXES.index(kind) + 1]
        names = {name: node[name] for name in fields}
        box_id = _hash(f"box_{kind}_{'_'.join(names.values())}")
        box = {"id": box_id, "nodeType": "box", "isBox": kind, "namespace": "", "traffic": [], **names}
        self._boxes.setdefault(box_id, box | ({"parent": parent} if parent else {}))
        return box_id


def _services_of(edge: Edge) -> Iterable[tuple[str, str]]:
    """(namespace, name) of the hosts that were asked for; a host outside of the cluster has no namespace."""
    for hosts in edge.hosts.values():
        for host in hosts:
            parts = host.split(".")
            yield (parts[1], parts[0]) if len(parts) > 2 and parts[2] == "svc" else ("", host)


def _hash(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
