"""Which series a graph in Kiali's form is made of: those of one node, and counters that stand in for requests."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from kaiki.graph.series import Sample, TrafficSeries


class NodeSelection(msgspec.Struct, frozen=True):
    """One node: a workload, an app, a version of an app, or a service. Empty strings do not restrict."""

    namespace: str
    workload: str = ""
    app: str = ""
    version: str = ""
    service: str = ""


def select_node(series: TrafficSeries, node: NodeSelection) -> TrafficSeries:
    """Only what flows into or out of the node."""
    keep = _touches_service(node) if node.service else _touches_workload(node)
    fields = TrafficSeries.__struct_fields__
    return TrafficSeries(**{name: tuple(filter(keep, getattr(series, name))) for name in fields})


def _touches_service(node: NodeSelection) -> Callable[[Sample], bool]:
    wanted = {"destination_service_namespace": node.namespace, "destination_service_name": node.service}
    return lambda sample: wanted.items() <= sample.labels.items()


def _touches_workload(node: NodeSelection) -> Callable[[Sample], bool]:
    given = {
        "workload_namespace": node.namespace,
        "workload": node.workload,
        "canonical_service": node.app,
        "canonical_revision": node.version,
    }
    sides = [
        {f"{side}_{suffix}": value for suffix, value in given.items() if value} for side in ("source", "destination")
    ]
    return lambda sample: any(wanted.items() <= sample.labels.items() for wanted in sides)


def exchange_requests(series: TrafficSeries, requests: tuple[Sample, ...], protocol: str = "") -> TrafficSeries:
    """The same graph of another counter (messages, bytes) in place of requests; of one protocol, or of all."""
    kept = tuple(sample for sample in series.requests if protocol and sample.labels["request_protocol"] != protocol)
    return msgspec.structs.replace(series, requests=(*kept, *requests))
