"""Who may speak to whom, and how, in force at real proxies."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from mesh import SAMPLES, Mesh, wait_until

pytestmark = pytest.mark.e2e

OWN_METRICS = """
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *arguments): pass
    def do_GET(self):
        body = b"shop_orders_total 7\\n"
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer(("0.0.0.0", 9100), Handler).serve_forever()
"""
SHOP: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "name": "shop",
        "namespace": "inside",
        "labels": {"app": "shop"},
        "annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": "9100"},
    },
    "spec": {
        "terminationGracePeriodSeconds": 1,
        "containers": [{"name": "main", "image": "kaiki/host:local", "command": ["python3", "-c", OWN_METRICS]}],
    },
}


@pytest.fixture(scope="module")
def walls(mesh: Mesh) -> Mesh:
    """httpbin, a shop and a client inside the mesh, and a client outside of it."""
    for namespace in ("inside", "outside"):
        mesh.kubectl("create", "namespace", namespace)
    mesh.kubectl("label", "namespace", "inside", "istio-injection=enabled")
    mesh.kubectl(
        "apply", "-n", "inside", "-f", str(SAMPLES / "httpbin" / "httpbin.yaml"), "-f", "-", given=json.dumps(SHOP)
    )
    for namespace in ("inside", "outside"):
        mesh.kubectl("apply", "-n", namespace, "-f", str(SAMPLES / "curl" / "curl.yaml"))
        mesh.kubectl("wait", "-n", namespace, "--for=condition=Available", "deployment", "--all", "--timeout=120s")
    return mesh


def answer(mesh: Mesh, namespace: str, url: str, *arguments: str) -> str:
    """What curl in a pod of a namespace gets: the status, or `refused` and the like in its own words."""
    command = ("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "10", *arguments, url)
    return mesh.kubectl("exec", "-n", namespace, "deploy/curl", "-c", "curl", "--", *command, check=False)


def policy(name: str, mode: str, **spec: Any) -> str:
    kind = {"apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication"}
    return json.dumps({**kind, "metadata": {"name": name}, "spec": {"mtls": {"mode": mode}, **spec}})


HTTPBIN = "http://httpbin.inside:8000/status/200"


def test_strict_refuses_plaintext_and_nothing_else(walls: Mesh) -> None:
    wait_until(lambda: answer(walls, "outside", HTTPBIN).endswith("200"), "plaintext is taken without a policy")
    assert "created" in walls.kubectl("apply", "-n", "inside", "-f", "-", given=policy("default", "STRICT"))
    wait_until(lambda: "reset" in answer(walls, "outside", HTTPBIN), "plaintext is refused")
    assert answer(walls, "inside", HTTPBIN) == "200"
    # Ports that no Service names are no way in either.
    address = walls.kubectl("get", "pod", "shop", "-n", "inside", "-o", "jsonpath={.status.podIP}")
    assert "reset" in answer(walls, "outside", f"http://{address}:9100/")
    assert walls.kubectl("get", "pa", "-n", "inside").split()[3:5] == ["default", "STRICT"]


def test_what_applications_measure_is_scraped_under_strict(walls: Mesh) -> None:
    before = walls.value('timestamp(shop_orders_total{pod="shop"})')
    wait_until(lambda: walls.value('timestamp(shop_orders_total{pod="shop"})') > before, "a newer sample")
    assert walls.value('up{pod="shop", instance=~".*:9100"}') == 1


def test_disable_takes_plaintext_only_and_clients_know(walls: Mesh) -> None:
    walls.kubectl("apply", "-n", "inside", "-f", "-", given=policy("default", "DISABLE"))
    wait_until(lambda: answer(walls, "outside", HTTPBIN) == "200", "plaintext is taken again")
    assert answer(walls, "inside", HTTPBIN) == "200"
    plain = 'sum(istio_requests_total{reporter="destination",app="httpbin",connection_security_policy="none"})'
    before = walls.value(plain)
    assert [answer(walls, "inside", HTTPBIN) for _ in range(5)] == ["200"] * 5
    wait_until(lambda: walls.value(plain) >= before + 5, "requests from inside are counted as plaintext")


def test_one_port_differs_and_nonsense_is_told(walls: Mesh) -> None:
    selector = {"matchLabels": {"app": "httpbin"}}
    text = policy("httpbin", "STRICT", selector=selector, portLevelMtls={"80": {"mode": "PERMISSIVE"}})
    answered = walls.kubectl("apply", "-n", "inside", "-f", "-", given=text, check=False)
    assert "KAI2406" in answered and "port 80" in answered
    wait_until(lambda: "reset" in answer(walls, "outside", HTTPBIN), "plaintext is refused at httpbin")
    text = policy("httpbin", "STRICT", selector=selector, portLevelMtls={"8080": {"mode": "PERMISSIVE"}})
    walls.kubectl("apply", "-n", "inside", "-f", "-", given=text)
    wait_until(lambda: answer(walls, "outside", HTTPBIN) == "200", "plaintext is taken at the one port")
    refused = walls.kubectl("apply", "-n", "inside", "-f", "-", given=policy("x", "SOMETIMES"), check=False)
    assert "SOMETIMES" in refused and "spec.mtls.mode" in refused
    walls.kubectl("delete", "peerauthentication", "--all", "-n", "inside")


# Who may call what ---------------------------------------------------------------------------------------------------


def allow(name: str, *rules: dict[str, Any], namespace: str = "inside", **spec: Any) -> str:
    kind = {"apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy"}
    return json.dumps({**kind, "metadata": {"name": name, "namespace": namespace}, "spec": {"rules": [*rules], **spec}})


def settles(mesh: Mesh, expected: str, *asked: str) -> None:
    """Wait until curl inside gets this answer three times in a row. A request on a connection from before the change
    is judged as before; with its answer the connection is closed, and each of the proxy's two threads has one."""

    def settled() -> bool:
        return all(answer(mesh, "inside", *asked) == expected for _ in range(3))

    wait_until(settled, f"{asked} is answered {expected}")


