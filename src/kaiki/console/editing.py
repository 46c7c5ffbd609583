"""Mesh objects, read and changed as YAML: checked as the control plane checks them, tried before they are stored.

Reading goes through the console's own identity, every change (and its dry run) through the user's.
"""

from __future__ import annotations

import asyncio
import re
import time
from typing import Any

import msgspec
from aiohttp import web

from kaiki.console.answers import answer_json, read_flag
from kaiki.console.bodies import read_body
from kaiki.console.documents import LAST_APPLIED, Document, YamlProblem, write_document
from kaiki.console.errors import (
    BadRequest,
    Conflicting,
    ConsoleError,
    KubernetesUnavailable,
    ReadOnly,
    Unacceptable,
    UnknownObject,
)
from kaiki.console.identity import Identities
from kaiki.console.preview import Effect, Inputs, read_inputs, tell_effect
from kaiki.interpret.interpretation import check_object, interpret
from kaiki.kube.client import KubeClient
from kaiki.kube.errors import (
    AlreadyExists,
    Conflict,
    Forbidden,
    Invalid,
    KubeError,
    NotFound,
    Unauthorized,
    Unavailable,
)
from kaiki.kube.errors import BadRequest as KubeBadRequest
from kaiki.kube.resource import CUSTOM_RESOURCE_DEFINITIONS, ResourceType, find_type
from kaiki.model.finding import Finding

Object = dict[str, Any]

GROUPS = (
    "networking.istio.io",
    "security.istio.io",
    "telemetry.istio.io",
    "extensions.istio.io",
    "gateway.networking.k8s.io",
)
FRESH_SECONDS = 10.0
_NAMED_FIELD = re.compile(r'field "([^"]+)"')
_TRY = {"dryRun": "All", "fieldValidation": "Strict"}
_STORE = {"fieldManager": "kaiki-console", "fieldValidation": "Strict"}


class Problem(msgspec.Struct, frozen=True, rename="camel"):
    """What is wrong with a text: `severity` is Error, Warning or Info; `line` counts from 1."""

    severity: str
    message: str
    line: int
    code: str = ""
    path: str = ""
    hint: str = ""


