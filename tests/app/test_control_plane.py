"""The whole control plane over the embedded API: from an object applied to what a proxy is told; a restart."""

import asyncio
import contextlib
import json
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import grpc.aio
import pytest
from envoy.service.discovery.v3 import discovery_pb2

from kaiki.apiserver import credentials
from kaiki.apiserver.server import ApiServer, ApiServerSettings
from kaiki.app.control_plane import ControlPlaneSettings, Listening, run_control_plane
from kaiki.app.definitions import definitions
from kaiki.kube.client import KubeClient
from kaiki.kube.config import read_kubeconfig
from kaiki.kube.resource import CONFIG_MAPS, PODS, SECRETS, VIRTUAL_SERVICES
from kaiki.model.proxy import CLUSTER_TYPE, LISTENER_TYPE, ROUTE_TYPE, SECRET_TYPE, VIRTUAL_HOST_TYPE

METHOD = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"


@dataclass
class Mesh:
    """A control plane that can be killed and started again."""

    client: KubeClient
    task: asyncio.Task[None] | None = None
    ports: Listening = field(default_factory=lambda: Listening(0, 0, 0))
    root: bytes = b""

    async def start(self) -> None:
        listening: asyncio.Future[Listening] = asyncio.get_running_loop().create_future()
        settings = ControlPlaneSettings(
            host="127.0.0.1",
            discovery_port=self.ports.discovery,
            webhook_port=0,
            monitoring_port=0,
            kube=self.client.config,
        )
        self.task = asyncio.create_task(run_control_plane(settings, asyncio.Event(), listening))
        await asyncio.wait([self.task, listening], return_when=asyncio.FIRST_COMPLETED, timeout=30)
        if self.task.done():
            self.task.result()
        self.ports = listening.result()

    async def stop(self) -> None:
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)

    async def page(self, path: str) -> str:
        url = f"http://127.0.0.1:{self.ports.monitoring}{path}"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            return await answer.text()


@pytest.fixture
async def mesh(tmp_path: Path) -> AsyncIterator[Mesh]:
    async with ApiServer(ApiServerSettings(tmp_path, listen_addresses=(("127.0.0.1", 0),))) as server:
        url = f"https://127.0.0.1:{server.ports[0]}"
        config = read_kubeconfig(credentials.write_kubeconfig(tmp_path, url))
        async with KubeClient(config) as client:
            for definition in definitions():
                await client.create(dict(definition))
            for name in ("istio-system", "shop"):
                await client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
            mesh = Mesh(client)
            await mesh.start()
            yield mesh
            await mesh.stop()