@pytest.fixture
def clean(walls: Mesh) -> Iterator[Mesh]:
    """No policies before and after."""
    yield walls
    for namespace in ("inside", "istio-system"):
        walls.kubectl("delete", "authorizationpolicy,peerauthentication", "--all", "-n", namespace)
    settles(walls, "200", HTTPBIN)


AT_HTTPBIN = {"selector": {"matchLabels": {"app": "httpbin"}}}


def test_nobody_is_let_in_until_a_rule_says_so(clean: Mesh) -> None:
    clean.kubectl("apply", "-f", "-", given=allow("nobody"))
    settles(clean, "403", HTTPBIN)
    caller = {"source": {"principals": ["cluster.local/ns/inside/sa/curl"]}}
    operation = {"methods": ["GET", "HEAD"], "paths": ["/status/*", "/shops/{*}/items/{**}"]}
    rule = {"from": [caller], "to": [{"operation": operation}]}
    clean.kubectl("apply", "-f", "-", given=allow("let-in", rule, **AT_HTTPBIN))
    settles(clean, "200", HTTPBIN)
    base = "http://httpbin.inside:8000"
    assert answer(clean, "inside", HTTPBIN, "-X", "POST") == "403"
    assert answer(clean, "inside", f"{base}/headers") == "403"
    assert answer(clean, "inside", f"{base}/shops/1/items/2/3") == "404", "let in, and not there"
    assert answer(clean, "inside", f"{base}/shops/1/2/items/3") == "403"
    assert answer(clean, "outside", HTTPBIN) == "403", "who has no certificate is nobody"
    text = clean.kubectl("exec", "-n", "inside", "deploy/curl", "-c", "curl", "--", "curl", "-sS", f"{base}/headers")
    assert text.strip() == "RBAC: access denied"


def test_who_is_refused_comes_before_who_is_let_in(clean: Mesh) -> None:
    base = "http://httpbin.inside:8000"
    header = {"key": "request.headers[x-tier]", "values": ["gold"]}
    clean.kubectl("apply", "-f", "-", given=allow("everybody", {}))
    refuse = allow("no-gold", {"when": [header]}, namespace="istio-system", action="DENY", **AT_HTTPBIN)
    clean.kubectl("apply", "-f", "-", given=refuse)
    settles(clean, "403", HTTPBIN, "-H", "x-tier: gold")
    assert answer(clean, "inside", HTTPBIN, "-H", "x-tier: silver") == "200"
    assert answer(clean, "inside", f"{base}/headers") == "200"


