"""The webhooks' HTTPS server: /inject for pods, /validate for our own kinds, /journal to take note of changes."""

from __future__ import annotations

import logging
import ssl
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import orjson
from aiohttp import web

from kaiki.admission.review import (
    Check,
    Inject,
    MalformedReview,
    allow,
    mutate_pod,
    pod_of,
    refusal,
    request_of,
    validate_object,
)
from kaiki.model.finding import Severity

logger = logging.getLogger(__name__)

MOST_BODY_BYTES = 8 * 1024 * 1024

_MOST_LOOKS = 3
Prepare = Callable[[Mapping[str, Any]], Awaitable[None]]
"""Makes ready what injecting this pod needs."""
NamespaceLabels = Callable[[str], Awaitable[Mapping[str, str]]]
"""The labels of a namespace."""


class Count(Protocol):
    """Adds one to a counter."""

    def __call__(self, name: str, amount: float = 1, **labels: str) -> None: ...


def _count_nothing(name: str, amount: float = 1, **labels: str) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Webhooks:
    """What the webhooks call. `catch_up` waits a moment for what was written just before; false if nothing came."""

    inject: Inject
    namespace_labels: NamespaceLabels
    check: Check
    count: Count = _count_nothing
    record: Callable[[Mapping[str, Any]], None] | None = None
    catch_up: Callable[[], Awaitable[bool]] | None = None
    prepare: Prepare | None = None

    def application(self) -> web.Application:
        """The routes, as an aiohttp application."""
        application = web.Application(client_max_size=MOST_BODY_BYTES)
        application.router.add_post("/inject", self._inject)
        application.router.add_post("/validate", self._validate)
        application.router.add_post("/journal", self._journal)
        application.router.add_get("/ready", _ready)
        return application

    async def _inject(self, request: web.Request) -> web.Response:
        return await self._answer(request, self._mutate)

    async def _validate(self, request: web.Request) -> web.Response:
        return await self._answer(request, self._check)

    async def _journal(self, request: web.Request) -> web.Response:
        return await self._answer(request, self._record)

    async def _record(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """What /validate refuses at the same time is not stored, so it is no change."""
        obj = request.get("object")
        refused = isinstance(obj, Mapping) and any(item.severity is Severity.ERROR for item in self.check(obj))
        if self.record is not None and not refused:
            self.record(request)
        return allow(request)

    async def _mutate(self, request: Mapping[str, Any]) -> dict[str, Any]:
        self.count("sidecar_injection_requests_total")
        try:
            if self.prepare is not None:
                await self.prepare(pod_of(request))
            answer = mutate_pod(request, self.inject, await self.namespace_labels(str(request.get("namespace") or "")))
        except Exception:
            self.count("sidecar_injection_failure_total")
            raise
        injected = "patch" in answer["response"]
        self.count("sidecar_injection_success_total" if injected else "sidecar_injection_skip_total")
        return answer

    async def _check(self, request: Mapping[str, Any]) -> dict[str, Any]:
        answer = validate_object(request, self.check)
        # What an object names may have been created by the same command, a moment ago.
        for _ in range(_MOST_LOOKS):
            if "warnings" not in answer["response"] or self.catch_up is None or not await self.catch_up():
                break
            answer = validate_object(request, self.check)
        resource = str((request.get("resource") or {}).get("resource") or "")
        allowed = answer["response"]["allowed"]
        self.count("galley_validation_passed" if allowed else "galley_validation_failed", resource=resource)
        return answer

    async def _answer(
        self, request: web.Request, decide: Callable[[Mapping[str, Any]], Awaitable[dict[str, Any]]]
    ) -> web.Response:
        try:
            asked = request_of(orjson.loads(await request.read()))
        except (orjson.JSONDecodeError, MalformedReview) as error:
            return web.json_response({"error": str(error)}, status=400)
        try:
            answer = await decide(asked)
        except MalformedReview as error:
            return web.json_response({"error": str(error)}, status=400)
        except Exception as error:
            logger.exception("the webhook %s failed", request.path)
            answer = refusal(asked, f"Kaiki could not look at the object: {error}; see the log of istiod")
        return web.Response(body=orjson.dumps(answer), content_type="application/json")


async def _ready(_: web.Request) -> web.Response:
    return web.Response(text="ok\n")


class WebhookServer:
    """Serves an application over TLS; `use` swaps the certificate without closing anything."""

    def __init__(self, application: web.Application) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._runner = web.AppRunner(application, access_log=None)

    def use(self, certificate_pem: bytes, key_pem: bytes) -> None:
        """Present this certificate from the next handshake on."""
        # The ssl module takes only files; this one is private and gone at once.
        with tempfile.NamedTemporaryFile(suffix=".pem") as file:
            file.write(key_pem + b"\n" + certificate_pem)
            file.flush()
            self._context.load_cert_chain(file.name)

    async def start(self, host: str, port: int) -> int:
        """Listen; returns the port."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port, ssl_context=self._context)
        await site.start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Close the listener and every connection."""
        await self._runner.cleanup()
