"""The lists: every namespace, app, workload and service with its health, traffic, injection and config findings.

All of them come from the six queries of a graph (`graph.queries`), shared with whoever looks at a graph of that window.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Any

from aiohttp import web

from kaiki.console.answers import answer_json, read_duration, read_names, read_time
from kaiki.console.errors import BadRequest, MetricsUnavailable
from kaiki.console.inventory import Inventory
from kaiki.console.metrics import MetricsClient
from kaiki.console.touching import Subject, count_findings, findings_of, mutual_tls_mode, reason_of
from kaiki.graph import (
    GraphOptions,
    GraphType,
    Node,
    Registry,
    RegistryWorkload,
    TrafficGraph,
    TrafficSeries,
    build_graph,
)

Object = dict[str, Any]

_TYPES = {
    "namespace": GraphType.NAMESPACE,
    "app": GraphType.APP,
    "workload": GraphType.WORKLOAD,
    "service": GraphType.SERVICE,
}
_ORDER = ("idle", "healthy", "notReady", "degraded", "failure")


class SummaryHandlers:
    """One operation: `/api/summaries?by=…`."""

    def __init__(self, metrics: MetricsClient, inventory: Inventory) -> None:
        self._metrics = metrics
        self._inventory = inventory

    def routes(self) -> list[web.AbstractRouteDef]:
        """What to mount."""
        return [web.get("/api/summaries", self.summaries)]

    async def summaries(self, request: web.Request) -> web.Response:
        """A list. Without the metrics store `measured` is false, and health is told by replicas alone."""
        by = request.query.get("by", "workload")
        if by not in _TYPES:
            raise BadRequest(f"by={by!r} is unknown", f"Use one of {', '.join(_TYPES)}.")
        at = round(read_time(request, "at", time.time), 3)
        options = GraphOptions(
            graph_type=_TYPES[by],
            namespaces=read_names(request, "namespaces"),
            duration_seconds=read_duration(request, "duration", 60),
            timestamp=at,
            idle=True,
        )
        series, warnings = TrafficSeries(), []
        try:
            series = await self._metrics.traffic(options.duration_seconds, at)
        except MetricsUnavailable as error:
            warnings.append({"code": "metricsUnavailable", "message": str(error)})
        configs, registry = await self._inventory.configs(), self._inventory.registry()
        graph = await asyncio.to_thread(build_graph, series, registry, options)
        view = _View(self._inventory, registry, configs, graph, options)
        if by == "namespace":
            items = view.namespaces(await asyncio.to_thread(_health_of_apps, series, registry, options))
        else:
            items = view.nodes(by)
        return answer_json(
            {
                "by": by,
                "timestamp": at,
                "durationSeconds": options.duration_seconds,
                "measured": not warnings,
                "items": items,
                "warnings": warnings + warnings_of(self._inventory),
            }
        )


def warnings_of(inventory: Inventory) -> list[Object]:
    """What is missing of the answer, as far as Kubernetes goes."""
    if not inventory.connected:
        return [{"code": "noKubernetes", "message": "No Kubernetes API is used: only what has traffic is shown."}]
    if not inventory.ready:
        return [{"code": "kubernetesNotReady", "message": "The Kubernetes API has not answered yet."}]
    if inventory.silent_since is not None:
        message = "The Kubernetes API does not answer: workloads, services and configuration are as it told them last."
        return [{"code": "kubernetesStale", "message": message, "since": inventory.silent_since}]
    problems = inventory.registry().tolerances.problems
    return [{"code": "tolerances", "message": "; ".join(problems)}] if problems else []


class _View:
    """One moment of the mesh, seen as lists."""

    def __init__(
        self,
        inventory: Inventory,
        registry: Registry,
        configs: list[Object],
        graph: TrafficGraph,
        options: GraphOptions,
    ) -> None:
        self._inventory = inventory
        self._registry = registry
        self._graph = graph
        self._configs = configs
        self._faulty = [item for item in configs if findings_of(item)]
        self._options = options
        self._members = _members(self._registry)
        self._services = services_by_workload(self._registry)

    def nodes(self, by: str) -> list[Object]:
        """Apps, workloads or services."""
        # A gateway's service is drawn as the gateway; without traffic through it there is a node of each.
        nodes = sorted(self._graph.nodes, key=lambda node: node.type.value != "gateway")
        found = [row for node in nodes if (row := self._row(by, node)) is not None]
        rows = {(row["namespace"], row["name"]): row for row in reversed(found)}.values()
        wanted = self._options.namespaces
        shown = (row for row in rows if not wanted or row["namespace"] in wanted)
        return sorted(shown, key=lambda row: (row["namespace"], row["name"]))

    def _row(self, by: str, node: Node) -> Object | None:
        kind = node.type.value
        if kind not in (by, "gateway") or (kind == "service" and not node.namespace):
            return None
        name = self._name_of(by, node)
        workloads = self._members.get((by, node.namespace, name), ())
        subject = subject_of(self._services, by, node.namespace, name, workloads)
        touched = [item for item in self._faulty if reason_of(item, subject)]
        return {
            "id": node.id,
            "namespace": node.namespace,
            "name": name,
            "kind": "gateway" if kind == "gateway" else by,
            "app": node.app,
            "version": node.version if by == "workload" else "",
            "health": node.health,
            "inbound": _rates(node, "inbound"),
            "outbound": _rates(node, "outbound"),
            "badges": node.badges,
            "findings": count_findings(touched),
            **_replicas(workloads),
            "workloads": [one.name for one in workloads],
            "services": sorted(place[1] for place in subject.services),
        }

    def _name_of(self, by: str, node: Node) -> str:
        if by == "service":
            known = self._registry.service_of_workload.get((node.namespace, node.workload))
            return node.service or known or node.workload
        return node.app if by == "app" and node.app else node.workload

    def namespaces(self, apps: dict[str, dict[str, int]]) -> list[Object]:
        """Namespaces, with how many of their `apps` are in which health."""
        nodes = self._graph.nodes
        found = {node.namespace: node for node in nodes if node.type.value == "namespace"}
        gateways = {node.namespace: node for node in nodes if node.type.value == "gateway"}
        labels = {str(item["metadata"]["name"]): item for item in self._inventory.objects("namespaces")}
        wanted = self._options.namespaces
        names = sorted({*found, *gateways, *labels} - {""})
        return [
            self._namespace(name, found.get(name), gateways.get(name), labels.get(name), apps.get(name, {}))
            for name in names
            if not wanted or name in wanted
        ]

    def _namespace(
        self, name: str, node: Node | None, gateway: Node | None, item: Object | None, apps: dict[str, int]
    ) -> Object:
        workloads = [one for one in self._registry.workloads if one.namespace == name]
        # What a gateway takes in is the namespace's inbound: nothing else of its namespace serves requests as a rule.
        shown = node if node is not None and _is_busy(node) else gateway or node
        metadata = ((item or {}).get("metadata") or {}).get("labels") or {}
        return {
            "id": f"namespace:{name}",
            "namespace": name,
            "name": name,
            "kind": "namespace",
            "health": {"status": _worst(apps), "reasons": node.health.reasons if node is not None else ()},
            "inbound": _rates(shown, "inbound"),
            "outbound": _rates(shown, "outbound"),
            "apps": apps,
            "injection": _injection(metadata),
            "mtlsMode": mutual_tls_mode(self._configs, name),
            "findings": count_findings(obj for obj in self._faulty if obj["metadata"].get("namespace") == name),
            "configs": sum(obj["metadata"].get("namespace") == name for obj in self._configs),
            **_replicas([one for one in workloads if not one.infrastructure or one.gateway]),
            "workloads": [one.name for one in workloads],
            "services": sorted(one.name for one in self._registry.services if one.namespace == name),
        }


Place = tuple[str, str]


def services_by_workload(registry: Registry) -> dict[Place, list[Place]]:
    """The services that select each workload's pods."""
    found: dict[Place, list[Place]] = {}
    for place, behind in registry.workloads_of_service.items():
        for one in behind:
            found.setdefault((one.namespace, one.name), []).append(place)
    return found


