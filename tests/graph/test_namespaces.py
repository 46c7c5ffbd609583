"""Namespaces as nodes: the coarsest zoom."""

from __future__ import annotations

from kaiki.graph import GraphOptions, GraphType, Registry, RegistryWorkload, Sample, TrafficSeries, build_graph


def request(source: str, target: str, count: float) -> Sample:
    sides = {}
    for side, place in (("source", source), ("destination", target)):
        namespace, name = place.split("/")
        sides |= {f"{side}_workload": name, f"{side}_workload_namespace": namespace}
    labels = {"reporter": "source", "request_protocol": "http", "response_code": "200", "response_flags": "-"}
    return Sample(labels | sides | {"destination_service_name": "any", "destination_service_namespace": "x"}, count)


def test_traffic_inside_of_a_namespace_is_no_edge_but_counts() -> None:
    series = TrafficSeries(requests=(request("a/one", "a/two", 60), request("a/two", "b/three", 30)))
    registry = Registry(workloads=(RegistryWorkload("c", "idle"),))
    graph = build_graph(series, registry, GraphOptions(graph_type=GraphType.NAMESPACE, idle=True))
    assert [edge.id for edge in graph.edges] == ["namespace:a>namespace:b|http"]
    counts = {node.id: node.traffic.inbound.request_count for node in graph.nodes}
    assert counts == {"namespace:a": 60, "namespace:b": 30, "namespace:c": 0}
