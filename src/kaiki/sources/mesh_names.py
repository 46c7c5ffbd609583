"""Publishes the names only the mesh knows: in a ConfigMap for the DNS of pods, and in their ServiceEntries' status."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

from kaiki.interpret.interpretation import Interpretation
from kaiki.interpret.mesh_names import mesh_names
from kaiki.kube.cache import Cache
from kaiki.kube.client import KubeClient
from kaiki.kube.errors import KubeError, NotFound
from kaiki.kube.resource import SERVICE_ENTRIES, Object
from kaiki.model.finding import ObjectRef
from kaiki.model.snapshot import MeshSnapshot

logger = logging.getLogger(__name__)

CONFIG_MAP_NAME = "kaiki-mesh-names"
KEY = "names"
FIELD_MANAGER = "kaiki-mesh-names"
RETRY_SECONDS = 2.0


class MeshNamesWriter:
    """Brings ConfigMap and statuses in line with the newest snapshot. Without `namespace` no ConfigMap is made."""

    def __init__(
        self,
        client: KubeClient,
        entries: Cache,
        namespace: str = "",
        may_write: Callable[[], bool] = lambda: True,
    ) -> None:
        self._client = client
        self._entries = entries
        self._namespace = namespace
        self._may_write = may_write
        self._snapshot: MeshSnapshot | None = None
        self._written = ""
        self._changed = asyncio.Event()

    async def take(self, interpretation: Interpretation, _changed_at: float = 0.0) -> None:
        """Subscriber of a SnapshotSource."""
        self._snapshot = interpretation.snapshot
        self._changed.set()

    async def run(self) -> None:
        """Write until cancelled. What cannot be written now is tried again."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                if self._snapshot is not None and self._may_write():
                    await self._write(self._snapshot)
            except KubeError as error:
                logger.info("names of the mesh could not be written: %s", error)
                await asyncio.sleep(RETRY_SECONDS)
                self._changed.set()

    async def _write(self, snapshot: MeshSnapshot) -> None:
        text = mesh_names(snapshot) if self._namespace else ""
        if text != self._written:
            await self._client.apply(config_map(self._namespace, text), FIELD_MANAGER)
            self._written = text
        for obj in list(self._entries.items()):
            patch = addresses_patch(obj, snapshot)
            if patch is None:
                continue
            metadata = obj["metadata"]
            try:
                await self._client.patch(
                    SERVICE_ENTRIES,
                    metadata["name"],
                    metadata["namespace"],
                    patch,
                    subresource="status",
                    field_manager=FIELD_MANAGER,
                )
            except NotFound:
                continue


def config_map(namespace: str, text: str) -> Object:
    """The ConfigMap with the names."""
    metadata = {"name": CONFIG_MAP_NAME, "namespace": namespace, "labels": {"app.kubernetes.io/part-of": "kaiki"}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {KEY: text}}


def addresses_patch(obj: Mapping[str, Any], snapshot: MeshSnapshot) -> Object | None:
    """The merge patch that writes a ServiceEntry's automatic addresses into its status; None if they are there."""
    metadata = obj["metadata"]
    source = ObjectRef("ServiceEntry", str(metadata.get("namespace") or ""), str(metadata["name"]))
    hosts = [str(host).lower() for host in (obj.get("spec") or {}).get("hosts") or ()]
    wanted = [
        {"host": host, "value": address}
        for host in dict.fromkeys(hosts)
        if snapshot.entries.get(host) == source
        for address in snapshot.services[host].automatic_addresses
    ]
    if wanted == ((obj.get("status") or {}).get("addresses") or []):
        return None
    return {"status": {"addresses": wanted or None}}
