"""A Bookinfo mesh made of numbers: enough of the Prometheus and the Kubernetes API to run the console against.

As a script it serves a console for looking at: `python tests/console/fake_mesh.py --port 20001 --token demo`.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import math
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from kaiki.console.server import running
from kaiki.console.settings import ConsoleSettings
from kaiki.kube.config import KubeConfig
from kaiki.model.journal import JOURNAL_NAME, ChangeEntry, encode_entry

BOUNDS = (1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000)
GATEWAY = ("istio-system", "istio-ingressgateway", "istio-ingressgateway", "latest")


def workload(app: str, version: str, namespace: str = "default") -> tuple[str, str, str, str]:
    return namespace, f"{app}-{version}", app, version


PRODUCTPAGE = workload("productpage", "v1")
RATINGS = workload("ratings", "v1")
REVIEWS = {version: workload("reviews", version) for version in ("v1", "v2", "v3")}
# (source, destination, service, requests per second, typical milliseconds, share of 503)
CALLS = [
    (GATEWAY, PRODUCTPAGE, "productpage", 8.0, 38, 0.0),
    (PRODUCTPAGE, workload("details", "v1"), "details", 8.0, 3, 0.0),
    (PRODUCTPAGE, REVIEWS["v1"], "reviews", 2.7, 6, 0.0),
    (PRODUCTPAGE, REVIEWS["v2"], "reviews", 2.6, 14, 0.0),
    (PRODUCTPAGE, REVIEWS["v3"], "reviews", 2.7, 17, 0.14),
    (REVIEWS["v2"], RATINGS, "ratings", 2.6, 2, 0.0),
    (REVIEWS["v3"], RATINGS, "ratings", 2.7, 2, 0.02),
]


def side(name: str, place: tuple[str, str, str, str]) -> dict[str, str]:
    namespace, workload_name, app, version = place
    return {
        f"{name}_workload": workload_name,
        f"{name}_workload_namespace": namespace,
        f"{name}_canonical_service": app,
        f"{name}_canonical_revision": version,
        f"{name}_principal": f"spiffe://cluster.local/ns/{namespace}/sa/bookinfo-{app}",
    }


def rows(faulty: bool = True) -> Iterator[tuple[str, dict[str, str], float]]:
    """(metric, labels, rate per second) of every series, as both proxies report them."""
    for source, destination, service, rate, milliseconds, errors in CALLS:
        for reporter in ("source", "destination"):
            labels = {"reporter": reporter, "request_protocol": "http", **side("source", source)}
            labels |= side("destination", destination) | {
                "destination_service": f"{service}.default.svc.cluster.local",
                "destination_service_name": service,
                "destination_service_namespace": "default",
                "connection_security_policy": "mutual_tls" if reporter == "destination" else "unknown",
                "grpc_response_status": "",
            }
            errors = errors if faulty else 0.0
            for code, flags, share in (("200", "-", 1 - errors), ("503", "FI", errors)):
                if share:
                    outcome = {"response_code": code, "response_flags": flags}
                    yield "istio_requests_total", labels | outcome, rate * share
            for bound in (*BOUNDS, math.inf):
                share = 1 - math.exp(-((bound / milliseconds) ** 2)) if bound < math.inf else 1.0
                bucket = labels | {"le": "+Inf" if bound == math.inf else str(bound)}
                yield "istio_request_duration_milliseconds_bucket", bucket, rate * share
            yield "istio_request_duration_milliseconds_sum", labels, rate * milliseconds
            yield "istio_request_bytes_sum", labels, rate * 450
            yield "istio_response_bytes_sum", labels, rate * 2100
    yield from tcp_rows()


def tcp_rows() -> Iterator[tuple[str, dict[str, str], float]]:
    labels = {"reporter": "destination", "connection_security_policy": "mutual_tls", **side("source", RATINGS)}
    labels |= side("destination", workload("mongodb", "v1")) | {
        "destination_service": "mongodb.default.svc.cluster.local",
        "destination_service_name": "mongodb",
        "destination_service_namespace": "default",
    }
    yield "istio_tcp_sent_bytes_total", labels, 5200.0
    yield "istio_tcp_received_bytes_total", labels, 640.0
    yield "istio_tcp_connections_opened_total", labels, 0.2


class FakePrometheus:
    """Answers the console's own queries, and only those. `up` False makes it fail, `quiet` has no series."""

    def __init__(self) -> None:
        self.up = True
        self.quiet = False
        self.faulty_since = 0.0
        self.queries: list[str] = []
        self.finding: dict[str, Any] | None = None

    def application(self) -> web.Application:
        application = web.Application()
        application.add_routes([web.post("/api/v1/query", self.instant), web.post("/api/v1/query_range", self.range)])
        application.add_routes([web.get("/api/v1/status/{what}", self.status)])
        return application

    async def status(self, request: web.Request) -> web.Response:
        pages = {
            "buildinfo": {"version": "2.50.0", "revision": "kaiki-0.1"},
            "runtimeinfo": {"storageRetention": "86400s"},
            "tsdb": {
                "headStats": {"numSeries": 1834, "minTime": round((time.time() - 7200) * 1000)},
                "finding": self.finding,
            },
        }
        if not self.up:
            return web.Response(status=503)
        return web.json_response({"status": "success", "data": pages[request.match_info["what"]]})

    async def instant(self, request: web.Request) -> web.Response:
        query, form = await self._read(request)
        at = float(str(form["time"]))
        result = [{"metric": labels, "value": [at, repr(value)]} for labels, value in self.evaluate(query, at)]
        return self._answer("vector", result)

    async def range(self, request: web.Request) -> web.Response:
        query, form = await self._read(request)
        start, end, step = (float(str(form[name])) for name in ("start", "end", "step"))
        times = [start + index * step for index in range(int((end - start) / step) + 1)]
        result = [
            {"metric": labels, "values": [[at, repr(value * self._wave(at))] for at in times]}
            for labels, value in self.evaluate(query, start)
        ]
        return self._answer("matrix", result)

    def evaluate(self, query: str, at: float) -> list[tuple[dict[str, str], float]]:
        if named := re.findall(r'label_replace\((.*?), "(\w+)", "(\w+)", "", ""\)', query):
            return [
                (labels | {label: name}, value)
                for inner, label, name in named
                for labels, value in self.evaluate(inner, at)
            ]
        grouping = re.match(r"sum(?: by \(([^)]*)\))?", query)
        assert grouping is not None, query
        names = [name.strip() for name in (grouping[1] or "").split(",") if name.strip()]
        sums: dict[tuple[str, ...], float] = {}
        for function, metric, matchers, seconds in re.findall(r"(increase|rate)\((\w+)(?:{(.*?)})?\[(\d+)s\]\)", query):
            wanted = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', matchers))
            for name, labels, rate in () if self.quiet else rows(at >= self.faulty_since):
                if name == metric and wanted.items() <= labels.items():
                    key = tuple(labels.get(label, "") for label in names)
                    sums[key] = sums.get(key, 0.0) + rate * (int(seconds) if function == "increase" else 1)
        return [(dict(zip(names, key, strict=True)), value) for key, value in sums.items()]

    async def _read(self, request: web.Request) -> tuple[str, Any]:
        form = await request.post()
        self.queries.append(str(form["query"]))
        return str(form["query"]), form

    def _answer(self, kind: str, result: list[dict[str, Any]]) -> web.Response:
        if not self.up:
            return web.json_response({"status": "error", "errorType": "unavailable", "error": "loading"}, status=503)
        return web.json_response({"status": "success", "data": {"resultType": kind, "result": result}})

    @staticmethod
    def _wave(at: float) -> float:
        return 1 + 0.25 * math.sin(at / 40) + 0.08 * math.sin(at / 7)


