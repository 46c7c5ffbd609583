"""Whatever goes wrong, the numbers are right: counts across restarts, labels and flags of every kind of failure.

here ──▶ gateway ──▶ client (namespace near, injected) ──▶ echo-v1, echo-v2 (near)
                └──▶ client (namespace plain, not injected) ──▶ echo
"""

from __future__ import annotations

import collections
import contextlib
import http.server
import json
import shutil
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml
from load import SteadyLoad
from mesh import SAMPLES, Mesh, wait_until
from test_crashes import find, is_sidecar_of, kill
from test_traffic import run_pod

pytestmark = pytest.mark.e2e

OBJECTS = """
apiVersion: v1
kind: Service
metadata: {name: refused, namespace: near}
spec:
  selector: {app: echo}
  ports: [{name: http, port: 8080, targetPort: 8099}]
---
apiVersion: v1
kind: Service
metadata: {name: empty, namespace: near}
spec:
  selector: {app: nobody}
  ports: [{name: http, port: 8080}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: echo, namespace: near}
spec:
  hosts: [echo]
  http:
  - match: [{uri: {prefix: /slow}}]
    timeout: 0.3s
    route: [{destination: {host: echo}}]
  - match: [{uri: {prefix: /aborted}}]
    fault: {abort: {percentage: {value: 100}, httpStatus: 418}}
    route: [{destination: {host: echo}}]
  - match: [{uri: {prefix: /delayed}}]
    fault: {delay: {percentage: {value: 100}, fixedDelay: 0.1s}}
    route: [{destination: {host: echo}}]
  - match: [{uri: {prefix: /nowhere}}]
    route: [{destination: {host: echo, subset: none}}]
  - match: [{uri: {prefix: /fine}}]
    route: [{destination: {host: echo}}]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: clients, namespace: near}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [near.test, plain.test]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: clients, namespace: near}
spec:
  hosts: [near.test]
  gateways: [clients]
  http: [{route: [{destination: {host: client.near.svc.cluster.local}}]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: plain-clients, namespace: near}
spec:
  hosts: [plain.test]
  gateways: [clients]
  http: [{route: [{destination: {host: client.plain.svc.cluster.local}}]}]
"""
ECHO, CLIENT = "http://echo:8080", "client"


def client(namespace: str) -> list[dict[str, Any]]:
    """A Deployment and a Service `client`, made from the sample."""
    documents = list(yaml.safe_load_all((SAMPLES / "echo" / "echo.yaml").read_text()))
    service = next(one for one in documents if one["kind"] == "Service")
    deployment = next(one for one in documents if one["kind"] == "Deployment")
    text = json.dumps([service, deployment]).replace("echo-v1", CLIENT).replace('"app": "echo"', '"app": "client"')
    made: list[dict[str, Any]] = json.loads(text)
    made[0]["metadata"]["name"] = CLIENT
    del made[1]["spec"]["template"]["spec"]["serviceAccountName"]
    for one in made:
        one["metadata"]["namespace"] = namespace
    return made


@pytest.fixture(scope="module")
def walk(bookinfo: Mesh) -> Mesh:
    """Bookinfo, and clients that can be told what to send."""
    mesh = bookinfo
    for name in ("near", "plain"):
        mesh.kubectl("create", "namespace", name)
    mesh.kubectl("label", "namespace", "near", "istio-injection=enabled")
    mesh.kubectl("apply", "-n", "near", "-f", str(SAMPLES / "echo" / "echo.yaml"))
    objects = [*yaml.safe_load_all(OBJECTS), *client("near"), *client("plain")]
    mesh.kubectl("apply", "-f", "-", given=yaml.safe_dump_all(objects))
    for namespace in ("near", "plain"):
        mesh.kubectl("wait", "--for=condition=Available", "deployment", "--all", "-n", namespace, "--timeout=60s")
    wait_until(lambda: send(mesh, {"url": f"{ECHO}/fine"})[0].get("status") == 200, "the client reaches echo")
    wait_until(lambda: "status" in send(mesh, {"url": "http://echo.near:8080/fine"}, via="plain")[0], "the other too")
    return mesh


