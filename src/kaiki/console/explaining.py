"""Why a request would go where it goes, for a page: the simulation over the console's own copy of the mesh.

Nothing is sent, and no Secret is read.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import NamedTuple

import msgspec
from aiohttp import web

from kaiki.console.answers import answer_json
from kaiki.console.errors import BadRequest, KubernetesUnavailable, UnknownObject
from kaiki.console.preview import Inputs, read_inputs
from kaiki.console.step_lines import StepLines
from kaiki.interpret.assumed import assume_secrets
from kaiki.interpret.interpretation import interpret
from kaiki.kube.client import KubeClient
from kaiki.kube.errors import KubeError, Unavailable
from kaiki.kube.resource import KNOWN_TYPES
from kaiki.model.snapshot import MeshSnapshot
from kaiki.translate.simulation import Outcome, Request, Step
from kaiki.translate.simulation.asking import read_request
from kaiki.translate.simulation.explanation import UnknownProxy, explain_request, proxy_of

FRESH_SECONDS = 5.0
_MESH_GROUPS = ("networking.istio.io", "security.istio.io", "telemetry.istio.io", "gateway.networking.k8s.io")


class ExplainedObject(msgspec.Struct, frozen=True, rename="camel"):
    """The object behind a step; `api_version` is empty for kinds that have no page of configuration."""

    api_version: str
    kind: str
    namespace: str
    name: str


class ExplainedStep(msgspec.Struct, frozen=True, rename="camel"):
    """One decision: `part` is listener, filter chain, route, cluster and so on; `code` says what was decided, with its
    parameters; `line` is that of `field` in the object as the editor shows it (0: unknown).
    """

    part: str
    name: str
    code: str
    parameters: Mapping[str, str | int | float]
    object: ExplainedObject | None = None
    field: str = ""
    line: int = 0


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


class KnownMesh(NamedTuple):
    """The mesh, and the objects it was read from."""

    snapshot: MeshSnapshot
    inputs: Inputs


class ExplainHandlers:
    """The operation that explains. Without a Kubernetes API there is nothing to explain."""

    def __init__(self, client: KubeClient | None) -> None:
        self._client = client
        self._known: tuple[float, KnownMesh] | None = None

    def routes(self) -> list[web.AbstractRouteDef]:
        """What to mount."""
        return [web.get("/api/explain", self.explain)]

    async def explain(self, request: web.Request) -> web.Response:
        """Walk a request through the proxy of `source` in `namespace`."""
        source, namespace = request.query.get("source", ""), request.query.get("namespace", "") or "default"
        if not source:
            raise BadRequest("source is missing", "Name a pod, a workload or an app with a proxy.")
        asked = _read_request(request)
        mesh = await self.mesh()

        def work() -> Explanation:
            proxy = proxy_of(mesh.snapshot, namespace, source)
            outcome = explain_request(mesh.snapshot, proxy, asked)
            return describe_outcome(f"{proxy.name}.{proxy.namespace}", outcome, StepLines(mesh.inputs))

        try:
            return answer_json(await asyncio.to_thread(work))
        except UnknownProxy as error:
            raise UnknownObject(str(error)) from error

    async def mesh(self) -> KnownMesh:
        """The mesh, a few seconds old at most. Raises KubernetesUnavailable, or UnknownObject if it may not be read."""
        if self._client is None:
            raise UnknownObject("no Kubernetes API is used, so there is no mesh to explain")
        if self._known is None or time.monotonic() - self._known[0] > FRESH_SECONDS:
            try:
                inputs = await read_inputs(self._client)
            except Unavailable as error:
                raise KubernetesUnavailable(error) from error
            except KubeError as error:
                raise UnknownObject(f"the mesh cannot be read: {error}") from error
            snapshot = await asyncio.to_thread(lambda: interpret(assume_secrets(inputs)).snapshot)
            self._known = time.monotonic(), KnownMesh(snapshot, inputs)
        return self._known[1]


def _read_request(request: web.Request) -> Request:
    query = request.query
    headers = (line for text in query.getall("header", []) for line in text.splitlines() if line.strip())
    try:
        return read_request(query.get("url", ""), query.get("method", "") or "GET", headers)
    except ValueError as error:
        hint = (
            "Write for example http://reviews:9080/reviews/1, tcp://db:5432 or tls://name:443; headers as name: value."
        )
        raise BadRequest(str(error), hint) from error


def describe_outcome(proxy: str, outcome: Outcome, lines: StepLines) -> Explanation:
    """An outcome for an answer."""
    total = sum(share.weight for share in outcome.clusters) or 1
    return Explanation(
        verdict=outcome.verdict.value,
        status=outcome.status,
        proxy=proxy,
        steps=tuple(_step(step, lines) for step in outcome.steps),
        passed_over=tuple(_step(step, lines) for step in outcome.passed_over),
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


def _step(step: Step, lines: StepLines) -> ExplainedStep:
    source = step.source
    found = ExplainedObject(_api_version(source.kind), source.kind, source.namespace, source.name) if source else None
    return ExplainedStep(step.part, step.name, step.code, step.parameters, found, step.field, lines.line_of(step))


def _api_version(kind: str) -> str:
    return next((item.api_version for item in KNOWN_TYPES if item.kind == kind and item.group in _MESH_GROUPS), "")