def test_a_refusal_is_counted_logged_and_named(clean: Mesh) -> None:
    logging = {
        "apiVersion": "telemetry.istio.io/v1",
        "kind": "Telemetry",
        "metadata": {"name": "log", "namespace": "inside"},
        "spec": {"accessLogging": [{"providers": [{"name": "envoy"}]}]},
    }
    clean.kubectl("apply", "-f", "-", given=json.dumps(logging))
    rule = {"to": [{"operation": {"paths": ["/status/200"]}}]}
    clean.kubectl("apply", "-f", "-", given=allow("closed", rule, action="DENY", **AT_HTTPBIN))
    settles(clean, "403", HTTPBIN)
    counted = 'sum by (reporter) (istio_requests_total{destination_service_name="httpbin",response_code="403"})'
    wait_until(lambda: len(clean.query(counted)) == 2, "both sides count the refusal")
    found: list[Any] = []

    def named() -> bool:
        answer(clean, "inside", HTTPBIN)
        entries = clean.console("/api/requests?namespace=inside&workload=httpbin&code=403")["items"]
        found[:] = [one for entry in entries for one in entry.get("responsible", ())]
        return bool(found)

    wait_until(named, "the refusal is found in the log", every_seconds=1)
    assert {(one["kind"], one["namespace"], one["name"], one["field"]) for one in found} == {
        ("AuthorizationPolicy", "inside", "closed", "spec.rules[0]")
    }
    clean.kubectl("delete", "telemetry", "log", "-n", "inside")


def test_what_is_only_tried_refuses_nobody(clean: Mesh) -> None:
    document = json.loads(allow("tried", {}, action="DENY", **AT_HTTPBIN))
    document["metadata"]["annotations"] = {"istio.io/dry-run": "true"}
    clean.kubectl("apply", "-f", "-", given=json.dumps(document))
    later = allow("later", {"to": [{"operation": {"paths": ["/headers"]}}]}, action="DENY", **AT_HTTPBIN)
    clean.kubectl("apply", "-f", "-", given=later)
    settles(clean, "403", "http://httpbin.inside:8000/headers")
    assert answer(clean, "inside", HTTPBIN) == "200"


def test_a_gateway_refuses_too(clean: Mesh) -> None:
    entry = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "Gateway",
        "metadata": {"name": "entry", "namespace": "inside"},
        "spec": {
            "selector": {"istio": "ingressgateway"},
            "servers": [{"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["walls.test"]}],
        },
    }
    route = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "entry", "namespace": "inside"},
        "spec": {
            "hosts": ["walls.test"],
            "gateways": ["entry"],
            "http": [{"route": [{"destination": {"host": "httpbin", "port": {"number": 8000}}}]}],
        },
    }
    clean.kubectl("apply", "-f", "-", given=json.dumps({"apiVersion": "v1", "kind": "List", "items": [entry, route]}))

    def got(path: str) -> int:
        return clean.get(f"{clean.gateway}{path}", {"host": "walls.test"})[0]

    wait_until(lambda: got("/status/200") == 200, "the gateway lets in")
    rule = {"to": [{"operation": {"hosts": ["walls.test"], "paths": ["/admin*"]}}]}
    at_gateway = {"selector": {"matchLabels": {"istio": "ingressgateway"}}}
    refuse = allow("no-admin", rule, namespace="istio-system", action="DENY", **at_gateway)
    clean.kubectl("apply", "-f", "-", given=refuse)
    wait_until(lambda: got("/admin/users") == 403, "the gateway refuses")
    assert got("/status/200") == 200


def test_bytes_are_refused_by_who_sends_them(clean: Mesh) -> None:
    clean.kubectl("apply", "-n", "inside", "-f", str(SAMPLES / "tcp-echo" / "tcp-echo.yaml"))
    clean.kubectl("wait", "-n", "inside", "--for=condition=Available", "deployment", "--all", "--timeout=120s")

    def echoed(namespace: str) -> str:
        script = "(echo hello; sleep 1) | nc tcp-echo.inside 9000"
        return clean.kubectl(
            "exec", "-n", namespace, "deploy/curl", "-c", "curl", "--", "sh", "-c", script, check=False
        )

    wait_until(lambda: "hello" in echoed("outside"), "bytes come back")
    rule = {"from": [{"source": {"namespaces": ["inside"]}}], "to": [{"operation": {"ports": ["9000"]}}]}
    clean.kubectl("apply", "-f", "-", given=allow("own", rule, selector={"matchLabels": {"app": "tcp-echo"}}))
    wait_until(lambda: "hello" not in echoed("outside"), "bytes of strangers are refused")
    assert "hello" in echoed("inside")
    unusable = allow("bad", {"when": [{"key": "request.colour", "values": ["red"]}]})
    refused = clean.kubectl("apply", "-f", "-", given=unusable, check=False)
    assert "KAI2507" in refused and "spec.rules[0].when[0].key" in refused
