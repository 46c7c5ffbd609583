"""The change journal, read: who changed what and when, with the object before and after as YAML."""

from __future__ import annotations

import time
from typing import Any

from aiohttp import web

from kaiki.console.answers import answer_json, read_names, read_time
from kaiki.console.documents import write_document
from kaiki.console.errors import KubernetesUnavailable, UnknownObject
from kaiki.kube.client import KubeClient
from kaiki.kube.errors import KubeError, Unavailable
from kaiki.kube.resource import CONFIG_MAPS
from kaiki.model.journal import JOURNAL_NAME, ChangeEntry, decode_entry

FRESH_SECONDS = 1.0
Object = dict[str, Any]


class ChangeHandlers:
    """The operations on the journal, which the control plane keeps in a ConfigMap of `namespace`."""

    def __init__(self, client: KubeClient | None, namespace: str = "istio-system") -> None:
        self._client = client
        self._namespace = namespace
        self._read: tuple[float, list[ChangeEntry]] | None = None
        self._version: str | None = None

    def routes(self) -> list[web.AbstractRouteDef]:
        """What to mount."""
        return [web.get("/api/changes", self.changes), web.get("/api/changes/{id:[0-9a-f-]+}", self.change)]

    async def changes(self, request: web.Request) -> web.Response:
        """The changes of a time, the newest first; of some namespaces, or of one object."""
        end = read_time(request, "to", lambda: time.time() + 60)
        start = read_time(request, "from", lambda: 0.0)
        wanted = read_names(request, "namespaces")
        asked = {key: request.query[key] for key in ("kind", "namespace", "name") if key in request.query}
        rows = [
            describe_change(entry)
            for entry in await self.entries()
            if start <= entry.time <= end
            and (not wanted or entry.namespace in wanted)
            and all(getattr(entry, key) == value for key, value in asked.items())
        ]
        return answer_json({"items": rows})

    async def change(self, request: web.Request) -> web.Response:
        """One change with both objects."""
        wanted = request.match_info["id"]
        entry = next((entry for entry in await self.entries() if entry.id == wanted), None)
        if entry is None:
            raise UnknownObject(f"there is no change {wanted}", "The journal keeps the newest changes only.")
        before, after = (write_document(dict(item)) if item else "" for item in (entry.before, entry.after))
        return answer_json({"change": describe_change(entry), "before": before, "after": after})

    async def entries(self) -> list[ChangeEntry]:
        """The newest first."""
        if self._client is None:
            return []
        if self._read is None or time.monotonic() - self._read[0] > FRESH_SECONDS:
            try:
                found = await self._client.find(CONFIG_MAPS, JOURNAL_NAME, self._namespace)
            except Unavailable as error:
                raise KubernetesUnavailable(error) from error
            except KubeError as error:
                raise UnknownObject(f"the journal cannot be read: {error}") from error
            self._read = time.monotonic(), self._decoded(found or {})
        return self._read[1]

    def _decoded(self, found: Object) -> list[ChangeEntry]:
        version = (found.get("metadata") or {}).get("resourceVersion")
        if self._read is None or version is None or version != self._version:
            entries = (decode_entry(key, text) for key, text in sorted((found.get("data") or {}).items(), reverse=True))
            self._version = version
            return [entry for entry in entries if entry is not None]
        return self._read[1]


def describe_change(entry: ChangeEntry) -> Object:
    """A change for an answer, without the objects."""
    return {
        "id": entry.id,
        "time": entry.time,
        "author": entry.author,
        "operation": entry.operation,
        "apiVersion": entry.api_version,
        "kind": entry.kind,
        "namespace": entry.namespace,
        "name": entry.name,
        "omitted": entry.omitted,
    }
