"""Every traffic feature, on real requests: an application in the mesh sends them, another says what reached it.

    here ──▶ gateway ──▶ client (namespace near, injected) ──▶ echo-v1, echo-v2 (near)
                    └──▶ client (namespace plain, not injected) ──▶ …

All objects are applied once; a test only sends and looks.
"""

from __future__ import annotations

import collections
import http.server
import json
import socket
import sys
import threading
import urllib.request
import uuid
from collections.abc import Iterator
from typing import Any

import changes
import pytest
import yaml
from mesh import SAMPLES, Mesh, wait_until

pytestmark = pytest.mark.e2e

Answer = dict[str, Any]

SERVICES = """
apiVersion: v1
kind: Service
metadata: {name: named, namespace: near}
spec:
  clusterIP: None
  selector: {app: named}
  ports: [{name: http, port: 8080}]
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: named, namespace: near}
spec:
  serviceName: named
  replicas: 2
  podManagementPolicy: Parallel
  selector: {matchLabels: {app: named}}
  template:
    metadata: {labels: {app: named}}
    spec:
      terminationGracePeriodSeconds: 2
      containers:
      - name: echo
        image: kaiki/echo:1
        env: [{name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]
        readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: echo-auto, namespace: near}
spec:
  selector: {app: echo}
  ports: [{name: web, port: 8080}, {name: lines, port: 9000}]
---
apiVersion: v1
kind: Service
metadata: {name: echo-headless, namespace: near}
spec:
  clusterIP: None
  selector: {app: echo}
  ports: [{name: http, port: 8080}, {name: tcp-lines, port: 9000}]
---
apiVersion: v1
kind: Service
metadata: {name: echo-empty, namespace: near}
spec:
  selector: {app: nobody}
  ports: [{name: http, port: 8080}]
---
apiVersion: v1
kind: Service
metadata: {name: calls, namespace: near}
spec:
  selector: {app: calls}
  ports: [{name: grpc, port: 7000}, {name: undeclared, port: 7001, targetPort: 7000}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: echo, namespace: near}
spec:
  host: echo
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: client, namespace: near}
spec:
  host: client
  trafficPolicy: {connectionPool: {tcp: {idleTimeout: 1s}}}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: tests, namespace: near}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 80, name: http, protocol: HTTP}
    hosts: ["*.test"]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: near, namespace: near}
spec:
  hosts: [near.test]
  gateways: [tests]
  http: [{route: [{destination: {host: client}}]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: plain, namespace: near}
spec:
  hosts: [plain.test]
  gateways: [tests]
  http: [{route: [{destination: {host: client.plain.svc.cluster.local}}]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: merged-one, namespace: near}
spec:
  hosts: [merged.test]
  gateways: [tests]
  http: [{match: [{uri: {prefix: /one}}], route: [{destination: {host: echo, subset: v1}}]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: merged-two, namespace: near}
spec:
  hosts: [merged.test]
  gateways: [tests]
  http: [{match: [{uri: {prefix: /two}}], route: [{destination: {host: echo, subset: v2}}]}]
"""

V1 = [{"destination": {"host": "echo", "subset": "v1"}}]
V2 = [{"destination": {"host": "echo", "subset": "v2"}}]
BOTH = [
    {"destination": {"host": "echo", "subset": "v1"}, "weight": 80},
    {"destination": {"host": "echo.near.svc.cluster.local", "subset": "v2"}, "weight": 20},
]


def prefix(path: str) -> dict[str, Any]:
    return {"uri": {"prefix": path}}


