"""Which node a side of a flow belongs to, at each zoom. Ids are readable and stable: `workload:default/reviews-v1`."""

from __future__ import annotations

from collections.abc import Mapping

from kaiki.graph.labels import SINK_SERVICES
from kaiki.graph.model import GraphType, Node, NodeType
from kaiki.graph.records import ServiceName, Side
from kaiki.graph.registry import Registry

_PASSTHROUGH, _BLACKHOLE = SINK_SERVICES
CLUSTER = Node("cluster", NodeType.CLUSTER)


class Naming:
    """Names nodes for one graph type. `observed_services` maps (namespace, workload) to a service it was called by,
    `only_pods` to its pod where it has only one.
    """

    def __init__(
        self,
        graph_type: GraphType,
        registry: Registry,
        observed_services: Mapping[tuple[str, str], ServiceName],
        only_pods: Mapping[tuple[str, str], str],
    ) -> None:
        self._graph_type = graph_type
        self._registry = registry
        self._observed_services = observed_services
        self._only_pods = only_pods

    def source(self, side: Side) -> Node:
        """The node a flow comes from; every unknown source is the same node."""
        return self.workload(side) if side.workload else Node("unknown", NodeType.UNKNOWN)

    def destination(self, side: Side, service: ServiceName) -> Node:
        """The node a flow goes to: the workload's, else the service's, else one unknown node per namespace."""
        if side.workload:
            if self._graph_type is GraphType.SERVICE and service.name and service.name not in SINK_SERVICES:
                return self.workload(side) if self._is_gateway(side) else self.service(service)
            return self.workload(side)
        if service.name == _PASSTHROUGH:
            return Node("passthrough", NodeType.PASSTHROUGH, service=service.name)
        if service.name == _BLACKHOLE:
            return Node("blackhole", NodeType.BLACKHOLE, service=service.name)
        if service.name:
            return self._hidden_service(service)
        return Node(f"unknown:{service.namespace}", NodeType.UNKNOWN, namespace=service.namespace)

    def _hidden_service(self, service: ServiceName) -> Node:
        """A service that no workload answered for."""
        if self._graph_type is GraphType.NAMESPACE and service.namespace:
            return self.namespace(service.namespace)
        if self._graph_type is GraphType.CLUSTER and service.namespace:
            return CLUSTER
        return self.service(service)

    def namespace(self, name: str) -> Node:
        """Everything in a namespace as one node."""
        return Node(f"namespace:{name}", NodeType.NAMESPACE, namespace=name)

    def service(self, service: ServiceName) -> Node:
        """A service's node; hosts outside of the cluster have no namespace."""
        return Node(
            f"service:{service.namespace}/{service.name}",
            NodeType.SERVICE,
            namespace=service.namespace,
            service=service.name,
        )

    def workload(self, side: Side) -> Node:
        """A known workload's node: itself, its pod where that is known, its app, its version of the app, its service,
        its namespace, or its cluster. A gateway stays one at every zoom but the closest: there is the mesh's border.
        """
        if self._graph_type is GraphType.POD and (
            pod := side.pod or self._only_pods.get((side.namespace, side.workload))
        ):
            return self._pod_node(side, pod)
        if self._is_gateway(side):
            return self._workload_node(side, NodeType.GATEWAY)
        match self._graph_type:
            case GraphType.CLUSTER:
                return CLUSTER
            case GraphType.NAMESPACE:
                return self.namespace(side.namespace)
            case GraphType.APP if side.app:
                return Node(f"app:{side.namespace}/{side.app}", NodeType.APP, namespace=side.namespace, app=side.app)
            case GraphType.VERSIONED_APP if side.app and side.version:
                return Node(
                    f"app:{side.namespace}/{side.app}@{side.version}",
                    NodeType.APP,
                    namespace=side.namespace,
                    app=side.app,
                    version=side.version,
                )
            case GraphType.SERVICE if (service := self._service_of(side)).name:
                return self.service(service)
        return self._workload_node(side, NodeType.WORKLOAD)

    def _workload_node(self, side: Side, node_type: NodeType) -> Node:
        return Node(
            f"{node_type.value}:{side.namespace}/{side.workload}",
            node_type,
            namespace=side.namespace,
            workload=side.workload,
            app=side.app,
            version=side.version,
        )

    def _pod_node(self, side: Side, pod: str) -> Node:
        return Node(
            f"pod:{side.namespace}/{side.workload}/{pod}",
            NodeType.POD,
            namespace=side.namespace,
            workload=side.workload,
            pod=pod,
            app=side.app,
            version=side.version,
        )

    def _is_gateway(self, side: Side) -> bool:
        workload = self._registry.workload_index.get((side.namespace, side.workload))
        return workload is not None and workload.gateway

    def _service_of(self, side: Side) -> ServiceName:
        place = side.namespace, side.workload
        if (observed := self._observed_services.get(place)) is not None:
            return observed
        return ServiceName(side.namespace, self._registry.service_of_workload.get(place, ""))
