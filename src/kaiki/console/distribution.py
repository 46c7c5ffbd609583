"""How far each object has got: how many of the proxies that it makes something for have acknowledged what it made.

A proxy is connected to one replica of the control plane, so every replica is asked and the counts are added. What is
told is told of a generation (`metadata.generation`): of several replicas the oldest one counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from aiohttp import web

from kaiki.console.answers import answer_json
from kaiki.console.control_plane import ControlPlaneClient
from kaiki.console.inventory import Inventory
from kaiki.console.proxies import ask_replicas
from kaiki.console.summaries import warnings_of

Object = dict[str, Any]
_KEY = ("kind", "group", "namespace", "name")
_NONE: Object = {"proxies": 0, "acknowledged": 0, "waiting": [], "refused": ""}


class DistributionHandlers:
    """One operation: `/api/distribution`."""

    def __init__(self, inventory: Inventory, control_plane: ControlPlaneClient) -> None:
        self._inventory = inventory
        self._control_plane = control_plane

    def routes(self) -> list[web.AbstractRouteDef]:
        """What to mount."""
        return [web.get("/api/distribution", self.distribution)]

    async def distribution(self, request: web.Request) -> web.Response:
        """All objects that some connected proxy has something of.

        `silent` are replicas that did not answer; while none is `answering`, nothing is known of what proxies have.
        """
        replicas = await ask_replicas(self._control_plane, self._inventory, "distribution")
        objects = added_up(replica.entries for replica in replicas if replica.entries)
        silent = [one.name for one in replicas if one.entries is None]
        told = {"objects": objects, "silent": silent, "answering": len(replicas) - len(silent)}
        return answer_json(told | {"warnings": warnings_of(self._inventory)})


def added_up(answers: Iterable[list[Object]]) -> list[Object]:
    """One entry an object, sorted by kind, namespace and name."""
    found: dict[tuple[str, ...], Object] = {}
    for entries in answers:
        for entry in entries:
            key = tuple(str(entry[part]) for part in _KEY)
            known = found.setdefault(
                key, {**_NONE, **dict(zip(_KEY, key, strict=True)), "generation": entry["generation"]}
            )
            known["refused"] = known["refused"] or entry["refused"]
            known["generation"] = min(known["generation"], entry["generation"])
            known["proxies"] += entry["proxies"]
            known["acknowledged"] += entry["acknowledged"]
            known["waiting"] = sorted({*known["waiting"], *entry["waiting"]})
    return [found[key] for key in sorted(found, key=lambda key: (key[0], *key[2:], key[1]))]