MATCHES: dict[str, dict[str, Any]] = {
    "exact": {"uri": {"exact": "/exact"}},
    "prefix": {"uri": {"prefix": "/prefix"}},
    "regex": {"uri": {"regex": "/regex/[0-9]+"}},
    "any-case": {"uri": {"prefix": "/CaSeD"}, "ignoreUriCase": True},
    "header": {**prefix("/match"), "headers": {"x-kind": {"exact": "header"}}},
    "header-regex": {**prefix("/match"), "headers": {"x-kind": {"regex": "a+b"}}},
    "header-present": {**prefix("/match"), "headers": {"x-there": {}}},
    "method": {**prefix("/match"), "method": {"exact": "DELETE"}},
    "query": {**prefix("/match"), "queryParams": {"mode": {"exact": "special"}}},
    "query-prefix": {**prefix("/match"), "queryParams": {"mode": {"prefix": "be"}}},
    "authority": {**prefix("/match"), "authority": {"exact": "echo.near:8080"}},
    "source": {**prefix("/from"), "sourceLabels": {"app": "client"}, "sourceNamespace": "near"},
    "not-source": {**prefix("/from"), "sourceLabels": {"app": "other"}},
    "without": {**prefix("/without"), "withoutHeaders": {"x-not": {"exact": "me"}}},
    "without-else": prefix("/without"),
}
ACTIONS: dict[str, dict[str, Any]] = {
    "weights": {"route": BOTH},
    "rewrite": {"rewrite": {"uri": "/new/", "authority": "other.example"}, "route": V1},
    "rewrite-root": {"rewrite": {"uri": "/"}, "route": V1},
    "rewrite-regex": {
        "rewrite": {"uriRegexRewrite": {"match": "^/rewrite-regex/([^/]+)/(.*)$", "rewrite": "/\\2/\\1"}},
        "route": V1,
    },
    "redirect": {"redirect": {"uri": "/there", "authority": "elsewhere.example", "redirectCode": 302}},
    "answer": {"directResponse": {"status": 418, "body": {"string": "short and stout"}}},
    "headers": {
        "headers": {
            "request": {"set": {"x-set": "new", "Host": "set.example"}, "add": {"x-add": "more"}, "remove": ["x-gone"]},
            "response": {"set": {"x-answer": "set"}, "add": {"x-also": "1"}, "remove": ["x-secret"]},
        },
        "route": V1,
    },
    "destination-headers": {
        "route": [
            {**V1[0], "headers": {"request": {"set": {"x-set": "one"}}, "response": {"add": {"x-answer": "one"}}}}
        ],
    },
    "timeout": {"timeout": "0.5s", "route": V1},
    "retries": {"retries": {"attempts": 3, "retryOn": "5xx"}, "route": V1},
    "codes": {"retries": {"attempts": 2, "retryOn": "500,connect-failure"}, "route": V1},
    "tries": {"retries": {"attempts": 2, "perTryTimeout": "0.3s", "retryOn": "5xx"}, "route": V1},
    "once": {"retries": {"attempts": 0}, "route": V1},
    "default": {"route": V1},
    "abort": {"fault": {"abort": {"httpStatus": 409, "percentage": {"value": 100}}}, "route": V1},
    "half": {"fault": {"abort": {"httpStatus": 409, "percentage": {"value": 50}}}, "route": V1},
    "delay": {"fault": {"delay": {"fixedDelay": "1s", "percentage": {"value": 100}}}, "route": V1},
    "some-delay": {"fault": {"delay": {"fixedDelay": "1s", "percentage": {"value": 50}}}, "route": V1},
    "mirror": {"mirror": {"host": "echo", "subset": "v2"}, "mirrorPercentage": {"value": 100}, "route": V1},
    "half-mirror": {"mirrors": [{"destination": V2[0]["destination"], "percentage": {"value": 50}}], "route": V1},
    "cors": {
        "corsPolicy": {
            "allowOrigins": [{"exact": "https://good.example"}, {"regex": "https://[a-z]+\\.also\\.example"}],
            "allowMethods": ["GET", "PUT"],
            "allowHeaders": ["x-custom"],
            "maxAge": "1h",
            "allowCredentials": True,
        },
        "route": V1,
    },
    "subset": {"route": V2},
    "no-subset": {"route": [{"destination": {"host": "echo", "subset": "none"}}]},
    "no-host": {"route": [{"destination": {"host": "nobody"}}]},
}


def virtual_service() -> dict[str, Any]:
    """All routes of `echo`: first those that tell by a match, then one per action below a path of its name."""
    named = [
        {"name": name, "match": [match], "headers": {"response": {"set": {"x-route": name}}}, "route": V1}
        for name, match in MATCHES.items()
    ]
    counts = [
        {"match": [{**prefix("/count"), "headers": {"x-version": {"exact": version}}}], "route": shares}
        for version, shares in (("v1", V1), ("v2", V2))
    ]
    acting = [
        {"name": name, "match": [{"uri": {"prefix": f"/{name}/"}}, {"uri": {"exact": f"/{name}"}}], **action}
        for name, action in ACTIONS.items()
    ]
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "echo", "namespace": "near"},
        "spec": {"hosts": ["echo"], "http": [*counts, *named, *acting, {"name": "rest", "route": V1}]},
    }


def client(namespace: str) -> list[dict[str, Any]]:
    """A Deployment and a Service `client`, made from the sample."""
    documents = list(yaml.safe_load_all((SAMPLES / "echo" / "echo.yaml").read_text()))
    service = next(one for one in documents if one["kind"] == "Service")
    deployment = next(one for one in documents if one["kind"] == "Deployment")
    text = json.dumps([service, deployment]).replace("echo-v1", "client").replace('"app": "echo"', '"app": "client"')
    made: list[dict[str, Any]] = json.loads(text)
    made[0]["metadata"]["name"] = "client"
    del made[1]["spec"]["template"]["spec"]["serviceAccountName"]
    for one in made:
        one["metadata"]["namespace"] = namespace
    return made


