"""What requests come to in the golden cases of routing: who answers with which status, or which cluster gets them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import small_mesh
import yaml

from kaiki.interpret.interpretation import interpret
from kaiki.model.memo import Memo
from kaiki.model.proxy import ProxyConfig
from kaiki.model.snapshot import MeshSnapshot
from kaiki.translate.generate import generate
from kaiki.translate.simulation import Request, Verdict, address_of, simulate

CASES = Path(__file__).with_name("cases")


@cache
def _case(name: str) -> tuple[MeshSnapshot, ProxyConfig, str]:
    documents = [document for document in yaml.safe_load_all((CASES / name / "in.yaml").read_text()) if document]
    snapshot = interpret(small_mesh.inputs(documents)).snapshot
    (proxy,) = small_mesh.proxies(documents)
    return snapshot, generate(snapshot, proxy, Memo()), proxy.namespace


def outcome(case: str, host: str, port: int, path: str, **more: Any) -> str:
    """`status`, `verdict`, or the clusters with their weights, host and port first: `shop:8080/v1*9`."""
    snapshot, config, namespace = _case(case)
    address = more.pop("address", "") or address_of(snapshot, host, namespace)[0]
    found = simulate(config, Request(host, port, path, address=address, **more))
    if found.verdict is Verdict.REDIRECTED:
        return f"{found.status} {found.location}"
    if found.verdict in (Verdict.ANSWERED, Verdict.NO_ROUTE):
        return str(found.status)
    if found.verdict is Verdict.REFUSED:
        return "refused"
    return ", ".join(
        _short(share.cluster) + (f"*{share.weight}" if len(found.clusters) > 1 else "") for share in found.clusters
    )


def _short(cluster: str) -> str:
    if "|" not in cluster:
        return cluster
    _, port, subset, host = cluster.split("|")
    return f"{host.split('.')[0] if host.endswith('.cluster.local') else host}:{port}" + (
        f"/{subset}" if subset else ""
    )


TABLE: list[tuple[str, str, int, str, str, dict[str, Any]]] = [
    ("actions", "shop", 8080, "/old/x", "308 https://new.example.org/new", {}),
    ("actions", "shop", 8080, "/down", "503", {}),
    ("actions", "shop", 8080, "/api/x", "shop:8080", {}),
    ("actions", "shop", 8080, "/grpc", "200", {}),
    ("actions", "shop", 8080, "/flaky", "shop:8080", {}),
    ("connection-routes", "db", 5432, "/", "db:5432/v1*80, db:5432/v2*20", {"http": False}),
    ("connection-routes", "secure", 443, "/", "secure:443", {"http": False, "server_name": "a.example.org"}),
    ("delegates", "shop", 80, "/cart/x", "cart:80", {"headers": {"x-user": "anna"}}),
    ("delegates", "shop", 80, "/cart/x", "shop:80", {"headers": {"x-user": "bob"}}),
    ("external-names", "alias", 80, "/", "web:80", {}),
    ("external-names", "alias-of-alias.one", 80, "/", "web:80", {}),
    ("external-names", "www.example.org", 80, "/", "PassthroughCluster", {}),
    ("route-details", "shop", 8080, "/m1", "201", {"method": "POST"}),
    ("route-details", "shop", 8080, "/m1", "shop:8080", {"method": "GET"}),
    ("route-details", "shop", 8080, "/m2", "201", {"method": "PATCH"}),
    ("route-details", "shop", 8080, "/s1", "202", {}),
    ("route-details", "shop", 8080, "/s2", "202", {}),
    ("route-details", "shop.default", 8080, "/a", "203", {}),
    ("route-details", "shop", 8080, "/a", "shop:8080", {}),
    ("route-details", "shop", 8080, "/h", "205", {"headers": {"x-a": "golden"}}),
    ("route-details", "shop", 8080, "/w1", "206", {}),
    ("route-details", "shop", 8080, "/w1", "shop:8080", {"headers": {"x-old": "v1"}}),
    ("route-details", "shop", 8080, "/w2", "206", {"headers": {"x-old": "v3"}}),
    ("route-details", "shop", 8080, "/w2", "shop:8080", {"headers": {"x-old": "v2"}}),
    ("route-details", "shop", 8080, "/q?tier=gold", "207", {}),
    ("route-details", "shop", 8080, "/q?tier=silver", "shop:8080", {}),
    ("route-details", "shop", 8080, "/port", "208", {}),
    ("route-details", "shop", 8080, "/r1", "301 https://shop:8443/r1", {}),
    ("route-details", "shop", 8080, "/r2", "301 http://b.org:8080/r2", {}),
    ("route-details", "shop", 8080, "/r3", "303 https://b.org/r3", {}),
    ("route-details", "192.0.2.80", 80, "/", "210", {"address": "192.0.2.80"}),
    ("route-details", "any.example.org", 80, "/", "211", {"address": "192.0.2.81"}),
    ("route-details", "hidden.org", 80, "/", "PassthroughCluster", {"address": "192.0.2.82"}),
    ("route-details", "db", 5432, "/", "db:5432", {"http": False}),
    ("route-details", "db", 443, "/", "db:443", {"http": False, "server_name": "b.org"}),
    ("gateway-rest", "a.net", 8081, "/", "web:8080", {}),
    ("gateway-rest", "a.net", 8082, "/", "web:9090", {}),
    ("gateway-rest", "a.org", 8083, "/", "inner:8080", {}),
    ("gateway-rest", "b.org", 8083, "/", "web:8080", {}),
    ("gateway-rest", "x.dynamic.org", 5432, "/", "*.dynamic.org:5432", {"http": False, "server_name": "x.dynamic.org"}),
    ("headless-pods", "web", 8080, "/", "418", {}),
    ("headless-pods", "web-0.web", 8080, "/", "web:8080", {"address": "10.0.0.1"}),
    ("headless-pods", "web-1.web.default.svc.cluster.local", 8080, "/", "web:8080", {"address": "10.0.0.1"}),
    ("headless-pods", "web-1.web.default.svc.cluster.local", 80, "/", "204", {"address": "10.0.0.1"}),
    ("headless-pods", "web-1.web.default.svc", 80, "/", "web:80", {"address": "10.0.0.1"}),
    ("headless-pods", "far-0.far.other", 8080, "/", "far:8080", {"address": "10.0.0.1"}),
    ("headless-pods", "far-0.far", 8080, "/", "PassthroughCluster", {"address": "10.0.0.1"}),
    ("gateway-api", "a.example.com", 8080, "/", "cart:8080", {}),
    ("gateway-api", "a.example.com", 8080, "/old", "cart:8080", {"method": "POST"}),
    ("gateway-api", "a.example.com", 8080, "/moved/x", "302 https://a.example.com/x", {}),
    ("gateway-api", "a.example.com", 8080, "/broken", "500", {}),
    ("gateway-api", "b.example.com", 8080, "/", "404", {}),
    ("gateway-api", "a.example.com", 8443, "/r1", "cart:8080", {"server_name": "a.example.com"}),
    ("gateway-api", "ledger.pass.org", 8443, "/", "ledger:8443", {"server_name": "ledger.pass.org", "http": False}),
    ("gateway-details", "x", 3306, "/", "db:3306/v1", {"http": False}),
    ("gateway-http", "any.org", 8080, "/productpage", "web:9080", {}),
    ("gateway-http", "any.org", 8080, "/other", "404", {}),
    ("gateway-http", "shop.example.org", 8080, "/other", "web:9080", {}),
    ("gateway-http", "second.example.org", 8080, "/x", "301 https://second.example.org/x", {}),
    ("gateway-merging", "a.example.org", 80, "/young", "202", {}),
    ("gateway-merging", "a.example.org", 80, "/", "web:80", {}),
    ("gateway-merging", "a.other.org", 80, "/", "404", {}),
    ("gateway-tls", "pass.example.org", 443, "/", "web:9443", {"server_name": "pass.example.org", "http": False}),
    ("gateway-tls", "mesh.example.org", 443, "/", "web:9080", {"server_name": "mesh.example.org"}),
    ("gateway-tls", "x.org", 443, "/", "refused", {"server_name": "x.org"}),
    ("gateway-tls", "x", 31400, "/", "web:9000", {"http": False}),
    ("matches", "shop", 8080, "/exact", "shop:8080", {}),
    ("missing-destinations", "shop", 8080, "/host", "BlackHoleCluster", {}),
    ("missing-destinations", "shop", 8080, "/subset", "BlackHoleCluster", {}),
    ("missing-destinations", "shop", 8080, "/", "BlackHoleCluster", {}),
    ("plain-http", "reviews", 9080, "/", "reviews:9080", {}),
    ("plain-http", "legacy.other", 9080, "/", "legacy:9080", {}),
    ("plain-http", "unknown.org", 9080, "/", "PassthroughCluster", {}),
    ("protocols", "mixed", 7070, "/", "mixed:7070", {}),
    ("protocols", "mixed", 5000, "/", "mixed:5000", {"http": False}),
    ("protocols", "mixed", 6000, "/", "mixed:6000", {}),
    ("protocols", "mixed", 6000, "/", "mixed:6000", {"http": False}),
    ("protocols", "store", 9000, "/", "store:9000", {"http": False}),
    ("registry-only", "web", 80, "/", "web:80", {}),
    ("registry-only", "unknown.org", 80, "/", "502", {}),
    ("registry-only", "unknown.org", 7, "/", "BlackHoleCluster", {"http": False, "address": "192.0.2.9"}),
    ("rough-input", "shop", 80, "/nothing", "BlackHoleCluster", {}),
    ("service-entries", "api.example.org", 80, "/", "api.example.org:80", {}),
    ("service-entries", "x.wild.example.org", 80, "/", "*.wild.example.org:80", {}),
    ("service-entries", "private.example.org", 80, "/", "PassthroughCluster", {}),
    (
        "service-entries",
        "api.example.org",
        443,
        "/",
        "api.example.org:443",
        {"server_name": "api.example.org", "http": False},
    ),
    (
        "service-entries",
        "database.example.org",
        5432,
        "/",
        "database.example.org:5432",
        {"http": False, "address": "240.0.0.1"},
    ),
    (
        "service-entries",
        "database.example.org",
        5432,
        "/",
        "database.example.org:5432",
        {"http": False, "address": "240.1.2.3"},
    ),
    (
        "service-entry-addresses",
        "b.example.org",
        9000,
        "/",
        "b.example.org:9000",
        {"http": False, "address": "240.240.7.7"},
    ),
    ("service-entry-addresses", "x", 9001, "/", "all.example.org:9001", {"http": False, "address": "192.0.2.200"}),
    ("sidecar-egress", "web", 80, "/", "web:80", {}),
    ("sidecar-egress", "hidden", 80, "/", "502", {}),
    ("sidecar-egress", "store.prod", 8081, "/", "store:8081", {}),
    ("sidecar-routes-imported", "web", 80, "/", "canary:80", {}),
    ("sidecar-routes-imported", "unknown.org", 80, "/", "proxy:3128", {}),
    ("subsets-and-weights", "reviews", 9080, "/", "reviews:9080/v2", {"headers": {"end-user": "jason"}}),
    ("subsets-and-weights", "reviews", 9080, "/", "reviews:9080/v1*90, reviews:9080/v2*10", {}),
]


@pytest.mark.parametrize(("case", "host", "port", "path", "expected", "more"), TABLE)
def test_what_a_request_comes_to(
    case: str, host: str, port: int, path: str, expected: str, more: dict[str, Any]
) -> None:
    assert outcome(case, host, port, path, **more) == expected
