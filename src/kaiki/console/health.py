"""Why something is red, or green: every tolerance held against the numbers, and where to look further."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from aiohttp import web
from msgspec import structs

from kaiki.console.answers import answer_json, read_time
from kaiki.console.errors import BadRequest, UnknownObject
from kaiki.console.graph_answer import read_options
from kaiki.console.inventory import Inventory
from kaiki.console.metrics import MetricsClient
from kaiki.console.selectors import parse_edge, parse_node
from kaiki.console.summaries import warnings_of
from kaiki.graph import GraphOptions, GraphType, examine

Object = dict[str, Any]
_TYPES = {
    "cluster": GraphType.CLUSTER,
    "namespace": GraphType.NAMESPACE,
    "pod": GraphType.POD,
    "app": GraphType.APP,
    "service": GraphType.SERVICE,
}
"""The graph that has a node of such a kind; of an edge, the first of its two ends' kinds."""


class HealthHandlers:
    """One operation: `/api/health?node=…`, or `?edge=…`."""

    def __init__(self, metrics: MetricsClient, inventory: Inventory) -> None:
        self._metrics = metrics
        self._inventory = inventory

    def routes(self) -> list[web.AbstractRouteDef]:
        """What to mount."""
        return [web.get("/api/health", self.health)]

    async def health(self, request: web.Request) -> web.Response:
        """The checks of one node or edge, as the graph of the same parameters has it."""
        wanted, options = _read_subject(request)
        series = await self._metrics.traffic(options.duration_seconds, options.timestamp, by_pod=options.by_pod)
        found = await asyncio.to_thread(examine, series, self._inventory.registry(), options, wanted)
        if found is None:
            hint = "It may have had no traffic in this time: take ids from /api/graph of the same time."
            raise UnknownObject(f"there is no node or edge {wanted}", hint)
        return answer_json(
            {
                "id": found.id,
                "timestamp": options.timestamp,
                "durationSeconds": options.duration_seconds,
                "health": found.health,
                "checks": found.checks,
                "replicas": found.replicas,
                "workloads": [{"namespace": one.namespace, "name": one.name} for one in found.workloads],
                "traceServices": sorted({f"{one.app or one.name}.{one.namespace}" for one in found.workloads}),
                "warnings": warnings_of(self._inventory),
            }
        )


def _read_subject(request: web.Request) -> tuple[str, GraphOptions]:
    node, edge = request.query.get("node", ""), request.query.get("edge", "")
    if bool(node) == bool(edge):
        raise BadRequest("exactly one of node and edge is needed", "Take ids from /api/graph.")
    ends = parse_edge(edge)[:2] if edge else (parse_node(node),)
    options = read_options(request, round(read_time(request, "at", time.time), 3))
    if "graphType" not in request.query:
        kinds = {one.type for one in ends}
        found = next((graph_type for kind, graph_type in _TYPES.items() if kind in kinds), GraphType.WORKLOAD)
        if any(one.type == "app" and one.version for one in ends):
            found = GraphType.VERSIONED_APP
        options = structs.replace(options, graph_type=found)
    return node or edge, structs.replace(options, idle=True)