def metadata(name: str, namespace: str = "", **more: Any) -> dict[str, Any]:
    return {"name": name, "resourceVersion": "1", "uid": f"{namespace}/{name}"} | (
        {"namespace": namespace} | more if namespace else more
    )


def fault_applied(at: float) -> ChangeEntry:
    """What makes some requests to reviews fail."""
    known: dict[str, Any] = {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService"}
    known["metadata"] = {"name": "reviews", "namespace": "default"}
    route = {"route": [{"destination": {"host": "reviews"}}]}
    fault = {"fault": {"abort": {"httpStatus": 503, "percentage": {"value": 14}}}}
    return ChangeEntry(
        id=f"{at * 1000:.0f}-1",
        time=at,
        author="kubernetes-admin",
        operation="update",
        api_version="networking.istio.io/v1",
        kind="VirtualService",
        namespace="default",
        name="reviews",
        before=known | {"spec": {"hosts": ["reviews"], "http": [route]}},
        after=known | {"spec": {"hosts": ["reviews"], "http": [fault | route]}},
    )


FINDING = {"type": {"code": "KAI0301", "name": "spec.http[0]"}, "level": "ERROR"}


def kubernetes_objects(token: str) -> dict[str, list[dict[str, Any]]]:
    """Collections by plural."""
    apps = [("istio-system", "istio-ingressgateway", "istio-ingressgateway", {"istio": "ingressgateway"})]
    versions = [("details", "v1"), ("productpage", "v1"), ("ratings", "v1"), ("mongodb", "v1")]
    versions += [("reviews", version) for version in REVIEWS]
    apps += [("istio-system", "istiod", "istiod", {"app": "istiod"})]
    apps += [("default", f"{app}-{version}", app, {"app": app, "version": version}) for app, version in versions]
    destinations = [{"destination": {"host": "reviews", "subset": "v1"}, "weight": 50}] * 2
    return {
        "namespaces": [
            {"metadata": metadata("default", labels={"istio-injection": "enabled"})},
            {"metadata": metadata("istio-system")},
        ],
        "deployments": [_deployment(namespace, name, labels) for namespace, name, _, labels in apps],
        "pods": [_pod(namespace, name, labels) for namespace, name, _, labels in apps],
        "services": [_service(namespace, app) for namespace, app in sorted({(item[0], item[2]) for item in apps})],
        "virtualservices": [
            {
                "metadata": metadata("reviews", "default", creationTimestamp="2024-01-01T00:00:00Z"),
                "spec": {"hosts": ["reviews"], "http": [{"route": destinations}]},
                "status": {
                    "validationMessages": [{"type": {"code": "KAI0301", "name": "spec.http[0]"}, "level": "ERROR"}]
                },
            }
        ],
        "peerauthentications": [
            {"metadata": metadata("default", "default"), "spec": {"mtls": {"mode": "STRICT"}}},
        ],
        "telemetries": [
            {
                "metadata": metadata("mesh-default", "istio-system"),
                "spec": {"tracing": [{"providers": [{"name": "otel-tracing"}], "randomSamplingPercentage": 100}]},
            }
        ],
        "destinationrules": [{"metadata": metadata("reviews", "default"), "spec": {"host": "reviews"}}],
        "gateways": [{"metadata": metadata("bookinfo-gateway", "default"), "spec": {"servers": []}}],
        "secrets": [{"metadata": metadata("kaiki-console", "istio-system"), "data": {"token": token}}],
    }


def _deployment(namespace: str, name: str, labels: dict[str, str]) -> dict[str, Any]:
    return {
        "metadata": metadata(name, namespace),
        "spec": {"replicas": 1, "template": {"metadata": {"labels": labels}}},
        "status": {"availableReplicas": 1},
    }


def _pod(namespace: str, name: str, labels: dict[str, str]) -> dict[str, Any]:
    owner = {"kind": "ReplicaSet", "name": f"{name}-abc"}
    return {
        "metadata": metadata(
            f"{name}-abc-1", namespace, labels=labels | {"pod-template-hash": "abc"}, ownerReferences=[owner]
        ),
        "spec": {
            "containers": [{"name": "app", "image": "kaiki/kaiki:0.1.0"}],
            "initContainers": [{"name": "istio-proxy", "image": "envoyproxy/envoy:v1.40.0"}]
            if name != "istiod"
            else [],
        },
        "status": {
            "phase": "Running",
            "podIP": "127.0.0.1" if name == "istiod" else "10.97.0.9",
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [_running("app")],
            "initContainerStatuses": [_running("istio-proxy")],
        },
    }


def _running(name: str) -> dict[str, Any]:
    return {"name": name, "ready": True, "restartCount": 1, "state": {"running": {"startedAt": "2024-01-01T00:00:00Z"}}}


def _service(namespace: str, app: str) -> dict[str, Any]:
    selector = {"istio": "ingressgateway"} if app == "istio-ingressgateway" else {"app": app}
    port = {"name": "http", "port": 9080, "protocol": "TCP"}
    return {
        "metadata": metadata(app, namespace),
        "spec": {"selector": selector, "ports": [port], "type": "ClusterIP", "clusterIP": "10.96.0.9"},
    }


class FakeKubernetes:
    """Lists, single Secrets, and watches that say what `change` tells them to."""

    def __init__(self, encoded_token: str = "") -> None:
        self.collections = kubernetes_objects(encoded_token)
        self.forbidden: set[str] = set()
        self._watches: list[tuple[str, asyncio.Queue[bytes]]] = []

    def change(self, plural: str, name: str) -> None:
        """Tell everybody who watches that an object has changed."""
        found = next(item for item in self.collections[plural] if item["metadata"]["name"] == name)
        item = found | {"metadata": found["metadata"] | {"resourceVersion": str(time.time_ns())}}
        line = json.dumps({"type": "MODIFIED", "object": item}).encode() + b"\n"
        for watched, queue in self._watches:
            if watched == plural:
                queue.put_nowait(line)

    def note(self, *changes: ChangeEntry) -> None:
        """Put changes into the journal."""
        data = {change.id: encode_entry(change) for change in changes}
        self.collections["configmaps"] = [{"metadata": metadata(JOURNAL_NAME, "istio-system"), "data": data}]

    def application(self) -> web.Application:
        application = web.Application()
        application.add_routes([web.get("/{path:.*}", self.answer)])
        return application

    async def answer(self, request: web.Request) -> web.StreamResponse:
        parts = request.match_info["path"].split("/")
        if parts[-1] == "log" and request.query.get("follow") == "true":
            return await self._follow(request, f"{parts[-2]} {request.query['container']}")
        if parts[-1] == "log":
            if parts[-2].startswith("productpage"):
                return web.Response(text=access_log())
            lines = [f"{parts[-2]} {request.query['container']} line {number}\n" for number in range(2000)]
            return web.Response(text="".join(lines[-int(request.query.get("tailLines", "10")) :]))
        if "namespaces" in parts[:-2]:
            *_, plural, name = parts
            if plural in self.forbidden:
                refused = {"kind": "Status", "code": 403, "reason": "Forbidden", "message": f"{plural} are forbidden"}
                return web.json_response(refused, status=403)
            found = [item for item in self.collections.get(plural, []) if item["metadata"]["name"] == name]
            return web.json_response(found[0]) if found else self._missing()
        plural = parts[-1] if "gateway.networking.k8s.io" not in parts else f"gateway-api-{parts[-1]}"
        if plural not in self.collections:
            return self._missing()
        if request.query.get("watch") == "true":
            response = web.StreamResponse()
            await response.prepare(request)
            queue: asyncio.Queue[bytes] = asyncio.Queue()
            self._watches.append((plural, queue))
            while True:
                await response.write(await queue.get())
        return web.json_response({"metadata": {"resourceVersion": "1"}, "items": self.collections[plural]})

    async def _follow(self, request: web.Request, prefix: str) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        first = 2000 - int(request.query.get("tailLines", "10"))
        for number in range(first, 1_000_000):
            await response.write(f"{prefix} line {number}\n".encode())
            await asyncio.sleep(0 if number < 2000 else 0.7)
        return response

    @staticmethod
    def _missing() -> web.Response:
        return web.json_response({"kind": "Status", "code": 404, "reason": "NotFound"}, status=404)


def access_log() -> str:
    """A line that was answered and one that no route fits, in Envoy's default format."""
    now = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
    rest = '0 0 3 - "-" "curl" "id" "reviews:9080" "-" {} - 10.96.0.9:9080 10.97.0.9:4711 - -\n'
    cluster = "outbound|9080||reviews.default.svc.cluster.local"
    answered = f'[{now}] "GET /reviews/1 HTTP/1.1" 200 - via_upstream - "-" ' + rest.format(cluster)
    missing = f'[{now}] "GET /none HTTP/1.1" 404 NR route_not_found - "-" ' + rest.format("-")
    return "[info] starting\n" + answered + missing


REJECTED = {"type": "cds", "name": "outbound|9080||ratings", "version": "4", "reason": "no such filter"}


class FakeControlPlane:
    """One replica. `ratings` refuses something, `details` has never connected, `mongodb` is being updated."""

    def __init__(self) -> None:
        self.up = True

    def application(self) -> web.Application:
        application = web.Application()
        application.add_routes([web.get("/debug/syncz", self.syncz), web.get("/debug/distribution", self.distribution)])
        application.add_routes([web.get("/debug/config_dump", self.config_dump)])
        return application

    async def config_dump(self, request: web.Request) -> web.Response:
        """One cluster, changed by an EnvoyFilter and not yet acknowledged; gateways are kept from who asks."""
        from envoy.config.cluster.v3 import cluster_pb2

        proxy = request.query["proxyID"]
        if "gateway" in proxy or not self.up:
            return web.Response(status=401 if self.up else 503, text="there is no bearer token")
        pod, _, namespace = proxy.rpartition(".")
        if not pod.endswith("-abc-1"):
            return web.Response(status=404)
        name = "outbound|9080||reviews.default.svc.cluster.local"
        cluster = cluster_pb2.Cluster(name=name, type=cluster_pb2.Cluster.EDS)
        fields = cluster.metadata.filter_metadata["istio"].fields
        fields["destination_service_name"].string_value = "reviews"
        fields["destination_service_namespace"].string_value = "default"
        resource = {
            "type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
            "name": name,
            "version": "1",
            "state": "waiting",
            "touched": [["EnvoyFilter", "default", "tuned"]],
            "body": base64.b64encode(cluster.SerializeToString()).decode(),
        }
        return web.json_response(self._entry(pod, namespace) | {"generation": 3, "resources": [resource]})

    async def distribution(self, _: web.Request) -> web.Response:
        reviews = {"kind": "VirtualService", "namespace": "default", "name": "reviews", "generation": 3}
        counts = {"proxies": 7, "acknowledged": 6, "waiting": ["mongodb-v1-abc-1.default"], "refused": ""}
        return web.json_response([{**reviews, "group": "networking.istio.io", **counts}])

    async def syncz(self, _: web.Request) -> web.Response:
        if not self.up:
            return web.Response(status=503)
        return web.json_response(
            [self._entry(f"{name}-abc-1", "default") for name in ("mongodb-v1", "productpage-v1", "ratings-v1")]
            + [self._entry(f"reviews-{version}-abc-1", "default") for version in REVIEWS]
            + [self._entry("istio-ingressgateway-abc-1", "istio-system")]
        )

    @staticmethod
    def _entry(pod: str, namespace: str) -> dict[str, Any]:
        refuses = pod.startswith("ratings")
        soon, later = (time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(time.time() + s)) for s in (50_000, 70_000))
        return {
            "proxy": f"{pod}.{namespace}",
            "proxy_type": "router" if "gateway" in pod else "sidecar",
            "synced": not pod.startswith("mongodb"),
            "rejected": [REJECTED] if refuses else [],
            "last_rejection": REJECTED | {"at": "2026-01-02T03:04:05+00:00"} if refuses else None,
            "proxy_version": "1.40.0",
            "certificate": {
                "identity": f"spiffe://cluster.local/ns/{namespace}/sa/{pod.split('-')[0]}",
                "expires_at": later,
                "rotates_at": soon,
            },
        }