async def start_pod(client: KubeClient) -> str:
    """A pod with an address, as the runtime leaves it; returns the token its proxy has."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "web", "namespace": "shop"}}
    with contextlib.suppress(Exception):
        await client.create(account)
    sidecar = {"name": "istio-proxy", "image": "envoyproxy/envoy:v1.40.0", "restartPolicy": "Always"}
    app = {"name": "app", "image": "app", "ports": [{"containerPort": 8080}]}
    pod = await client.create(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "web-1", "namespace": "shop", "labels": {"app": "web", "version": "v1"}},
            "spec": {"serviceAccountName": "web", "initContainers": [sidecar], "containers": [app]},
        }
    )
    status = {"phase": "Running", "podIP": "10.97.1.1", "conditions": [{"type": "Ready", "status": "True"}]}
    await client.patch(PODS, "web-1", "shop", {"status": status}, "strategic", subresource="status")
    issued = await client.request_token("shop", "web", ("istio-ca",), bound_pod=("web-1", pod["metadata"]["uid"]))
    return issued.token


class AdsClient:
    """A proxy that takes over everything it is told."""

    def __init__(self, call: Any) -> None:
        self.call = call
        self.held: dict[str, dict[str, tuple[str, bytes]]] = {}

    async def ask(self, type_url: str, *names: str) -> None:
        versions = {name: version for name, (version, _) in self.held.get(type_url, {}).items()}
        await self._send(type_url=type_url, resource_names_subscribe=names, initial_resource_versions=versions)

    async def read(self, seconds: float = 10) -> Any:
        async with asyncio.timeout(seconds):
            response = discovery_pb2.DeltaDiscoveryResponse.FromString(await self.call.read())
        table = self.held.setdefault(response.type_url, {})
        table |= {one.name: (one.version, one.resource.value) for one in response.resources}
        for name in response.removed_resources:
            table.pop(name, None)
        await self._send(type_url=response.type_url, response_nonce=response.nonce)
        return response

    async def read_until_told(self, *type_urls: str) -> None:
        """Read until something of each type is there; a loaded machine is silent for a while before it answers."""
        while not all(type_url in self.held for type_url in type_urls):
            await self.next()

    async def read_until_quiet(self, seconds: float = 0.3) -> list[Any]:
        responses = []
        with contextlib.suppress(TimeoutError):
            while True:
                # The read itself is left under way: cancelling it would end the stream.
                responses.append(await asyncio.wait_for(asyncio.shield(self._reading()), seconds))
                self._pending = None
        return responses

    _pending: "asyncio.Task[Any] | None" = None

    def _reading(self) -> "asyncio.Task[Any]":
        if self._pending is None:
            self._pending = asyncio.create_task(self.read(60))
        return self._pending

    async def next(self) -> Any:
        response = await self._reading()
        self._pending = None
        return response

    async def _send(self, **fields: Any) -> None:
        await self.call.write(discovery_pb2.DeltaDiscoveryRequest(**fields).SerializeToString())

    async def close(self) -> None:
        if self._pending is not None:
            self._pending.cancel()
            await asyncio.gather(self._pending, return_exceptions=True)
        self.call.cancel()


async def root_certificate(mesh: Mesh) -> str:
    """What the mesh trusts, from the ConfigMap that reconcilers put into every namespace."""
    async with asyncio.timeout(15):
        while (found := await mesh.client.find(CONFIG_MAPS, "istio-ca-root-cert", "shop")) is None:
            await asyncio.sleep(0.02)
    return str(found["data"]["root-cert.pem"])


@contextlib.asynccontextmanager
async def connected(mesh: Mesh, token: str, held: Any = None) -> AsyncGenerator[AdsClient, None]:
    root = await root_certificate(mesh)
    options = [("grpc.ssl_target_name_override", "istiod.istio-system.svc")]
    channel_credentials = grpc.ssl_channel_credentials(root.encode())
    target = f"127.0.0.1:{mesh.ports.discovery}"
    async with grpc.aio.secure_channel(target, channel_credentials, options=options) as channel:
        client = AdsClient(channel.stream_stream(METHOD)(metadata=[("authorization", f"Bearer {token}")]))
        client.held = held or {}
        yield client
        await client.close()


async def subscribe(client: AdsClient) -> None:
    await client.ask(CLUSTER_TYPE)
    await client.ask(LISTENER_TYPE)
    await client.ask(SECRET_TYPE, "default", "ROOTCA")


def service(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"selector": {"app": name}, "ports": [{"name": "http", "port": 80}], "clusterIP": "10.96.7.7"},
    }


def virtual_service(timeout: str, destination: str = "web") -> dict[str, Any]:
    route = {"route": [{"destination": {"host": destination}}], "timeout": timeout}
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"hosts": ["web"], "http": [route]},
    }


async def test_a_proxy_is_told_what_changes_and_nothing_after_a_restart(mesh: Mesh) -> None:
    token = await start_pod(mesh.client)
    await mesh.client.create(service("web"))
    async with connected(mesh, token) as proxy:
        await subscribe(proxy)
        await proxy.read_until_told(CLUSTER_TYPE, SECRET_TYPE)
        await proxy.read_until_quiet()
        assert "outbound|80||web.shop.svc.cluster.local" in proxy.held[CLUSTER_TYPE]
        assert set(proxy.held[SECRET_TYPE]) == {"default", "ROOTCA"}
        assert b"BEGIN PRIVATE KEY" in proxy.held[SECRET_TYPE]["default"][1]
        await proxy.ask(ROUTE_TYPE, "80")
        await proxy.read_until_told(ROUTE_TYPE)
        await proxy.ask(VIRTUAL_HOST_TYPE)
        await proxy.read_until_told(VIRTUAL_HOST_TYPE)
        await proxy.read_until_quiet()

        delays = []
        for number in range(1, 6):
            started = time.monotonic()
            await mesh.client.apply(virtual_service(f"{number}s"))
            response = await proxy.next()
            delays.append(time.monotonic() - started)
            changed = [one.name for one in response.resources], list(response.removed_resources)
            assert (response.type_url, changed) == (VIRTUAL_HOST_TYPE, (["80/web.shop.svc.cluster.local:80"], []))
            assert await proxy.read_until_quiet(0.15) == []
        print("from apply to push, ms:", [round(delay * 1000, 1) for delay in delays])
        assert "pilot_proxy_convergence_time_count" in await mesh.page("/metrics")
        (described,) = json.loads(await mesh.page("/debug/syncz"))
        assert described["proxy"] == "web-1.shop" and described["synced"] and described["rejected"] == []

    await mesh.stop()
    await mesh.start()
    async with connected(mesh, token, proxy.held) as again:
        await subscribe(again)
        await again.ask(ROUTE_TYPE, "80")
        await again.ask(VIRTUAL_HOST_TYPE)
        assert await again.read_until_quiet(1.5) == []
        await mesh.client.apply(virtual_service("9s"))
        assert (await again.next()).type_url == VIRTUAL_HOST_TYPE


async def test_a_finding_is_shown_on_its_object(mesh: Mesh) -> None:
    broken = virtual_service("1s")
    broken["spec"]["http"][0]["match"] = [{"uri": {"regex": "("}}]
    await mesh.client.create(broken)
    async with asyncio.timeout(15):
        while True:
            found = await mesh.client.get(VIRTUAL_SERVICES, "web", "shop")
            if conditions := (found.get("status") or {}).get("conditions"):
                break
            await asyncio.sleep(0.05)
    assert conditions[0]["type"] == "Valid" and "does not compile" in conditions[0]["message"]
    assert found["status"]["validationMessages"][0]["level"] == "ERROR"


async def test_another_pods_token_is_refused(mesh: Mesh) -> None:
    await start_pod(mesh.client)
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "thief", "namespace": "shop"}}
    await mesh.client.create(account)
    stolen = await mesh.client.request_token("shop", "thief", ("istio-ca",))
    for token in (stolen.token, "nonsense"):
        async with connected(mesh, token) as proxy:
            # The refusal may be there before the question has left.
            with contextlib.suppress(grpc.aio.AioRpcError):
                await proxy.ask(CLUSTER_TYPE)
            assert await proxy.call.code() == grpc.StatusCode.UNAUTHENTICATED


async def test_webhooks_present_a_certificate_of_the_root(mesh: Mesh) -> None:
    secret = await mesh.client.get(SECRETS, "istio-ca-secret", "istio-system")
    assert set(secret["data"]) == {"ca-cert.pem", "ca-key.pem"}
    root = await root_certificate(mesh)
    review = {"kind": "AdmissionReview", "request": {"uid": "1", "operation": "CREATE", "object": virtual_service("x")}}
    url = f"https://127.0.0.1:{mesh.ports.webhook}/validate"
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=ssl.create_default_context(cadata=root))) as session,
        session.post(url, json=review, server_hostname="istiod.istio-system.svc") as answer,
    ):
        response = (await answer.json())["response"]
    assert response["allowed"] is False and "timeout" in response["status"]["message"]
