"""One app, workload or service from close by: traffic, latency heat, pods, proxies, certificates, config objects."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Any

from aiohttp import web

from kaiki.console.answers import answer_json, read_duration, read_time
from kaiki.console.control_plane import ControlPlaneClient
from kaiki.console.details import describe_pod
from kaiki.console.errors import MetricsUnavailable, UnknownObject
from kaiki.console.handlers import read_selections, read_span
from kaiki.console.inventory import Inventory
from kaiki.console.metrics import MetricsClient
from kaiki.console.plots import heat
from kaiki.console.proxies import ask_replicas, describe_proxies
from kaiki.console.settings import ConsoleSettings
from kaiki.console.summaries import members_of, services_by_workload, subject_of, warnings_of
from kaiki.console.touching import findings_of, is_traced, touching
from kaiki.console.workloads import describe_service, owner_of, place_of
from kaiki.graph import GraphOptions, GraphType, RegistryWorkload, TrafficSeries, build_graph

Object = dict[str, Any]
_TYPES = {"app": GraphType.APP, "workload": GraphType.WORKLOAD, "service": GraphType.SERVICE}


class SubjectHandlers:
    """`/api/details/{kind}/{namespace}/{name}` and `/api/heat`."""

    def __init__(
        self,
        settings: ConsoleSettings,
        metrics: MetricsClient,
        inventory: Inventory,
        control_plane: ControlPlaneClient,
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._inventory = inventory
        self._control_plane = control_plane

    def routes(self) -> list[web.AbstractRouteDef]:
        """What to mount."""
        return [
            web.get("/api/details/{kind:app|workload|service}/{namespace}/{name}", self.details),
            web.get("/api/heat", self.heat),
        ]

    async def details(self, request: web.Request) -> web.Response:
        """All that is known of one subject. Without the metrics store `measured` is false."""
        kind, namespace, name = (request.match_info[part] for part in ("kind", "namespace", "name"))
        registry = self._inventory.registry()
        workloads = members_of(registry, kind, namespace, name)
        at = round(read_time(request, "at", time.time), 3)
        series, warnings = TrafficSeries(), []
        duration = read_duration(request, "duration", 60)
        try:
            series = await self._metrics.traffic(duration, at)
        except MetricsUnavailable as error:
            warnings.append({"code": "metricsUnavailable", "message": str(error)})
        options = GraphOptions(_TYPES[kind], frozenset(), duration, at, True)
        nodes = (await asyncio.to_thread(build_graph, series, registry, options)).nodes
        wanted = _node_ids(kind, namespace, name, workloads)
        node = next((node for node in nodes if node.id in wanted), None)
        services = [item for item in self._inventory.objects("services") if place_of(item) == (namespace, name)]
        if node is None and not workloads and not (kind == "service" and services):
            hint = "It may have been removed: look at the list again."
            raise UnknownObject(f"there is no {kind} {namespace}/{name}, and it has no traffic", hint)
        configs = await self._inventory.configs()
        subject = subject_of(services_by_workload(registry), kind, namespace, name, workloads)
        touched = touching(configs, subject)
        pods = self._pods(workloads)
        proxies = await self._proxies({str(pod["metadata"]["name"]) for pod in pods}, namespace)
        return answer_json(
            {
                "kind": kind,
                "namespace": namespace,
                "name": name,
                "timestamp": at,
                "durationSeconds": duration,
                "measured": not warnings,
                "node": node,
                "workloads": workloads,
                "services": [describe_service(item) for item in self._services(subject.services)],
                "pods": [_describe(pod) for pod in pods],
                "proxies": proxies,
                "configs": [_describe_config(item, reason) for item, reason in touched],
                "traced": is_traced(item for item, _ in touched),
                "traceServices": sorted({f"{one.app or one.name}.{one.namespace}" for one in workloads}),
                "warnings": warnings + warnings_of(self._inventory),
            }
        )

    async def heat(self, request: web.Request) -> web.Response:
        """Latency buckets over time of one node or edge."""
        span, window = read_span(request, 10, self._settings.rate_window_seconds)
        return answer_json(await heat(self._metrics, read_selections(request), span, window))

    def _pods(self, workloads: Iterable[RegistryWorkload]) -> list[Object]:
        places = {(one.namespace, one.name) for one in workloads}
        pods = [
            pod
            for pod in self._inventory.objects("pods")
            if (pod["metadata"].get("namespace", ""), owner_of(pod)[1]) in places
        ]
        return sorted(pods, key=lambda pod: str(pod["metadata"]["name"]))

    async def _proxies(self, pods: set[str], namespace: str) -> list[Object] | None:
        replicas = await ask_replicas(self._control_plane, self._inventory)
        if all(replica.entries is None for replica in replicas):
            return None
        rows = describe_proxies(self._inventory, replicas)
        return [row for row in rows if row["pod"] in pods and row["namespace"] == namespace]

    def _services(self, places: frozenset[tuple[str, str]]) -> list[Object]:
        return sorted((item for item in self._inventory.objects("services") if place_of(item) in places), key=place_of)


def _node_ids(kind: str, namespace: str, name: str, workloads: Iterable[RegistryWorkload]) -> set[str]:
    """The nodes that may stand for a subject: its own, a gateway's, or a workload's that has no app label."""
    gateways = {f"gateway:{one.namespace}/{one.name}" for one in workloads if one.gateway}
    return {f"{kind}:{namespace}/{name}", *gateways} | ({f"workload:{namespace}/{name}"} if kind == "app" else set())


def _describe(pod: Object) -> Object:
    labels = pod["metadata"].get("labels") or {}
    revision = labels.get("istio.io/rev") or labels.get("service.istio.io/canonical-revision") or ""
    template = labels.get("pod-template-hash", "")
    return describe_pod(pod) | {"workload": owner_of(pod)[1], "revision": revision, "template": template}


def _describe_config(item: Object, reason: str) -> Object:
    metadata = item["metadata"]
    return {
        "apiVersion": item.get("apiVersion", ""),
        "kind": item.get("kind", ""),
        "namespace": metadata.get("namespace", ""),
        "name": metadata["name"],
        "reason": reason,
        "findings": findings_of(item),
    }
