"""The embedded Kubernetes API server: everything joined, TLS around it, on the sockets the launcher hands over.

serve(settings) ─▶ Server ─▶ authentication ─▶ discovery | OpenAPI | objects
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import ssl
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

from kaiki.apiserver import credentials, discovery, openapi, openapi_v2
from kaiki.apiserver.addresses import AddressPool
from kaiki.apiserver.admission import WebhookAdmission
from kaiki.apiserver.authentication import Authenticator
from kaiki.apiserver.authorization import Attributes, Authorizer, request_verb
from kaiki.apiserver.bootstrap import keep_standard_objects
from kaiki.apiserver.connections import BoundedServer, TlsSite, allow_many_descriptors, keep_tls_buffers_small
from kaiki.apiserver.errors import ApiError, bad_request, internal, no_such_path
from kaiki.apiserver.expiry import compact_forever, expire_events
from kaiki.apiserver.handlers import ObjectHandlers, add_warnings
from kaiki.apiserver.media import wanted
from kaiki.apiserver.operations import Operations
from kaiki.apiserver.quotas import keep_quota_status
from kaiki.apiserver.registry import Registry
from kaiki.apiserver.request_metrics import Asked, RequestMetrics
from kaiki.apiserver.requests import ApiRequest
from kaiki.apiserver.routes import parse_route
from kaiki.apiserver.store import Store
from kaiki.apiserver.subresources import POD_STREAMS, Subresources
from kaiki.apiserver.tokens import TokenAuthority

logger = logging.getLogger("kaiki.apiserver")
OPEN_PATHS = ("/readyz", "/livez", "/healthz", "/version")
BODY_LIMIT_BYTES = 3 << 20


@dataclass(frozen=True)
class ApiServerSettings:
    """Where the server lives and listens.

    `listen_fds` are listening sockets inherited from the launcher, `listen_addresses` (host, port) to listen on itself
    (port 0 takes a free one). `service_range` is the CIDR of virtual addresses; `endpoint` where the Service
    `kubernetes` leads. `node_socket` is the runtime's unix socket, for logs.
    """

    home: Path
    listen_fds: tuple[int, ...] = ()
    listen_addresses: tuple[tuple[str, int], ...] = ()
    node_socket: Path | None = None
    service_range: str = "10.96.0.0/16"
    endpoint: tuple[str, int] = ("10.97.0.1", 6443)


class ApiServer:
    """The server, started and stopped by `async with`; `ports` are those it listens on."""

    def __init__(self, settings: ApiServerSettings) -> None:
        self._settings = settings
        self._metrics = RequestMetrics()
        self.ports: list[int] = []

    async def __aenter__(self) -> ApiServer:
        settings = self._settings
        credentials.ensure_credentials(settings.home)
        self.store = Store(settings.home / "api.sqlite")
        self._registry = Registry(self.store)
        self._tokens = TokenAuthority(settings.home, self.store)
        self._webhooks = WebhookAdmission(self.store, self._registry)
        addresses = AddressPool(self.store, settings.service_range)
        self._authorizer = Authorizer(self.store)
        self._authenticator = Authenticator(self._tokens, self._authorizer)
        operations = Operations(self.store, self._registry, addresses, self._webhooks, self._authorizer, settings.home)
        subresources = Subresources(operations, self._tokens, self._authorizer, settings.node_socket)
        self._objects = ObjectHandlers(self.store, operations, subresources)
        keep_standard_objects(self.store, self._registry, settings.service_range, settings.endpoint)
        keep_quota_status(self.store)
        self._server = BoundedServer(self._handle, request_factory=_make_request, access_log=None)
        self._runner = web.ServerRunner(self._server, shutdown_timeout=0.5)
        await self._runner.setup()
        await self._listen()
        periodic = (expire_events(self.store), compact_forever(self.store), self._server.close_silent())
        self._periodic = [asyncio.create_task(each) for each in periodic]
        return self

    async def _listen(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        folder = credentials.pki_folder(self._settings.home)
        context.load_cert_chain(folder / "server.crt", folder / "server.key")
        context.load_verify_locations(folder / "ca.crt")
        context.verify_mode = ssl.CERT_OPTIONAL
        context.set_alpn_protocols(["http/1.1"])
        sockets = [socket.socket(fileno=descriptor) for descriptor in self._settings.listen_fds]
        sockets += [socket.create_server(address, reuse_port=False) for address in self._settings.listen_addresses]
        for each in sockets:
            each.setblocking(False)
            self.ports.append(each.getsockname()[1])
            await TlsSite(self._runner, each, context).start()

    async def __aexit__(self, *_: object) -> None:
        for each in self._periodic:
            each.cancel()
        await self._runner.cleanup()
        await self._webhooks.close()
        self.store.close()

    async def _handle(self, http: web.BaseRequest) -> web.StreamResponse:
        with self._server.serving(http.protocol):
            return await self._answer_or_say(http)

    async def _answer_or_say(self, http: web.BaseRequest) -> web.StreamResponse:
        """The answer; whatever goes wrong is one too."""
        try:
            return await self._route(http)
        except ApiError as error:
            return _failure(error)
        except (ConnectionResetError, asyncio.CancelledError):
            raise
        except RecursionError:
            return _failure(bad_request("the object provided is nested too deeply"))
        except Exception as error:
            logger.exception("%s %s failed", http.method, http.path)
            return _failure(internal(f"{type(error).__name__}: {error}"))

    async def _route(self, http: web.BaseRequest) -> web.StreamResponse:
        path = http.path.rstrip("/")
        if path in OPEN_PATHS or path.startswith(("/readyz/", "/livez/", "/healthz/")):
            return self._open(path)
        user = self._authenticator.identify(http)
        route = parse_route(http.rel_url.raw_path, self._registry)
        if route is None:
            self._authorizer.require(user, Attributes(http.method.lower(), path=path or "/"))
            return self._document(http, path)
        agent = http.headers.get("User-Agent", "")
        request = ApiRequest(route.kind, route.namespace, route.name, route.subresource, dict(http.query), user, agent)
        return await self._measured(http, request)

    async def _measured(self, http: web.BaseRequest, request: ApiRequest) -> web.StreamResponse:
        asked, started, code = _asked(http, request), time.perf_counter(), 0
        if asked.verb == "watch":
            self._metrics.begin(asked)
        try:
            response = await self._answer(http, request)
            code = response.status
            return response
        except ApiError as error:
            code = error.code
            raise
        finally:
            self._metrics.end(asked, code, time.perf_counter() - started)

    async def _answer(self, http: web.BaseRequest, request: ApiRequest) -> web.StreamResponse:
        self._authorize(http, request)
        try:
            return await self._objects.handle(http, request)
        except ApiError as error:
            response = _failure(error)
            add_warnings(response, request)
            return response

    def _authorize(self, http: web.BaseRequest, request: ApiRequest) -> None:
        kind = request.kind
        verb = request_verb(http.method, bool(request.name), request.flag("watch"))
        if kind.qualified_name == "pods" and request.subresource in POD_STREAMS:
            verb = "create"  # a stream changes what runs, though a WebSocket begins with GET
        namespace = request.name if kind.qualified_name == "namespaces" else request.namespace
        subresource = request.subresource.partition("/")[0]
        wanted = Attributes(verb, kind.group, kind.plural, subresource, request.name, namespace)
        try:
            self._authorizer.require(request.user, wanted)
        except ApiError as error:
            logger.info("refused: %s", error.message)
            raise

    def _open(self, path: str) -> web.Response:
        if path == "/version":
            return _json(version())
        return web.Response(text="ok")

    def _document(self, http: web.BaseRequest, path: str) -> web.Response:
        """Discovery and OpenAPI."""
        kinds = self._registry.all()
        parts = path.strip("/").split("/")
        found: Any = None
        match parts:
            case ["api"] | ["apis"]:
                return self._discovery(http, core=parts == ["api"])
            case ["api", "v1"]:
                found = discovery.resource_list(kinds, "", "v1")
            case ["apis", group]:
                found = discovery.one_group(kinds, group)
            case ["apis", group, name]:
                found = discovery.resource_list(kinds, group, name)
            case ["openapi", "v3"]:
                found = openapi.document_paths(self._registry.custom())
            case ["openapi", "v3", *rest]:
                return self._openapi(http, "/".join(rest))
            case ["metrics"]:
                return web.Response(text=self._metrics.render())
            case ["openapi", "v2"]:
                return self._openapi_v2(http)
            case [""]:
                found = {"paths": ["/api", "/api/v1", "/apis", "/livez", "/openapi/v3", "/readyz", "/version"]}
        if found is None:
            raise no_such_path()
        return _json(found)

    def _discovery(self, http: web.BaseRequest, core: bool) -> web.Response:
        kinds, form = self._registry.all(), wanted(http.headers.get("Accept", ""))
        if form.shape == "APIGroupDiscoveryList":
            body = orjson.dumps(discovery.aggregated(kinds, core, form.version))
            kind = f"application/json;g={form.group};v={form.version};as=APIGroupDiscoveryList"
            return web.Response(body=body, headers={"Content-Type": kind, "Vary": "Accept"})
        if core:
            return _json({"kind": "APIVersions", "apiVersion": "v1", "versions": ["v1"]})
        return _json(discovery.group_list(kinds))

    def _openapi_v2(self, http: web.BaseRequest) -> web.Response:
        version, kinds = f"v{openapi.kubernetes_version()}", self._registry.all()
        if openapi_v2.REQUESTED in http.headers.get("Accept", ""):
            body = openapi_v2.protobuf_document(version, kinds)
            return web.Response(body=body, headers={"Content-Type": openapi_v2.MEDIA_TYPE, "Vary": "Accept"})
        return _json(openapi_v2.json_document(version, kinds))

    def _openapi(self, http: web.BaseRequest, path: str) -> web.Response:
        body = openapi.compressed_document(path, self._registry.custom())
        if body is None:
            raise no_such_path()
        headers = {"Content-Type": "application/json", "Vary": "Accept"}
        if "hash" in http.query:
            headers["Cache-Control"] = "public, immutable"
        if "gzip" in http.headers.get("Accept-Encoding", ""):
            return web.Response(body=body, headers={**headers, "Content-Encoding": "gzip"})
        import gzip

        return web.Response(body=gzip.decompress(body), headers=headers)


def _asked(http: web.BaseRequest, request: ApiRequest) -> Asked:
    kind = request.kind
    verb = request_verb(http.method, bool(request.name), request.flag("watch"))
    scope = "resource" if request.name else ("namespace" if request.namespace else "cluster")
    return Asked(verb, kind.group, kind.version, kind.plural, request.subresource.partition("/")[0], scope)


def _make_request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
    """A request that may be as large as Kubernetes lets one be."""
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=BODY_LIMIT_BYTES)


def version() -> dict[str, str]:
    """The answer to `/version`: the Kubernetes version whose API is spoken."""
    number = openapi.kubernetes_version()
    major, minor, _ = number.split(".")
    return {
        "major": major,
        "minor": minor,
        "gitVersion": f"v{number}+kaiki",
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "",
        "platform": "linux/amd64",
    }


def _json(value: Any) -> web.Response:
    return web.Response(body=orjson.dumps(value), content_type="application/json")


def _failure(error: ApiError) -> web.Response:
    response = web.Response(body=orjson.dumps(error.status()), status=error.code, content_type="application/json")
    if error.code == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


async def serve(settings: ApiServerSettings) -> None:
    """Run the server until cancelled or told to stop by SIGTERM or SIGINT."""
    allow_many_descriptors()
    keep_tls_buffers_small()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with ApiServer(settings) as server:
        logger.info("api server ready on ports %s", ", ".join(map(str, server.ports)))
        await stop.wait()
