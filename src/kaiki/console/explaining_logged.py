"""Why a request that was really made went where it went, for a page: from a line of an access log, or from a span."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import web

from kaiki.console.access_log import LogEntry
from kaiki.console.answers import answer_json
from kaiki.console.changes import ChangeHandlers, describe_change
from kaiki.console.comparing import Remark, compare, read_span, request_of
from kaiki.console.errors import BadRequest, KubernetesUnavailable, UnknownObject
from kaiki.console.explaining import Explanation, KnownMesh, describe_outcome
from kaiki.console.inventory import Inventory
from kaiki.console.request_log import failed, place_of, reasons_of
from kaiki.console.response_flags import LANGUAGES
from kaiki.console.responsible import Place, find_responsible, retried
from kaiki.console.step_lines import StepLines, line_of
from kaiki.model.memo import Memo
from kaiki.translate.generate import generate
from kaiki.translate.simulation import Outcome
from kaiki.translate.simulation.explanation import UnknownProxy, explain_request, proxy_of
from kaiki.translate.simulation.simulate import simulate

Object = dict[str, Any]


class LoggedQuestion(msgspec.Struct, frozen=True):
    """A line (`entry`, of the proxy of `pod`), or a span's `tags`, `time` (Unix) and `duration` (milliseconds)."""

    namespace: str = ""
    pod: str = ""
    workload: str = ""
    entry: LogEntry | None = None
    tags: dict[str, str] = {}
    time: float = 0.0
    duration: int = 0
    language: str = "en"


@dataclass(frozen=True, slots=True)
class Logged:
    """What was asked, with the proxy it is about."""

    entry: LogEntry
    namespace: str
    pod: str
    workload: str
    language: str


class LoggedHandlers:
    """The operation that explains what was logged."""

    def __init__(self, inventory: Inventory, changes: ChangeHandlers, mesh: Callable[[], Awaitable[KnownMesh]]) -> None:
        self._inventory = inventory
        self._changes = changes
        self._mesh = mesh

    def routes(self) -> list[web.AbstractRouteDef]:
        """What to mount."""
        return [web.post("/api/explain/logged", self.explain)]

    async def explain(self, request: web.Request) -> web.Response:
        """Reasons, objects responsible, and the same request walked through today's configuration."""
        asked = read_question(await request.read())
        pod = self._pod(asked)
        place = place_of(pod) if pod else Place(asked.namespace)
        explanation, outcome, unknown = None, None, ""
        if not place.received(asked.entry):
            try:
                explanation, outcome = await self._simulate(asked)
            except (KubernetesUnavailable, UnknownObject) as error:
                unknown = str(error)
        return answer_json(
            {
                "namespace": asked.namespace,
                "pod": asked.pod,
                "side": "inbound" if place.received(asked.entry) else "outbound",
                "entry": asked.entry.as_json(),
                "reasons": reasons_of(asked.entry, asked.language),
                "responsible": await self._responsible(asked, place),
                "remarks": [_describe(one) for one in compare(asked.entry, outcome, await self._changes.entries())],
                "explanation": explanation,
                "unknown": unknown,
            }
        )

    def _pod(self, asked: Logged) -> Object | None:
        """Its pod; None when it is gone."""
        wanted = asked.namespace, asked.pod
        pods = self._inventory.objects("pods")
        return next(
            (dict(pod) for pod in pods if (pod["metadata"].get("namespace"), pod["metadata"]["name"]) == wanted), None
        )

    async def _responsible(self, asked: Logged, place: Place) -> list[Object]:
        if not (failed(asked.entry) or retried(asked.entry)):
            return []
        services = ({"kind": "Service", **service} for service in self._inventory.objects("services"))
        objects = [*await self._inventory.configs(), *services]
        found = find_responsible(asked.entry, place, objects)
        known = {
            (str(item.get("kind")), str(item["metadata"].get("namespace", "")), str(item["metadata"]["name"])): item
            for item in objects
        }
        lines = [line_of(known.get((one.kind, one.namespace, one.name), {}), one.field) for one in found]
        return [one.as_json(asked.language) | {"line": line} for one, line in zip(found, lines, strict=True)]

    async def _simulate(self, asked: Logged) -> tuple[Explanation, Outcome]:
        return await asyncio.to_thread(simulate_logged, await self._mesh(), asked)


def simulate_logged(mesh: KnownMesh, asked: Logged) -> tuple[Explanation, Outcome]:
    """The logged request through the proxy that logged it, or through another of its workload when that is gone."""
    snapshot = mesh.snapshot
    try:
        proxy = proxy_of(snapshot, asked.namespace, asked.pod)
    except UnknownProxy as error:
        if not asked.workload:
            raise UnknownObject(str(error)) from error
        try:
            proxy = proxy_of(snapshot, asked.namespace, asked.workload)
        except UnknownProxy as other:
            raise UnknownObject(str(other)) from other
    request = request_of(asked.entry)
    if asked.entry.downstream_local_address:  # The very address and port it came in at.
        outcome = simulate(generate(snapshot, proxy, Memo()), request)
    else:
        outcome = explain_request(snapshot, proxy, request)
    return describe_outcome(f"{proxy.name}.{proxy.namespace}", outcome, StepLines(mesh.inputs)), outcome


def read_question(body: bytes) -> Logged:
    """What a page sent. Raises BadRequest."""
    try:
        asked = msgspec.json.decode(body, type=LoggedQuestion)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(f"the body cannot be read: {error}", "Send an entry of /api/requests with its pod.") from error
    if asked.language not in LANGUAGES:
        raise BadRequest(f"language={asked.language!r} is unknown", f"Use one of {', '.join(LANGUAGES)}.")
    if asked.entry is not None:
        if not asked.namespace or not asked.pod:
            raise BadRequest("namespace or pod is missing", "Name the pod whose proxy wrote the line.")
        return Logged(asked.entry, asked.namespace, asked.pod, asked.workload, asked.language)
    try:
        entry, place = read_span(asked.tags, asked.time, asked.duration)
    except ValueError as error:
        raise BadRequest(str(error), "Send an entry, or the tags of a span that a proxy made.") from error
    return Logged(entry, place.namespace, place.pod, asked.workload, asked.language)


def _describe(remark: Remark) -> Mapping[str, Any]:
    change = describe_change(remark.change) if remark.change else None
    return {"code": remark.code, "parameters": dict(remark.parameters), "change": change}
