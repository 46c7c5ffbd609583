"""A route that changes a thousand times while it is used, with the subsets and hosts it leads to coming and going."""

from __future__ import annotations

import asyncio
import collections
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from kaiki.kube.client import KubeClient
from kaiki.kube.config import load_config
from kaiki.kube.resource import DESTINATION_RULES, ENDPOINT_SLICES, SERVICES, VIRTUAL_SERVICES

NAME = "changing"
GROUP = 20
"""So many changes in a row lead to the same subset and host; the next ones are there halfway through."""
PAUSE_SECONDS = 0.05
"""Between two calls of a sender: the changes, too, want some of the machine."""


class RouteLoad:
    """Requests by several threads, one after the other; what failed, and the routes that were taken."""

    def __init__(self, *senders: Callable[[], list[tuple[int, str]]]) -> None:
        self.statuses: collections.Counter[str] = collections.Counter()
        self.routes: set[str] = set()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(send,)) for send in senders]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, send: Callable[[], list[tuple[int, str]]]) -> None:
        while not self._stop.wait(PAUSE_SECONDS):
            try:
                answers = send()
            except OSError as error:
                answers = [(0, type(error).__name__)]
            for status, route in answers:
                self.statuses[str(status or route)] += 1
                self.routes.add(route)


def through_gateway(url: str, host: str) -> list[tuple[int, str]]:
    """One request of a host: its status and the route it took."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers={"Host": host}), timeout=30) as response:
            response.read()
            return [(response.status, response.headers.get("x-route", ""))]
    except urllib.error.HTTPError as error:
        with error:
            return [(error.code, "")]


def service(name: str) -> dict[str, Any]:
    spec = {"selector": {"app": "echo"}, "ports": [{"name": "http", "port": 8080}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "near"}, "spec": spec}


def objects() -> list[dict[str, Any]]:
    """What there is before the first change."""
    metadata = {"name": NAME, "namespace": "near"}
    rule = {"host": NAME, **subsets(0)}
    hosts = [f"{NAME}.near.svc.cluster.local", f"{NAME}.test"]
    # The proxies of namespaces that do not send are left alone.
    routes = {"hosts": hosts, "gateways": ["mesh", "tests"], "exportTo": ["."], **http(0)}
    istio = "networking.istio.io/v1"
    return [
        service(NAME),
        service(f"{NAME}-0"),
        {"apiVersion": istio, "kind": "DestinationRule", "metadata": metadata, "spec": rule},
        {"apiVersion": istio, "kind": "VirtualService", "metadata": metadata, "spec": routes},
    ]


def subsets(*groups: int) -> dict[str, Any]:
    return {"subsets": [{"name": f"group-{group}", "labels": {"app": "echo"}} for group in groups]}


def http(number: int) -> dict[str, Any]:
    group = number // GROUP
    destinations = {"host": NAME, "subset": f"group-{group}"}, {"host": f"{NAME}-{group}"}
    route = {
        "route": [{"destination": one, "weight": 50} for one in destinations],
        "headers": {"response": {"set": {"x-route": str(number)}}},
    }
    return {"http": [route]}


def change(home: Path, count: int) -> None:
    """Change the route so many times, by one client of the API."""
    asyncio.run(_change(home, count))


async def _change(home: Path, count: int) -> None:
    async with KubeClient(load_config(home / "kubeconfig")) as client:
        for number in range(1, count + 1):
            group, place = divmod(number, GROUP)
            if place == 0:
                await _wait_for_endpoints(client, f"{NAME}-{group}")
            await client.patch(VIRTUAL_SERVICES, NAME, "near", {"spec": http(number)})
            if place == GROUP // 2:
                await client.create(service(f"{NAME}-{group + 1}"))
                await client.patch(DESTINATION_RULES, NAME, "near", {"spec": subsets(group, group + 1)})
                if group:
                    await client.delete(SERVICES, f"{NAME}-{group - 1}", "near")


async def _wait_for_endpoints(client: KubeClient, name: str) -> None:
    async with asyncio.timeout(60):
        while True:
            slices = await client.list(ENDPOINT_SLICES, "near", label_selector=f"kubernetes.io/service-name={name}")
            if any(one.get("endpoints") for one in slices):
                return
            await asyncio.sleep(0.02)


def relayed(answers: list[dict[str, Any]]) -> list[tuple[int, str]]:
    """What the client in the mesh says of the requests it sent."""
    return [(int(one.get("status") or 0), _route(one)) for one in answers]


def _route(answer: dict[str, Any]) -> str:
    if not answer.get("status"):
        return json.dumps(answer)
    return str(answer["headers"].get("x-route", ""))
