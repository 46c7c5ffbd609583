"""The JSON API. Each handler reads its parameters, asks the metrics store or the inventory, and answers."""

from __future__ import annotations

import asyncio
import time
from importlib import resources
from typing import Any

import msgspec
from aiohttp import web
from msgspec import structs

from kaiki.console.answers import answer_json, read_count, read_duration, read_earlier, read_flag, read_names, read_time
from kaiki.console.beside import made_between
from kaiki.console.changes import ChangeHandlers, describe_change
from kaiki.console.comparison import compare_graphs
from kaiki.console.documents import editable_metadata
from kaiki.console.errors import BadRequest, KubernetesUnavailable, UnknownObject
from kaiki.console.graph_answer import AnsweredGraph, read_options
from kaiki.console.graphs import Graphs
from kaiki.console.inventory import Inventory
from kaiki.console.metrics import MetricsClient, Range
from kaiki.console.plots import plot
from kaiki.console.selectors import parse_edge, parse_node, selections_of_edge, selections_of_node
from kaiki.console.settings import ConsoleSettings
from kaiki.console.summaries import warnings_of
from kaiki.console.workloads import describe_service, place_of

MOST_POINTS = 2000
Object = dict[str, Any]


class Handlers:
    """The API's operations over one metrics store and one inventory."""

    def __init__(
        self,
        settings: ConsoleSettings,
        metrics: MetricsClient,
        inventory: Inventory,
        changes: ChangeHandlers,
        graphs: Graphs,
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._inventory = inventory
        self._changes = changes
        self._graphs = graphs

    def routes(self) -> list[web.AbstractRouteDef]:
        """What to mount."""
        return [
            web.get("/api/graph", self.graph),
            web.get("/api/graph/compare", self.compare),
            web.get("/api/series", self.series),
            web.get("/api/namespaces", self.namespaces),
            web.get("/api/workloads", self.workloads),
            web.get("/api/services", self.services),
            web.get("/api/config", self.config),
            web.get("/api/openapi.json", self.openapi),
        ]

    async def graph(self, request: web.Request) -> web.Response:
        """The traffic graph of a window."""
        options = read_options(request, round(read_time(request, "at", time.time), 3))
        graph = await self._graphs.graph(options, read_count(request, "most"))
        return answer_json(AnsweredGraph(**structs.asdict(graph), warnings=warnings_of(self._inventory)))

    async def compare(self, request: web.Request) -> web.Response:
        """The graph of a window together with that of an earlier one, and what differs."""
        at = round(read_time(request, "at", time.time), 3)
        baseline = read_earlier(request, "baseline", at)
        # Compared without what is idle: the cluster's present inventory tells nothing of an earlier time.
        moments = (structs.replace(read_options(request, moment), idle=False) for moment in (baseline, at))
        before, after = await asyncio.gather(*map(self._graphs.graph, moments))
        warnings = warnings_of(self._inventory)
        try:
            made = made_between(await self._changes.entries(), baseline, at)
        except (KubernetesUnavailable, UnknownObject) as error:
            made, warnings = [], [*warnings, {"code": "journalUnreadable", "message": str(error)}]
        # In a thread: thousands of edges held against a hundred changes take a second.
        graphs = await asyncio.to_thread(compare_graphs, before, after, made, self._inventory.registry())
        compared = msgspec.to_builtins(graphs)
        compared["comparison"]["changes"] = [describe_change(entry) for entry in made]
        return answer_json(compared | {"warnings": warnings})

    async def series(self, request: web.Request) -> web.Response:
        """Lines for plots of one node or edge."""
        span, window = read_span(request, 5, self._settings.rate_window_seconds)
        return answer_json(await plot(self._metrics, read_selections(request), span, window))

    async def namespaces(self, request: web.Request) -> web.Response:
        """Every namespace, whether its pods are injected, and how much is in it."""
        registry = self._inventory.registry()
        rows = []
        for namespace in sorted(self._inventory.objects("namespaces"), key=lambda item: str(item["metadata"]["name"])):
            name = namespace["metadata"]["name"]
            labels = namespace["metadata"].get("labels") or {}
            rows.append(
                {
                    "name": name,
                    "injected": labels.get("istio-injection") == "enabled" or bool(labels.get("istio.io/rev")),
                    "workloads": sum(workload.namespace == name for workload in registry.workloads),
                    "services": sum(service.namespace == name for service in registry.services),
                }
            )
        return answer_json({"items": rows, "warnings": warnings_of(self._inventory)})

    async def workloads(self, request: web.Request) -> web.Response:
        """Every workload of the asked namespaces."""
        wanted = read_names(request, "namespaces")
        workloads = self._inventory.registry().workloads
        rows = [workload for workload in workloads if not wanted or workload.namespace in wanted]
        return answer_json({"items": rows, "warnings": warnings_of(self._inventory)})

    async def services(self, request: web.Request) -> web.Response:
        """Every service of the asked namespaces, with its ports and the workloads behind it."""
        wanted = read_names(request, "namespaces")
        members = self._inventory.registry().workloads_of_service
        rows = [
            describe_service(service)
            | {"workloads": [workload.name for workload in members.get(place_of(service), ())]}
            for service in sorted(self._inventory.objects("services"), key=place_of)
            if not wanted or service["metadata"].get("namespace") in wanted
        ]
        return answer_json({"items": rows, "warnings": warnings_of(self._inventory)})

    async def config(self, request: web.Request) -> web.Response:
        """Every Istio and Gateway API object of the asked namespaces, whole. No Secret is ever among them."""
        wanted = read_names(request, "namespaces")
        rows = [
            _describe_config(item)
            for item in await self._inventory.configs()
            if not wanted or item["metadata"].get("namespace") in wanted
        ]
        rows.sort(key=lambda row: (row["kind"], row["namespace"], row["name"]))
        return answer_json({"items": rows, "warnings": warnings_of(self._inventory)})

    async def openapi(self, request: web.Request) -> web.Response:
        """This API's description."""
        document = resources.files("kaiki.console").joinpath("openapi.json").read_bytes()
        return web.Response(body=document, content_type="application/json")


def read_span(request: web.Request, step: int, rate_window_seconds: int) -> tuple[Range, int]:
    """A plot's times (`from`, `to`, `step`; the last ten minutes), aligned, and the window of its rates in seconds."""
    end = read_time(request, "to", time.time)
    start = read_time(request, "from", lambda: end - 600)
    step = read_duration(request, "step", step)
    if not 0 < end - start <= MOST_POINTS * step:
        raise BadRequest(f"from..to must be positive and at most {MOST_POINTS} steps", "Ask for a larger step.")
    return Range(start // step * step, end // step * step, step), max(step, rate_window_seconds)


def read_selections(request: web.Request) -> list[dict[str, str]]:
    node, edge = request.query.get("node", ""), request.query.get("edge", "")
    unreached = read_flag(request, "unreached")
    if bool(node) == bool(edge):
        raise BadRequest("exactly one of node and edge is needed", "Take ids from /api/graph.")
    if edge:
        source, target, _ = parse_edge(edge)
        return selections_of_edge(source, target, unreached=unreached)
    direction = request.query.get("direction", "inbound")
    if direction not in ("inbound", "outbound"):
        raise BadRequest(f"direction={direction!r} is unknown", "Use inbound or outbound.")
    return selections_of_node(parse_node(node), direction, unreached=unreached)


def _describe_config(item: Object) -> Object:
    metadata = item["metadata"]
    return {
        "apiVersion": item.get("apiVersion", ""),
        "kind": item.get("kind", ""),
        "namespace": metadata.get("namespace", ""),
        "name": metadata["name"],
        "created": metadata.get("creationTimestamp", ""),
        "metadata": editable_metadata(metadata),
        "spec": item.get("spec") or {},
        "status": item.get("status") or {},
    }
