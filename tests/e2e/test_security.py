"""Who may speak to whom, and how, in force at real proxies: mutual TLS by PeerAuthentication."""

from __future__ import annotations

import json
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
