"""The console over HTTP, against a Prometheus and a Kubernetes API made of numbers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import aiohttp
import jsonschema_rs
import msgspec
import orjson
import pytest
from aiohttp import web
from running_console import TOKEN, Console, fake_mesh, started

from kaiki.console.control_plane import ControlPlaneClient
from kaiki.console.server import running
from kaiki.console.settings import ConsoleSettings
from kaiki.graph import TrafficGraph
from kaiki.telemetry.cardinality import cardinality_finding


@pytest.fixture
async def console() -> AsyncIterator[Console]:
    async with started() as found:
        yield found


async def test_graph_is_what_its_type_says(console: Console) -> None:
    await console.wait_for_kubernetes()
    answer = await console.ask("/api/graph?duration=2m&at=1700000000")
    graph = msgspec.convert(answer, TrafficGraph, strict=False)
    assert (graph.duration_seconds, graph.timestamp) == (120, 1_700_000_000)
    edges = {edge.id: edge for edge in graph.edges}
    first = edges["gateway:istio-system/istio-ingressgateway>workload:default/productpage-v1|http"]
    assert first.request_count == pytest.approx(960)
    assert first.mtls_ratio == 1
    badges = {node.id: node.badges for node in graph.nodes}
    assert badges["workload:default/reviews-v2"] == ("trafficSplit", "virtualService")


async def test_a_graph_costs_six_queries(console: Console) -> None:
    await console.ask("/api/graph")
    assert len(console.prometheus.queries) == 6


async def test_viewers_at_the_same_moment_share_the_queries(console: Console) -> None:
    await asyncio.gather(*(console.ask("/api/graph?at=1700000000") for _ in range(5)))
    assert len(console.prometheus.queries) == 6


async def test_without_kubernetes_the_series_are_shown_alone() -> None:
    async with started(kubernetes=False) as console:
        answer = await console.ask("/api/graph")
        assert [warning["code"] for warning in answer["warnings"]] == ["noKubernetes"]
        assert len(answer["nodes"]) == 8


async def test_an_unreachable_store_is_told(console: Console) -> None:
    console.prometheus.up = False
    answer = await console.ask("/api/graph", status=503)
    assert answer["error"]["code"] == "metricsUnavailable"
    assert "deployment prometheus" in answer["error"]["hint"]
    console.prometheus.up = True
    assert (await console.ask("/api/graph"))["nodes"]


async def test_nothing_listens_at_the_store() -> None:
    async with (
        running(ConsoleSettings(listen=("127.0.0.1", 0), metrics_url="http://127.0.0.1:9", token=TOKEN)) as (
            host,
            port,
        ),
        aiohttp.ClientSession() as client,
    ):
        answer = await Console(f"http://{host}:{port}", client, None, None).ask("/api/graph", status=503)
        assert "cannot be reached" in answer["error"]["message"]


@pytest.mark.parametrize(
    "query",
    [
        "graphType=nonsense",
        "duration=0s",
        "duration=-5",
        "duration=31d",
        "duration=٣s",
        "at=yesterday",
        "at=nan",
        "at=2024-01-01T00:00:00",
    ],
)
async def test_wrong_parameters_are_named(console: Console, query: str) -> None:
    answer = await console.ask(f"/api/graph?{query}", status=400)
    assert query.partition("=")[0] in answer["error"]["message"]


async def test_compares_with_an_earlier_time(console: Console) -> None:
    answer = await console.ask("/api/graph/compare?at=1700000600&baseline=5m&duration=60s")
    assert answer["timestamp"] == 1_700_000_600
    nothing: dict[str, Any] = {"nodes": {}, "edges": {}, "beside": {}, "changes": []}
    assert answer["comparison"] == {"baseline": 1_700_000_300, **nothing}
    assert len(console.prometheus.queries) == 12
    absolute = await console.ask("/api/graph/compare?at=1700000600&baseline=1700000300&duration=60s")
    assert absolute == answer
    for baseline in ("", "1700000600", "1700000601", "x", "0s"):
        await console.ask(f"/api/graph/compare?at=1700000600&baseline={baseline}", status=400)


async def test_a_comparison_names_the_changes_beside_its_edges(console: Console) -> None:
    await console.wait_for_kubernetes()
    console.prometheus.faulty_since = 1_700_000_400.0
    console.kubernetes.note(*(fake_mesh.fault_applied(at) for at in (1_700_000_200.0, 1_700_000_400.0)))
    comparison = (await console.ask("/api/graph/compare?at=1700000600&baseline=5m&duration=60s"))["comparison"]
    (change,) = comparison["changes"]
    assert (change["kind"], change["name"], change["author"]) == ("VirtualService", "reviews", "kubernetes-admin")
    failing = {name for name, found in comparison["edges"].items() if "failing" in found["kinds"]}
    faulty, later = (
        f"workload:default/{ends}|http"
        for ends in (
            "productpage-v1>workload:default/reviews-v3",
            "reviews-v3>workload:default/ratings-v1",
        )
    )
    assert failing == {faulty, later}
    assert comparison["beside"] == {faulty: [{"change": change["id"], "reason": "host"}]}
    details = await console.ask(f"/api/changes/{change['id']}")
    assert "abort:" in details["after"] and "abort:" not in details["before"]


async def test_an_unreadable_journal_is_told_beside_the_comparison(console: Console) -> None:
    await console.wait_for_kubernetes()
    console.kubernetes.forbidden.add("configmaps")
    answer = await console.ask("/api/graph/compare?at=1700000600&baseline=5m&duration=60s")
    assert [warning["code"] for warning in answer["warnings"]] == ["journalUnreadable"]
    assert answer["comparison"]["changes"] == []


async def test_two_versions_side_by_side(console: Console) -> None:
    await console.wait_for_kubernetes()
    answer = await console.ask("/api/versions/default/reviews?at=1700000600")
    assert (answer["versions"], answer["baseline"], answer["version"]) == (["v1", "v2", "v3"], "v1", "v3")
    assert answer["change"]["kinds"] == ["failing", "slower"]
    assert [call["node"]["id"] for call in answer["callers"]] == ["app:default/productpage@v1"]
    (ratings,) = answer["calls"]
    assert (ratings["node"]["app"], ratings["change"]["kinds"], ratings["before"]) == (
        "ratings",
        ["failing", "new"],
        None,
    )
    assert len(console.prometheus.queries) == 6
    chosen = await console.ask("/api/versions/default/reviews?at=1700000600&baseline=v3&version=v2")
    assert (chosen["change"]["kinds"], chosen["calls"][0]["change"]["kinds"]) == (
        ["faster", "recovered"],
        ["recovered"],
    )
    refused = await console.ask("/api/versions/default/reviews?version=v9", status=404)
    assert "v9" in refused["error"]["message"] and "v1, v2, v3" in refused["error"]["hint"]
    await console.ask("/api/versions/default/nobody", status=404)


async def test_time_as_rfc3339(console: Console) -> None:
    answer = await console.ask("/api/graph?at=2024-01-01T00:00:00Z")
    assert answer["timestamp"] == 1_704_067_200


async def test_series_of_a_node_and_an_edge(console: Console) -> None:
    span = "from=1700000000&to=1700000060&step=10"
    node = await console.ask(f"/api/series?node=workload:default/reviews-v3&{span}")
    edge = await console.ask(
        f"/api/series?edge=workload:default/productpage-v1%3Eworkload:default/reviews-v3%7Chttp&{span}"
    )
    assert node == edge
    assert len(node["times"]) == 7
    assert all(line is not None for line in node["requestsPerSecond"]["serverError"])
    assert node["latencyMilliseconds"]["p50"][0] == pytest.approx(15.25, abs=0.1)


async def test_series_needs_one_subject(console: Console) -> None:
    for query in ("", "node=a&edge=b", "node=nonsense", "edge=nonsense", "node=workload:a/b&direction=up"):
        await console.ask(f"/api/series?{query}", status=400)
    await console.ask("/api/series?node=workload:a/b&from=0&to=1e9&step=1", status=400)


async def test_lists(console: Console) -> None:
    await console.wait_for_kubernetes()
    namespaces = (await console.ask("/api/namespaces"))["items"]
    assert [(item["name"], item["injected"]) for item in namespaces] == [("default", True), ("istio-system", False)]
    services = (await console.ask("/api/services?namespaces=default"))["items"]
    reviews = next(item for item in services if item["name"] == "reviews")
    assert reviews["workloads"] == ["reviews-v1", "reviews-v2", "reviews-v3"]
    workloads = (await console.ask("/api/workloads?namespaces=istio-system"))["items"]
    gateways = [(item["name"], item["gateway"]) for item in workloads]
    assert gateways == [("istio-ingressgateway", True), ("istiod", False)]
    kinds = [item["kind"] for item in (await console.ask("/api/config"))["items"]]
    assert kinds == ["DestinationRule", "Gateway", "PeerAuthentication", "Telemetry", "VirtualService"]


async def test_nothing_answers_strangers(console: Console) -> None:
    for path in ("/api/graph", "/api/openapi.json", "/assets/x.js", "/favicon.svg", "/api/nothing"):
        async with console.client.get(console.url + path) as answer:
            assert answer.status == 401, path
    async with console.client.get(
        console.url + "/graph", headers={"Accept": "text/html"}, allow_redirects=False
    ) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, "/login?to=%2Fgraph")
    for path in ("/healthz", "/kiali/healthz"):
        async with console.client.get(console.url + path, headers={"Host": "10.0.0.1:20001"}) as answer:
            assert answer.status == 200


async def test_foreign_hosts_are_refused(console: Console) -> None:
    headers = {"Host": "evil.example", "Authorization": f"Bearer {TOKEN}"}
    for path in ("/api/graph", "/login", "/"):
        async with console.client.get(console.url + path, headers=headers) as answer:
            assert answer.status == 421
    for host in ("localhost:1", "[::1]:20001", "kiali.istio-system:20001", "kiali"):
        headers = {"Host": host, "Authorization": f"Bearer {TOKEN}"}
        async with console.client.get(console.url + "/api/namespaces", headers=headers) as answer:
            assert answer.status == 200


async def test_a_login_link_opens_a_session_once(console: Console) -> None:
    async with console.client.post(console.url + "/api/login-links") as answer:
        assert answer.status == 401
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with console.client.post(console.url + "/api/login-links", headers=headers) as answer:
        assert answer.status == 201
        path = (await answer.json())["path"]
    async with console.client.get(console.url + path) as answer:
        assert answer.status == 200
    async with console.client.get(console.url + "/api/graph") as answer:
        assert answer.status == 200
    async with console.client.post(console.url + "/api/login-links") as answer:
        assert answer.status == 401, "a session does not invite others"
    console.client.cookie_jar.clear()
    async with console.client.get(console.url + path) as answer:
        assert answer.status == 401


async def test_login_form(console: Console) -> None:
    async with console.client.post(console.url + "/login", data={"token": "wrong"}) as answer:
        assert answer.status == 401
        assert "not right" in await answer.text()
    async with console.client.post(console.url + "/login", data={"token": TOKEN}) as answer:
        assert answer.status == 200
    async with console.client.get(console.url + "/api/graph") as answer:
        assert answer.status == 200
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["Cache-Control"] == "no-store"


async def test_the_token_comes_from_its_secret() -> None:
    async with started(token=None) as console:
        while True:
            headers = {"Authorization": f"Bearer {TOKEN}"}
            async with console.client.get(console.url + "/api/namespaces", headers=headers) as answer:
                if answer.status == 200:
                    break
            await asyncio.sleep(0.01)
        text = str([await console.ask(f"/api/{name}") for name in ("config", "workloads", "services", "graph")])
        assert TOKEN not in text


async def test_kialis_paths_arrive(console: Console) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with console.client.get(
        console.url + "/kiali/console/graph", headers=headers, allow_redirects=False
    ) as answer:
        assert (answer.status, answer.headers["Location"]) == (302, "/")


async def test_openapi_says_what_is_answered(console: Console) -> None:
    document = await console.ask("/api/openapi.json")
    schemas = document["components"]["schemas"]
    (_,), components = msgspec.json.schema_components([TrafficGraph], ref_template="#/components/schemas/{name}")
    for name, schema in components.items():
        known = set(schemas[name].get("properties", {})) - {"warnings"}
        assert known == set(schema.get("properties", {})), f"{name} differs: regenerate openapi.json and ui's schema.ts"
    answer = await console.ask("/api/graph")
    assert set(schemas["TrafficGraph"]["required"]) == set(answer)
    assert orjson.dumps(document)


async def test_files_outside_of_the_ui_are_not_served(console: Console) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    for path in ("/assets/..%2f..%2fserver.py", "/assets/%2e%2e/server.py"):
        async with console.client.get(console.url + path, headers=headers) as answer:
            assert "Joins" not in await answer.text() and "import" not in await answer.text()


POD = "reviews-v3-abc-1"
REJECTED = {"type": "CDS", "name": "outbound|80||a", "version": "1", "reason": "no such filter"}


async def test_a_workload_with_its_pods(console: Console) -> None:
    await console.wait_for_kubernetes()
    answer = await console.ask("/api/details/workload/default/reviews-v3")
    assert answer["node"]["health"]["status"] == "failure"
    (pod,) = answer["pods"]
    assert (pod["name"], pod["phase"], pod["address"]) == (POD, "Running", "10.97.0.9")
    assert {container["name"]: (container["state"], container["restarts"]) for container in pod["containers"]} == {
        "app": ("running", 1),
        "istio-proxy": ("running", 1),
    }
    assert answer["proxies"] is None  # No control plane answers here.
    await console.ask("/api/workloads/default/reviews-v3", 404)  # Another page tells it since.


async def test_why_something_is_red(console: Console) -> None:
    await console.wait_for_kubernetes()
    answer = await console.ask("/api/health?node=workload:default/reviews-v3")
    found = {(check["name"], check["direction"]): check for check in answer["checks"]}
    assert {name for name, _ in found} == {"grpc", "http4xx", "http5xx", "noResponse"}
    check = found["http5xx", "inbound"]
    assert (check["status"], check["source"], check["degraded"], check["failure"]) == ("failure", "default", 0, 0.1)
    assert (
        check["share"] == answer["health"]["reasons"][0]["value"] == pytest.approx(check["errors"] / check["requests"])
    )
    assert {one["code"] for one in check["outcomes"]} <= {"500", "503"}
    assert found["http4xx", "inbound"]["status"] == "healthy"
    assert [(one["name"], one["status"]) for one in answer["replicas"]] == [("reviews-v3", "healthy")]
    assert answer["traceServices"] == ["reviews.default"]
    whole = {"$ref": "#/components/schemas/HealthDetails", **await console.ask("/api/openapi.json")}
    jsonschema_rs.validator_for(whole).validate(answer)


async def test_why_of_edges_and_of_nothing(console: Console) -> None:
    await console.wait_for_kubernetes()
    graph = await console.ask("/api/graph")
    for edge in graph["edges"]:
        answer = await console.ask(f"/api/health?at={graph['timestamp']}&edge={quote(edge['id'])}")
        assert answer["health"] == edge["health"]
        assert {check["direction"] for check in answer["checks"]} <= {"edge"}
    for node in (await console.ask("/api/graph?graphType=app"))["nodes"]:
        assert (await console.ask(f"/api/health?node={quote(node['id'])}&graphType=app"))["health"] == node["health"]
    await console.ask("/api/health?node=workload:default/nothing", 404)
    await console.ask("/api/health", 400)


async def test_logs_are_bounded(console: Console) -> None:
    await console.wait_for_kubernetes()
    place = f"namespace=default&pod={POD}&container=istio-proxy"
    text = await console.text(f"/api/logs?{place}&tail=3")
    assert text.splitlines() == [f"{POD} istio-proxy line {number}" for number in (1997, 1998, 1999)]
    for tail in ("0", "5001", "-1", "x", "99999999999"):
        await console.ask(f"/api/logs?{place}&tail={tail}", 400)


@pytest.mark.parametrize("place", ["pod=none&container=app", f"pod={POD}&container=none", "pod=../secrets&container=a"])
async def test_only_known_containers_have_logs(console: Console, place: str) -> None:
    await console.wait_for_kubernetes()
    await console.ask(f"/api/logs?namespace=default&{place}", 404)


async def test_access_logs_are_searched(console: Console) -> None:
    await console.wait_for_kubernetes()
    everything = await console.ask("/api/requests")
    assert (everything["found"], everything["logged"], everything["pods"]) == (2, 2, 8)
    answer = await console.ask("/api/requests?namespaces=default&workload=productpage-v1&codes=4xx&flags=NR&path=/none")
    (item,) = answer["items"]
    assert (item["workload"], item["side"], item["entry"]["response_code"]) == ("productpage-v1", "outbound", 404)
    assert [(one["flag"], one["text"]) for one in item["reasons"]] == [("NR", "No route matches the request.")]
    assert [(one["kind"], one["name"], one["cause"]) for one in item["responsible"]] == [
        ("VirtualService", "reviews", "noRule")
    ]
    korean = await console.ask("/api/requests?flags=NR&language=ko")
    assert not korean["items"][0]["reasons"][0]["text"].isascii()
    assert (await console.ask("/api/requests?workload=ratings-v1"))["logged"] == 0
    assert (await console.ask("/api/requests?codes=200&most=1"))["found"] == 1
    for wrong in ("codes=4", "codes=abc", "language=fr", "duration=x", "from=never", "most=-1"):
        await console.ask(f"/api/requests?{wrong}", 400)


async def test_a_logged_request_is_explained(console: Console) -> None:
    await console.wait_for_kubernetes()
    (item,) = (await console.ask("/api/requests?flags=NR"))["items"]
    asked = {key: item[key] for key in ("namespace", "pod", "workload", "entry")}
    headers = {"Authorization": f"Bearer {TOKEN}"}
    url = f"{console.url}/api/explain/logged"
    async with console.client.post(url, headers=headers, json={**asked, "language": "ko"}) as answer:
        told = await answer.json()
    assert answer.status == 200, told
    document = await console.ask("/api/openapi.json")
    whole = {"$ref": "#/components/schemas/LoggedExplanation", "components": document["components"]}
    jsonschema_rs.validator_for(whole).validate(told)
    assert (told["side"], told["entry"], told["responsible"][0]["name"]) == ("outbound", item["entry"], "reviews")
    assert not told["reasons"][0]["text"].isascii()
    assert (told["explanation"] is None) == (told["unknown"] != "")
    async with console.client.post(url, headers=headers, json={}) as answer:
        assert answer.status == 400


async def test_a_store_that_finds_nothing_wrong_has_no_notice(console: Console) -> None:
    assert (await console.ask("/api/cardinality"))["state"] == ""
    console.prometheus.finding = cardinality_finding({"path": {str(n): 1 for n in range(2000)}}, 2000, 2100, 0)
    found = await console.ask("/api/cardinality")
    assert (found["state"], found["label"], found["values"], found["limit"]) == ("nearlyFull", "path", 2000, 2100)
    console.prometheus.up = False
    assert (await console.ask("/api/cardinality"))["state"] == ""


async def test_proxies_of_the_control_plane() -> None:
    entries: Any = [{"proxy": "a-1.shop", "synced": True, "rejected": [REJECTED]}]

    async def syncz(_: web.Request) -> web.Response:
        return web.json_response(entries)

    application = web.Application()
    application.add_routes([web.get("/debug/syncz", syncz)])
    async with fake_mesh.listening(application) as url:
        client = ControlPlaneClient(url)
        assert await client.entries("syncz") == entries
        entries = {"not": "a list"}
        assert await client.entries("syncz") is None
        await client.close()


async def test_a_graph_of_too_many_nodes_comes_coarser(console: Console) -> None:
    assert (await console.ask("/api/graph?most=100"))["graphType"] == "workload"
    by_app = await console.ask("/api/graph?most=7")
    assert by_app["graphType"] == "app" and len(by_app["nodes"]) <= 7
    by_namespace = await console.ask("/api/graph?most=2")
    assert {node["id"] for node in by_namespace["nodes"]} == {
        "gateway:istio-system/istio-ingressgateway",
        "namespace:default",
    }
    await console.ask("/api/graph?most=few", status=400)


async def test_a_read_only_console_refuses_every_change_whoever_asks() -> None:
    own = {"Authorization": f"Bearer {TOKEN}", "Kaiki-Kubernetes-Token": "an-administrator"}
    place = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "namespace": "default",
        "name": "reviews",
    }
    text = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\nspec: {hosts: [a]}\n"
    bodies = {"config/save": {"yaml": text}, "config/delete": place, "identity": {"token": "an-administrator"}}
    async with started(read_only=True) as console:
        assert await console.ask("/api/me") == {"user": None, "canChange": False, "readOnly": True}
        for path, body in bodies.items():
            async with console.client.post(f"{console.url}/api/{path}", json=body, headers=own) as answer:
                assert answer.status == 403, path
                assert "--read-only" in (await answer.json())["error"]["message"]
