"""Requests for objects: read, listed, watched, written. Each verb of the API is one method here."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import orjson
from aiohttp import web

from kaiki.apiserver import patch, tables
from kaiki.apiserver.authorization import request_verb
from kaiki.apiserver.catalog import DELETE_OPTIONS, ResourceType
from kaiki.apiserver.connections import write
from kaiki.apiserver.errors import (
    ApiError,
    bad_request,
    expired,
    method_not_allowed,
    no_proxy,
    no_such_path,
    unsupported_media_type,
)
from kaiki.apiserver.fields import read_definition
from kaiki.apiserver.media import Wanted, read_request, wanted
from kaiki.apiserver.operations import Operations
from kaiki.apiserver.paging import read_page
from kaiki.apiserver.requests import ApiRequest
from kaiki.apiserver.schemas import schema_of
from kaiki.apiserver.store import Record, RevisionExpired, Store
from kaiki.apiserver.subresources import POD_STREAMS, Subresources
from kaiki.apiserver.versions import served_body, served_object
from kaiki.apiserver.watch import Encode, WatchOptions, watch

Object = dict[str, Any]
_PATCHES = {
    "application/json-patch+json": "json",
    "application/merge-patch+json": "merge",
    "application/strategic-merge-patch+json": "strategic",
    "application/apply-patch+yaml": "apply",
    "application/apply-patch+cbor": "",
}


_PROXIED = ("pods", "services", "nodes")
STREAMED_ITEMS = 50
"""How many objects of a long list are written at a time."""
WARNINGS, WARNINGS_BYTES, WARNING_LENGTH = 50, 4096, 1000


class ObjectHandlers:
    """Answers requests for objects of any kind."""

    def __init__(self, store: Store, operations: Operations, subresources: Subresources) -> None:
        self._store = store
        self._operations = operations
        self._subresources = subresources

    async def handle(self, http: web.BaseRequest, request: ApiRequest) -> web.StreamResponse:
        """Answer one request; ApiError when it is refused."""
        if request.subresource and not self._is_plain(request):
            return await self._subresources.handle(http, request)
        verb = request_verb(http.method, bool(request.name), request.flag("watch"))
        if not request.subresource and verb not in request.kind.verbs:
            raise method_not_allowed()
        if request.name:
            return await self._handle_object(http, request)
        return await self._handle_collection(http, request)

    def _is_plain(self, request: ApiRequest) -> bool:
        """Subresources that are views of the whole object: status, a namespace's finalizers, an approval."""
        if request.kind.qualified_name == "pods" and request.subresource in POD_STREAMS:
            return False
        if request.subresource.partition("/")[0] == "proxy" and request.kind.plural in _PROXIED:
            raise no_proxy()
        if request.kind.subresource(request.subresource.partition("/")[0]) is None:
            raise no_such_path()
        return request.subresource in ("status", "finalize", "approval")

    async def _handle_object(self, http: web.BaseRequest, request: ApiRequest) -> web.StreamResponse:
        match http.method:
            case "GET" | "HEAD":
                if request.flag("watch"):
                    return await self._watch(http, request)
                return self._answer(http, request, self._operations.read(request))
            case "PUT":
                body = await read_request(http)
                return self._answer(http, request, await self._operations.update(request, lambda _: body))
            case "PATCH":
                record, created = await self._patch(http, request)
                return self._answer(http, request, record, 201 if created else 200)
            case "DELETE":
                return await self._delete(http, request)
        raise method_not_allowed()

    async def _handle_collection(self, http: web.BaseRequest, request: ApiRequest) -> web.StreamResponse:
        match http.method:
            case "GET" | "HEAD":
                if request.flag("watch"):
                    return await self._watch(http, request)
                return await self._list(http, request)
            case "POST":
                body = await read_request(http)
                if request.kind.verbs == ("create",):
                    return respond(request, orjson.dumps(self._subresources.review(request, body or {})), 201)
                if request.kind.namespaced and not request.namespace:
                    raise method_not_allowed()
                return self._answer(http, request, await self._operations.create(request, body), 201)
            case "DELETE":
                options = read_options(await read_request(http), request)
                deleted = await self._operations.delete_all(request, options)
                return await self._answer_list(http, request, deleted, {"resourceVersion": str(self._store.revision)})
        raise method_not_allowed()

    async def _delete(self, http: web.BaseRequest, request: ApiRequest) -> web.StreamResponse:
        options = read_options(await read_request(http), request)
        record, gone = await self._operations.delete(request, options)
        if not gone:
            return self._answer(http, request, record)
        kind, uid = request.kind, record.load()["metadata"]["uid"]
        details = {"name": request.name, "group": kind.group, "kind": kind.plural, "uid": uid}
        details = {key: value for key, value in details.items() if value}
        status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
        return respond(request, orjson.dumps(status))

    async def _patch(self, http: web.BaseRequest, request: ApiRequest) -> tuple[Record, bool]:
        kind = _PATCHES.get(http.content_type)
        if not kind or (kind == "strategic" and request.kind.custom):
            raise unsupported_media_type(http.content_type, [name for name in _PATCHES if _PATCHES[name]])
        body = await read_request(http)
        if kind == "apply":
            return await self._operations.apply(request, body)
        return await self._operations.update(
            request, lambda current: apply_patch(kind, request.kind, current, body)
        ), False

    async def _list(self, http: web.BaseRequest, request: ApiRequest) -> web.StreamResponse:
        kind, selector, page = request.kind, request.selector, read_page(request, self._store.revision)
        try:
            if page.revision == self._store.revision:
                records = list(self._store.list(kind.storage, request.namespace))
            else:
                records = list(self._store.list_at(kind.storage, request.namespace, page.revision))
        except RevisionExpired as error:
            raise page.expired() from error
        if selector.label_terms or selector.field_terms:
            records = [each for each in records if selector.matches(each)]
        records, metadata = page.cut(records, counted=not (selector.label_terms or selector.field_terms))
        return await self._answer_list(http, request, records, metadata)

    async def _answer_list(
        self, http: web.BaseRequest, request: ApiRequest, records: list[Record], metadata: Object
    ) -> web.StreamResponse:
        kind, form = request.kind, wanted(http.headers.get("Accept", ""))
        if form.shape == "Table":
            include = request.query.get("includeObject", "Metadata")
            values = (served_object(kind, record) for record in records)
            return respond(request, orjson.dumps(tables.table(kind, values, metadata, include)))
        head, bodies = (kind.api_version, kind.collection_kind), encode_all(records, kind, form, request)
        if form.shape.startswith("PartialObjectMetadata"):
            head = f"meta.k8s.io/{form.version}", "PartialObjectMetadataList"
        start = b'{"apiVersion":"%s","kind":"%s","metadata":%s,"items":['
        start %= (head[0].encode(), head[1].encode(), orjson.dumps(metadata))
        if http.method == "GET" and len(bodies) > STREAMED_ITEMS:
            return await stream_list(http, request, start, bodies)
        return respond(request, start + b",".join(bodies) + b"]}")

    def _answer(self, http: web.BaseRequest, request: ApiRequest, record: Record, code: int = 200) -> web.Response:
        accept = http.headers.get("Accept", "")
        if ";as=" not in accept:
            return respond(request, served_body(request.kind, record), code)
        return respond(request, encoder(request.kind, wanted(accept), request)(record), code)

    async def _watch(self, http: web.BaseRequest, request: ApiRequest) -> web.StreamResponse:
        form = wanted(http.headers.get("Accept", ""))
        options = self._watch_options(request)
        response = web.StreamResponse(
            headers={"Content-Type": "application/json", "Cache-Control": "no-cache, private"}
        )
        response.enable_chunked_encoding()
        seconds = request.integer("timeoutSeconds") or None
        await response.prepare(http)
        stream = watch(self._store, request.kind, options, encoder(request.kind, form, request))
        try:
            async with asyncio.timeout(seconds), contextlib.aclosing(stream):
                async for lines in stream:
                    if http.transport is None or http.transport.is_closing():
                        break
                    if lines:
                        await write(http, response, lines)
        except (TimeoutError, ConnectionResetError):
            pass
        return response

    def _watch_options(self, request: ApiRequest) -> WatchOptions:
        asked = request.query.get("resourceVersion", "")
        initial = request.flag("sendInitialEvents")
        if initial and request.query.get("resourceVersionMatch") != "NotOlderThan":
            raise bad_request(
                "resourceVersionMatch: Forbidden: sendInitialEvents requires resourceVersionMatch NotOlderThan"
            )
        if asked and not asked.isdigit():
            raise bad_request(f"invalid resource version: {asked}")
        revision = None if initial or asked in ("", "0") else int(asked)
        if revision is not None and revision > self._store.revision:
            raise expired(f"resource version {asked} is newer than this server's ({self._store.revision})")
        selector = request.selector
        if request.name:
            from kaiki.apiserver.selectors import Selector

            term = (("metadata", "name"), request.name, True)
            selector = Selector(selector.label_terms, (*selector.field_terms, term))
        bookmarks = request.flag("allowWatchBookmarks")
        return WatchOptions(request.namespace, selector, revision, bookmarks, initial and bookmarks)


