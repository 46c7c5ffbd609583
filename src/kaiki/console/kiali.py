"""Kiali's HTTP API, as far as programs use it: graphs, namespaces, health and configuration, under `/kiali/api`.

Parameters, paths and answers are those of Kiali's documented API; access is this console's own (a bearer token or the
session's cookie). Whatever is read here is read through the same metrics client and inventory as the console's pages.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from aiohttp import web

from kaiki import __version__
from kaiki.console.answers import answer_json, read_duration, read_flag, read_names, read_time
from kaiki.console.errors import BadRequest, UnknownObject
from kaiki.console.inventory import Inventory
from kaiki.console.metrics import MetricsClient
from kaiki.graph import GraphOptions, GraphType, TrafficSeries, build_graph
from kaiki.graph.kiali import (
    KialiOptions,
    NodeSelection,
    exchange_requests,
    render_graph,
    render_health,
    select_node,
)
from kaiki.graph.queries import message_query

Object = dict[str, Any]
CLUSTER = "Kubernetes"
DEFAULT_DURATION_SECONDS = 600
_CHOICES = {
    "graphType": ["workload", "app", "versionedApp", "service"],
    "rateGrpc": ["requests", "none", "received", "sent", "total"],
    "rateHttp": ["requests", "none"],
    "rateTcp": ["sent", "none", "received", "total"],
    "responseTime": ["95", "50", "99", "avg"],
    "throughputType": ["response", "request"],
}
"""The values of each parameter; the first is the default."""

_HEALTH_TYPES = {"app": GraphType.APP, "service": GraphType.SERVICE, "workload": GraphType.WORKLOAD}


class KialiHandlers:
    """The operations under `/kiali/api`."""

    def __init__(self, metrics: MetricsClient, inventory: Inventory) -> None:
        self._metrics = metrics
        self._inventory = inventory

    def routes(self) -> list[web.AbstractRouteDef]:
        """What to mount."""
        place = "/kiali/api/namespaces/{namespace}"
        return [
            web.get("/kiali/api", self.status),
            web.get("/kiali/api/", self.status),
            web.get("/kiali/api/status", self.status),
            web.get("/kiali/api/namespaces", self.namespaces),
            web.get("/kiali/api/namespaces/graph", self.graph),
            web.get(place + "/workloads/{workload}/graph", self.graph),
            web.get(place + "/apps/{app}/graph", self.graph),
            web.get(place + "/apps/{app}/versions/{version}/graph", self.graph),
            web.get(place + "/services/{service}/graph", self.graph),
            web.get(place + "/health", self.namespace_health),
            web.get("/kiali/api/clusters/health", self.health),
            web.get("/kiali/api/istio/config", self.config),
            web.get(place + "/istio", self.config),
            web.get(place + "/istio/{group}/{version}/{kind}/{object}", self.config_object),
        ]

    async def status(self, request: web.Request) -> web.Response:
        """What answers here."""
        state = {"Kiali state": "running", "Kiali version": __version__, "Kiali container version": __version__}
        services = [{"name": "Prometheus"}, {"name": "Kubernetes"}]
        return answer_json({"status": state, "externalServices": services, "warningMessages": []})

    async def namespaces(self, request: web.Request) -> web.Response:
        """Every namespace with its labels and annotations."""
        found = sorted(
            (item["metadata"] for item in self._inventory.objects("namespaces")), key=lambda one: one["name"]
        )
        return answer_json(
            [
                {
                    "name": one["name"],
                    "cluster": CLUSTER,
                    "isAmbient": False,
                    "labels": one.get("labels") or {},
                    "annotations": one.get("annotations") or {},
                }
                for one in found
            ]
        )

    async def graph(self, request: web.Request) -> web.Response:
        """The graph of namespaces, or of one node when the path names one."""
        node = NodeSelection(**request.match_info) if "namespace" in request.match_info else None
        options, drawn = _read_kiali_options(request), _read_graph_options(request, node)
        series = await self._metrics.traffic(drawn.duration_seconds, drawn.timestamp)
        series = await self._with_messages(series, drawn, options.grpc)
        registry = self._inventory.registry()
        chosen = select_node(series, node) if node else series
        # In a thread, so that nobody else waits for a mesh of thousands.
        rendered = await asyncio.to_thread(
            lambda: render_graph(build_graph(chosen, registry, drawn), registry, options)
        )
        return answer_json(rendered)

    async def _with_messages(self, series: TrafficSeries, drawn: GraphOptions, kind: str) -> TrafficSeries:
        """gRPC counted in messages, where that is asked for."""
        directions = {"sent": ("sent",), "received": ("received",), "total": ("sent", "received")}.get(kind, ())
        if not directions:
            return series
        queries = (message_query(direction, drawn.duration_seconds) for direction in directions)
        answers = await asyncio.gather(*(self._metrics.vector(query, drawn.timestamp) for query in queries))
        return exchange_requests(series, tuple(sample for answer in answers for sample in answer), "grpc")

    async def health(self, request: web.Request) -> web.Response:
        """Health of all apps, workloads or services (`type`) by namespace and name."""
        kind = request.query.get("type", "app")
        found = await self._health(request, kind, read_names(request, "namespaces"))
        return answer_json({f"{kind}Health": found})

    async def namespace_health(self, request: web.Request) -> web.Response:
        """The same of one namespace."""
        namespace = request.match_info["namespace"]
        found = await self._health(request, request.query.get("type", "app"), frozenset((namespace,)))
        return answer_json(found.get(namespace, {}))

    async def _health(
        self, request: web.Request, kind: str, namespaces: frozenset[str]
    ) -> dict[str, dict[str, Object]]:
        if kind not in _HEALTH_TYPES:
            raise BadRequest(f"type={kind!r} is unknown", f"Use one of {', '.join(_HEALTH_TYPES)}.")
        options = GraphOptions(
            graph_type=_HEALTH_TYPES[kind],
            namespaces=namespaces,
            duration_seconds=read_duration(request, "rateInterval", DEFAULT_DURATION_SECONDS),
            timestamp=round(read_time(request, "queryTime", time.time), 3),
            idle=True,
        )
        series = await self._metrics.traffic(options.duration_seconds, options.timestamp)
        registry = self._inventory.registry()
        found = await asyncio.to_thread(lambda: render_health(build_graph(series, registry, options), registry))
        return {name: health for name, health in found.items() if not namespaces or name in namespaces}

    async def config(self, request: web.Request) -> web.Response:
        """Every Istio and Gateway API object by kind, of all namespaces or one."""
        wanted = request.match_info.get("namespace", "")
        resources: dict[str, list[Object]] = {}
        for item in await self._inventory.configs():
            if wanted in ("", item["metadata"].get("namespace")):
                resources.setdefault(f"{item.get('apiVersion')}, Kind={item.get('kind')}", []).append(item)
        return answer_json({"permissions": {}, "resources": resources, "validations": {}})

    async def config_object(self, request: web.Request) -> web.Response:
        """One object."""
        path = request.match_info
        for item in await self._inventory.configs():
            metadata = item["metadata"]
            place = (item.get("kind"), metadata.get("namespace"), metadata["name"])
            group = str(item.get("apiVersion", "")).partition("/")[0]
            if (group, *place) == (path["group"], path["kind"], path["namespace"], path["object"]):
                permissions = {"create": False, "update": False, "delete": False}
                namespace = {"name": path["namespace"], "cluster": CLUSTER}
                return answer_json({"namespace": namespace, "resource": item, "permissions": permissions})
        raise UnknownObject(f"there is no {path['kind']} {path['namespace']}/{path['object']}")


def _read_choice(request: web.Request, parameter: str) -> str:
    choices = _CHOICES[parameter]
    text = request.query.get(parameter) or choices[0]
    if text not in choices:
        raise BadRequest(f"{parameter}={text!r} is unknown", f"Use one of {', '.join(choices)}.")
    return text


def _read_kiali_options(request: web.Request) -> KialiOptions:
    names = request.query.get("namespaces", "") or request.match_info.get("namespace", "")
    appenders = request.query.get("appenders")
    boxes = request.query.get("boxBy", "")
    return KialiOptions(
        cluster=CLUSTER,
        namespaces=frozenset(name.strip() for name in names.split(",") if name.strip()),
        appenders=None if appenders is None else read_names(request, "appenders"),
        boxes=tuple(name.strip() for name in boxes.split(",") if name.strip() not in ("", "none")),
        response_time=_read_choice(request, "responseTime"),
        http=_read_choice(request, "rateHttp"),
        grpc=_read_choice(request, "rateGrpc"),
        tcp=_read_choice(request, "rateTcp"),
        throughput=_read_choice(request, "throughputType"),
    )


def _read_graph_options(request: web.Request, node: NodeSelection | None) -> GraphOptions:
    namespaces = read_names(request, "namespaces")
    if node is None and not namespaces:
        raise BadRequest("namespaces is missing", "Name one or more, as namespaces=default,shop.")
    appenders = request.query.get("appenders")
    return GraphOptions(
        graph_type=GraphType(_read_choice(request, "graphType")),
        namespaces=namespaces if node is None else frozenset(),
        duration_seconds=read_duration(request, "duration", DEFAULT_DURATION_SECONDS),
        timestamp=round(read_time(request, "queryTime", time.time), 3),
        idle=node is None and appenders is not None and "idleNode" in appenders,
        services=read_flag(request, "injectServiceNodes") or (node is not None and bool(node.service)),
        idle_edges=read_flag(request, "includeIdleEdges"),
    )