def span(
    number: int, parent: int, process: str, operation: str, start: int, duration: int, code: int
) -> dict[str, Any]:
    references = [{"refType": "CHILD_OF", "traceID": "", "spanID": f"{parent:016x}"}] if parent else []
    tags = [
        {"key": "span.kind", "type": "string", "value": "client" if number % 2 else "server"},
        {"key": "http.status_code", "type": "string", "value": str(code)},
        {"key": "http.url", "type": "string", "value": f"http://{process}/{operation}"},
        {"key": "response_flags", "type": "string", "value": "FI" if code >= 500 else "-"},
    ]
    return {
        "spanID": f"{number:016x}",
        "operationName": operation,
        "references": references,
        "startTime": start,
        "duration": duration,
        "tags": tags,
        "logs": [],
        "processID": process,
    }


class FakeTraces:
    """Thirty traces of Bookinfo, each third one failing; `services` empty is a store that has never received any."""

    def __init__(self) -> None:
        self.services = [f"{name}.default" for name in ("details", "productpage", "ratings", "reviews")]

    def application(self) -> web.Application:
        application = web.Application()
        application.add_routes([web.get("/api/services", self._services), web.get("/api/traces", self._search)])
        application.add_routes([web.get("/api/traces/{trace}", self._one)])
        return application

    async def _services(self, _: web.Request) -> web.Response:
        return web.json_response({"data": self.services, "errors": None})

    async def _search(self, request: web.Request) -> web.Response:
        known = request.query.get("service") in self.services
        return web.json_response({"data": [self.trace(number) for number in range(30)] if known else []})

    async def _one(self, request: web.Request) -> web.Response:
        try:
            return web.json_response({"data": [self.trace(int(request.match_info["trace"], 16) - 1)]})
        except ValueError:
            return web.json_response({"data": None, "errors": [{"code": 404, "msg": "trace not found"}]}, status=404)

    @staticmethod
    def trace(index: int) -> dict[str, Any]:
        at = round((time.time() // 10 * 10 - 19 * index) * 1e6)
        code = 503 if index % 3 == 2 else 200
        length = 21_000 + index % 7 * 6000
        spans = [
            span(1, 0, "p0", "GET /productpage", at, length + 2000, 200),
            span(2, 1, "p1", "GET /productpage", at + 800, length, 200),
            span(3, 2, "p1", "details.default.svc.cluster.local:9080", at + 2000, 3100, 200),
            span(4, 3, "p2", "GET /details", at + 2400, 2100, 200),
            span(5, 2, "p1", "reviews.default.svc.cluster.local:9080", at + 6000, length - 8000, code),
            span(6, 5, "p3", "GET /reviews", at + 6500, length - 9000, code),
            span(7, 6, "p3", "ratings.default.svc.cluster.local:9080", at + 9000, 2600, code),
            span(8, 7, "p4", "GET /ratings", at + 9300, 1800, code),
        ]
        names = ("istio-ingressgateway.istio-system", "productpage.default", "details.default", "reviews.default")
        processes = {
            f"p{number}": {"serviceName": name, "tags": []} for number, name in enumerate((*names, "ratings.default"))
        }
        return {"traceID": f"{index + 1:032x}", "spans": spans, "processes": processes, "warnings": None}


@asynccontextmanager
async def listening(application: web.Application) -> AsyncIterator[str]:
    """The application on a free loopback port; gives its URL."""
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=20001)
    parser.add_argument("--token", default="demo")
    parser.add_argument("--state", choices=["busy", "quiet", "down"], default="busy")
    parser.add_argument("--no-traces", action="store_true", help="a trace store that nobody sends to")
    parser.add_argument("--no-mesh", action="store_true", help="nothing is deployed yet")
    parser.add_argument("--many", type=int, default=0, help="add a chain of this many more workloads")
    parser.add_argument("--fault-age", type=float, default=0, help="the fault was applied so many seconds ago")
    arguments = parser.parse_args()
    prometheus = FakePrometheus()
    prometheus.up, prometheus.quiet = arguments.state != "down", arguments.state == "quiet"
    for index in range(arguments.many):
        source = PRODUCTPAGE if index < 5 else workload(f"app{index // 3 - 1}", "v1", f"team-{(index // 3 - 1) % 7}")
        target = workload(f"app{index}", "v1", f"team-{index % 7}")
        CALLS.append((source, target, f"app{index}", 1.0 + index % 9, 5 + index % 40, 0.0))
    kubernetes, traces = FakeKubernetes(), FakeTraces()
    if arguments.fault_age:
        prometheus.faulty_since = time.time() - arguments.fault_age
        kubernetes.note(fault_applied(prometheus.faulty_since))
    if arguments.no_traces:
        traces.services, kubernetes.collections["telemetries"] = [], []
    if arguments.no_mesh:
        prometheus.quiet = True
        for plural in ("deployments", "pods", "services", "virtualservices", "destinationrules", "gateways"):
            found = kubernetes.collections[plural]
            found[:] = [item for item in found if item["metadata"]["namespace"] == "istio-system"]
    async with (
        listening(prometheus.application()) as metrics_url,
        listening(kubernetes.application()) as kubernetes_url,
        listening(traces.application()) as tracing_url,
        listening(FakeControlPlane().application()) as control_plane_url,
        running(
            ConsoleSettings(
                listen=("127.0.0.1", arguments.port),
                metrics_url=metrics_url,
                token=arguments.token,
                kube=KubeConfig(server=kubernetes_url),
                tracing_url=tracing_url,
                control_plane_url=control_plane_url,
            )
        ) as address,
    ):
        print(json.dumps({"url": f"http://127.0.0.1:{address[1]}", "started": time.time()}), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
