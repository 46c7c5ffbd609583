"""The names of everything there is a page of, in one small answer: what the console's command palette searches."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from kaiki.console.answers import answer_json
from kaiki.console.inventory import Inventory
from kaiki.console.summaries import warnings_of

Object = dict[str, Any]


class NameHandlers:
    """`/api/names`."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory

    def routes(self) -> list[web.AbstractRouteDef]:
        """What to mount."""
        return [web.get("/api/names", self.names)]

    async def names(self, _: web.Request) -> web.Response:
        """Namespaces, apps, workloads, services and configuration objects, each sorted."""
        registry = self._inventory.registry()
        apps = {(one.namespace, one.app) for one in registry.workloads if one.app}
        found = {
            "namespaces": sorted(str(one["metadata"]["name"]) for one in self._inventory.objects("namespaces")),
            "apps": [_place(*app) for app in sorted(apps)],
            "workloads": [_place(*one) for one in sorted((one.namespace, one.name) for one in registry.workloads)],
            "services": [_place(*one) for one in sorted((one.namespace, one.name) for one in registry.services)],
            "objects": sorted(map(_describe, await self._inventory.configs()), key=lambda one: tuple(one.values())),
        }
        return answer_json(found | {"warnings": warnings_of(self._inventory)})


def _place(namespace: str, name: str) -> Object:
    return {"namespace": namespace, "name": name}


def _describe(obj: Object) -> Object:
    metadata = obj["metadata"]
    place = _place(metadata.get("namespace", ""), metadata["name"])
    return {"kind": str(obj.get("kind", "")), **place, "apiVersion": str(obj.get("apiVersion", ""))}
