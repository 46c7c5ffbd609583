"""The node's `Cluster` on the real API: ConfigMaps and Secrets from caches, writes by patch, Events one after
another."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from kaiki.kube.cache import Cache
from kaiki.kube.client import KubeClient
from kaiki.kube.errors import Conflict, KubeError, NotFound
from kaiki.kube.resource import CONFIG_MAPS, EVENTS, PODS, SECRETS
from kaiki.runtime.cluster import ClusterUnavailable, Token
from kaiki.runtime.node import NODE_NAME
from kaiki.runtime.status import time_text

Object = Mapping[str, Any]
logger = logging.getLogger(__name__)

_REMEMBERED_EVENTS = 512
_QUEUED_EVENTS = 1000


class KubeCluster:
    """See `Cluster`. `run_events` must run as a task for Events to be written."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client
        self.config_maps = Cache(client, CONFIG_MAPS)
        self.secrets = Cache(client, SECRETS)
        self._events: asyncio.Queue[dict[str, Any]] = asyncio.Queue(_QUEUED_EVENTS)
        self._known: OrderedDict[tuple[str, ...], tuple[str, int]] = OrderedDict()

    def config_map(self, namespace: str, name: str) -> Object | None:
        """A ConfigMap, None when there is none."""
        return self.config_maps.get(namespace, name)

    def secret(self, namespace: str, name: str) -> Object | None:
        """A Secret, None when there is none."""
        found = self.secrets.get(namespace, name)
        return {**found, "kind": "Secret"} if found else None

    async def request_token(self, pod: Object, audience: str, expiration_seconds: int) -> Token:
        """A token bound to the pod; raises ClusterUnavailable."""
        metadata = pod["metadata"]
        account = (pod.get("spec") or {}).get("serviceAccountName") or "default"
        try:
            issued = await self._client.request_token(
                metadata["namespace"],
                account,
                (audience,) if audience else (),
                expiration_seconds,
                (metadata["name"], metadata["uid"]),
            )
        except KubeError as error:
            raise ClusterUnavailable(str(error)) from error
        text = issued.expiration_timestamp
        end = datetime.fromisoformat(text).timestamp() if text else time.time() + expiration_seconds
        return Token(issued.token, end)

    async def write_status(self, pod: Object, status: Mapping[str, Any]) -> None:
        """Replace what of the status is the node's; raises ClusterUnavailable."""
        metadata = pod["metadata"]
        patch = {"metadata": {"uid": metadata["uid"]}, "status": dict(status)}
        try:
            await self._client.patch(PODS, metadata["name"], metadata["namespace"], patch, subresource="status")
        except (NotFound, Conflict):
            return  # gone, or another of the same name: the watch will say so
        except KubeError as error:
            raise ClusterUnavailable(str(error)) from error

    async def confirm_deletion(self, pod: Object) -> None:
        """Remove the pod from the API; raises ClusterUnavailable."""
        metadata = pod["metadata"]
        try:
            await self._client.delete(
                PODS, metadata["name"], metadata["namespace"], grace_period_seconds=0, uid=metadata["uid"]
            )
        except (NotFound, Conflict):
            return
        except KubeError as error:
            raise ClusterUnavailable(str(error)) from error

    # Events

    def record_event(self, about: Object, kind: str, reason: str, message: str, field_path: str = "") -> None:
        """Queue an Event; one that repeats counts up the first."""
        metadata = about["metadata"]
        involved = {
            "apiVersion": about.get("apiVersion", "v1"),
            "kind": about.get("kind", "Pod"),
            "name": metadata["name"],
            "namespace": metadata.get("namespace", "default"),
            "uid": metadata.get("uid", ""),
        } | ({"fieldPath": field_path} if field_path else {})
        now = time_text(time.time())
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"namespace": involved["namespace"], "name": f"{metadata['name']}.{time.time_ns():x}"},
            "involvedObject": involved,
            "type": kind,
            "reason": reason,
            "message": message[:1024],
            "source": {"component": "kubelet", "host": NODE_NAME},
            "reportingComponent": "kubelet",
            "reportingInstance": NODE_NAME,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        try:
            self._events.put_nowait(event)
        except asyncio.QueueFull:
            logger.warning("event dropped: %s %s", reason, message)

    async def run_events(self) -> None:
        """Write Events for ever."""
        while True:
            event = await self._events.get()
            try:
                await self._write_event(event)
            except KubeError as error:
                logger.info("event not written: %s", error)

    async def _write_event(self, event: dict[str, Any]) -> None:
        involved = event["involvedObject"]
        key = (involved["uid"], involved.get("fieldPath", ""), event["type"], event["reason"], event["message"])
        known = self._known.get(key)
        if known:
            name, count = known
            changes = {"count": count + 1, "lastTimestamp": event["lastTimestamp"]}
            try:
                await self._client.patch(EVENTS, name, involved["namespace"], changes)
                self._known[key] = (name, count + 1)
                return
            except NotFound:
                pass  # it has expired: write a new one
        await self._client.create(event, resource=EVENTS)
        self._known[key] = (event["metadata"]["name"], 1)
        while len(self._known) > _REMEMBERED_EVENTS:
            self._known.popitem(last=False)