def encode_all(records: list[Record], kind: ResourceType, form: Wanted, request: ApiRequest) -> list[bytes]:
    """Every object in the form the client wants. What is stored as it is served is not even copied."""
    encode = encoder(kind, form, request)
    if form.shape or not request.owners:
        return [encode(record) for record in records]
    as_it_is = b'{"apiVersion":"%s"' % kind.api_version.encode()
    return [record.body if record.body.startswith(as_it_is) else encode(record) for record in records]


async def stream_list(
    http: web.BaseRequest, request: ApiRequest, start: bytes, bodies: list[bytes]
) -> web.StreamResponse:
    """Write a long list piece by piece: one piece at a time is joined, encrypted and sent while the caches hold it."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    add_warnings(response, request)
    response.content_length = len(start) + sum(map(len, bodies)) + len(bodies) - 1 + len(b"]}")
    await response.prepare(http)
    for at in range(0, len(bodies), STREAMED_ITEMS):
        await write(http, response, start + b",".join(bodies[at : at + STREAMED_ITEMS]))
        start = b","
    await write(http, response, b"]}")
    return response


def encoder(kind: ResourceType, form: Wanted, request: ApiRequest) -> Encode:
    """How one object is written in the form the client wants."""
    if form.shape == "Table":
        include = request.query.get("includeObject", "Metadata")

        def as_table(record: Record) -> bytes:
            metadata = {"resourceVersion": str(record.revision)}
            return orjson.dumps(tables.table(kind, [served_object(kind, record)], metadata, include))

        return as_table
    if form.shape.startswith("PartialObjectMetadata"):
        start = {"kind": "PartialObjectMetadata", "apiVersion": f"meta.k8s.io/{form.version}"}
        return lambda record: orjson.dumps({**start, "metadata": record.load()["metadata"]})
    owners = request.owners
    return lambda record: served_body(kind, record, owners)


def apply_patch(form: str, kind: ResourceType, current: Object, body: Any) -> Object:
    """An object patched by a JSON, merge or strategic merge patch; ApiError 400 or 422 when that is not possible."""
    try:
        if form == "json":
            result = patch.json_patch(current, body)
        elif not isinstance(body, dict):
            raise patch.PatchError("the patch must be an object")
        elif form == "merge":
            result = patch.merge_patch(current, body)
        else:
            result = patch.strategic_merge(current, body, schema_of(kind))
    except patch.PatchError as error:
        code, reason = (422, "Invalid") if form == "json" else (400, "BadRequest")
        raise ApiError(
            code, reason, f"the server rejected our request due to an error in our request: {error}"
        ) from error
    value: Object = result
    return value


def read_options(body: Any, request: ApiRequest) -> Object:
    """A DELETE's options, from the body and the query; a dry run asked for is noted in the request."""
    options = read_definition(DELETE_OPTIONS, body or {})
    if "gracePeriodSeconds" in request.query:
        options["gracePeriodSeconds"] = request.integer("gracePeriodSeconds")
    if "propagationPolicy" in request.query:
        options["propagationPolicy"] = request.query["propagationPolicy"]
    if options.get("dryRun"):
        request.query = {**request.query, "dryRun": "All"}
    return options


def respond(request: ApiRequest, body: bytes, code: int = 200) -> web.Response:
    """A JSON answer, with the request's warnings as headers."""
    response = web.Response(body=body, status=code, content_type="application/json")
    add_warnings(response, request)
    return response


def add_warnings(response: web.StreamResponse, request: ApiRequest) -> None:
    """The warnings as headers. Names that clients send are in them: no control characters, and no more than headers
    can hold.
    """
    left = WARNINGS_BYTES
    for text in list(dict.fromkeys(request.warnings))[:WARNINGS]:
        printable = "".join(each if each.isprintable() else "?" for each in text)[:WARNING_LENGTH]
        escaped = printable.replace("\\", "\\\\").replace('"', '\\"')
        left -= len(escaped.encode())
        if left < 0:
            break
        response.headers.add("Warning", f'299 - "{escaped}"')
