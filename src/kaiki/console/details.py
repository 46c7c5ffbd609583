"""Pods from close by: their containers, and the logs of each."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from kaiki.console.answers import read_flag
from kaiki.console.errors import BadRequest, TooMany, UnknownObject
from kaiki.console.following import stream_text
from kaiki.console.inventory import Inventory
from kaiki.console.workloads import loopback_ports

MOST_LOG_LINES = 5000
MOST_LOG_BYTES = 1 << 20
MOST_FOLLOWERS = 64
Object = dict[str, Any]


class LogHandlers:
    """One operation: `/api/logs`."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._followers = 0

    def routes(self) -> list[web.AbstractRouteDef]:
        """What to mount."""
        return [
            web.get("/api/logs", self.logs),
        ]

    async def logs(self, request: web.Request) -> web.StreamResponse:
        """The last lines of one container, as text: at most 5000 of them, and at most 1 MiB.

        With `follow` the answer goes on as lines come, until the container or the asker ends.
        """
        names = {name: request.query.get(name, "") for name in ("namespace", "pod", "container")}
        pod = next((pod for pod in self._pods_of(names["namespace"]) if pod["metadata"]["name"] == names["pod"]), None)
        if pod is None or names["container"] not in containers_of(pod):
            message = f"there is no container {names['namespace']}/{names['pod']}/{names['container']}"
            raise UnknownObject(message, "It may have been replaced: look at its workload again.")
        if read_flag(request, "follow"):
            return await self._follow(request, names)
        text = await self._inventory.logs(
            **names, tail_lines=_read_tail(request), most_bytes=MOST_LOG_BYTES, previous=read_flag(request, "previous")
        )
        return web.Response(body=text, content_type="text/plain", charset="utf-8")

    async def _follow(self, request: web.Request, names: dict[str, str]) -> web.StreamResponse:
        if self._followers >= MOST_FOLLOWERS:
            raise TooMany(f"{MOST_FOLLOWERS} logs are followed already", "Close some pages, or ask without follow.")
        self._followers += 1
        try:
            pieces = self._inventory.follow(**names, tail_lines=_read_tail(request))
            return await stream_text(request, pieces)
        finally:
            self._followers -= 1

    def _pods_of(self, namespace: str) -> list[Object]:
        pods = (pod for pod in self._inventory.objects("pods") if pod["metadata"].get("namespace") == namespace)
        return sorted(pods, key=lambda pod: str(pod["metadata"]["name"]))


def _read_tail(request: web.Request) -> int:
    text = request.query.get("tail", "500")
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MOST_LOG_LINES):
        raise BadRequest(f"tail={text!r} is not a number of lines", f"Use 1 to {MOST_LOG_LINES}.")
    return int(text)


def containers_of(pod: Object) -> list[str]:
    spec = pod.get("spec", {})
    return [item["name"] for item in (*spec.get("containers", ()), *spec.get("initContainers", ()))]


def describe_pod(pod: Object) -> Object:
    status = pod.get("status", {})
    statuses = {item["name"]: item for item in status.get("containerStatuses", ())}
    return {
        "name": pod["metadata"]["name"],
        "phase": status.get("phase", ""),
        "address": status.get("podIP", ""),
        "started": status.get("startTime", ""),
        "containers": [_describe_container(name, statuses.get(name, {})) for name in containers_of(pod)],
        "loopbackPorts": loopback_ports(pod),
    }


def _describe_container(name: str, status: Object) -> Object:
    """`state` is waiting, running or terminated; `reason` why it waits, or ended."""
    states: dict[str, Object] = status.get("state") or {"waiting": {}}
    state, more = next(iter(states.items()))
    return {
        "name": name,
        "ready": bool(status.get("ready")),
        "restarts": status.get("restartCount", 0),
        "state": state,
        "reason": more.get("reason", ""),
    }