CALLS = """
import grpc, sys
from concurrent.futures import ThreadPoolExecutor
def serve(number, details):
    return grpc.unary_unary_rpc_method_handler(lambda request, context: request + b" answered")
class Any(grpc.GenericRpcHandler):
    def service(self, details):
        return serve(0, details)
server = grpc.server(ThreadPoolExecutor(4), handlers=(Any(),))
server.add_insecure_port("0.0.0.0:7000")
server.start()
server.wait_for_termination()
"""
CALL = """
import grpc, json, subprocess
def ask(port):
    with grpc.insecure_channel(f"calls.near:{port}") as channel:
        call = channel.unary_unary("/test.Calls/Call")
        return [call(b"call", timeout=20).decode() for _ in range(3)]
fetch = ["curl", "-sS", "--max-time", "20", "-w", "\\n%{http_version} %{http_code}", "-o", "/dev/null"]
def curl(*arguments):
    return subprocess.run([*fetch, *arguments], capture_output=True, text=True).stdout.strip()
print(json.dumps({
    "declared": ask(7000),
    "sniffed": ask(7001),
    "upgraded": curl("--http2-prior-knowledge", "http://echo.near:8080/prefix"),
    "plain": curl("http://echo.near:8080/prefix"),
}))
"""


def host_pod(name: str, *command: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "near", "labels": {"app": name}},
        "spec": {
            "restartPolicy": "Never",
            "containers": [{"name": "main", "image": "kaiki/host:local", "command": list(command)}],
        },
    }


class Walk:
    """Requests from inside the mesh."""

    def __init__(self, mesh: Mesh) -> None:
        self.mesh = mesh

    def send(self, *requests: dict[str, Any], via: str = "near") -> list[Answer]:
        """Let the client of a namespace send all these at the same time."""
        ask = urllib.request.Request(
            f"{self.mesh.gateway}/relay", json.dumps(requests).encode(), {"host": f"{via}.test"}, method="POST"
        )
        with urllib.request.urlopen(ask, timeout=60) as response:
            answers: list[Answer] = json.load(response)
        return answers

    def get(self, path: str, headers: dict[str, str] | None = None, via: str = "near", **rest: Any) -> Answer:
        """One request of `echo` (or of the host of a whole URL)."""
        url = path if "://" in path else f"http://echo.near:8080{path}" if via == "plain" else f"http://echo:8080{path}"
        return self.send({"url": url, "headers": headers or {}, **rest}, via=via)[0]

    def said(self, path: str, headers: dict[str, str] | None = None, via: str = "near", **rest: Any) -> Answer:
        """What the echo says of one request, which must have succeeded."""
        answer = self.get(path, headers, via, **rest)
        assert answer.get("status") == 200, answer
        said: Answer = json.loads(answer["body"])
        return said

    def route(self, path: str, headers: dict[str, str] | None = None, **rest: Any) -> str:
        """The name of the route that took a request."""
        answer = self.get(path, headers, **rest)
        assert answer["status"] == 200, answer
        return str(answer["headers"].get("x-route", ""))

    def count(self, key: str, version: str = "v1") -> int:
        """How many requests of a key have arrived at a version."""
        return int(self.get(f"/count?key={key}", {"x-version": version})["body"])


@pytest.fixture(scope="module")
def walk(bookinfo: Mesh) -> Walk:
    mesh = bookinfo
    for name in ("near", "plain"):
        mesh.kubectl("create", "namespace", name)
    mesh.kubectl("label", "namespace", "near", "istio-injection=enabled")
    mesh.kubectl("apply", "-n", "near", "-f", str(SAMPLES / "echo" / "echo.yaml"))
    objects = [
        *yaml.safe_load_all(SERVICES),
        *client("near"),
        *client("plain"),
        virtual_service(),
        host_pod("calls", sys.executable, "-c", CALLS),
    ]
    mesh.kubectl("apply", "-f", "-", given=yaml.safe_dump_all(objects))
    for namespace in ("near", "plain"):
        mesh.kubectl("wait", "--for=condition=Available", "deployment", "--all", "-n", namespace, "--timeout=60s")
    walk = Walk(mesh)
    wait_until(lambda: walk.get("/prefix").get("status") == 200, "the client reaches echo through the gateway")
    wait_until(lambda: walk.get("/", via="plain").get("status") == 200, "the other client too")
    return walk


def key() -> str:
    return uuid.uuid4().hex


