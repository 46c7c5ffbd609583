"""The graph for programs that know Kiali's API."""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


def load_server_tests() -> ModuleType:
    """Test folders are no packages; the running console is that of the tests beside this file."""
    spec = importlib.util.spec_from_file_location("console_server_tests", Path(__file__).with_name("test_server.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


server_tests = load_server_tests()
GRAPH = "/kiali/api/namespaces/graph?namespaces=default,istio-system&duration=60s&queryTime=1700000000"
Elements = dict[str, dict[str, Any]]


@pytest.fixture
async def console() -> AsyncIterator[Any]:
    async with server_tests.started() as found:
        await found.wait_for_kubernetes()
        yield found


def parts(answer: Any) -> tuple[Elements, list[dict[str, Any]]]:
    """Nodes by id, and edges."""
    nodes = {item["data"]["id"]: item["data"] for item in answer["elements"]["nodes"]}
    return nodes, [item["data"] for item in answer["elements"]["edges"]]


def named(nodes: Elements, **fields: str) -> dict[str, Any]:
    (found,) = [node for node in nodes.values() if fields.items() <= node.items()]
    return found


async def test_versioned_apps(console: Any) -> None:
    answer = await console.ask(GRAPH + "&graphType=versionedApp")
    assert (answer["timestamp"], answer["duration"], answer["graphType"]) == (1_700_000_000, 60, "versionedApp")
    nodes, edges = parts(answer)
    page = named(nodes, app="productpage")
    reviews = named(nodes, app="reviews", version="v3")
    assert (reviews["nodeType"], reviews["namespace"], reviews["workload"]) == ("app", "default", "reviews-v3")
    assert reviews["destServices"] == [{"cluster": "Kubernetes", "namespace": "default", "name": "reviews"}]
    (edge,) = [edge for edge in edges if (edge["source"], edge["target"]) == (page["id"], reviews["id"])]
    traffic = edge["traffic"]
    assert traffic["protocol"] == "http"
    assert traffic["rates"] == {
        "http": "2.70",
        "http5xx": "0.38",
        "httpPercentErr": "14.0",
        "httpPercentReq": "16.9",
    }
    host = "reviews.default.svc.cluster.local"
    assert traffic["responses"]["503"] == {"flags": {"FI": "14.0"}, "hosts": {host: "14.0"}}
    assert edge["isMTLS"] == "100"
    assert edge["destPrincipal"] == "spiffe://cluster.local/ns/default/sa/bookinfo-reviews"
    assert edge["responseTime"].isdigit()
    assert reviews["traffic"][0]["rates"]["httpIn5xx"] == "0.38"
    assert reviews["healthData"]["requests"]["inbound"]["http"]["503"] == pytest.approx(0.378)


async def test_ids_stay_from_one_refresh_to_the_next(console: Any) -> None:
    first = await console.ask(GRAPH)
    second = await console.ask(GRAPH.replace("1700000000", "1700000015"))
    assert parts(first)[0].keys() == parts(second)[0].keys()


async def test_services_stand_between_when_asked_for(console: Any) -> None:
    nodes, edges = parts(await console.ask(GRAPH + "&graphType=workload&injectServiceNodes=true"))
    service = named(nodes, nodeType="service", service="reviews")
    assert {nodes[edge["source"]]["workload"] for edge in edges if edge["target"] == service["id"]} == {
        "productpage-v1"
    }
    versions = {nodes[edge["target"]]["workload"] for edge in edges if edge["source"] == service["id"]}
    assert versions == {"reviews-v1", "reviews-v2", "reviews-v3"}
    assert service["app"] == "reviews"
    assert service["hasTrafficShifting"] and service["hasVS"]["hostnames"] == ["reviews"]


async def test_one_node_and_what_touches_it(console: Any) -> None:
    path = "/kiali/api/namespaces/default/workloads/ratings-v1/graph?graphType=workload&queryTime=1700000000"
    nodes, edges = parts(await console.ask(path))
    ratings = named(nodes, workload="ratings-v1")
    assert all(ratings["id"] in (edge["source"], edge["target"]) for edge in edges)
    assert {node["workload"] for node in nodes.values()} >= {"reviews-v2", "reviews-v3", "ratings-v1"}
    assert "productpage-v1" not in {node["workload"] for node in nodes.values()}


async def test_boxes_hold_the_versions_of_an_app(console: Any) -> None:
    nodes, _ = parts(await console.ask(GRAPH + "&graphType=versionedApp&boxBy=namespace,app"))
    (app,) = [node for node in nodes.values() if node.get("isBox") == "app" and node["app"] == "reviews"]
    assert nodes[app["parent"]]["isBox"] == "namespace"
    assert {node["version"] for node in nodes.values() if node.get("parent") == app["id"]} == {"v1", "v2", "v3"}


async def test_throughput_is_of_responses_or_of_requests(console: Any) -> None:
    for asked, bytes_each in (("", 2100), ("&throughputType=request", 450)):
        console.prometheus.queries.clear()
        nodes, edges = parts(await console.ask(GRAPH + "&graphType=workload" + asked))
        details = named(nodes, workload="details-v1")
        assert [edge["throughput"] for edge in edges if edge["target"] == details["id"]] == [str(8 * bytes_each)]
        assert all("throughput" not in edge for edge in edges if edge["traffic"]["protocol"] == "tcp")
    assert "throughputType" in (await console.ask(GRAPH + "&throughputType=both", status=400))["error"]["message"]


async def test_only_the_appenders_that_were_asked_for(console: Any) -> None:
    _, edges = parts(await console.ask(GRAPH + "&appenders=deadNode"))
    assert not any({"isMTLS", "responseTime", "throughput"} & edge.keys() for edge in edges)


async def test_health_of_a_namespace(console: Any) -> None:
    answer = await console.ask("/kiali/api/clusters/health?type=app&namespaces=default&rateInterval=60s")
    reviews = answer["appHealth"]["default"]["reviews"]
    assert {status["name"] for status in reviews["workloadStatuses"]} == {"reviews-v1", "reviews-v2", "reviews-v3"}
    assert reviews["requests"]["inbound"]["http"]["200"] > 0


async def test_wrong_parameters_are_named(console: Any) -> None:
    for path, word in (
        ("/kiali/api/namespaces/graph", "namespaces"),
        (GRAPH + "&graphType=flow", "graphType"),
        (GRAPH + "&responseTime=42", "responseTime"),
        (GRAPH.replace("60s", "soon"), "duration"),
    ):
        answer = await console.ask(path, status=400)
        assert word in answer["error"]["message"]


async def test_configuration_by_kind(console: Any) -> None:
    answer = await console.ask("/kiali/api/istio/config")
    rules = answer["resources"]["networking.istio.io/v1, Kind=VirtualService"]
    name = rules[0]["metadata"]["name"]
    one = await console.ask(
        f"/kiali/api/namespaces/{rules[0]['metadata']['namespace']}/istio/networking.istio.io/v1/VirtualService/{name}"
    )
    assert one["resource"]["metadata"]["name"] == name


async def test_nobody_without_the_token(console: Any) -> None:
    async with console.client.get(console.url + GRAPH) as answer:
        assert answer.status == 401
