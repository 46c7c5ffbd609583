"""Subresources that are not views of the object: scale, logs, binding, eviction, tokens; and the review kinds."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
from aiohttp import web

from kaiki.apiserver import preparation
from kaiki.apiserver.authorization import Authorizer, review_attributes, rules_status
from kaiki.apiserver.catalog import BINDING, EVICTION, TOKEN_REQUEST
from kaiki.apiserver.disruption import check_budgets
from kaiki.apiserver.errors import ApiError, FieldErrors, bad_request, method_not_allowed, required, unavailable
from kaiki.apiserver.fields import read_definition
from kaiki.apiserver.media import read_request, wanted
from kaiki.apiserver.operations import Operations
from kaiki.apiserver.requests import ApiRequest, User, timestamp
from kaiki.apiserver.scale import applied_scale, patched_scale, scale_of, scale_table, write_replicas
from kaiki.apiserver.tokens import ISSUER, TokenAuthority
from kaiki.apiserver.versions import served_object

Object = dict[str, Any]
POD_STREAMS = ("exec", "attach", "portforward")


class Subresources:
    """Answers requests below an object. `node_socket` is where the node's runtime answers for logs."""

    def __init__(
        self, operations: Operations, tokens: TokenAuthority, authorizer: Authorizer, node_socket: Path | None
    ) -> None:
        self._operations = operations
        self._tokens = tokens
        self._authorizer = authorizer
        self._node_socket = node_socket
        self._streams: Any = None

    async def handle(self, http: web.BaseRequest, request: ApiRequest) -> web.StreamResponse:
        """Answer one request."""
        match request.subresource, http.method:
            case "scale", "GET" | "PUT" | "PATCH":
                return await self._scale(http, request)
            case "log", "GET":
                return await self._log(http, request)
            case "binding", "POST":
                return await self._bind(http, request)
            case "eviction", "POST":
                return await self._evict(http, request)
            case "token", "POST":
                body = read_definition(TOKEN_REQUEST, await read_request(http))
                return _json(self._tokens.issue(request, body), 201)
            case (("exec" | "attach" | "portforward"), _):
                return await self._stream(http, request)
            case "ephemeralcontainers", _:
                why = "ephemeral containers are not available on this machine: kubectl exec runs any program of it"
                raise ApiError(501, "NotImplemented", f"{why} inside a container")
            case "resize", _:
                raise ApiError(501, "NotImplemented", f"{request.subresource} is not available on this machine")
        raise method_not_allowed()

    async def _scale(self, http: web.BaseRequest, request: ApiRequest) -> web.Response:
        if http.method == "GET":
            scale = scale_of(request.kind, served_object(request.kind, self._operations.read(request)))
            if wanted(http.headers.get("Accept", "")).shape == "Table":
                return _json(scale_table(scale))
            return _json(scale)
        body = await read_request(http)
        form = http.content_type
        if form == "application/apply-patch+yaml":
            record, _ = await self._operations.apply(request, applied_scale(request.kind, body))
            return _json(scale_of(request.kind, served_object(request.kind, record)))

        def produce(current: Object) -> Object:
            asked = patched_scale(form, http.method, scale_of(request.kind, current), body)
            revision = (asked.get("metadata") or {}).get("resourceVersion")
            current["metadata"]["resourceVersion"] = revision or current["metadata"]["resourceVersion"]
            write_replicas(request.kind, current, (asked.get("spec") or {}).get("replicas", 0))
            return current

        record = await self._operations.update(request, produce)
        return _json(scale_of(request.kind, served_object(request.kind, record)))

    async def _bind(self, http: web.BaseRequest, request: ApiRequest) -> web.Response:
        body = read_definition(BINDING, await read_request(http))
        node = (body.get("target") or {}).get("name")
        if not node:
            raise bad_request("Binding: target.name: Required value")

        def produce(current: Object) -> Object:
            if current["spec"].get("nodeName"):
                message = f'pod {request.name} is already assigned to node "{current["spec"]["nodeName"]}"'
                raise ApiError(409, "Conflict", message)
            current["spec"]["nodeName"] = node
            return current

        request.subresource, request.tracked = "", False
        await self._operations.update(request, produce)
        return _json({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}, 201)

    async def _evict(self, http: web.BaseRequest, request: ApiRequest) -> web.Response:
        body = read_definition(EVICTION, await read_request(http))
        options = body.get("deleteOptions") or {}
        if options.get("dryRun"):
            request.query = {**request.query, "dryRun": "All"}
        request.subresource = ""
        check_budgets(self._operations.store, served_object(request.kind, self._operations.read(request)))
        await self._operations.delete(request, options)
        return _json({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}, 201)

    async def _stream(self, http: web.BaseRequest, request: ApiRequest) -> web.StreamResponse:
        from kaiki.apiserver.streams import PodStreams  # brings an HTTP client along: only when asked for

        self._streams = self._streams or PodStreams(self._node_socket)
        pod = served_object(request.kind, self._operations.read(request))
        container = "" if request.subresource == "portforward" else _chosen_container(request, pod)
        response: web.StreamResponse = await self._streams.handle(http, request, pod, container)
        return response

    async def _log(self, http: web.BaseRequest, request: ApiRequest) -> web.StreamResponse:
        pod = served_object(request.kind, self._operations.read(request))
        container = request.query.get("container") or _only_container(request, pod)
        if not pod["spec"].get("nodeName") or self._node_socket is None:
            return web.Response(text="")
        import aiohttp

        path = "/".join(quote(part, safe="") for part in (request.namespace, request.name, container))
        query = {key: value for key, value in request.query.items() if key != "container"}
        connector = aiohttp.UnixConnector(path=str(self._node_socket))
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
        try:
            async with (
                aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
                session.get(f"http://node/containerLogs/{path}", params=query) as upstream,
            ):
                return await _relay(http, upstream)
        except (aiohttp.ClientConnectionError, FileNotFoundError) as error:
            raise unavailable(f"the node does not answer for logs: {error}") from error

    def review(self, request: ApiRequest, body: Object) -> Object:
        """Answer one of the kinds that are asked, not stored: token and access reviews."""
        kind = request.kind.kind
        result: Object = {"kind": kind, "apiVersion": request.kind.api_version, "metadata": {}}
        result["metadata"]["creationTimestamp"] = timestamp() if kind == "SelfSubjectReview" else None
        if kind == "SelfSubjectReview":
            return result | {"status": {"userInfo": request.user.describe()}}
        value = preparation.read_object(request, body)
        result["spec"] = value.get("spec") or {}
        if kind == "TokenReview":
            return result | {"status": self._review_token(result["spec"])}
        if kind == "SelfSubjectRulesReview":
            grants = self._authorizer.grants(request.user)
            return result | {"status": rules_status(request.user, grants, result["spec"].get("namespace") or "default")}
        return result | {"status": self._review_access(request, result["spec"])}

    def _review_access(self, request: ApiRequest, spec: Object) -> Object:
        user = request.user
        if not request.kind.kind.startswith("Self"):
            user = User(str(spec.get("user") or ""), tuple(spec.get("groups") or ()))
            if not user.name and not user.groups:
                raise FieldErrors(
                    request.kind, "", [required("spec.user", "at least one of user or group must be specified")]
                )
        reason = self._authorizer.allows(user, review_attributes(spec))
        return {"allowed": reason is not None, **({"reason": reason} if reason else {})}

    def _review_token(self, spec: Object) -> Object:
        audiences = spec.get("audiences") or [ISSUER]
        try:
            user, matching = self._tokens.review(str(spec.get("token", "")), audiences)
        except ApiError as error:
            return {"authenticated": False, "user": {}, "error": error.message}
        return {"authenticated": True, "user": user.describe(), "audiences": matching}