class EditingHandlers:
    """The operations on single objects. Without a Kubernetes API (`client` None) there are none to read."""

    def __init__(self, client: KubeClient | None, identities: Identities) -> None:
        self._client = client
        self._identities = identities
        self._inputs: tuple[float, Inputs] | None = None

    def routes(self) -> list[web.AbstractRouteDef]:
        """What to mount."""
        return [
            web.get("/api/config/object", self.read),
            web.get("/api/config/schema", self.schema),
            web.post("/api/config/check", self.check),
            web.post("/api/config/save", self.save),
            web.post("/api/config/delete", self.delete),
        ]

    async def read(self, request: web.Request) -> web.Response:
        """One object as YAML, its version, and what is found about it."""
        kind, namespace, name = _locate(request.query)
        obj = await _found(self._reader().find(kind, name, namespace), kind, namespace, name)
        document = Document(write_document(obj))
        return answer_json(await self._describe(obj, document))

    async def _describe(self, obj: Object, document: Document) -> Object:
        problems = await self._find(document)
        return {
            "yaml": write_document(obj),
            "resourceVersion": str(obj["metadata"].get("resourceVersion") or ""),
            "created": str(obj["metadata"].get("creationTimestamp") or ""),
            "status": obj.get("status") or {},
            "problems": problems,
        }

    async def schema(self, request: web.Request) -> web.Response:
        """The OpenAPI schema of a kind, from its CustomResourceDefinition; for completion."""
        kind = mesh_kind(request.query.get("apiVersion", ""), request.query.get("kind", ""))
        name = f"{kind.plural}.{kind.group}"
        definition = await _found(
            self._reader().find(CUSTOM_RESOURCE_DEFINITIONS, name), CUSTOM_RESOURCE_DEFINITIONS, "", name
        )
        for version in definition["spec"]["versions"]:
            if version["name"] == kind.version:
                return answer_json({"schema": (version.get("schema") or {}).get("openAPIV3Schema") or {}})
        raise UnknownObject(f"{name} has no version {kind.version}")

    async def check(self, request: web.Request) -> web.Response:
        """What is wrong with a text, and with `effect=true` what storing it would change. Nothing is stored."""
        body = await read_body(request)
        try:
            document = Document(str(body.get("yaml") or ""))
        except YamlProblem as problem:
            return answer_json({"problems": [Problem("Error", str(problem), problem.line)], "effect": None})
        _kind_of(document)
        problems = await self._find(document)
        deleted = body.get("deleted") is True
        if self._identities.identity_of(request) and not deleted:
            problems += await self._try(request, document, str(body.get("resourceVersion") or ""))
        effect = await self._effect(document.object, deleted) if read_flag(request, "effect") else None
        return answer_json({"problems": _once(problems), "effect": effect})

    async def save(self, request: web.Request) -> web.Response:
        """Create the object, or (with `resourceVersion`) replace that very version, as the user."""
        body = await read_body(request)
        try:
            document = Document(str(body.get("yaml") or ""))
        except YamlProblem as problem:
            raise Unacceptable(f"line {problem.line}: {problem}") from problem
        version = str(body.get("resourceVersion") or "")
        async with self._identities.client(request) as client:
            try:
                stored = await _store(client, document.object, version, _STORE)
            except KubeError as error:
                raise _explain(error) from error
        self._inputs = None
        return answer_json(await self._describe(stored, document), status=200 if version else 201)

    async def delete(self, request: web.Request) -> web.Response:
        """Delete one version of an object, as the user."""
        body = await read_body(request)
        kind, namespace, name = _locate({key: str(value) for key, value in body.items()})
        version = str(body.get("resourceVersion") or "") or None
        async with self._identities.client(request) as client:
            try:
                await client.delete(kind, name, namespace or None, resource_version=version)
            except KubeError as error:
                raise _explain(error) from error
        self._inputs = None
        return answer_json({"deleted": True})

    async def _find(self, document: Document) -> list[Problem]:
        """What the compiler says of the object in the mesh as it is."""
        inputs = await self._read_inputs()

        def work() -> list[Finding]:
            return check_object(document.object, interpret(inputs).snapshot, inputs)

        return [_problem(finding, document) for finding in await asyncio.to_thread(work)]

    async def _effect(self, obj: Object, deleted: bool) -> Effect:
        inputs = await self._read_inputs()
        return await asyncio.to_thread(lambda: tell_effect(inputs, _with_namespace(obj), deleted=deleted))

    async def _try(self, request: web.Request, document: Document, version: str) -> list[Problem]:
        """What the API server says when it is asked to store the object without storing it."""
        async with self._identities.client(request) as client:
            try:
                await _store(client, document.object, version, _TRY)
            except Invalid as error:
                return _causes(error, document)
            except KubeBadRequest as error:
                return [_unread(error, document)]
            except (Conflict, Forbidden) as error:  # Nothing is wrong with the text.
                return [Problem("Warning", str(_explain(error)), 1)]
            except KubeError as error:
                return [Problem("Error", str(_explain(error)), 1)]
        return []

    async def _read_inputs(self) -> Inputs:
        if self._inputs is None or time.monotonic() - self._inputs[0] > FRESH_SECONDS:
            try:
                self._inputs = time.monotonic(), await read_inputs(self._reader())
            except Unavailable as error:
                raise KubernetesUnavailable(error) from error
            except KubeError as error:
                raise UnknownObject(f"the mesh cannot be read: {error}") from error
        return self._inputs[1]

    def _reader(self) -> KubeClient:
        if self._client is None:
            raise UnknownObject("no Kubernetes API is used, so there are no objects")
        return self._client


async def _found(asked: Any, kind: ResourceType, namespace: str, name: str) -> Object:
    try:
        obj: Object | None = await asked
    except KubeError as error:
        raise _explain(error) from error
    if obj is None:
        raise UnknownObject(f"there is no {kind.describe(namespace, name)}", "It may have been deleted: see Changes.")
    return obj