# Matching ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "headers", "method", "route"),
    [
        ("/exact", {}, "GET", "exact"),
        ("/exact?with=query", {}, "GET", "exact"),
        ("/exact/more", {}, "GET", ""),
        ("/prefix", {}, "GET", "prefix"),
        ("/prefixed/more", {}, "GET", "prefix"),
        ("/regex/123", {}, "GET", "regex"),
        ("/regex/123?with=query", {}, "GET", "regex"),
        ("/regex/12x", {}, "GET", ""),
        ("/cAsEd/x", {}, "GET", "any-case"),
        ("/EXACT", {}, "GET", ""),
        ("/match", {"x-kind": "header"}, "GET", "header"),
        ("/match", {"X-Kind": "aaab"}, "GET", "header-regex"),
        ("/match", {"x-kind": "aaabc"}, "GET", ""),
        ("/match", {"x-there": "anything"}, "GET", "header-present"),
        ("/match", {}, "DELETE", "method"),
        ("/match?mode=special", {}, "GET", "query"),
        ("/match?other=1&mode=best", {}, "GET", "query-prefix"),
        ("http://echo.near:8080/match", {}, "GET", "authority"),
        ("/match", {}, "GET", ""),
        ("/from", {}, "GET", "source"),
        ("/without", {}, "GET", "without"),
        ("/without", {"x-not": "you"}, "GET", "without"),
        ("/without", {"x-not": "me"}, "GET", "without-else"),
    ],
)
def test_matches(walk: Walk, path: str, headers: dict[str, str], method: str, route: str) -> None:
    assert walk.route(path, headers, method=method) == route


@pytest.mark.parametrize("host", ["echo", "echo.near", "echo.near.svc", "echo.near.svc.cluster.local"])
def test_every_form_of_a_name_is_routed(walk: Walk, host: str) -> None:
    assert walk.route(f"http://{host}:8080/prefix") == "prefix"


def test_rules_of_two_virtual_services_for_one_host_add_up_at_a_gateway(walk: Walk) -> None:
    for path, version in (("one", "v1"), ("two", "v2")):
        status, text = walk.mesh.get(f"{walk.mesh.gateway}/{path}", {"host": "merged.test"})
        assert status == 200, text
        assert json.loads(text)["version"] == version
    assert walk.mesh.get(f"{walk.mesh.gateway}/three", {"host": "merged.test"})[0] == 404


def test_an_unknown_host_is_not_found(walk: Walk) -> None:
    assert walk.mesh.get(f"{walk.mesh.gateway}/one", {"host": "unknown.test"})[0] == 404
    assert walk.mesh.get(f"{walk.mesh.gateway}/nothing-here", {"host": "unknown.example"})[0] == 404


def test_bookinfos_users_are_routed_by_header(walk: Walk) -> None:
    mesh = walk.mesh
    mesh.kubectl("apply", "-f", str(SAMPLES / "bookinfo/networking/destination-rule-all.yaml"))
    mesh.kubectl("apply", "-f", str(SAMPLES / "bookinfo/networking/virtual-service-reviews-test-v2.yaml"))

    def version(headers: dict[str, str]) -> set[str]:
        answers = walk.send(*[{"url": "http://reviews.default:9080/reviews/0", "headers": headers}] * 8)
        return {json.loads(answer["body"])["podname"].split("-")[1] for answer in answers}

    wait_until(lambda: version({}) == {"v1"}, "everybody sees v1", 20)
    assert version({"end-user": "jason"}) == {"v2"}


# Acting --------------------------------------------------------------------------------------------------------------


def test_weights_hold_within_chance(walk: Walk) -> None:
    answers = [answer for _ in range(4) for answer in walk.send(*[{"url": "http://echo:8080/weights"}] * 100)]
    seen = collections.Counter(json.loads(answer["body"])["version"] for answer in answers)
    # 400 draws of 0.2: the mean is 80 and a standard deviation 8; six of them are never seen.
    assert 32 <= seen["v2"] <= 128, seen
    assert seen["v1"] + seen["v2"] == 400


def test_a_subset_is_only_its_pods(walk: Walk) -> None:
    answers = walk.send(*[{"url": "http://echo:8080/subset"}] * 20)
    assert {json.loads(answer["body"])["version"] for answer in answers} == {"v2"}


def test_destinations_that_do_not_exist_answer_503(walk: Walk) -> None:
    assert walk.get("/no-subset")["status"] == 503
    assert walk.get("/no-host")["status"] == 503


def test_rewrites(walk: Walk) -> None:
    said = walk.said("/rewrite/rest?q=1")
    assert (said["path"], said["host"]) == ("/new/rest?q=1", "other.example")
    assert walk.said("/rewrite-root/rest")["path"] == "/rest"
    assert walk.said("/rewrite-root")["path"] == "/"
    assert walk.said("/rewrite-regex/one/two?q=1")["path"] == "/two/one?q=1"


