"""Searching the proxies' access logs: what was asked, what became of it, why, and which object is behind it.

The logs are read where they are, at the ends of the proxies' outputs (`kubectl logs -c istio-proxy`), a bounded number
of them at a time; nothing is kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
from typing import Any

from aiohttp import web

from kaiki.console.access_log import NO_FORMATS, Formats, LogEntry, Search, read_lines
from kaiki.console.answers import answer_json, read_count, read_duration, read_names, read_time
from kaiki.console.errors import BadRequest, KubernetesUnavailable, UnknownObject
from kaiki.console.inventory import Inventory
from kaiki.console.response_flags import LANGUAGES, REASONS, explain_flag, explain_flags
from kaiki.console.responsible import Place, find_responsible
from kaiki.console.summaries import warnings_of
from kaiki.console.workloads import PROXY_CONTAINER, has_proxy, is_gateway, owner_of
from kaiki.kube.client import KubeClient
from kaiki.kube.errors import KubeError
from kaiki.kube.resource import CONFIG_MAPS
from kaiki.model.well_known import ROOT_NAMESPACE

MOST_PODS = 60
MOST_LINES = 3000
MOST_BYTES_PER_POD = 1 << 20
MOST_ENTRIES = 2000
DEFAULT_ENTRIES = 300
_AT_ONCE = 8
_FORMATS_SECONDS = 5.0
_CODE = re.compile(r"[0-9]{3}|[0-9]xx|0")
Object = dict[str, Any]


class RequestLogHandlers:
    """The operation over all access logs."""

    def __init__(self, inventory: Inventory, client: KubeClient | None = None) -> None:
        self._inventory = inventory
        self._client = client
        self._formats, self._formats_until = NO_FORMATS, 0.0
        self._reading = asyncio.Semaphore(_AT_ONCE)

    def routes(self) -> list[web.AbstractRouteDef]:
        """What to mount."""
        return [web.get("/api/requests", self.requests)]

    async def requests(self, request: web.Request) -> web.Response:
        """The newest entries that fit, newest first, each with its reasons and the objects responsible."""
        search, language = _read_search(request), _read_language(request)
        most = min(read_count(request, "most") or DEFAULT_ENTRIES, MOST_ENTRIES)
        pods = self._pods(read_names(request, "namespaces"), request.query.get("workload", ""))
        read, formats = pods[:MOST_PODS], await self._read_formats()
        found = await asyncio.gather(*(self._entries(pod, formats) for pod in read))
        entries = [(entry, pod) for pod, logged in zip(read, found, strict=True) for entry in logged or ()]
        chosen = [(entry, pod) for entry, pod in entries if search.accepts(entry)]
        chosen.sort(key=lambda item: item[0].time, reverse=True)
        objects = await self._objects() if any(failed(entry) for entry, _ in chosen[:most]) else []
        return answer_json(
            {
                "items": [_describe(entry, pod, objects, language) for entry, pod in chosen[:most]],
                "found": len(chosen),
                "logged": len(entries),
                "pods": len(read),
                "podsLeftOut": len(pods) - len(read),
                "podsUnread": sum(logged is None for logged in found),
                "flags": [{"flag": flag, "text": explain_flag(flag, language)} for flag in sorted(REASONS)],
                "warnings": warnings_of(self._inventory),
            }
        )

    def _pods(self, namespaces: frozenset[str], workload: str) -> list[Object]:
        """The pods with a proxy, gateways among them; of the whole mesh at most so many are read."""
        found = [
            pod
            for pod in self._inventory.objects("pods")
            if (not namespaces or pod["metadata"].get("namespace") in namespaces)
            and (not workload or owner_of(pod)[1] == workload)
            and has_proxy(pod)
        ]
        return sorted(found, key=lambda pod: (str(pod["metadata"].get("namespace")), str(pod["metadata"]["name"])))

    async def _read_formats(self) -> Formats:
        """The mesh config's own formats, looked at again now and then. Without it, the default ones."""
        if self._client is not None and time.monotonic() > self._formats_until:
            try:
                found = await self._client.find(CONFIG_MAPS, "istio", ROOT_NAMESPACE)
                self._formats = _formats_of(str(((found or {}).get("data") or {}).get("mesh", "")))
            except KubeError:
                self._formats = NO_FORMATS
            self._formats_until = time.monotonic() + _FORMATS_SECONDS
        return self._formats

    async def _entries(self, pod: Object, formats: Formats) -> list[LogEntry] | None:
        """Of one proxy; None when its log cannot be read now."""
        metadata = pod["metadata"]
        async with self._reading:
            try:
                text = await self._inventory.logs(
                    str(metadata.get("namespace", "")),
                    str(metadata["name"]),
                    PROXY_CONTAINER,
                    tail_lines=MOST_LINES,
                    most_bytes=MOST_BYTES_PER_POD,
                    previous=False,
                )
            except UnknownObject:  # It has not started, or is gone.
                return []
            except KubernetesUnavailable:
                return None
        return await asyncio.to_thread(read_lines, text.decode(errors="replace").splitlines(), formats)

    async def _objects(self) -> list[Object]:
        services = ({"kind": "Service", **service} for service in self._inventory.objects("services"))
        return [*await self._inventory.configs(), *services]


