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
from kaiki.console.comparison import compare_graphs
from kaiki.console.errors import BadRequest
from kaiki.console.inventory import Inventory
from kaiki.console.metrics import MetricsClient, Range
from kaiki.console.plots import plot
from kaiki.console.selectors import parse_edge, parse_node, selections_of_edge, selections_of_node
from kaiki.console.settings import ConsoleSettings
from kaiki.graph import GraphOptions, GraphType, TrafficGraph, build_graph

MOST_POINTS = 2000
Object = dict[str, Any]


class Handlers:
    """The API's operations over one metrics store and one inventory."""

    def __init__(self, settings: ConsoleSettings, metrics: MetricsClient, inventory: Inventory) -> None:
        self._settings = settings
        self._metrics = metrics
        self._inventory = inventory

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
        options = _read_options(request, round(read_time(request, "at", time.time), 3))
        graph = await self._build(options, read_count(request, "most"))
        return answer_json(msgspec.to_builtins(graph) | {"warnings": self._warnings()})

    async def compare(self, request: web.Request) -> web.Response:
        """The graph of a window together with that of an earlier one, and what differs."""
        at = round(read_time(request, "at", time.time), 3)
        baseline = read_earlier(request, "baseline", at)
        # Compared without what is idle: the cluster's present inventory tells nothing of an earlier time.
        moments = (structs.replace(_read_options(request, moment), idle=False) for moment in (baseline, at))
        before, after = await asyncio.gather(*map(self._build, moments))
        return answer_json(msgspec.to_builtins(compare_graphs(before, after)) | {"warnings": self._warnings()})

    async def _build(self, options: GraphOptions, most: int = 0) -> TrafficGraph:
        series = await self._metrics.traffic(options.duration_seconds, options.timestamp)
        return build_graph(series, self._inventory.registry(), options, most)

    async def series(self, request: web.Request) -> web.Response:
        """Lines for plots of one node or edge."""
        end = read_time(request, "to", time.time)
        start = read_time(request, "from", lambda: end - 600)
        step = read_duration(request, "step", 5)
        if not 0 < end - start <= MOST_POINTS * step:
            raise BadRequest(f"from..to must be positive and at most {MOST_POINTS} steps", "Ask for a larger step.")
        aligned = Range(start // step * step, end // step * step, step)
        window = max(step, self._settings.rate_window_seconds)
        return answer_json(await plot(self._metrics, read_selections(request), aligned, window))

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
        return answer_json({"items": rows, "warnings": self._warnings()})

    async def workloads(self, request: web.Request) -> web.Response:
        """Every workload of the asked namespaces."""
        wanted = read_names(request, "namespaces")
        workloads = self._inventory.registry().workloads
        rows = [workload for workload in workloads if not wanted or workload.namespace in wanted]
        return answer_json({"items": rows, "warnings": self._warnings()})

    async def services(self, request: web.Request) -> web.Response:
        """Every service of the asked namespaces, with its ports and the workloads behind it."""
        wanted = read_names(request, "namespaces")
        members = self._inventory.registry().workloads_of_service
        rows = [
            _describe_service(service, [workload.name for workload in members.get(_place(service), ())])
            for service in sorted(self._inventory.objects("services"), key=_place)
            if not wanted or service["metadata"].get("namespace") in wanted
        ]
        return answer_json({"items": rows, "warnings": self._warnings()})

    async def config(self, request: web.Request) -> web.Response:
        """Every Istio and Gateway API object of the asked namespaces, whole. No Secret is ever among them."""
        wanted = read_names(request, "namespaces")
        rows = [
            _describe_config(item)
            for item in await self._inventory.configs()
            if not wanted or item["metadata"].get("namespace") in wanted
        ]
        rows.sort(key=lambda row: (row["kind"], row["namespace"], row["name"]))
        return answer_json({"items": rows, "warnings": self._warnings()})

    async def openapi(self, request: web.Request) -> web.Response:
        """This API's description."""
        document = resources.files("kaiki.console").joinpath("openapi.json").read_bytes()
        return web.Response(body=document, content_type="application/json")

    def _warnings(self) -> list[dict[str, str]]:
        if not self._inventory.connected:
            return [{"code": "noKubernetes", "message": "No Kubernetes API is used: only what has traffic is shown."}]
        if not self._inventory.ready:
            return [{"code": "kubernetesNotReady", "message": "The Kubernetes API has not answered yet."}]
        return []


def _read_options(request: web.Request, timestamp: float) -> GraphOptions:
    return GraphOptions(
        graph_type=_read_graph_type(request),
        namespaces=read_names(request, "namespaces"),
        duration_seconds=read_duration(request, "duration", 60),
        timestamp=timestamp,
        idle=read_flag(request, "idle"),
        services=read_flag(request, "services"),
    )


def _read_graph_type(request: web.Request) -> GraphType:
    text = request.query.get("graphType", GraphType.WORKLOAD.value)
    try:
        return GraphType(text)
    except ValueError:
        known = ", ".join(graph_type.value for graph_type in GraphType)
        raise BadRequest(f"graphType={text!r} is unknown", f"Use one of {known}.") from None


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


def _place(item: Object) -> tuple[str, str]:
    return str(item["metadata"].get("namespace", "")), str(item["metadata"]["name"])


def _describe_service(service: Object, workloads: list[str]) -> Object:
    namespace, name = _place(service)
    spec = service.get("spec", {})
    ports = [
        {"name": port.get("name", ""), "number": port.get("port", 0), "protocol": port.get("protocol", "TCP")}
        for port in spec.get("ports") or ()
    ]
    return {
        "namespace": namespace,
        "name": name,
        "type": spec.get("type", "ClusterIP"),
        "address": spec.get("clusterIP", ""),
        "ports": ports,
        "workloads": workloads,
    }


def _describe_config(item: Object) -> Object:
    metadata = item["metadata"]
    return {
        "apiVersion": item.get("apiVersion", ""),
        "kind": item.get("kind", ""),
        "namespace": metadata.get("namespace", ""),
        "name": metadata["name"],
        "created": metadata.get("creationTimestamp", ""),
        "spec": item.get("spec") or {},
        "status": item.get("status") or {},
    }
