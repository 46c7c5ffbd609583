"""The mesh itself: control plane replicas, gateways, stores of metrics and traces, and every proxy."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import orjson
from aiohttp import web

import kaiki
from kaiki.console.answers import answer_json
from kaiki.console.control_plane import ControlPlaneClient
from kaiki.console.errors import ConsoleError
from kaiki.console.inventory import Inventory
from kaiki.console.metrics import MetricsClient
from kaiki.console.proxies import Replica, ask_replicas, describe_proxies, version_of_image
from kaiki.console.summaries import warnings_of
from kaiki.console.traces import TracesClient
from kaiki.console.workloads import describe_service, is_ready, place_of

Object = dict[str, Any]


class MeshHandlers:
    """One operation: `/api/mesh`."""

    def __init__(
        self, metrics: MetricsClient, inventory: Inventory, control_plane: ControlPlaneClient, traces: TracesClient
    ) -> None:
        self._metrics = metrics
        self._inventory = inventory
        self._control_plane = control_plane
        self._traces = traces

    def routes(self) -> list[web.AbstractRouteDef]:
        """What to mount."""
        return [web.get("/api/mesh", self.mesh)]

    async def mesh(self, request: web.Request) -> web.Response:
        """Everything at once. A part that does not answer says so; the others are told all the same."""
        replicas, metrics, traces = await asyncio.gather(
            ask_replicas(self._control_plane, self._inventory), self._describe_metrics(), self._describe_traces()
        )
        return answer_json(
            {
                "version": kaiki.__version__,
                "controlPlane": [_describe_replica(replica) for replica in replicas],
                "gateways": self._gateways(),
                "metrics": metrics,
                "traces": traces,
                "proxies": describe_proxies(self._inventory, replicas),
                "warnings": warnings_of(self._inventory),
            }
        )

    def _gateways(self) -> list[Object]:
        services = {place_of(item): item for item in self._inventory.objects("services")}
        behind = self._inventory.registry().workloads_of_service
        return [
            {
                "namespace": one.namespace,
                "name": one.name,
                "desiredReplicas": one.desired_replicas,
                "availableReplicas": one.available_replicas,
                "services": [
                    _describe_service(services[place])
                    for place, members in sorted(behind.items())
                    if one in members and place in services
                ],
            }
            for one in self._inventory.registry().workloads
            if one.gateway
        ]

    async def _describe_metrics(self) -> Object:
        told: Object = {"url": self._metrics.url, "reachable": True, "error": ""} | _NO_STORE
        try:
            build, runtime, store = await asyncio.gather(
                *(self._metrics.status(what) for what in ("buildinfo", "runtimeinfo", "tsdb"))
            )
            if build is runtime is store is None:  # None of these pages: whether it answers queries is what counts.
                await self._metrics.vector("vector(1)", time.time())
        except ConsoleError as error:
            return told | {"reachable": False, "error": str(error)}
        head = (store or {}).get("headStats") or {}
        oldest = head.get("minTime")
        return told | {
            "version": str((build or {}).get("version", "")),
            "product": str((build or {}).get("revision", "")),
            "series": head.get("numSeries"),
            "oldest": oldest / 1000 if isinstance(oldest, int) and 0 < oldest < 1 << 53 else None,
            "retention": str((runtime or {}).get("storageRetention", "")),
            "finding": _text_of((store or {}).get("finding")),
        }

    async def _describe_traces(self) -> Object:
        told: Object = {"url": self._traces.url, "reachable": True, "error": "", "services": 0}
        try:
            status, body = await self._traces.ask("services", [])
        except ConsoleError as error:
            return told | {"reachable": False, "error": str(error)}
        names = (orjson.loads(body) if status == 200 else {}).get("data") or ()
        return told | {"services": len(names), "reachable": status == 200}


_NO_STORE: Object = {"version": "", "product": "", "series": None, "oldest": None, "retention": "", "finding": ""}


def _text_of(finding: Any) -> str:
    """What our own store says of its labels; other stores find nothing."""
    return str(finding.get("text") or "") if isinstance(finding, dict) else ""


def _describe_replica(replica: Replica) -> Object:
    pod = replica.pod or {}
    status, spec = pod.get("status") or {}, pod.get("spec") or {}
    images = [container.get("image", "") for container in spec.get("containers") or ()]
    return {
        "name": replica.name,
        "address": status.get("podIP", ""),
        "ready": is_ready(pod) if replica.pod is not None else replica.entries is not None,
        "started": status.get("startTime", ""),
        "restarts": sum(item.get("restartCount", 0) for item in status.get("containerStatuses") or ()),
        "version": version_of_image(images[0]) if images else "",
        "reachable": replica.entries is not None,
        "proxies": len(replica.entries or ()),
    }


def _describe_service(service: Object) -> Object:
    balancer = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    external = [str(one.get("ip") or one.get("hostname") or "") for one in balancer]
    return describe_service(service) | {"external": external}