def _formats_of(text: str) -> Formats:
    """The text formats and JSON labels of a mesh config."""
    import yaml

    try:
        config = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError:
        return NO_FORMATS
    if not isinstance(config, dict):
        return NO_FORMATS
    texts, labels = [], []
    own = str(config.get("accessLogFormat") or "")
    if own.lstrip().startswith("{"):
        with contextlib.suppress(ValueError):
            labels.append(json.loads(own))
    elif own:
        texts.append(own)
    for provider in config.get("extensionProviders") or ():
        given = ((provider.get("envoyFileAccessLog") or {}).get("logFormat")) or {}
        texts += [given["text"]] if given.get("text") else []
        labels += [given["labels"]] if given.get("labels") else []
    return Formats(map(str, texts), [one for one in labels if isinstance(one, dict)])


def failed(entry: LogEntry) -> bool:
    """Whether there is something to explain: a flag, an error, or an answer of the proxy's own."""
    return entry.response_flags != "-" or entry.response_code >= 400 or entry.response_code_details == "direct_response"


def place_of(pod: Object) -> Place:
    """Where a pod's proxy wrote its log."""
    metadata = pod["metadata"]
    labels = metadata.get("labels") or {}
    return Place(metadata.get("namespace", ""), labels, is_gateway(labels), pod.get("status", {}).get("podIP", ""))


def reasons_of(entry: LogEntry, language: str) -> list[dict[str, str]]:
    """[{flag, text}]: what the flags mean, and a denial."""
    details = entry.response_code_details
    if details in ("", "-"):
        details += entry.connection_termination_details
    return explain_flags(entry.response_flags, details, language)


def _describe(entry: LogEntry, pod: Object, objects: list[Object], language: str) -> Object:
    metadata, place = pod["metadata"], place_of(pod)
    found = find_responsible(entry, place, objects) if failed(entry) else []
    return {
        "namespace": place.namespace,
        "workload": owner_of(pod)[1],
        "pod": metadata["name"],
        "side": "inbound" if place.received(entry) else "outbound",
        "entry": entry.as_json(),
        "reasons": reasons_of(entry, language),
        "responsible": [one.as_json(language) for one in found],
    }


def _read_search(request: web.Request) -> Search:
    codes = read_names(request, "codes")
    for code in codes:
        if _CODE.fullmatch(code) is None:
            raise BadRequest(f"codes={code!r} is not a response code", "Write for example 503 or 5xx.")
    now = time.time()
    end = read_time(request, "to", lambda: now + 60)
    start = read_time(request, "from", lambda: now - read_duration(request, "duration", 3600))
    query = request.query
    return Search(codes, read_names(request, "flags"), query.get("path", ""), query.get("method", ""), start, end)


def _read_language(request: web.Request) -> str:
    language = request.query.get("language", "en")
    if language not in LANGUAGES:
        raise BadRequest(f"language={language!r} is unknown", f"Use one of {', '.join(LANGUAGES)}.")
    return language