def _chosen_container(request: ApiRequest, pod: Object) -> str:
    """The container that is asked for, or else the one that is meant; ApiError when the pod has no such container."""
    asked = request.query.get("container")
    if not asked:
        return _only_container(request, pod)
    spec = pod["spec"]
    everyone = [each["name"] for each in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ()))]
    if asked not in everyone:
        raise bad_request(f"container {asked} is not valid for pod {request.name}")
    return asked


def _only_container(request: ApiRequest, pod: Object) -> str:
    names = [each["name"] for each in pod["spec"].get("containers") or ()]
    default = (pod["metadata"].get("annotations") or {}).get("kubectl.kubernetes.io/default-container")
    if default in names:
        return str(default)
    if len(names) == 1:
        return str(names[0])
    raise bad_request(f"a container name must be specified for pod {request.name}, choose one of: [{' '.join(names)}]")


async def _relay(http: web.BaseRequest, upstream: Any) -> web.StreamResponse:
    """Pass the node's answer on as it comes, so that `logs -f` follows."""
    if upstream.status != 200:
        text = await upstream.text()
        raise ApiError(upstream.status, "BadRequest" if upstream.status < 500 else "InternalError", text.strip())
    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    response.enable_chunked_encoding()
    await response.prepare(http)
    try:
        async for chunk in upstream.content.iter_any():
            await response.write(chunk)
    except ConnectionResetError:
        pass
    return response


def _json(value: Object, code: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(value), status=code, content_type="application/json")
