"""Why a request would go where it goes, for a page: the simulation over the console's own copy of the mesh.

Nothing is sent, and no Secret is read.
"""

from __future__ import annotations

import asyncio
import time
from urllib.parse import urlsplit

import msgspec
from aiohttp import web

from kaiki.console.answers import answer_json
from kaiki.console.errors import BadRequest, UnknownObject
from kaiki.console.preview import read_inputs
from kaiki.interpret.assumed import assume_secrets
from kaiki.interpret.interpretation import interpret
from kaiki.kube.client import KubeClient
from kaiki.kube.errors import KubeError
from kaiki.kube.resource import KNOWN_TYPES
from kaiki.model.snapshot import MeshSnapshot
from kaiki.translate.simulation import Outcome, Request, Step
from kaiki.translate.simulation.explanation import UnknownProxy, explain_request, proxy_of

FRESH_SECONDS = 5.0
_PORTS = {"http": 80, "https": 443, "tcp": 0, "tls": 443}
_MESH_GROUPS = ("networking.istio.io", "security.istio.io", "telemetry.istio.io", "gateway.networking.k8s.io")


class ExplainedObject(msgspec.Struct, frozen=True, rename="camel"):
    """The object behind a step; `api_version` is empty for kinds that have no page of configuration."""

    api_version: str
    kind: str
    namespace: str
    name: str


class ExplainedStep(msgspec.Struct, frozen=True, rename="camel"):
    """One decision: `part` is listener, filter chain, route, cluster and so on."""

    part: str
    name: str
    says: str = ""
    object: ExplainedObject | None = None
    field: str = ""


class ExplainedShare(msgspec.Struct, frozen=True, rename="camel"):
    """A cluster the request may go to; `percent` of all."""

    cluster: str
    percent: float
    endpoints: tuple[str, ...] = ()


class Explanation(msgspec.Struct, frozen=True, rename="camel"):
    """The end, the way there, and the routes that were looked at and did not take the request."""

    verdict: str
    status: int
    proxy: str
    steps: tuple[ExplainedStep, ...]
    passed_over: tuple[ExplainedStep, ...]
    clusters: tuple[ExplainedShare, ...]
    mirrors: tuple[ExplainedShare, ...]
    host: str = ""
    path: str = ""
    location: str = ""
    timeout_seconds: float = 0.0
    retries: int = 0


class ExplainHandlers:
    """The operation that explains. Without a Kubernetes API there is nothing to explain."""

    def __init__(self, client: KubeClient | None) -> None:
        self._client = client
        self._known: tuple[float, MeshSnapshot] | None = None

    def routes(self) -> list[web.AbstractRouteDef]:
        """What to mount."""
        return [web.get("/api/explain", self.explain)]

    async def explain(self, request: web.Request) -> web.Response:
        """Walk a request through the proxy of `source` in `namespace`."""
        source, namespace = request.query.get("source", ""), request.query.get("namespace", "") or "default"
        if not source:
            raise BadRequest("source is missing", "Name a pod, a workload or an app with a proxy.")
        asked = read_request(
            request.query.get("url", ""), request.query.get("method", "") or "GET", request.query.getall("header", [])
        )
        snapshot = await self._snapshot()

        def work() -> Explanation:
            proxy = proxy_of(snapshot, namespace, source)
            return _describe(f"{proxy.name}.{proxy.namespace}", explain_request(snapshot, proxy, asked))

        try:
            return answer_json(await asyncio.to_thread(work))
        except UnknownProxy as error:
            raise UnknownObject(str(error)) from error

    async def _snapshot(self) -> MeshSnapshot:
        if self._client is None:
            raise UnknownObject("no Kubernetes API is used, so there is no mesh to explain")
        if self._known is None or time.monotonic() - self._known[0] > FRESH_SECONDS:
            try:
                inputs = await read_inputs(self._client)
            except KubeError as error:
                raise UnknownObject(f"the mesh cannot be read: {error}") from error
            snapshot = await asyncio.to_thread(lambda: interpret(assume_secrets(inputs)).snapshot)
            self._known = time.monotonic(), snapshot
        return self._known[1]


def read_request(url: str, method: str, headers: list[str]) -> Request:
    """The request a URL and `name: value` headers stand for. Raises BadRequest."""
    hint = "Write for example http://reviews:9080/reviews/1, tcp://db:5432 or tls://name:443."
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        port = parts.port
    except ValueError as error:
        raise BadRequest(f"url={url!r} cannot be read: {error}", hint) from error
    if parts.scheme not in _PORTS or not parts.hostname:
        raise BadRequest(f"url={url!r} is not a URL with the scheme {', '.join(_PORTS)}", hint)
    pairs = dict(_read_header(header) for lines in headers for header in lines.splitlines() if header.strip())
    return Request(
        host=pairs.pop("host", parts.hostname),
        port=port or _PORTS[parts.scheme],
        path=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
        method=method,
        headers=pairs,
        server_name=parts.hostname if parts.scheme in ("https", "tls") else "",
        http=parts.scheme in ("http", "https"),
    )


def _read_header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise BadRequest(f"header={text!r} is not a header", "Write it as name: value.")
    return name.strip().lower(), value.strip()


def _describe(proxy: str, outcome: Outcome) -> Explanation:
    total = sum(share.weight for share in outcome.clusters) or 1
    return Explanation(
        verdict=outcome.verdict.value,
        status=outcome.status,
        proxy=proxy,
        steps=tuple(map(_step, outcome.steps)),
        passed_over=tuple(map(_step, outcome.passed_over)),
        clusters=tuple(
            ExplainedShare(share.cluster, 100 * share.weight / total, share.endpoints) for share in outcome.clusters
        ),
        mirrors=tuple(ExplainedShare(cluster, percent) for cluster, percent in outcome.mirrors),
        host=outcome.host,
        path=outcome.path,
        location=outcome.location,
        timeout_seconds=outcome.timeout_seconds,
        retries=outcome.retries,
    )


def _step(step: Step) -> ExplainedStep:
    source = step.source
    found = ExplainedObject(_api_version(source.kind), source.kind, source.namespace, source.name) if source else None
    return ExplainedStep(step.part, step.name, step.says, found, step.field)


def _api_version(kind: str) -> str:
    return next((item.api_version for item in KNOWN_TYPES if item.kind == kind and item.group in _MESH_GROUPS), "")
