"""Records every change of a mesh object: the webhook /journal sees its author, and the object before and after.

It never refuses anything and never keeps anybody waiting: entries are queued, and written together.

    AdmissionReview ─▶ entry_of ─▶ queue ─▶ one merge patch of the ConfigMap: new keys added, the oldest dropped
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from kaiki.kube.client import KubeClient
from kaiki.kube.errors import AlreadyExists, KubeError, NotFound
from kaiki.kube.resource import CONFIG_MAPS, find_type
from kaiki.model.journal import JOURNAL_NAME, ChangeEntry, encode_entry, surplus

logger = logging.getLogger(__name__)

Object = Mapping[str, Any]

MOST_WAITING = 1000
GATHER_SECONDS = 0.3
RETRY_SECONDS = 5.0
_DROPPED_ANNOTATIONS = ("kubectl.kubernetes.io/last-applied-configuration", "deployment.kubernetes.io/revision")
_OPERATIONS = {"CREATE": "create", "UPDATE": "update", "DELETE": "delete"}


def entry_of(request: Object) -> ChangeEntry | None:
    """The entry of an admission request, without id and time; None when nothing a person would call a change."""
    operation = _OPERATIONS.get(str(request.get("operation")))
    if operation is None or request.get("dryRun") or request.get("subResource"):
        return None
    before, after = _body(request.get("oldObject")), _body(request.get("object"))
    if operation == "delete":
        after = None
    rollout = str((request.get("kind") or {}).get("kind")) == "Deployment"
    if rollout:
        before, after, operation = _release(before), _release(after), "rollout"
    if before == after or (rollout and None in (before, after)):
        return None
    shown: Object = after or before or {}
    metadata = shown.get("metadata") or {}
    return ChangeEntry(
        id="",
        time=0.0,
        author=str((request.get("userInfo") or {}).get("username") or "unknown"),
        operation=operation,
        api_version=str(shown.get("apiVersion") or ""),
        kind=str(shown.get("kind") or (request.get("kind") or {}).get("kind") or ""),
        namespace=str(request.get("namespace") or metadata.get("namespace") or ""),
        name=str(request.get("name") or metadata.get("name") or ""),
        before=before,
        after=after,
    )


def _body(obj: Any) -> dict[str, Any] | None:
    """What a person wrote of an object."""
    if not isinstance(obj, Mapping):
        return None
    metadata = obj.get("metadata") or {}
    annotations = {
        name: text for name, text in (metadata.get("annotations") or {}).items() if name not in _DROPPED_ANNOTATIONS
    }
    kept = {name: metadata[name] for name in ("name", "namespace", "labels") if metadata.get(name)}
    kept |= {"annotations": annotations} if annotations else {}
    body: dict[str, Any] = {"apiVersion": obj.get("apiVersion"), "kind": obj.get("kind"), "metadata": kept}
    return body | ({"spec": obj["spec"]} if "spec" in obj else {})


def _release(body: dict[str, Any] | None) -> dict[str, Any] | None:
    """Of a Deployment only which images run in how many replicas: its environment may hold what nobody should see."""
    if body is None:
        return None
    spec = body.get("spec") or {}
    template = spec.get("template") or {}
    restarted = ((template.get("metadata") or {}).get("annotations") or {}).get("kubectl.kubernetes.io/restartedAt")
    containers = (template.get("spec") or {}).get("containers") or ()
    release = {
        "replicas": spec.get("replicas", 1),
        "version": ((template.get("metadata") or {}).get("labels") or {}).get("version"),
        "images": {str(each.get("name")): each.get("image") for each in containers},
        "restartedAt": restarted,
    }
    metadata = {name: body["metadata"][name] for name in ("name", "namespace") if name in body["metadata"]}
    return {
        "apiVersion": body["apiVersion"],
        "kind": body["kind"],
        "metadata": metadata,
        "spec": {name: value for name, value in release.items() if value is not None},
    }


class Journal:
    """Writes entries into the ConfigMap `kaiki-journal`, in the order in which they came."""

    def __init__(self, client: KubeClient, namespace: str, clock: Callable[[], float] = time.time) -> None:
        self._client = client
        self._namespace = namespace
        self._clock = clock
        self._waiting: asyncio.Queue[tuple[ChangeEntry, str]] = asyncio.Queue(MOST_WAITING)

    def record(self, request: Object) -> None:
        """Take note of a request that is about to be stored."""
        entry = entry_of(request)
        if entry is None:
            return
        uid = str(((request.get("object") or {}).get("metadata") or {}).get("uid") or "")
        now = self._clock()
        identified = replace(entry, id=f"{int(now * 1e6):017d}-{secrets.token_hex(2)}", time=round(now, 3))
        try:
            self._waiting.put_nowait((identified, uid))
        except asyncio.QueueFull:
            logger.warning("the journal has %d entries waiting; one of %s is lost", MOST_WAITING, entry.name)

    async def run(self) -> None:
        """Write what waits, until cancelled. What the API does not take is kept and tried again."""
        while True:
            batch = [await self._waiting.get()]
            await asyncio.sleep(GATHER_SECONDS)
            while not self._waiting.empty():
                batch.append(self._waiting.get_nowait())
            made = {entry.id: encode_entry(entry) for entry, uid in batch if await self._was_stored(entry, uid)}
            while made and not await self._write(made):
                await asyncio.sleep(RETRY_SECONDS)

    async def _was_stored(self, entry: ChangeEntry, uid: str) -> bool:
        """Whether a creation is in the API: admission is asked before a taken name is noticed."""
        kind = find_type(entry.api_version, entry.kind)
        if entry.operation != "create" or kind is None or not uid:
            return True
        try:
            found = await self._client.find(kind, entry.name, entry.namespace)
        except KubeError:
            return True
        return found is None or found["metadata"].get("uid") == uid

    async def _write(self, entries: dict[str, str]) -> bool:
        try:
            await self._store(entries)
        except KubeError as error:
            logger.warning("the change journal cannot be written: %s", error)
            return False
        return True

    async def _store(self, entries: dict[str, str]) -> None:
        known = await self._client.find(CONFIG_MAPS, JOURNAL_NAME, self._namespace)
        held = {**((known or {}).get("data") or {}), **entries}
        dropped = surplus({key: len(text.encode()) for key, text in held.items()})
        patch: dict[str, str | None] = {key: text for key, text in entries.items() if key not in dropped}
        patch |= {key: None for key in dropped if key not in entries}
        if known is None:
            await self._create()
        try:
            await self._client.patch(CONFIG_MAPS, JOURNAL_NAME, self._namespace, {"data": patch})
        except NotFound:
            await self._create()
            await self._client.patch(CONFIG_MAPS, JOURNAL_NAME, self._namespace, {"data": patch})

    async def _create(self) -> None:
        labels = {"app": "istiod", "app.kubernetes.io/managed-by": "kaiki"}
        metadata = {"name": JOURNAL_NAME, "namespace": self._namespace, "labels": labels}
        with contextlib.suppress(AlreadyExists):
            await self._client.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {}})
