"""A stock Prometheus beside the embedded store on the same mesh: it finds the same targets and answers the same.

prometheus (outside, Debian's) ──/sd/targets──▶ kaiki metrics ◀── console
                └──── as a proxy ──────────────────┘ └──▶ sidecars, gateway, istiod
"""

from __future__ import annotations

import contextlib
import http.server
import json
import shutil
import socket
import subprocess
import threading
import time
import urllib.parse
from collections.abc import Iterator
from typing import Any

import pytest
from mesh import REPOSITORY, Mesh, wait_until

from kaiki.graph import traffic_queries

pytestmark = pytest.mark.e2e
REQUESTS = 20
Vector = dict[tuple[tuple[str, str], ...], float]
DASHBOARDS = (REPOSITORY / "tests" / "telemetry" / "dashboards.txt").read_text().splitlines()
RULES = """
apiVersion: v1
kind: ConfigMap
metadata: {name: prometheus, namespace: istio-system}
data:
  alerting_rules.yml: |
    groups:
    - name: mesh
      interval: 1s
      rules:
      - record: service:requests:sum
        expr: sum by (destination_service_name) (istio_requests_total{reporter="source"})
      - alert: Busy
        expr: service:requests:sum{destination_service_name="productpage"} > 0
        labels: {severity: info}
        annotations: {summary: "{{ $labels.destination_service_name }} has had {{ $value }} requests"}
"""


def program() -> str:
    unpacked = REPOSITORY / ".tools" / "prometheus" / "usr" / "bin"
    found = shutil.which("prometheus") or shutil.which("prometheus", path=str(unpacked))
    if found is None:
        pytest.skip("`prometheus` is not on this machine; `python3 tools/setup.py --system` gets it")
    return found


