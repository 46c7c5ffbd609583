"""The ADS server: gRPC streams in, sessions behind them. Bytes pass through untouched; everything else is elsewhere.

No stream is answered before the first snapshot: an early answer would take away from a proxy what it has in force.
A session writes when its proxy can take it (gRPC's flow control), so a slow proxy delays nobody and queues nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, Protocol

import grpc
import grpc.aio

from kaiki.discovery.authentication import Caller, Unauthenticated, contradiction
from kaiki.discovery.config_dump import describe_configuration
from kaiki.discovery.configs import Configs
from kaiki.discovery.metrics import Metrics
from kaiki.discovery.secrets import GatewaySecrets, SecretIssuer
from kaiki.discovery.session import Session, name_of_type
from kaiki.discovery.wire import MalformedRequest, parse_request
from kaiki.model.finding import ObjectRef
from kaiki.model.proxy import Proxy
from kaiki.model.snapshot import MeshSnapshot

logger = logging.getLogger(__name__)

SERVICE = "envoy.service.discovery.v3.AggregatedDiscoveryService"
UNKNOWN_POD_PATIENCE_SECONDS = 10.0
SESSIONS_PER_TURN = 64
_REFUSABLE = ("cds", "eds", "lds", "rds")

_OPTIONS = (
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
    ("grpc.max_concurrent_streams", 1000),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    # Streams end now and then, so that a proxy proves again who it is. Reconnecting costs it nothing.
    ("grpc.max_connection_age_ms", 1_800_000),
    ("grpc.max_connection_age_grace_ms", 5_000),
    ("grpc.so_reuseport", 0),
)


class ServingPair(Protocol):
    """A server certificate and its key, PEM, and when the next is due."""

    @property
    def certificate_pem(self) -> bytes: ...

    @property
    def key_pem(self) -> bytes: ...

    @property
    def rotate_at(self) -> datetime: ...


Authenticate = Callable[[Any], Awaitable[Caller]]
"""The metadata of a stream → who opened it; raises Unauthenticated."""


@dataclass(eq=False, slots=True)
class _Connection:
    """`wake` is set when there may be something to say."""

    session: Session
    caller: Caller
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    failure: tuple[grpc.StatusCode, str] | None = None
    closed: bool = False


class DiscoveryServer:
    """Serves delta ADS on one address. `publish` hands it snapshots; `start` and `stop` frame its life."""

    def __init__(
        self,
        configs: Configs,
        issuer: SecretIssuer,
        authenticate: Authenticate,
        metrics: Metrics,
        *,
        serving_pair: Callable[[], ServingPair] | None = None,
        gateway_secrets: GatewaySecrets | None = None,
    ) -> None:
        self._configs = configs
        self._issuer = issuer
        self._authenticate = authenticate
        self._metrics = metrics
        self._serving_pair = serving_pair
        self._gateway_secrets = gateway_secrets
        self._published = asyncio.Event()
        self._changed = asyncio.Event()
        self._connections: set[_Connection] = set()
        self._server: grpc.aio.Server | None = None
        metrics.observe_live("pilot_xds", lambda: float(len(self._connections)))
        for kind in _REFUSABLE:
            metrics.observe_live(f"pilot_xds_{kind}_reject", partial(self._count_refused, kind))

    def _count_refused(self, kind: str) -> float:
        refused = (one for connection in self._connections for one in connection.session.stream.rejections())
        return float(sum(1 for one in refused if name_of_type(one.type_url) == kind))

    # Life

    async def start(self, address: str) -> int:
        """Listen on `host:port`; returns the port. Plain text when there is no serving certificate (tests only)."""
        self._server = server = grpc.aio.server(options=_OPTIONS)
        method = grpc.stream_stream_rpc_method_handler(self._serve_stream)
        handler = grpc.method_handlers_generic_handler(SERVICE, {"DeltaAggregatedResources": method})
        server.add_generic_rpc_handlers((handler,))
        if self._serving_pair is None:
            port = server.add_insecure_port(address)
        else:
            port = server.add_secure_port(address, _rotating_credentials(self._serving_pair))
        await server.start()
        return int(port)

    async def stop(self, grace_seconds: float = 0.2) -> None:
        """End all streams. Proxies keep what they have and come back to whoever listens next."""
        if self._server is not None:
            await self._server.stop(grace_seconds)
            self._server = None

    async def publish(self, snapshot: MeshSnapshot, changed_at: float) -> None:
        """Take over a snapshot and wake every stream, a few at a time so that answers are read in between."""
        self._configs.publish(snapshot, changed_at)
        self._published.set()
        self._changed.set()
        self._changed = asyncio.Event()
        for number, connection in enumerate(list(self._connections), 1):
            connection.wake.set()
            if number % SESSIONS_PER_TURN == 0:
                await asyncio.sleep(0)

    def describe_objects(self) -> list[dict[str, Any]]:
        """What /debug/distribution shows: how many of each object's proxies have acknowledged it, of how many."""
        proxies: dict[ObjectRef, dict[str, bool]] = {}
        for connection in self._connections:
            session = connection.session
            name = f"{session.proxy.name}.{session.proxy.namespace}"
            for reference, has_it in session.distribution():
                known = proxies.setdefault(reference, {})
                known[name] = known.get(name, True) and has_it
        refused = self._configs.refused()
        return [
            _described(reference, proxies.get(reference, {}), refused.get(reference, ""))
            for reference in sorted({*proxies, *refused})
        ]

    def describe_configuration(self, name: str) -> dict[str, Any] | None:
        """What /debug/config_dump shows of one proxy (`pod.namespace`); None when it is not connected here."""
        for connection in self._connections:
            proxy = connection.session.proxy
            if f"{proxy.name}.{proxy.namespace}" == name:
                return describe_configuration(connection.session)
        return None

    def describe_proxies(self) -> list[dict[str, Any]]:
        """What /debug/syncz shows, by proxy name."""
        described = (connection.session.describe() for connection in self._connections)
        return sorted(described, key=lambda entry: str(entry["proxy"]))

    # One stream

    async def _serve_stream(self, _: object, context: Any) -> None:
        try:
            caller = await self._authenticate(context.invocation_metadata())
            proxy = await self._find_proxy(caller)
        except Unauthenticated as error:
            self._metrics.count("pilot_xds_authentication_failures")
            self._metrics.count("citadel_server_authentication_failure_count")
            logger.warning("a stream from %s was refused: %s", context.peer(), error)
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, str(error))
        except Exception as error:
            logger.warning("a stream from %s could not be authenticated: %s", context.peer(), error)
            await context.abort(grpc.StatusCode.UNAVAILABLE, f"the API server cannot review the token now: {error}")
        session = Session(proxy, self._configs, self._issuer, self._metrics, gateway_secrets=self._gateway_secrets)
        connection = _Connection(session, caller)
        self._connections.add(connection)
        logger.info("%s/%s connected", *proxy.key)
        reader = asyncio.create_task(self._read(context, connection))
        try:
            await self._write(context, connection)
        except Exception:
            self._metrics.count("pilot_total_xds_internal_errors")
            logger.exception("the stream of %s/%s failed", *proxy.key)
            raise
        finally:
            reader.cancel()
            self._drop(connection)
        if connection.failure is not None:
            await context.abort(*connection.failure)

    def _drop(self, connection: _Connection) -> None:
        self._connections.discard(connection)
        proxy = connection.session.proxy
        if all(other.session.proxy.key != proxy.key for other in self._connections):
            self._configs.forget(proxy)
        logger.info("%s/%s disconnected", *proxy.key)

    async def _find_proxy(self, caller: Caller) -> Proxy:
        """The proxy of an authenticated pod. A pod that has just started may be a moment ahead of the snapshot."""
        await self._published.wait()
        try:
            async with asyncio.timeout(UNKNOWN_POD_PATIENCE_SECONDS):
                while True:
                    workload = self._configs.find_workload(caller.namespace, caller.pod_name)
                    if workload is not None and workload.uid == caller.pod_uid and workload.address:
                        break
                    await self._changed.wait()
        except TimeoutError:
            pod = f"{caller.namespace}/{caller.pod_name}"
            raise Unauthenticated(f"Pod {pod} with uid {caller.pod_uid} and an address is not known") from None
        if workload.identity.service_account != caller.service_account:
            raise Unauthenticated(f"Pod {caller.namespace}/{caller.pod_name} runs as another service account")
        return self._configs.proxy_of(workload)

    async def _read(self, context: Any, connection: _Connection) -> None:
        try:
            while (data := await context.read()) is not grpc.aio.EOF:
                request = parse_request(data)
                if problem := contradiction(request.node_id, connection.caller):
                    connection.failure = (grpc.StatusCode.UNAUTHENTICATED, problem)
                    break
                connection.session.receive(request)
                connection.wake.set()
        except MalformedRequest as error:
            connection.failure = (grpc.StatusCode.INVALID_ARGUMENT, f"not a DeltaDiscoveryRequest: {error}")
        finally:
            connection.closed = True
            connection.wake.set()

    async def _write(self, context: Any, connection: _Connection) -> None:
        while not connection.closed:
            connection.wake.clear()
            for data in connection.session.responses():
                await context.write(data)
            try:
                async with asyncio.timeout(connection.session.seconds_until_due()):
                    await connection.wake.wait()
            except TimeoutError:
                pass


def _described(reference: ObjectRef, proxies: dict[str, bool], refused: str) -> dict[str, Any]:
    return {
        "kind": reference.kind,
        "namespace": reference.namespace,
        "name": reference.name,
        "proxies": len(proxies),
        "acknowledged": sum(proxies.values()),
        "waiting": sorted(name for name, has_it in proxies.items() if not has_it),
        "refused": refused,
    }


def _rotating_credentials(serving_pair: Callable[[], ServingPair]) -> Any:
    """TLS that asks for a new certificate when the old one is due. Called by gRPC for every connection."""
    current = serving_pair()

    def configuration(pair: ServingPair) -> Any:
        return grpc.ssl_server_certificate_configuration([(pair.key_pem, pair.certificate_pem)])

    def fetch() -> Any:
        nonlocal current
        if datetime.now(UTC) < current.rotate_at:
            return None
        current = serving_pair()
        return configuration(current)

    return grpc.dynamic_ssl_server_credentials(configuration(current), fetch, require_client_authentication=False)
