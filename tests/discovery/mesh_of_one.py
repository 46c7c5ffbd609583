"""A control plane's discovery over one pod, and the Envoy of that pod, over real TLS with real tokens."""

import asyncio
import contextlib
import json
import ssl
import sys
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from google.protobuf import json_format

from kaiki.authority.authority import CertificateAuthority, new_root
from kaiki.discovery.authentication import TokenAuthenticator
from kaiki.discovery.configs import Configs
from kaiki.discovery.metrics import Metrics
from kaiki.discovery.server import DiscoveryServer
from kaiki.model.identity import Identity, WorkloadLabels
from kaiki.model.proxy import CLUSTER_TYPE, ENDPOINT_TYPE, LISTENER_TYPE, ROUTE_TYPE, Proxy, ProxyConfig, Resource
from kaiki.model.snapshot import MeshSnapshot
from kaiki.model.workload import ProxyKind, WorkloadInstance

ENVOY = Path(sys.executable).with_name("envoy")
TYPE = "type.googleapis.com/"
TLS = TYPE + "envoy.extensions.transport_sockets.tls.v3."
ADS = {"ads": {}, "resource_api_version": "V3"}
WORKLOAD = WorkloadInstance(
    name="web-1",
    namespace="shop",
    uid="uid-1",
    address="127.0.0.1",
    identity=Identity("shop", "web"),
    metric_labels=WorkloadLabels("web", "shop", "web", "v1", "web", "v1"),
    labels=(("app", "web"),),
    proxy=ProxyKind.SIDECAR,
    ready=True,
)
SNAPSHOT = MeshSnapshot(workloads={WORKLOAD.key: WORKLOAD})


def resource(type_url: str, name: str, body: dict[str, Any]) -> Resource:
    """A resource from its JSON."""
    message = _message(type_url)
    json_format.ParseDict(body, message)
    data = message.SerializeToString(deterministic=True)
    return Resource(name, type_url, str(hash(data)), data)


def _message(type_url: str) -> Any:
    from envoy.config.cluster.v3 import cluster_pb2
    from envoy.config.endpoint.v3 import endpoint_pb2
    from envoy.config.listener.v3 import listener_pb2
    from envoy.config.route.v3 import route_pb2
    from envoy.extensions.filters.http.router.v3 import router_pb2  # noqa: F401
    from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2  # noqa: F401
    from envoy.extensions.transport_sockets.tls.v3 import tls_pb2  # noqa: F401

    return {
        CLUSTER_TYPE: cluster_pb2.Cluster,
        ENDPOINT_TYPE: endpoint_pb2.ClusterLoadAssignment,
        LISTENER_TYPE: listener_pb2.Listener,
        ROUTE_TYPE: route_pb2.RouteConfiguration,
    }[type_url]()


def cluster(name: str, **more: Any) -> Resource:
    """A cluster whose endpoints come over ADS."""
    body = {"name": name, "type": "EDS", "connect_timeout": "1s", "eds_cluster_config": {"eds_config": ADS}, **more}
    return resource(CLUSTER_TYPE, name, body)