def test_redirects_and_fixed_answers(walk: Walk) -> None:
    redirected = walk.get("/redirect/x")
    assert redirected["status"] == 302
    assert redirected["headers"]["location"] == "http://elsewhere.example/there"
    answer = walk.get("/answer")
    assert (answer["status"], answer["body"]) == (418, "short and stout")


def test_header_changes(walk: Walk) -> None:
    answer = walk.get("/headers?header=x-secret:1", {"x-set": "old", "x-gone": "1", "x-add": "first"})
    said = json.loads(answer["body"])
    assert said["host"] == "set.example"
    assert said["headers"]["x-set"] == "new"
    assert "x-gone" not in said["headers"]
    assert said["headers"]["x-add"] in ("first,more", "more")
    assert (answer["headers"]["x-answer"], answer["headers"]["x-also"]) == ("set", "1")
    assert "x-secret" not in answer["headers"]
    answer = walk.get("/destination-headers")
    assert json.loads(answer["body"])["headers"]["x-set"] == "one"
    assert answer["headers"]["x-answer"] == "one"


def test_timeouts_end_what_takes_too_long(walk: Walk) -> None:
    answer = walk.get("/timeout?delay=3")
    assert answer["status"] == 504
    assert 0.4 < answer["seconds"] < 2.5
    assert walk.get("/timeout?delay=0.1")["status"] == 200


@pytest.mark.parametrize(
    ("path", "query", "status", "arrived"),
    [
        ("retries", "status=500&times=2", 200, 3),
        ("retries", "status=500", 500, 4),
        ("codes", "status=500&times=1", 200, 2),
        ("codes", "status=502", 502, 1),
        ("tries", "delay=2", 504, 3),
        ("once", "status=503&times=1", 503, 1),
        ("default", "status=503&times=2", 200, 3),
        ("default", "status=500", 500, 1),
    ],
)
def test_retries_are_as_many_as_asked(walk: Walk, path: str, query: str, status: int, arrived: int) -> None:
    mine = key()
    assert walk.get(f"/{path}?{query}&key={mine}")["status"] == status
    assert walk.count(mine) == arrived


def test_faults(walk: Walk) -> None:
    mine = key()
    assert walk.get(f"/abort?key={mine}")["status"] == 409
    assert walk.count(mine) == 0
    seen = collections.Counter(a["status"] for a in walk.send(*[{"url": "http://echo:8080/half"}] * 100))
    assert set(seen) == {200, 409}
    assert 20 <= seen[409] <= 80, seen
    delayed = walk.get("/delay")
    assert delayed["status"] == 200
    assert delayed["seconds"] > 0.9  # Envoy's timers and ours do not tick together.
    seconds = [answer["seconds"] for answer in walk.send(*[{"url": "http://echo:8080/some-delay"}] * 60)]
    assert 8 <= sum(second >= 1 for second in seconds) <= 52, seconds


def test_mirrored_requests_arrive_and_their_answers_do_not(walk: Walk) -> None:
    mine = key()
    answers = walk.send(*[{"url": f"http://echo:8080/mirror?key={mine}"}] * 10)
    assert {json.loads(answer["body"])["version"] for answer in answers} == {"v1"}
    wait_until(lambda: walk.count(mine, "v2") == 10, "every request arrives at the mirror", 10)
    assert walk.count(mine) == 10
    half = key()
    walk.send(*[{"url": f"http://echo:8080/half-mirror?key={half}"}] * 100)
    wait_until(lambda: 20 <= walk.count(half, "v2") <= 80, "about half arrive", 10)


def test_cross_origin_requests_are_answered_at_the_proxy(walk: Walk) -> None:
    ask = {"access-control-request-method": "PUT"}
    for origin in ("https://good.example", "https://www.also.example"):
        answer = walk.get("/cors", {**ask, "origin": origin}, method="OPTIONS")
        assert answer["status"] == 200
        assert answer["headers"]["access-control-allow-origin"] == origin
        assert answer["headers"]["access-control-allow-methods"] == "GET,PUT"
        assert answer["headers"]["access-control-allow-headers"] == "x-custom"
        assert answer["headers"]["access-control-max-age"] == "3600"
        assert answer["headers"]["access-control-allow-credentials"] == "true"
        assert not answer["length"]
    refused = walk.get("/cors", {**ask, "origin": "https://bad.example"}, method="OPTIONS")
    assert "access-control-allow-origin" not in refused["headers"]
    simple = walk.get("/cors", {"origin": "https://good.example"})
    assert simple["headers"]["access-control-allow-origin"] == "https://good.example"


# Kinds of services and protocols -----------------------------------------------------------------------------------


