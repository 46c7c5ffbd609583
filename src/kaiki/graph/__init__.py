"""The traffic graph: who calls whom, how often, how fast and how well. Pure: series and registry in, graph out.

TrafficSeries ─records─▶ Flows by (source, destination, service, protocol), each counted by one reporter only
              ─assemble─▶ nodes and edges at the asked zoom (graph type)
              ─enrich──▶ TrafficGraph with badges, health and idle nodes
"""

from kaiki.graph.assemble import build_graph, examine
from kaiki.graph.model import Edge, GraphOptions, GraphType, Node, TrafficGraph
from kaiki.graph.queries import traffic_queries
from kaiki.graph.registry import Registry, RegistryConfig, RegistryPod, RegistryService, RegistryWorkload
from kaiki.graph.series import (
    Column,
    Histogram,
    HistogramTable,
    Sample,
    Table,
    TrafficSeries,
    gather_histograms,
    read_traffic,
    upper_bound,
)

__all__ = [
    "Column",
    "Edge",
    "GraphOptions",
    "GraphType",
    "Histogram",
    "HistogramTable",
    "Node",
    "Registry",
    "RegistryConfig",
    "RegistryPod",
    "RegistryService",
    "RegistryWorkload",
    "Sample",
    "Table",
    "TrafficGraph",
    "TrafficSeries",
    "build_graph",
    "examine",
    "gather_histograms",
    "read_traffic",
    "traffic_queries",
    "upper_bound",
]