async def _store(client: KubeClient, obj: Object, version: str, parameters: dict[str, str]) -> Object:
    obj = _with_namespace(obj)
    kind, metadata = mesh_kind(str(obj["apiVersion"]), str(obj["kind"])), obj["metadata"]
    namespace, name = metadata.get("namespace"), str(metadata["name"])
    call = f"save {kind.describe(namespace, name)}"
    if not version:
        metadata.pop("resourceVersion", None)
        return await client.request("POST", kind.path(namespace), body=obj, params=parameters, call=call)
    current = await client.get(kind, name, namespace)
    applied = (current["metadata"].get("annotations") or {}).get(LAST_APPLIED)
    if applied is not None:  # Not shown, and not to be lost: `kubectl apply` compares with it.
        metadata["annotations"] = {**(metadata.get("annotations") or {}), LAST_APPLIED: applied}
    metadata["resourceVersion"] = version
    return await client.request("PUT", kind.path(namespace, name), body=obj, params=parameters, call=call)


def _with_namespace(obj: Object) -> Object:
    kind = mesh_kind(str(obj.get("apiVersion")), str(obj.get("kind")))
    metadata = dict(obj["metadata"])
    if kind.namespaced:
        metadata["namespace"] = str(metadata.get("namespace") or "default")
    return {**obj, "metadata": metadata}


def mesh_kind(api_version: str, kind: str) -> ResourceType:
    """The kind of a mesh object. Raises BadRequest for any other."""
    found = find_type(api_version, kind)
    if found is None or found.group not in GROUPS:
        raise BadRequest(
            f"{kind or 'an object without a kind'} of {api_version!r} is no mesh object",
            "Kinds of Istio (networking, security, telemetry, extensions) and of the Gateway API are edited here.",
        )
    return found


def _kind_of(document: Document) -> ResourceType:
    return mesh_kind(document.object["apiVersion"], document.object["kind"])


def _locate(values: Any) -> tuple[ResourceType, str, str]:
    kind = mesh_kind(values.get("apiVersion", ""), values.get("kind", ""))
    name = values.get("name", "")
    if not name:
        raise BadRequest("name is missing")
    return kind, values.get("namespace", ""), name


def _problem(finding: Finding, document: Document) -> Problem:
    line = document.line_of(finding.path)
    return Problem(finding.severity.value, finding.message, line, finding.code, finding.path, finding.hint)


def _causes(error: KubeError, document: Document) -> list[Problem]:
    causes = [item for item in error.causes if item.get("field")]
    if not causes:
        return [Problem("Error", str(error.status.get("message") or error), 1)]
    return [
        Problem("Error", str(item.get("message")), document.line_of(str(item["field"])), "", str(item["field"]))
        for item in causes
    ]


def _unread(error: KubeError, document: Document) -> Problem:
    """What strict decoding refuses: `unknown field "spec.hostz"`; the field is only in the text."""
    message = str(error.status.get("message") or error)
    field = _NAMED_FIELD.search(message)
    path = field.group(1) if field else ""
    return Problem("Error", message, document.line_of(path) if path else 1, "", path)


def _once(problems: list[Problem]) -> list[Problem]:
    """Sorted by line. The API server's answer repeats our own findings, since our webhook gave them to it."""
    codes = {problem.code for problem in problems if problem.code}
    kept = [item for item in problems if item.code or not any(f"[{code}]" in item.message for code in codes)]
    return sorted(set(kept), key=lambda item: (item.line, item.message))


def _explain(error: KubeError) -> ConsoleError:
    message = str(error.status.get("message") or error)
    match error:
        case AlreadyExists():
            return Conflicting(message, "Choose another name, or open the one that is there.")
        case Conflict():
            return Conflicting("Somebody else has changed this object since you opened it.", message)
        case NotFound():
            return Conflicting("This object is not there any more.", message)
        case Forbidden() | Unauthorized():
            return ReadOnly(message, "Your Kubernetes identity may not do this.")
        case Invalid() | KubeBadRequest():
            return Unacceptable(message)
    return KubernetesUnavailable(error)