def send(mesh: Mesh, *requests: dict[str, Any], via: str = "near") -> list[dict[str, Any]]:
    """Let the client of a namespace send all these at the same time."""
    ask = urllib.request.Request(
        f"{mesh.gateway}/relay", json.dumps(requests).encode(), {"host": f"{via}.test"}, method="POST"
    )
    with urllib.request.urlopen(ask, timeout=60) as response:
        answers: list[dict[str, Any]] = json.load(response)
    return answers


def increases(mesh: Mesh, selector: str, since: float) -> float:
    """Requests counted since a moment, exactly, whatever has ended or started again meanwhile."""
    expression = f"sum(increase(istio_requests_total{{{selector}}}[{int(time.time() - since) + 1}s]))"
    asked = urllib.parse.urlencode({"query": expression, "increase": "exact"})
    status, text = mesh.get(f"{mesh.environment['KAIKI_METRICS_URL']}/api/v1/query?{asked}")
    assert status == 200, text
    result = json.loads(text)["data"]["result"]
    return float(result[0]["value"][1]) if result else 0.0


def settle(read: Callable[[], Any], expected: Any, what: str, timeout_seconds: float = 25.0) -> None:
    """Return when `read` gives what is expected; say what it gave instead when it never does."""
    deadline = time.monotonic() + timeout_seconds
    seen = None
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            if (seen := read()) == expected:
                return
        time.sleep(0.5)
    assert seen == expected, what


# Labels and flags ----------------------------------------------------------------------------------------------------

SENT = 4
"""Requests of each kind."""
Row = tuple[str, str, str, str, str, str, str]
COLUMNS = (
    "reporter",
    "connection_security_policy",
    "source_canonical_service",
    "destination_canonical_service",
    "destination_service_name",
    "response_code",
    "response_flags",
)