def endpoints(name: str, port: int) -> Resource:
    """One endpoint on the loopback."""
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    body = {"cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}]}
    return resource(ENDPOINT_TYPE, name, body)


def listener(name: str, port: int) -> Resource:
    """A TLS listener with the workload's certificate, its routes over RDS."""
    router = {"name": "router", "typed_config": {"@type": TYPE + "envoy.extensions.filters.http.router.v3.Router"}}
    manager = {
        "@type": TYPE + "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "rds": {"route_config_name": name, "config_source": ADS},
        "http_filters": [router],
    }
    tls = {
        "@type": TLS + "DownstreamTlsContext",
        "common_tls_context": {
            "tls_certificate_sds_secret_configs": [{"name": "default", "sds_config": ADS}],
            "validation_context_sds_secret_config": {"name": "ROOTCA", "sds_config": ADS},
        },
    }
    chain = {
        "filters": [{"name": "http", "typed_config": manager}],
        "transport_socket": {"name": "tls", "typed_config": tls},
    }
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    return resource(LISTENER_TYPE, name, {"name": name, "address": address, "filter_chains": [chain]})


def routes(name: str, **paths: str) -> Resource:
    """Path → cluster, or `=text` for a direct answer."""
    table = []
    for path, to in paths.items():
        direct = {"direct_response": {"status": 200, "body": {"inline_string": to[1:]}}}
        table.append({"match": {"path": f"/{path}"}, **(direct if to[0] == "=" else {"route": {"cluster": to}})})
    return resource(
        ROUTE_TYPE, name, {"name": name, "virtual_hosts": [{"name": "a", "domains": ["*"], "routes": table}]}
    )


def config(*resources: Resource) -> ProxyConfig:
    """All resources a proxy should have."""
    tables: dict[str, dict[str, Resource]] = {
        type_url: {} for type_url in (CLUSTER_TYPE, ENDPOINT_TYPE, LISTENER_TYPE, ROUTE_TYPE)
    }
    for one in resources:
        tables[one.type_url][one.name] = one
    return ProxyConfig(tables)


async def review(token: str, audiences: tuple[str, ...]) -> dict[str, Any]:
    """A TokenReview that knows one token."""
    if token != "good" or audiences != ("istio-ca",):
        return {"authenticated": False, "error": "not a token of this mesh"}
    extra = {"authentication.kubernetes.io/pod-name": ["web-1"], "authentication.kubernetes.io/pod-uid": ["uid-1"]}
    return {"authenticated": True, "user": {"username": "system:serviceaccount:shop:web", "extra": extra}}


@dataclass
class ControlPlane:
    """Discovery over one pod, which can be killed and started again on the same port."""

    desired: ProxyConfig
    authority: CertificateAuthority = field(
        default_factory=lambda: CertificateAuthority(new_root(datetime.now(UTC)), lifetime=timedelta(hours=1))
    )
    port: int = 0
    metrics: Metrics = field(default_factory=Metrics)
    server: DiscoveryServer | None = None

    def _generate(self, snapshot: MeshSnapshot, proxy: Proxy) -> ProxyConfig:
        assert proxy.identity == WORKLOAD.identity
        return self.desired

    async def start(self, snapshot: MeshSnapshot | None = SNAPSHOT) -> None:
        self.metrics = Metrics()
        server = DiscoveryServer(
            Configs(self._generate, self.metrics),
            self.authority,
            TokenAuthenticator(review).authenticate,
            self.metrics,
            serving_pair=self.authority.serving_pair,
        )
        self.port = await server.start(f"127.0.0.1:{self.port}")
        self.server = server
        if snapshot is not None:
            await server.publish(snapshot, asyncio.get_running_loop().time())

    async def push(self, desired: ProxyConfig) -> None:
        assert self.server is not None
        self.desired = desired
        await self.server.publish(SNAPSHOT, asyncio.get_running_loop().time())

    async def stop(self) -> None:
        if self.server is not None:
            await self.server.stop()
            self.server = None

    def proxies(self) -> list[dict[str, Any]]:
        return self.server.describe_proxies() if self.server is not None else []

    def pushes(self) -> dict[str, float]:
        kinds = ("cds", "eds", "lds", "rds", "vhds", "sds")
        return {kind: count for kind in kinds if (count := self.metrics.value("pilot_xds_pushes", type=kind))}

    async def wait_until_synced(self) -> dict[str, Any]:
        return await eventually(lambda: next((one for one in self.proxies() if one["synced"]), None))


async def eventually(check: Any, seconds: float = 20.0) -> Any:
    """The first true answer of `check`."""
    async with asyncio.timeout(seconds):
        while True:
            try:
                answer = check()
                if asyncio.iscoroutine(answer):
                    answer = await answer
            except OSError:
                answer = None
            if answer:
                return answer
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def envoy(plane: ControlPlane, folder: Path, token: str = "good") -> AsyncGenerator[Path, None]:
    """The pod's Envoy. Yields its log file."""
    (folder / "token").write_text(token)
    (folder / "root.pem").write_bytes(plane.authority.root_certificates)
    log = folder / "envoy.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            ENVOY, "--config-yaml", json.dumps(_bootstrap(plane, folder)), "--concurrency", "1",
            "--disable-hot-restart", "--log-level", "info", stdout=output, stderr=output,
        )  # fmt: skip
    try:
        yield log
    finally:
        process.terminate()
        await process.wait()


def _bootstrap(plane: ControlPlane, folder: Path) -> dict[str, Any]:
    credential = {
        "@type": TYPE + "envoy.config.grpc_credential.v3.FileBasedMetadataConfig",
        "secret_data": {"filename": str(folder / "token")},
        "header_key": "authorization",
        "header_prefix": "Bearer ",
    }
    plugin = {"name": "envoy.grpc_credentials.file_based_metadata", "typed_config": credential}
    service = {
        "target_uri": f"localhost:{plane.port}",
        "stat_prefix": "xds",
        "channel_credentials": {"ssl_credentials": {"root_certs": {"filename": str(folder / "root.pem")}}},
        "call_credentials": [{"from_plugin": plugin}],
        "credentials_factory_name": "envoy.grpc_credentials.file_based_metadata",
        "channel_args": {"args": {"grpc.max_reconnect_backoff_ms": {"int_value": 500}}},
    }
    ads = {"api_type": "DELTA_GRPC", "transport_api_version": "V3", "grpc_services": [{"google_grpc": service}]}
    source = {**ADS, "initial_fetch_timeout": "0s"}
    return {
        "node": {"id": "sidecar~127.0.0.1~web-1.shop~shop.svc.cluster.local", "cluster": "web"},
        "dynamic_resources": {"cds_config": source, "lds_config": source, "ads_config": ads},
    }


async def fetch(plane: ControlPlane, port: int, path: str) -> tuple[str, bytes]:
    """GET over TLS, trusting the mesh's root: the body and the server's certificate (DER)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(cadata=plane.authority.root_certificates.decode())
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n".encode())
        answer = await reader.read()
        certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        return answer.partition(b"\r\n\r\n")[2].decode(), certificate
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