def requests_to(mesh: Mesh, service: str, more: str = "") -> float:
    return mesh.value(f'sum(istio_requests_total{{reporter="source", destination_service_name="{service}"{more}}})')


def test_a_service_without_pods_answers_503_and_says_why(walk: Walk) -> None:
    assert walk.get("http://echo-empty:8080/")["status"] == 503
    wait_until(
        lambda: requests_to(walk.mesh, "echo-empty", ', response_flags="UH", response_code="503"') >= 1,
        "the request is counted with the flag UH",
        20,
    )


def test_undeclared_ports_are_sniffed(walk: Walk) -> None:
    assert walk.said("http://echo-auto:8080/x")["path"] == "/x"
    assert walk.send({"connect": "echo-auto:9000", "send": "words\n", "until": "words"})[0]["lines"]
    tcp = 'sum(istio_tcp_connections_opened_total{reporter="source", destination_service_name="echo-auto"})'
    wait_until(lambda: requests_to(walk.mesh, "echo-auto") >= 1, "HTTP is counted as requests", 20)
    wait_until(lambda: walk.mesh.value(tcp) >= 1, "the rest as connections", 20)


def test_tcp_where_either_side_speaks_first(walk: Walk) -> None:
    answers = walk.send(
        {"connect": "echo:9000", "send": "hello\n", "until": "hello"}, {"connect": "echo:9001", "until": "welcome"}
    )
    assert answers[0]["lines"][0] in ("v1 hello", "v2 hello")
    assert answers[1]["lines"][0] in ("welcome to v1", "welcome to v2")
    assert answers[1]["seconds"] < 3


def test_silent_connections_end_when_their_rule_says(walk: Walk) -> None:
    answer = walk.send({"connect": "client:9000", "send": "a\n", "until": "never"})[0]
    assert answer["lines"] == ["v1 a"]
    assert 0.9 < answer["seconds"] < 10


def test_headless_services_reach_a_pod(walk: Walk) -> None:
    assert walk.said("http://echo-headless:8080/x")["path"] == "/x"
    assert walk.send({"connect": "echo-headless:9000", "send": "a\n", "until": "a"})[0]["lines"]


def test_pods_of_headless_services_are_reached_by_their_names(walk: Walk) -> None:
    walk.mesh.kubectl("rollout", "status", "statefulset/named", "-n", "near", "--timeout=60s")
    forms = [f"named-{number}.named.near{rest}" for number in (0, 1) for rest in ("", ".svc", ".svc.cluster.local")]
    own = {f"named-{number}.named" for number in (0, 1)}

    def pods() -> list[str]:
        return [walk.said(f"http://{host}:8080/x")["pod"] for host in (*forms, *sorted(own)) for _ in range(3)]

    wanted = [host.partition(".")[0] for host in (*forms, *sorted(own)) for _ in range(3)]
    wait_until(lambda: pods() == wanted, "each name is exactly its pod")
    arrived = 'destination_workload="named", connection_security_policy="mutual_tls", source_workload="client"'
    counted = f'sum(istio_requests_total{{reporter="destination", {arrived}, destination_service_name="named"}})'
    wait_until(lambda: walk.mesh.value(counted) >= len(wanted), "they came by mutual TLS and are counted", 30)
    service = ', destination_service="named.near.svc.cluster.local"'
    wait_until(lambda: requests_to(walk.mesh, "named", service) >= len(wanted), "the client counts them as well", 30)
    old = next(pod for pod in walk.mesh.pods("near", "app=named") if pod["metadata"]["name"] == "named-1")
    walk.mesh.kubectl("delete", "pod", "named-1", "-n", "near")

    def is_new() -> bool:
        answer = walk.get("http://named-1.named:8080/x")
        pods = [pod for pod in walk.mesh.pods("near", "app=named") if pod["metadata"]["name"] == "named-1"]
        uid = pods[0]["metadata"]["uid"] if pods else ""
        return uid not in ("", old["metadata"]["uid"]) and answer.get("status") == 200

    wait_until(is_new, "the pod's successor has the name")


def test_a_pod_is_reached_by_its_address(walk: Walk) -> None:
    pod = walk.mesh.pods("near", "app=echo,version=v2")[0]
    address = pod["status"]["podIP"]
    assert walk.said(f"http://{address}:8080/x")["pod"] == pod["metadata"]["name"]
    assert walk.send({"connect": f"{address}:9000", "send": "a\n", "until": "a"})[0]["lines"] == ["v2 a"]


def test_a_pod_calls_its_own_service(walk: Walk) -> None:
    own = walk.mesh.pods("near", "app=client")[0]["metadata"]["name"]
    assert walk.said("http://client:8080/self")["pod"] == own
    assert walk.send({"connect": "client:9000", "send": "a\n", "until": "a"})[0]["lines"] == ["v1 a"]