def subject_of(
    services: dict[Place, list[Place]], by: str, namespace: str, name: str, workloads: Iterable[RegistryWorkload]
) -> Subject:
    """What config objects are compared with: a service alone, or workloads with the services that select them."""
    members = tuple(workloads)
    if by == "service":
        return Subject(namespace, frozenset({(namespace, name)}), members)
    found = {place for one in members for place in services.get((one.namespace, one.name), ())}
    return Subject(namespace, frozenset(found), members)


def members_of(registry: Registry, by: str, namespace: str, name: str) -> tuple[RegistryWorkload, ...]:
    """The workloads of an app or a service, or the workload itself."""
    return _members(registry).get((by, namespace, name), ())


def _members(registry: Registry) -> dict[tuple[str, str, str], tuple[RegistryWorkload, ...]]:
    found: dict[tuple[str, str, str], tuple[RegistryWorkload, ...]] = {}
    for one in registry.workloads:
        found["workload", one.namespace, one.name] = (one,)
        app = "app", one.namespace, one.app or one.name
        found[app] = (*found.get(app, ()), one)
    return found | {("service", *place): behind for place, behind in registry.workloads_of_service.items()}


def _health_of_apps(series: TrafficSeries, registry: Registry, options: GraphOptions) -> dict[str, dict[str, int]]:
    by_app: TrafficGraph = build_graph(
        series,
        registry,
        GraphOptions(
            graph_type=GraphType.APP,
            duration_seconds=options.duration_seconds,
            timestamp=options.timestamp,
            idle=True,
        ),
    )
    counts: dict[str, dict[str, int]] = {}
    for node in by_app.nodes:
        if node.type.value in ("app", "gateway", "workload"):
            own = counts.setdefault(node.namespace, {})
            own[node.health.status.value] = own.get(node.health.status.value, 0) + 1
    return counts