@pytest.fixture(scope="module")
def outside() -> Iterator[int]:
    """The port of a server on this machine, outside of the mesh."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def totals(mesh: Mesh, metric: str = "istio_requests_total", more: str = "") -> collections.Counter[Row]:
    """All counts of what the clients sent, so far."""
    selector = f'{{source_canonical_service=~"client|unknown", destination_service_name!="client"{more}}}'
    rows = mesh.query(f"sum by ({', '.join(COLUMNS)}) ({metric}{selector})")
    return collections.Counter(
        {tuple(row["metric"].get(name, "") for name in COLUMNS): int(float(row["value"][1])) for row in rows}
    )


def from_client(server: str, service: str, code: str, flags: str = "-") -> Row:
    return ("source", "unknown", CLIENT, server, service, code, flags)


def at_echo(service: str, code: str, flags: str = "-", client: str = CLIENT) -> Row:
    return ("destination", "none" if client == "unknown" else "mutual_tls", client, "echo", service, code, flags)


KINDS: dict[str, tuple[str, int, tuple[Row, ...]]] = {
    "answered": ("/fine", 200, (from_client("echo", "echo", "200"), at_echo("echo", "200"))),
    "the application's failure": (
        "/fine?status=500",
        500,
        (from_client("echo", "echo", "500"), at_echo("echo", "500")),
    ),
    "too slow": (
        "/slow?delay=1",
        504,
        (from_client("echo", "echo", "504", "UT"), at_echo("echo", "0", "DC")),
    ),
    "fault": ("/aborted", 418, (from_client("unknown", "echo", "418", "FI"),)),
    "delay": ("/delayed", 200, (from_client("echo", "echo", "200", "DI"), at_echo("echo", "200"))),
    "no such subset": ("/nowhere", 503, (from_client("unknown", "BlackHoleCluster", "503", "UH"),)),
    "no route": ("/missing", 404, (from_client("unknown", "unknown", "404", "NR"),)),
    "connection refused": (
        "http://refused:8080/",
        503,
        # Two retries: the server's side sees every attempt.
        (from_client("echo", "refused", "503", "URX"), *[at_echo("refused", "503", "UF")] * 3),
    ),
    "no endpoint": ("http://empty:8080/", 503, (from_client("unknown", "empty", "503", "UH"),)),
}
FROM_OUTSIDE = at_echo("echo", "200", client="unknown")
PASSED = from_client("unknown", "PassthroughCluster", "200")


def test_every_outcome_has_its_labels_and_flags(walk: Mesh, outside: int) -> None:
    before, expected = quiet(walk), collections.Counter[Row]()
    tcp_before = walk.value(PASSED_CONNECTIONS)
    urls = {name: url if "://" in url else ECHO + url for name, (url, _, _) in KINDS.items()}
    answers = send(walk, *[{"url": url} for url in urls.values() for _ in range(SENT)])
    statuses = iter(answer.get("status") for answer in answers)
    for name, (_, status, rows) in KINDS.items():
        assert [next(statuses) for _ in range(SENT)] == [status] * SENT, name
        expected.update({row: SENT * rows.count(row) for row in rows})
    # An undeclared port is a TCP connection, a port that some service declares HTTP for is HTTP.
    for url in (f"http://host.kaiki.internal:{outside}/", "http://host.kaiki.internal:9080/"):
        send(walk, *[{"url": url}] * SENT)
    plain = send(walk, *[{"url": "http://echo.near:8080/fine"}] * SENT, via="plain")
    assert [answer.get("status") for answer in plain] == [200] * SENT
    expected[FROM_OUTSIDE] += SENT

    def counted() -> dict[Row, int]:
        difference = totals(walk)
        difference.subtract(before)
        return {row: count for row, count in difference.items() if count and "PassthroughCluster" not in row}

    settle(counted, dict(expected), "what both ends counted is what was sent, and nothing else")
    settle(lambda: walk.value(PASSED_CONNECTIONS) - tcp_before, SENT, "connections that left the mesh")


PASSED_CONNECTIONS = 'sum(istio_tcp_connections_opened_total{destination_service_name="PassthroughCluster"})'


def quiet(mesh: Mesh) -> collections.Counter[Row]:
    """The totals when no more arrive."""
    previous: collections.Counter[Row] | None = None
    while (current := totals(mesh)) != previous:
        previous = current
        time.sleep(4)
    return current


def test_the_graph_draws_what_failed_and_where_it_went(walk: Mesh, outside: int) -> None:
    # All anew: what an earlier test sent may have left the window, and a test runs by itself too.
    urls = [f"{ECHO}/missing", f"{ECHO}/nowhere", "http://empty:8080/", f"http://host.kaiki.internal:{outside}/"]
    send(walk, *[{"url": url} for url in urls for _ in range(SENT)])
    send(walk, *[{"url": "http://echo.near:8080/fine"}] * SENT, via="plain")

    def drawn() -> dict[str, str]:
        graph = walk.graph("300s", "near")
        return {edge["id"]: edge["health"]["status"] for edge in graph["edges"]}

    client, failure = "workload:near/client", "failure"
    expected = {
        f"{client}>blackhole|http": failure,
        f"{client}>unknown:|http": failure,
        f"{client}>service:near/empty|http": failure,
        f"{client}>passthrough|tcp": "healthy",
        "unknown>workload:near/echo-v1|http": "healthy",
    }
    settle(lambda: {name: drawn().get(name) for name in expected}, expected, "nodes and colours")


def increases_of(mesh: Mesh, metric: str, name: str, before: float) -> Callable[[], float]:
    selector = f'{metric}{{reporter="source",source_canonical_service="client",{name}}}'
    return lambda: mesh.value(f"sum({selector})") - before


def test_requests_that_leave_the_mesh_or_may_not_are_counted(walk: Mesh, outside: int) -> None:
    # A port that a Service declares HTTP for is HTTP, to whatever host.
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "declared", "namespace": "near"},
        "spec": {"ports": [{"name": "http", "port": outside}]},
    }
    walk.kubectl("apply", "-f", "-", given=json.dumps(service))
    url = {"url": f"http://host.kaiki.internal:{outside}/"}
    passed = 'destination_service_name="PassthroughCluster",response_code="200",response_flags="-"'
    blocked = 'destination_service_name="BlackHoleCluster",response_code="502"'

    def seen(name: str) -> bool:
        send(walk, url)
        return walk.value(f'sum(istio_requests_total{{source_canonical_service="client",{name}}})') > 0

    wait_until(lambda: seen(passed), "a request that left is counted", every_seconds=1)
    quiet(walk)
    before = walk.value(f'sum(istio_requests_total{{source_canonical_service="client",{passed}}})')
    assert [one["status"] for one in send(walk, *[url] * SENT)] == [200] * SENT
    settle(increases_of(walk, "istio_requests_total", passed, before), SENT, "requests that left the mesh")
    sidecar = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "Sidecar",
        "metadata": {"name": "closed", "namespace": "near"},
        "spec": {"outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}},
    }
    walk.kubectl("apply", "-f", "-", given=json.dumps(sidecar))
    try:
        wait_until(lambda: seen(blocked), "a request that may not leave is counted", every_seconds=1)
        quiet(walk)
        before = walk.value(f'sum(istio_requests_total{{source_canonical_service="client",{blocked}}})')
        assert [one["status"] for one in send(walk, *[url] * SENT)] == [502] * SENT
        settle(increases_of(walk, "istio_requests_total", blocked, before), SENT, "requests that may not leave")
    finally:
        walk.kubectl("delete", "sidecar", "closed", "-n", "near")
        walk.kubectl("delete", "service", "declared", "-n", "near")


# gRPC ----------------------------------------------------------------------------------------------------------------


def test_grpc_calls_have_their_status_and_messages_are_counted(walk: Mesh) -> None:
    folder = SAMPLES / "grpc-echo"
    walk.kubectl("apply", "-n", "near", "-f", str(folder / "grpc-echo.yaml"))
    walk.kubectl("rollout", "status", "deployment/grpc-echo", "-n", "near", "--timeout=60s")
    program = [sys.executable, str(folder / "grpc_echo.py"), "call", "grpc-echo:7000"]
    # A pod that ends by itself takes along what its proxy counted in the last interval.
    script = f"{' '.join(program)} Echo 3; {' '.join(program)} Chat 12; {' '.join(program)} Fail; sleep 4"
    assert run_pod(walk, "caller", ["sh", "-c", script], "near", inject=True).split("\n")[:3] == [
        "OK 3",
        "OK 24",
        "UNAVAILABLE 0",
    ]
    chosen = 'request_protocol="grpc", destination_service_name="grpc-echo", reporter="%s"'
    expected = {
        "istio_requests_total": {"0": 4, "14": 1},
        "istio_request_messages_total": {"0": 3 + 12, "14": 1},
        "istio_response_messages_total": {"0": 3 + 24, "14": 0},
    }

    def counted(reporter: str) -> dict[str, dict[str, float]]:
        return {name: by_status(walk, f"{name}{{{chosen % reporter}}}") for name in expected}

    # Retries of the failed call are the client's proxy's: the server's side sees each.
    tried = {name: {**counts, "14": 3 * counts["14"]} for name, counts in expected.items()}
    settle(lambda: counted("destination"), tried, "what the server's side counted")
    settle(lambda: counted("source"), expected, "what the client's side counted")


def by_status(mesh: Mesh, selector: str) -> dict[str, float]:
    """Sums by gRPC status, of pods that may have ended too."""
    rows = mesh.query(f"sum by (grpc_response_status) (last_over_time({selector}[3m]))")
    return {row["metric"]["grpc_response_status"]: float(row["value"][1]) for row in rows}


def test_http2_is_counted_as_http_by_both_sides(walk: Mesh) -> None:
    quiet(walk)
    chosen = 'request_protocol="http", destination_service_name="echo", source_canonical_service="%s"'
    urls = ["http://echo.near:8080/fine"] * 5
    one = "curl -sS --http2-prior-knowledge -o /dev/null -w '%{http_version} %{http_code}\\n'"
    script = "; ".join([*(f"{one} {url}" for url in urls), "sleep 4"])
    said = run_pod(walk, "http2", ["sh", "-c", script], "near", inject=True).splitlines()
    assert said == ["2 200"] * len(urls)

    def counted(reporter: str) -> float:
        selector = f'istio_requests_total{{{chosen % "http2"}, reporter="{reporter}", response_code="200"}}'
        return sum(float(row["value"][1]) for row in walk.query(f"sum(last_over_time({selector}[3m]))"))

    settle(lambda: [counted(reporter) for reporter in ("source", "destination")], [5, 5], "requests, on both sides")


# Counts across failures ----------------------------------------------------------------------------------------------

TO_PAGES = 'destination_workload="productpage-v1"'
TO_REVIEWS = 'destination_service_name="reviews"'


def of_both(mesh: Mesh, selector: str, since: float) -> dict[str, float]:
    return {
        reporter: increases(mesh, f'reporter="{reporter}",{selector}', since) for reporter in ("source", "destination")
    }


def both(count: float) -> dict[str, float]:
    return {"source": count, "destination": count}


@pytest.mark.parametrize("command", ["kaiki metrics", "kaiki control-plane"])
def test_counts_are_exact_across_the_end_of(walk: Mesh, command: str) -> None:
    quiet(walk)
    since = time.time()
    with SteadyLoad(f"{walk.gateway}/productpage") as load:
        load.wait_for_more(30)
        kill(find(walk, lambda process: command in process.command))
        load.wait_for_more(80)
    assert load.failures == {}
    sent = load.outcomes.total()
    settle(lambda: of_both(walk, TO_PAGES, since), both(sent), "pages")
    settle(lambda: of_both(walk, TO_REVIEWS, since), both(sent), "reviews")


def test_counts_are_exact_across_a_rolling_restart(walk: Mesh) -> None:
    quiet(walk)
    since = time.time()
    with SteadyLoad(f"{walk.gateway}/productpage") as load:
        load.wait_for_more(20)
        walk.kubectl("rollout", "restart", "deployment/reviews-v2")
        walk.kubectl("rollout", "status", "deployment/reviews-v2", "--timeout=60s")
        load.wait_for_more(40)
    assert load.failures == {}
    sent = load.outcomes.total()
    settle(lambda: of_both(walk, TO_PAGES, since), both(sent), "pages")
    settle(lambda: of_both(walk, TO_REVIEWS, since), both(sent), "reviews")


def test_a_killed_proxy_costs_at_most_an_interval(walk: Mesh) -> None:
    rate, interval = 20, 3
    quiet(walk)
    since = time.time()
    pod = walk.pods(selector="app=ratings")[0]["metadata"]["name"]
    with SteadyLoad(f"{walk.gateway}/productpage", rate) as load:
        load.wait_for_more(60)
        kill(find(walk, lambda process: is_sidecar_of(process, pod)))
        load.wait_for_more(60)
    selector = 'destination_workload="ratings-v1"'
    previous: dict[str, float] = {}
    while (now := of_both(walk, selector, since)) != previous:
        previous = now
        time.sleep(4)
    assert now["source"] - rate * interval <= now["destination"] <= now["source"]


def test_the_graph_counts_what_was_sent(walk: Mesh) -> None:
    quiet(walk)
    time.sleep(3)  # Nor may anything of the tests before be in the window.
    started = time.time()
    for _ in range(26):
        walk.get(f"{walk.gateway}/productpage")

    def requests() -> list[float]:
        graph = walk.graph(f"{int(time.time() - started) + 3}s", "default")
        wanted = "gateway:istio-system/istio-ingressgateway>workload:default/productpage-v1|http"
        return [edge["requestCount"] for edge in graph["edges"] if edge["id"] == wanted]

    settle(requests, [26], "the count on the first edge")


# Metrics of other things ---------------------------------------------------------------------------------------------

OWN_METRICS = """
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"# TYPE tea_cups_total counter\\n" + b'tea_cups_total{kind="green"} 7\\n' * (self.path == "/own")
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer(("0.0.0.0", 9100), Handler).serve_forever()
"""


def test_an_applications_own_metrics_are_stored_with_its_pods_labels(walk: Mesh) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "tea",
            "namespace": "near",
            "labels": {"app": "tea", "version": "v1"},
            "annotations": {
                "prometheus.io/scrape": "true",
                "prometheus.io/port": "9100",
                "prometheus.io/path": "/own",
            },
        },
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "containers": [
                {"name": "main", "image": "kaiki/host:local", "command": ["python3", "-c", OWN_METRICS]},
            ],
        },
    }
    walk.kubectl("apply", "-f", "-", given=json.dumps(pod))
    labels = 'app="tea", version="v1", namespace="near", pod="tea", kind="green"'
    settle(lambda: walk.value(f"tea_cups_total{{{labels}}}"), 7, "the application's counter")
    for port in (9100, 15020):
        settle(lambda: walk.value(f'up{{pod="tea", instance=~".*:{port}"}}'), 1, f"port {port} is scraped")  # noqa: B023
    walk.kubectl("delete", "pod", "tea", "-n", "near", "--wait=false")
    settle(lambda: walk.value("count(tea_cups_total)"), 0, "its end")


def test_the_control_planes_metrics_have_istios_names(walk: Mesh) -> None:
    walk.kubectl("annotate", "virtualservice", "echo", "-n", "near", "touched=yes")
    settle(lambda: walk.value('sum(galley_validation_passed{app="istiod"})') > 0, True, "objects that were checked")
    for name in ("pilot_xds", "pilot_xds_pushes", "pilot_proxy_convergence_time_count"):
        assert walk.value(f'count({name}{{app="istiod"}})') > 0, name
    assert walk.query("istio_build")[0]["metric"]["component"] == "pilot"


# Access logs ---------------------------------------------------------------------------------------------------------


def test_the_mesh_config_turns_access_logs_on(walk: Mesh) -> None:
    def logs(path: str) -> list[int]:
        """Lines with a path, at the caller's and the server's side."""
        walk.get(f"{walk.gateway}{path}")
        gateway = walk.kubectl("logs", "-n", "istio-system", "deployment/istio-ingressgateway")
        server = walk.kubectl("logs", "deployment/productpage-v1", "-c", "istio-proxy")
        return [
            len([line for line in text.splitlines() if f'"GET {path} HTTP/1.1" 200 ' in line])
            for text in (gateway, server)
        ]

    def configure(file: str) -> None:
        data = {"data": {"mesh": yaml.safe_dump({"accessLogFile": file})}}
        walk.kubectl("patch", "configmap", "istio", "-n", "istio-system", "--type=merge", "-p", json.dumps(data))

    assert logs("/productpage?u=before") == [0, 0]
    configure("/dev/stdout")
    try:
        wait_until(lambda: all(logs("/productpage?u=during")), "a line on both sides", every_seconds=1)
    finally:
        configure("")


# A client of Prometheus' own -----------------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool on this machine")
def test_promtool_asks_the_store(walk: Mesh) -> None:
    url = walk.environment["KAIKI_METRICS_URL"]
    for query, part in (
        ("count by (app) (up)", '{app="istiod"} => 1'),
        ("istio_build", 'component="pilot"'),
        ("sum(pilot_xds)", "=> "),
    ):
        assert part in walk.command("promtool", "query", "instant", url, query)
    assert "istio_requests_total" in walk.command("promtool", "query", "series", "--match=istio_requests_total", url)
    labels = walk.command("promtool", "query", "labels", url, "job").split()
    assert "kubernetes-pods" in labels