def test_clients_and_servers_without_a_sidecar(walk: Walk) -> None:
    inward = walk.said("/x", via="plain")
    assert "x-forwarded-client-cert" not in inward["headers"]
    assert walk.send({"connect": "echo.near:9001", "until": "welcome"}, via="plain")[0]["lines"]
    outward = walk.said("http://client.plain:8080/y")
    assert outward["namespace"] == "plain"
    assert walk.send({"connect": "client.plain:9000", "send": "a\n", "until": "a"})[0]["lines"] == ["v1 a"]
    mutual = walk.said("/x")
    assert "spiffe://cluster.local/ns/near/sa/default" in mutual["headers"]["x-forwarded-client-cert"]


def test_http2_in_all_combinations(walk: Walk) -> None:
    mesh = walk.mesh
    mesh.kubectl("wait", "--for=condition=Ready", "pod/calls", "-n", "near", "--timeout=60s")
    mesh.kubectl("apply", "-f", "-", given=json.dumps(host_pod("caller", sys.executable, "-c", CALL)))
    mesh.kubectl(
        "wait", "pod/caller", "-n", "near", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s", check=False
    )
    answers = json.loads(mesh.kubectl("logs", "caller", "-n", "near", "-c", "main").splitlines()[-1])
    assert answers == {
        "declared": ["call answered"] * 3,
        "sniffed": ["call answered"] * 3,
        "upgraded": "2 200",
        "plain": "1.1 200",
    }


@pytest.fixture
def outside() -> Iterator[int]:
    """The port of a web server on this machine's loopback."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-length", "7")
            self.end_headers()
            self.wfile.write(b"outside")

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_what_is_outside_the_mesh_passes_through_and_is_counted(walk: Walk, outside: int) -> None:
    answer = walk.get(f"http://host.kaiki.internal:{outside}/")
    assert (answer.get("status"), answer.get("body")) == (200, "outside"), answer
    labels = '{reporter="source", source_workload="client", destination_service_name="PassthroughCluster"}'
    counted = f"sum(istio_tcp_connections_opened_total{labels}) or sum(istio_requests_total{labels})"
    wait_until(lambda: walk.mesh.value(counted) >= 1, "it is counted as PassthroughCluster", 20)


ENTRIES = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: outside, namespace: near}}
spec:
  hosts: [host.kaiki.internal]
  ports: [{{number: {port}, name: http, protocol: HTTP}}]
  resolution: DNS
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: static, namespace: near}}
spec:
  hosts: [static.example]
  addresses: [240.0.0.9]
  ports: [{{number: 8080, name: http, protocol: HTTP}}, {{number: 9000, name: tcp, protocol: TCP}}]
  resolution: STATIC
  endpoints: [{{address: {address}}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: wild, namespace: near}}
spec:
  hosts: ["*.wild.example"]
  ports: [{{number: 8080, name: http, protocol: HTTP}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: hidden, namespace: plain}}
spec:
  hosts: [hidden.example]
  ports: [{{number: 8080, name: http, protocol: HTTP}}]
  resolution: STATIC
  endpoints: [{{address: {address}}}]
  exportTo: ["."]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: static, namespace: near}}
spec:
  hosts: [static.example]
  http:
  - {{match: [{{uri: {{prefix: /teapot}}}}], directResponse: {{status: 418}}}}
  - {{route: [{{destination: {{host: static.example}}}}]}}
"""


def test_service_entries(walk: Walk, outside: int) -> None:
    mesh = walk.mesh
    pod = mesh.pods("near", "app=echo,version=v2")[0]
    address = pod["status"]["podIP"]
    mesh.kubectl("apply", "-f", "-", given=ENTRIES.format(port=outside, address=address))
    static = {"host": "static.example"}
    wait_until(lambda: walk.get("/teapot", static)["status"] == 418, "the entry's routes are in force", 20)
    assert walk.said("http://240.0.0.9:8080/x", static)["pod"] == pod["metadata"]["name"]
    assert walk.send({"connect": "240.0.0.9:9000", "send": "a\n", "until": "a"})[0]["lines"] == ["v2 a"]
    assert walk.said(f"http://{address}:8080/x", {"host": "any.wild.example"})["pod"] == pod["metadata"]["name"]
    assert walk.said(f"http://{address}:8080/x", {"host": "hidden.example"})["pod"] == pod["metadata"]["name"]
    assert walk.get(f"http://host.kaiki.internal:{outside}/")["body"] == "outside"
    names = ("static.example", "*.wild.example", "host.kaiki.internal")
    labels = ', destination_service_namespace="near", source_workload="client", response_code="200"'
    wait_until(lambda: all(requests_to(mesh, name, labels) >= 1 for name in names), "each is counted by its name", 20)
    assert requests_to(mesh, "hidden.example") == 0