def _worst(counts: dict[str, int]) -> str:
    return max(counts, key=_ORDER.index, default="idle")


def _is_busy(node: Node) -> bool:
    traffic = node.traffic.inbound
    return bool(traffic.requests_per_second or traffic.bytes_sent_per_second or traffic.bytes_received_per_second)


def _rates(node: Node | None, direction: str) -> Object | None:
    """What a list shows of a direction; None where nothing is known."""
    if node is None:
        return None
    traffic = node.traffic.inbound if direction == "inbound" else node.traffic.outbound
    return {
        "requestsPerSecond": traffic.requests_per_second,
        "errorRatio": traffic.error_ratio,
        "p50Milliseconds": traffic.p50_milliseconds,
        "p95Milliseconds": traffic.p95_milliseconds,
        "p99Milliseconds": traffic.p99_milliseconds,
        "bytesPerSecond": traffic.bytes_sent_per_second + traffic.bytes_received_per_second,
        "mtlsRatio": traffic.mtls_ratio,
    }


def _replicas(workloads: Iterable[RegistryWorkload]) -> Object:
    """`sidecars` counts the workloads all of whose pods have a proxy, of `expected` ones (not parts of the mesh)."""
    known = list(workloads)
    expected = [one for one in known if not one.infrastructure and not one.gateway]
    return {
        "desiredReplicas": sum(one.desired_replicas for one in known),
        "availableReplicas": sum(one.available_replicas for one in known),
        "sidecars": sum(one.sidecar for one in expected),
        "expectedSidecars": len(expected),
    }


def _injection(labels: dict[str, str]) -> str:
    """`enabled`, `disabled`, a revision's name, or empty."""
    told = labels.get("istio-injection", "")
    return told if told in ("enabled", "disabled") else labels.get("istio.io/rev", "")
