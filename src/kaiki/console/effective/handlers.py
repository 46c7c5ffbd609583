"""The operations about a proxy's effective configuration: a page of one part of it, and the whole as JSON."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import orjson
from aiohttp import web

from kaiki.console.answers import answer_json, read_count
from kaiki.console.control_plane import ControlPlaneClient
from kaiki.console.effective.reading import PARTS, SORTS, ReadProxy, read_proxy
from kaiki.console.effective.rows import ProxyConfiguration, RefusedResource
from kaiki.console.errors import BadRequest, ProxyUnavailable, UnknownObject
from kaiki.console.inventory import Inventory
from kaiki.console.proxies import ask_configuration
from kaiki.console.workloads import owner_of, place_of

Object = dict[str, Any]
FRESH_SECONDS = 4.0
MOST_KEPT = 8
MOST_ROWS = 500
_ROWS = 100


class EffectiveHandlers:
    """What is read is kept for a moment: pages and searches of one proxy do not ask the control plane again."""

    def __init__(self, inventory: Inventory, control_plane: ControlPlaneClient) -> None:
        self._inventory = inventory
        self._control_plane = control_plane
        self._known: dict[tuple[str, str], tuple[float, asyncio.Task[tuple[str, ReadProxy]]]] = {}

    def routes(self) -> list[web.AbstractRouteDef]:
        """What to mount."""
        return [
            web.get("/api/proxies/{namespace}/{pod}/config", self.config),
            web.get("/api/proxies/{namespace}/{pod}/dump", self.dump),
        ]

    async def config(self, request: web.Request) -> web.Response:
        """A page of one part."""
        namespace, pod = request.match_info["namespace"], request.match_info["pod"]
        part, sort = request.query.get("part", "") or "listeners", request.query.get("sort", "")
        if part not in PARTS:
            raise BadRequest(f"part={part!r} is unknown", f"Use one of {', '.join(PARTS)}.")
        if sort and sort.removeprefix("-") not in SORTS[part]:
            raise BadRequest(f"sort={sort!r} is unknown", f"Use one of {', '.join(SORTS[part])}, or -NAME.")
        offset, limit = read_count(request, "offset"), read_count(request, "limit") or _ROWS
        if limit > MOST_ROWS:
            raise BadRequest(f"limit={limit} is too much", f"Ask for at most {MOST_ROWS} rows, and for more by offset.")
        replica, read = await self._read(namespace, pod)
        found = await asyncio.to_thread(read.find, part, request.query.get("q", ""), sort)
        rows: Any = {part: tuple(found[offset : offset + limit])}
        told = read.told
        return answer_json(
            ProxyConfiguration(
                namespace=namespace,
                pod=pod,
                workload=self._workload(namespace, pod),
                kind=str(told.get("proxy_type", "")),
                version=str(told.get("proxy_version", "")),
                replica=replica,
                generation=int(told.get("generation", 0)),
                synced=bool(told.get("synced")),
                rejected=tuple(
                    RefusedResource(*(str(one.get(key, "")) for key in ("type", "name", "reason")))
                    for one in told.get("rejected") or ()
                ),
                counts=read.counts(),
                part=part,
                total=len(found),
                offset=offset,
                **rows,
            )
        )

    async def dump(self, request: web.Request) -> web.Response:
        """The whole as Envoy itself writes it, to keep or to compare; keys and passwords are left out."""
        from kaiki.console.effective.raw import dump

        namespace, pod = request.match_info["namespace"], request.match_info["pod"]
        _, read = await self._read(namespace, pod)
        body = await asyncio.to_thread(lambda: orjson.dumps(dump(read.resources), option=orjson.OPT_INDENT_2))
        name = "".join(letter if letter.isalnum() or letter in "-." else "-" for letter in f"{pod}.{namespace}")
        headers = {"Content-Disposition": f'attachment; filename="{name}.json"'}
        return web.Response(body=body, content_type="application/json", headers=headers)

    def _workload(self, namespace: str, pod: str) -> str:
        found = self._pod(namespace, pod)
        return owner_of(found)[1] if found is not None else ""

    def _pod(self, namespace: str, name: str) -> Object | None:
        return next((one for one in self._inventory.objects("pods") if place_of(one) == (namespace, name)), None)

    async def _read(self, namespace: str, pod: str) -> tuple[str, ReadProxy]:
        now, key = time.monotonic(), (namespace, pod)
        self._known = {one: kept for one, kept in self._known.items() if now - kept[0] < FRESH_SECONDS}
        if key not in self._known:
            if len(self._known) >= MOST_KEPT:
                del self._known[min(self._known, key=lambda one: self._known[one][0])]
            self._known[key] = now, asyncio.create_task(self._fetch(namespace, pod))
        task = self._known[key][1]
        try:
            return await asyncio.shield(task)
        except (ProxyUnavailable, UnknownObject):
            if self._known.get(key, (0.0, None))[1] is task:
                del self._known[key]
            raise

    async def _fetch(self, namespace: str, pod: str) -> tuple[str, ReadProxy]:
        found = await ask_configuration(self._control_plane, self._inventory, f"{pod}.{namespace}")
        services, configs = self._inventory.objects("services"), await self._inventory.configs()
        return found.replica, await asyncio.to_thread(
            read_proxy, found.told, services, configs, namespace, self._pod(namespace, pod)
        )