def test_nothing_unknown_is_reached_where_only_the_registry_is_allowed(walk: Walk, outside: int) -> None:
    mesh = walk.mesh
    unknown = f"http://host.kaiki.internal:{outside}/"
    assert walk.get(unknown).get("status") == 200

    def set_mode(mode: str) -> None:
        data = {"data": {"mesh": f"outboundTrafficPolicy: {{mode: {mode}}}\n"}}
        mesh.kubectl("patch", "configmap", "istio", "-n", "istio-system", "--type=merge", "-p", json.dumps(data))

    set_mode("REGISTRY_ONLY")
    try:
        wait_until(lambda: "error" in walk.get(unknown), "what is outside cannot be reached", 20)
        unnamed = {"host": "unknown.example"}
        wait_until(lambda: walk.get("http://echo:8080/", unnamed).get("status") == 502, "nor a host nobody knows", 20)
        assert walk.get("/prefix")["status"] == 200
        assert walk.said("http://client.plain:8080/y")["namespace"] == "plain"
    finally:
        set_mode("ALLOW_ANY")
    wait_until(lambda: walk.get(unknown).get("status") == 200, "it can be reached again", 20)


# Size and load -----------------------------------------------------------------------------------------------------


def test_large_bodies_both_ways(walk: Walk) -> None:
    size = 5_000_000
    assert walk.said("/upload", method="POST", size=size)["received"] == size
    assert walk.get(f"/download?size={size}")["length"] == size


HANDSHAKE = (
    "GET /socket HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\nsaid over the socket\n"
)


def test_websockets(walk: Walk) -> None:
    answer = walk.send(
        {"connect": "echo:8080", "send": HANDSHAKE.format(host="echo:8080"), "until": "said over the socket"}
    )[0]
    assert " 101 " in answer["lines"][0], answer
    assert answer["lines"][-1] == "said over the socket"
    host, port = walk.mesh.gateway.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(HANDSHAKE.format(host="near.test").encode())
        lines = [line.decode().strip() for line in iter(connection.makefile("rb").readline, b"said over the socket\n")]
    assert " 101 " in lines[0]


@pytest.mark.parametrize("via", ["near", "plain"])
def test_a_load_balancers_address_leads_to_it_from_pods_too(walk: Walk, via: str) -> None:
    gateway = ("get", "service", "istio-ingressgateway", "-n", "istio-system", "-o", "json")
    address = json.loads(walk.mesh.kubectl(*gateway))["status"]["loadBalancer"]["ingress"][0]["ip"]
    answer = walk.get(f"http://{address}/productpage", via=via)
    assert (answer["status"], "Bookinfo" in answer["body"]) == (200, True), answer
    refused = walk.get(f"http://{address}:9/", via="plain")
    assert "status" not in refused, refused


def test_a_hundred_requests_at_once(walk: Walk) -> None:
    answers = walk.send(*[{"url": f"http://echo:8080/weights?delay=0.2&number={n}"} for n in range(100)])
    assert [answer.get("status") for answer in answers] == [200] * 100
    assert [json.loads(answer["body"])["path"].rpartition("=")[2] for answer in answers] == [str(n) for n in range(100)]


def test_a_thousand_changes_of_a_route_under_load_fail_no_request(walk: Walk) -> None:
    walk.mesh.kubectl("apply", "-f", "-", given=yaml.safe_dump_all(changes.objects()))
    inside = {"url": f"http://{changes.NAME}.near:8080/x"}
    wait_until(lambda: changes.relayed(walk.send(inside)) == [(200, "0")], "the first route is in force in the mesh")

    def from_outside() -> list[tuple[int, str]]:
        return changes.through_gateway(f"{walk.mesh.gateway}/x", f"{changes.NAME}.test")

    wait_until(lambda: from_outside() == [(200, "0")], "and at the gateway")
    outer, inner = [changes.RouteLoad(send) for send in (from_outside, lambda: _relay(walk, inside))]
    with outer, inner:
        changes.change(walk.mesh.home, 1000)
        wait_until(lambda: {"1000"} <= outer.routes & inner.routes, "the last change is in force")
    for load in (outer, inner):
        assert set(load.statuses) == {"200"}, load.statuses
        assert len(load.routes) > 100, "many of the changes were really in force"
        assert load.statuses["200"] > 200


def _relay(walk: Walk, request: dict[str, Any]) -> list[tuple[int, str]]:
    return changes.relayed(walk.send(*[request] * 4))