@pytest.fixture(scope="module")
def prometheus(bookinfo: Mesh, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prometheus that is started with the configuration Kaiki serves, and nothing else."""
    folder = tmp_path_factory.mktemp("prometheus")
    status, text = bookinfo.get(f"{bookinfo.environment['KAIKI_METRICS_URL']}/sd/prometheus.yml")
    assert status == 200
    (folder / "prometheus.yml").write_text(text)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = [f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    process = subprocess.Popen(
        [program(), *arguments, f"--web.listen-address=127.0.0.1:{port}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: answers(bookinfo, f"{url}/-/ready"), "Prometheus is ready")
        yield url
    finally:
        process.kill()
        process.wait()


def answers(mesh: Mesh, url: str) -> bool:
    with contextlib.suppress(OSError):
        return mesh.get(url)[0] == 200
    return False


def ask(mesh: Mesh, url: str, query: str, at: float | None = None) -> Vector:
    parameters = {"query": query} | ({"time": f"{at:.3f}"} if at else {})
    status, text = mesh.get(f"{url}/api/v1/query?{urllib.parse.urlencode(parameters)}")
    assert status == 200, text
    result: list[dict[str, Any]] = json.loads(text)["data"]["result"]
    return {tuple(sorted(row["metric"].items())): float(row["value"][1]) for row in result}


def visit(mesh: Mesh) -> None:
    for _ in range(REQUESTS):
        assert mesh.get(f"{mesh.gateway}/productpage")[0] == 200


def wait_same(mesh: Mesh, theirs: str, query: str) -> Vector:
    """Waits until both stores give the same, twice in a row: nothing is on its way any more."""
    ours = mesh.environment["KAIKI_METRICS_URL"]
    seen: list[Vector] = []

    def same() -> bool:
        seen.append(ask(mesh, ours, query))
        other = ask(mesh, theirs, query)
        if not seen[-1] or seen[-1].keys() != other.keys() or seen[-2:-1] != seen[-1:]:
            return False
        return seen[-1] == pytest.approx(other, rel=1e-9)  # They add in another order.

    wait_until(same, f"both stores agree on {query}", timeout_seconds=60)
    return seen[-1]


def test_a_stock_prometheus_sees_the_same_mesh(bookinfo: Mesh, prometheus: str) -> None:
    ours = bookinfo.environment["KAIKI_METRICS_URL"]
    visit(bookinfo)
    up = wait_same(bookinfo, prometheus, 'up{job="kubernetes-pods"}')
    assert set(up.values()) == {1.0}
    assert len(up) >= 8, "gateway, control plane and six sidecars"
    every = ", ".join(["__name__", "instance", "reporter", "destination_service", "response_code", "le"])
    wait_same(bookinfo, prometheus, f'sum by ({every}) ({{__name__=~"istio_.+",__name__!~"istio_build"}})')
    wait_same(bookinfo, prometheus, 'istio_requests_total{reporter="destination"}')
    begun = time.time()
    time.sleep(9)  # Three scrapes of both lie between, and after: so little is left to what each estimates.
    visit(bookinfo)
    wait_same(bookinfo, prometheus, "istio_requests_total")
    time.sleep(9)
    now = time.time()
    for name, query in traffic_queries(int(now - begun)).items():
        mine, other = ask(bookinfo, ours, query, now), ask(bookinfo, prometheus, query, now)
        assert mine.keys() == other.keys(), name
        for labels, value in mine.items():
            # Both estimate from samples at different moments; what was counted is the same, as seen above.
            assert value == pytest.approx(other[labels], rel=0.35, abs=1.5), (name, labels)


def test_every_dashboard_expression_has_the_same_series(bookinfo: Mesh, prometheus: str) -> None:
    ours, now = bookinfo.environment["KAIKI_METRICS_URL"], time.time()
    for query in DASHBOARDS:
        if (
            query
            and not query.startswith(("#", "label_values", "query_result"))
            and not any(word in query for word in ("irate", "offset", "> 0"))
        ):
            mine, other = ask(bookinfo, ours, query, now), ask(bookinfo, prometheus, query, now)
            assert mine.keys() == other.keys(), query


def test_the_proxy_leads_to_targets_only(bookinfo: Mesh) -> None:
    import http.client

    address = urllib.parse.urlsplit(bookinfo.environment["KAIKI_METRICS_URL"])
    connection = http.client.HTTPConnection(address.hostname or "", address.port)
    connection.request("GET", "http://10.96.0.1:443/")
    assert connection.getresponse().status == 403
    connection.close()


def test_rules_of_the_config_map_are_in_force(bookinfo: Mesh) -> None:
    visit(bookinfo)
    bookinfo.kubectl("apply", "-f", "-", given=RULES)
    wait_until(lambda: bool(bookinfo.query('ALERTS{alertstate="firing",severity="info"}')), "the alert fires")
    status, text = bookinfo.get(f"{bookinfo.environment['KAIKI_METRICS_URL']}/api/v1/alerts")
    (alert,) = json.loads(text)["data"]["alerts"]
    assert status == 200
    assert alert["labels"] == {"alertname": "Busy", "destination_service_name": "productpage", "severity": "info"}
    assert alert["annotations"]["summary"].startswith("productpage has had ")
    bookinfo.kubectl("delete", "configmap", "prometheus", "-n", "istio-system")
    wait_until(lambda: not bookinfo.query("ALERTS"), "the alert is gone with its rule")


def test_the_console_uses_the_prometheus_it_is_told(bookinfo: Mesh, prometheus: str) -> None:
    ours = bookinfo.environment["KAIKI_METRICS_URL"]
    bookinfo.kaiki("install", "-y", "--metrics-url", prometheus)
    visit(bookinfo)
    visit(bookinfo)

    def edges() -> int:
        visit(bookinfo)
        return len(bookinfo.graph(duration="60s")["edges"])

    wait_until(lambda: edges() >= 4, "the console draws Prometheus's numbers", timeout_seconds=60)
    newest = 'max(timestamp(istio_requests_total{job="kubernetes-pods"}))'
    wait_until(lambda: answers(bookinfo, f"{ours}/-/ready"), "the embedded process is back")
    assert time.time() - next(iter(ask(bookinfo, prometheus, newest).values())) < 60
    wait_until(lambda: not ask(bookinfo, ours, "rate(istio_requests_total[5s])"), "the embedded store scrapes no more")
    bookinfo.kaiki("install", "-y")
    wait_until(lambda: bool(ask(bookinfo, ours, "rate(istio_requests_total[10s])")), "it scrapes again")


class Jaeger(http.server.BaseHTTPRequestHandler):
    """Jaeger's query API as far as the console asks for services: one that no proxy of this mesh has told of."""

    def do_GET(self) -> None:
        found = self.path.startswith("/jaeger/api/services")
        body = json.dumps({"data": ["elsewhere"], "total": 1} if found else {"data": None}).encode()
        self.send_response(200 if found else 404)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def test_the_console_uses_the_traces_it_is_told(bookinfo: Mesh) -> None:
    def services() -> list[str]:
        try:
            found: list[str] = bookinfo.console("/api/tracing/services")["data"]
        except AssertionError:  # The console is starting again.
            return ["not there"]
        return found

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Jaeger) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/jaeger"
        bookinfo.kaiki("install", "-y", "--tracing-url", url)
        wait_until(lambda: services() == ["elsewhere"], "the console asks the other store")
        bookinfo.kaiki("install", "-y")
        wait_until(lambda: services() == [], "it asks its own again")
        server.shutdown()
