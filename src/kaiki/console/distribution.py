"""How far each object has got: how many of the proxies that it makes something for have acknowledged what it made.

A proxy is connected to one replica of the control plane, so every replica is asked and the counts are added. What is
told is told of a generation (`metadata.generation`): of several replicas the oldest one counts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from aiohttp import web

from kaiki.console.answers import answer_json
from kaiki.console.control_plane import ControlPlaneClient
from kaiki.console.inventory import Inventory
from kaiki.console.proxies import is_control_plane

Object = dict[str, Any]


class DistributionHandlers:
    """One operation: `/api/distribution`."""

    def __init__(self, inventory: Inventory, control_plane: ControlPlaneClient) -> None:
        self._inventory = inventory
        self._control_plane = control_plane

    def routes(self) -> list[web.AbstractRouteDef]:
        """What to mount."""
        return [web.get("/api/distribution", self.distribution)]

    async def distribution(self, request: web.Request) -> web.Response:
        """All objects that some connected proxy has something of. `silent` are replicas that did not answer."""
        pods = [pod for pod in self._inventory.objects("pods") if is_control_plane(pod)]
        addresses = [str((pod.get("status") or {}).get("podIP") or "") for pod in pods] or [""]
        answers = list(await asyncio.gather(*(self._control_plane.distribution(address) for address in addresses)))
        if all(entries is None for entries in answers):  # Pods whose addresses cannot be reached, behind a Service.
            answers[0] = await self._control_plane.distribution()
        names = [str(pod["metadata"]["name"]) for pod in pods] or [self._control_plane.url]
        silent = sorted(name for name, entries in zip(names, answers, strict=True) if entries is None)
        return answer_json({"objects": added_up(entries for entries in answers if entries), "silent": silent})


def added_up(answers: Iterable[list[Object]]) -> list[Object]:
    """One entry an object, sorted by kind, namespace and name."""
    found: dict[tuple[str, str, str], Object] = {}
    for entries in answers:
        for entry in entries:
            key = str(entry.get("kind", "")), str(entry.get("namespace", "")), str(entry.get("name", ""))
            known = found.get(key)
            found[key] = {
                "kind": key[0],
                "namespace": key[1],
                "name": key[2],
                "generation": min(entry.get("generation", 0), known["generation"]) if known else entry["generation"],
                "proxies": entry["proxies"] + (known["proxies"] if known else 0),
                "acknowledged": entry["acknowledged"] + (known["acknowledged"] if known else 0),
                "waiting": sorted({*entry["waiting"], *(known["waiting"] if known else ())}),
            }
    return [found[key] for key in sorted(found)]
