"""What the lists, the pages of one subject and the page of the mesh are made of."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import aiohttp
import fake_mesh
import jsonschema_rs
import pytest
from aiohttp.test_utils import make_mocked_request

from kaiki.console.control_plane import ControlPlaneClient
from kaiki.console.distribution import DistributionHandlers
from kaiki.console.proxies import version_of_image
from kaiki.console.server import running
from kaiki.console.settings import ConsoleSettings
from kaiki.console.touching import Subject, is_traced, mutual_tls_mode, reason_of, touching
from kaiki.graph import RegistryWorkload
from kaiki.kube.config import KubeConfig

TOKEN = "a-token-for-tests"


class Console:
    """A running console on a fake mesh, asked with its token."""

    def __init__(self, url: str, client: aiohttp.ClientSession) -> None:
        self.url = url
        self.client = client
        self.prometheus = fake_mesh.FakePrometheus()
        self.kubernetes = fake_mesh.FakeKubernetes()
        self.control_plane = fake_mesh.FakeControlPlane()
        self.traces = fake_mesh.FakeTraces()

    async def ask(self, path: str, status: int = 200) -> Any:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with self.client.get(self.url + path, headers=headers) as answer:
            assert answer.status == status, await answer.text()
            return await answer.json()


@asynccontextmanager
async def opened() -> AsyncIterator[Console]:
    async with aiohttp.ClientSession() as client:
        console = Console("", client)
        async with (
            fake_mesh.listening(console.prometheus.application()) as metrics_url,
            fake_mesh.listening(console.kubernetes.application()) as kubernetes_url,
            fake_mesh.listening(console.control_plane.application()) as control_plane_url,
            fake_mesh.listening(console.traces.application()) as tracing_url,
        ):
            settings = ConsoleSettings(
                listen=("127.0.0.1", 0),
                metrics_url=metrics_url,
                tracing_url=tracing_url,
                control_plane_url=control_plane_url,
                token=TOKEN,
                kube=KubeConfig(server=kubernetes_url),
            )
            async with running(settings) as (host, port):
                console.url = f"http://{host}:{port}"
                while (await console.ask("/api/summaries?by=namespace"))["warnings"]:
                    pass
                console.prometheus.queries.clear()
                yield console


@pytest.fixture
async def console() -> AsyncIterator[Console]:
    async with opened() as found:
        yield found


def by_name(answer: Any) -> dict[str, Any]:
    return {item["name"]: item for item in answer["items"]}


@pytest.mark.parametrize("by", ["namespace", "app", "workload", "service"])
async def test_every_list_costs_the_queries_of_a_graph(console: Console, by: str) -> None:
    await console.ask(f"/api/summaries?by={by}&at=1700000000")
    await console.ask(f"/api/summaries?by={by}&at=1700000000&namespaces=default,istio-system")
    assert len(set(console.prometheus.queries)) == 6
    assert all("namespace=" not in query for query in console.prometheus.queries)


async def test_workloads_apps_and_services_with_health_and_findings(console: Console) -> None:
    workloads = by_name(await console.ask("/api/summaries?by=workload"))
    assert workloads["reviews-v3"]["health"]["status"] == "failure"
    assert workloads["reviews-v3"]["inbound"]["errorRatio"] == pytest.approx(0.14)
    assert workloads["reviews-v1"]["findings"] == {"errors": 1, "warnings": 0}
    assert workloads["ratings-v1"]["findings"] == {"errors": 0, "warnings": 0}
    assert workloads["istio-ingressgateway"]["kind"] == "gateway"
    apps = by_name(await console.ask("/api/summaries?by=app&namespaces=default"))
    assert apps["reviews"]["workloads"] == ["reviews-v1", "reviews-v2", "reviews-v3"]
    assert apps["reviews"]["inbound"]["requestsPerSecond"] == pytest.approx(8.0)
    assert "istio-ingressgateway" not in apps
    services = by_name(await console.ask("/api/summaries?by=service"))
    assert services["reviews"]["findings"]["errors"] == 1
    assert services["istio-ingressgateway"]["kind"] == "gateway"
    assert services["ratings"]["inbound"]["p95Milliseconds"] > 0


async def test_namespaces_tell_injection_mutual_tls_and_their_apps(console: Console) -> None:
    found = by_name(await console.ask("/api/summaries?by=namespace"))
    assert (found["default"]["injection"], found["default"]["mtlsMode"]) == ("enabled", "STRICT")
    assert (found["istio-system"]["injection"], found["istio-system"]["mtlsMode"]) == ("", "PERMISSIVE")
    assert found["default"]["health"]["status"] == "degraded" and found["default"]["apps"]["degraded"] >= 1
    assert found["default"]["sidecars"] == found["default"]["expectedSidecars"] == 7
    assert found["default"]["inbound"]["mtlsRatio"] == 1


async def test_without_metrics_a_list_tells_replicas_alone(console: Console) -> None:
    console.prometheus.up = False
    answer = await console.ask("/api/summaries?by=workload&at=1700000000")
    assert not answer["measured"]
    assert answer["warnings"][0]["code"] == "metricsUnavailable"
    assert by_name(answer)["reviews-v3"]["availableReplicas"] == 1
    await console.ask("/api/summaries?by=galaxy", 400)


async def test_the_details_of_a_workload(console: Console) -> None:
    found = await console.ask("/api/details/workload/default/ratings-v1")
    assert found["node"]["id"] == "workload:default/ratings-v1"
    assert [service["name"] for service in found["services"]] == ["ratings"]
    (pod,) = found["pods"]
    assert (pod["workload"], pod["containers"][0]["restarts"]) == ("ratings-v1", 1)
    (proxy,) = found["proxies"]
    assert (proxy["state"], proxy["version"], proxy["lastRejection"]["reason"]) == (
        "rejecting",
        "1.40.0",
        "no such filter",
    )
    assert proxy["lastRejection"]["at"] == "2026-01-02T03:04:05+00:00" and "at" not in proxy["rejected"][0]
    assert proxy["certificate"]["identity"].startswith("spiffe://")
    assert found["traced"] and found["traceServices"] == ["ratings.default"]
    reasons = {(item["kind"], item["name"]): item["reason"] for item in found["configs"]}
    assert reasons == {("Telemetry", "mesh-default"): "mesh", ("PeerAuthentication", "default"): "namespace"}


async def test_the_details_of_an_app_and_of_a_service(console: Console) -> None:
    for kind in ("app", "service"):
        found = await console.ask(f"/api/details/{kind}/default/reviews")
        assert found["node"]["id"] == f"{kind}:default/reviews"
        assert len(found["workloads"]) == len(found["pods"]) == len(found["proxies"]) == 3
        objects = {(item["kind"], item["name"]): item for item in found["configs"]}
        assert objects["VirtualService", "reviews"]["reason"] == "host"
        assert objects["VirtualService", "reviews"]["findings"][0]["code"] == "KAI0301"
        assert objects["DestinationRule", "reviews"]["reason"] == "host"
    gateway = await console.ask("/api/details/service/istio-system/istio-ingressgateway")
    assert gateway["node"]["id"] == "gateway:istio-system/istio-ingressgateway"
    missing = await console.ask("/api/details/app/default/nothing", 404)
    assert "no app default/nothing" in missing["error"]["message"]


async def test_details_say_what_they_could_not_ask(console: Console) -> None:
    console.prometheus.up = console.control_plane.up = False
    found = await console.ask("/api/details/app/default/reviews?at=1700000000")
    assert not found["measured"] and found["proxies"] is None
    assert len(found["pods"]) == 3


async def test_heat_is_made_of_merged_histograms(console: Console) -> None:
    asked = "/api/heat?node=service:default/reviews&from=1700000000&to=1700000100&step=10s"
    found = await console.ask(asked)
    assert len(console.prometheus.queries) == 1 and "histogram_quantile" not in console.prometheus.queries[0]
    assert found["bounds"][-1] is None and len(found["times"]) == 11
    assert len(found["rates"]) == len(found["bounds"]) and all(len(line) == 11 for line in found["rates"])
    assert all(value >= 0 for line in found["rates"] for value in line)
    assert 4 < sum(line[0] for line in found["rates"]) < 12
    await console.ask("/api/heat?node=service:default/reviews&from=0&to=1700000100", 400)


async def test_the_mesh_tells_of_every_part(console: Console) -> None:
    found = await console.ask("/api/mesh")
    (replica,) = found["controlPlane"]
    assert (replica["reachable"], replica["version"], replica["proxies"]) == (True, "0.1.0", 7)
    assert [gateway["name"] for gateway in found["gateways"]] == ["istio-ingressgateway"]
    assert found["metrics"]["series"] == 1834 and found["metrics"]["retention"] == "86400s"
    assert found["traces"]["services"] == 4
    states = {proxy["pod"].removesuffix("-abc-1"): proxy["state"] for proxy in found["proxies"]}
    assert (states["mongodb-v1"], states["ratings-v1"], states["details-v1"], states["reviews-v1"]) == (
        "stale",
        "rejecting",
        "never",
        "synced",
    )


async def test_a_mesh_that_is_down_is_told_as_such(console: Console) -> None:
    console.prometheus.up = console.control_plane.up = False
    found = await console.ask("/api/mesh")
    assert not found["controlPlane"][0]["reachable"]
    assert found["metrics"]["series"] is None and not found["metrics"]["reachable"]
    assert {proxy["state"] for proxy in found["proxies"]} == {"unknown"}


async def test_followed_logs_go_on(console: Console) -> None:
    place = "namespace=default&pod=reviews-v3-abc-1&container=app&follow=true&tail=3"
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with console.client.get(f"{console.url}/api/logs?{place}", headers=headers) as answer:
        assert answer.status == 200
        lines = [(await answer.content.readline()).decode() for _ in range(5)]
    assert lines == [f"reviews-v3-abc-1 app line {number}\n" for number in range(1997, 2002)]
    await console.ask("/api/logs?namespace=default&pod=none&container=app&follow=true", 404)


@pytest.mark.parametrize(
    ("path", "schema"),
    [
        ("/api/summaries?by=namespace", "Summaries"),
        ("/api/summaries?by=app", "Summaries"),
        ("/api/summaries?by=workload", "Summaries"),
        ("/api/summaries?by=service", "Summaries"),
        ("/api/details/app/default/reviews", "SubjectDetails"),
        ("/api/details/service/istio-system/istio-ingressgateway", "SubjectDetails"),
        ("/api/heat?node=workload:default/reviews-v3", "Heat"),
        ("/api/mesh", "Mesh"),
        ("/api/names", "Names"),
        ("/api/distribution", "Distribution"),
        ("/api/proxies/default/ratings-v1-abc-1/config?part=clusters&sort=-name", "ProxyConfiguration"),
    ],
)
async def test_answers_are_as_the_document_says(console: Console, path: str, schema: str) -> None:
    document = await console.ask("/api/openapi.json")
    whole = {"$ref": f"#/components/schemas/{schema}", "components": document["components"]}
    jsonschema_rs.validator_for(whole).validate(await console.ask(path))


async def test_everything_that_has_a_page_is_named(console: Console) -> None:
    names = await console.ask("/api/names")
    assert "default" in names["namespaces"]
    reviews = {"namespace": "default", "name": "reviews"}
    assert reviews in names["apps"] and reviews in names["services"]
    assert {"namespace": "default", "name": "reviews-v3"} in names["workloads"]
    objects = {(one["kind"], one["namespace"], one["name"]) for one in names["objects"]}
    assert ("VirtualService", "default", "reviews") in objects
    assert not any(kind == "Secret" for kind, _, _ in objects)


async def test_a_proxys_configuration(console: Console) -> None:
    path = "/api/proxies/default/ratings-v1-abc-1"
    answer = await console.ask(f"{path}/config?part=clusters&q=reviews+EnvoyFilter&limit=1")
    assert (answer["workload"], answer["replica"], answer["total"]) == ("ratings-v1", "istiod-abc-1", 1)
    assert [one["name"] for one in answer["rejected"]] == [fake_mesh.REJECTED["name"]]
    (cluster,) = answer["clusters"]
    assert (cluster["state"], cluster["endpoints"]) == ("waiting", 0)
    assert [(one["kind"], one["name"], one["role"]) for one in cluster["origins"]] == [
        ("Service", "reviews", "made"),
        ("EnvoyFilter", "tuned", "changed"),
    ]
    assert (await console.ask(f"{path}/config?part=clusters&offset=1"))["clusters"] == []
    assert (await console.ask(f"{path}/config?q=nothing"))["total"] == 0
    (entry,) = (await console.ask(f"{path}/dump"))["configs"][0]["dynamic_active_clusters"]
    assert (entry["client_status"], entry["cluster"]["type"]) == ("REQUESTED", "EDS")
    for wrong in ("part=all", "sort=nothing", "limit=501", "offset=-1"):
        await console.ask(f"{path}/config?{wrong}", 400)


async def test_a_configuration_nobody_tells(console: Console) -> None:
    missing = await console.ask("/api/proxies/default/nothing/config", 404)
    assert "no proxy nothing.default" in missing["error"]["message"]
    refused = await console.ask("/api/proxies/istio-system/istio-ingressgateway-abc-1/config", 503)
    assert refused["error"]["code"] == "proxyUnavailable" and "no bearer token" in refused["error"]["message"]
    console.control_plane.up = False
    await console.ask("/api/proxies/default/ratings-v1-abc-1/config", 503)


async def test_replicas_are_asked_by_their_own_address() -> None:
    plane = fake_mesh.FakeControlPlane()
    async with fake_mesh.listening(plane.application()) as url:
        client = ControlPlaneClient(url)
        found = await client.entries("syncz", "127.0.0.1")
        assert found is not None and len(found) == 7
        await client.close()


async def test_a_replica_that_has_no_address_yet_is_not_asked_by_that_of_another() -> None:
    def pod(name: str, status: dict[str, str]) -> dict[str, Any]:
        return {"metadata": {"name": name, "namespace": "istio-system", "labels": {"app": "istiod"}}, "status": status}

    pods = [pod("istiod-2", {}), pod("istiod-1", {"podIP": "127.0.0.1"})]
    inventory: Any = SimpleNamespace(objects=lambda _: pods, connected=False)
    async with fake_mesh.listening(fake_mesh.FakeControlPlane().application()) as url:
        client = ControlPlaneClient(url)
        answer = await DistributionHandlers(inventory, client).distribution(make_mocked_request("GET", "/"))
        await client.close()
    told = json.loads(answer.text or "")
    assert told["silent"] == ["istiod-2"]
    assert [(one["proxies"], one["acknowledged"]) for one in told["objects"]] == [(7, 6)], "counted once"


PODS = RegistryWorkload("shop", "web", labels={"app": "web", "istio": "edge"})
SUBJECT = Subject("shop", frozenset({("shop", "web")}), (PODS,))


def config(kind: str, spec: Any, namespace: str = "shop", version: str = "networking.istio.io/v1") -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "x", "namespace": namespace}, "spec": spec}


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (config("VirtualService", {"hosts": ["web"]}), "host"),
        (config("VirtualService", {"hosts": ["web"]}, "other"), ""),
        (
            config("VirtualService", {"hosts": ["*"], "http": [{"route": [{"destination": {"host": "web"}}]}]}),
            "destination",
        ),
        (
            config("VirtualService", {"hosts": ["*"], "http": [{"mirror": {"host": "web.shop.svc"}}]}, "x"),
            "destination",
        ),
        (config("DestinationRule", {"host": "web.shop.svc.cluster.local"}, "other"), "host"),
        (config("DestinationRule", {"host": "db"}), ""),
        (config("Gateway", {"selector": {"istio": "edge"}}, "other"), "selector"),
        (config("AuthorizationPolicy", {"selector": {"matchLabels": {"app": "web"}}}), "selector"),
        (config("AuthorizationPolicy", {"selector": {"matchLabels": {"app": "web"}}}, "other"), ""),
        (config("AuthorizationPolicy", {}), "namespace"),
        (config("PeerAuthentication", {}, "istio-system"), "mesh"),
        (config("Sidecar", {"workloadSelector": {"labels": {"app": "db"}}}), ""),
        (config("Telemetry", {"targetRefs": [{"kind": "Service", "name": "web"}]}), "selector"),
        (config("HTTPRoute", {"parentRefs": [{"kind": "Service", "name": "web"}]}), "host"),
        (config("HTTPRoute", {"rules": [{"backendRefs": [{"name": "web"}]}]}), "destination"),
        (config("ServiceEntry", {"hosts": ["a.example"]}), ""),
        (config("ConfigMap", {}), ""),
    ],
)
def test_why_an_object_touches_a_workload(item: dict[str, Any], reason: str) -> None:
    assert reason_of(item, SUBJECT) == reason


def test_the_gateway_of_a_route_touches_what_the_route_does() -> None:
    route = config("VirtualService", {"hosts": ["*"], "gateways": ["x"], "http": [{"mirror": {"host": "web"}}]})
    gateway = config("Gateway", {"selector": {"istio": "other"}})
    assert [reason for _, reason in touching([gateway, route], SUBJECT)] == ["gateway", "destination"]


def test_modes_and_versions_are_read() -> None:
    mesh = config("PeerAuthentication", {"mtls": {"mode": "STRICT"}}, "istio-system")
    own = config("PeerAuthentication", {"mtls": {"mode": "DISABLE"}})
    one = config("PeerAuthentication", {"selector": {"matchLabels": {"a": "b"}}, "mtls": {"mode": "STRICT"}}, "b")
    assert [mutual_tls_mode([mesh, own, one], name) for name in ("shop", "b")] == ["DISABLE", "STRICT"]
    assert mutual_tls_mode([one], "b") == "PERMISSIVE"
    assert not is_traced([config("Telemetry", {"tracing": [{"disableSpanReporting": True}]})])
    assert [version_of_image(image) for image in ("a:5000/envoy:v1.40.0", "envoy", "x/y:1@sha256:0")] == [
        "1.40.0",
        "",
        "1",
    ]
