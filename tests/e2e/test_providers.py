"""Extension providers of the mesh config, each with a receiver of the test's own; access logs read back; sampling.

client, echo (near) ──▶ proxies ──▶ host.kaiki.internal ──▶ receivers here: Envoy's access log service, OTLP, Zipkin
"""

from __future__ import annotations

import collections
import contextlib
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any

import grpc
import pytest
import yaml
from mesh import SAMPLES, Mesh, wait_until
from test_metrics import client, send, settle

pytestmark = pytest.mark.e2e
ECHO = "http://echo:8080"
OWN_FORMAT = (
    "%START_TIME% -> %REQ(:METHOD)% %REQ(:AUTHORITY)% %REQ(:PATH)% = %RESPONSE_CODE% (%RESPONSE_FLAGS%) "
    "%UPSTREAM_CLUSTER% %DOWNSTREAM_LOCAL_ADDRESS%"
)
SENT, MANY = 5, 20
OBJECTS = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: clients, namespace: near}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [near.test]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: clients, namespace: near}
spec:
  hosts: [near.test]
  gateways: [clients]
  http: [{route: [{destination: {host: client.near.svc.cluster.local, port: {number: 8080}}}]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: echo, namespace: near}
spec:
  hosts: [echo]
  http:
  - match: [{uri: {prefix: /aborted}}]
    fault: {abort: {percentage: {value: 100}, httpStatus: 418}}
    route: [{destination: {host: echo}}]
  - match: [{uri: {prefix: /fine}}]
    route: [{destination: {host: echo}}]
"""


def inner(resource: Any) -> Iterator[Any]:
    """The spans or records below a resource and its scopes, whose names differ among versions of OTLP's messages."""
    for scope in getattr(resource, resource.DESCRIPTOR.fields_by_number[2].name):
        yield from getattr(scope, scope.DESCRIPTOR.fields_by_number[2].name)


class Receivers:
    """What arrived. `spans` are Zipkin's, `traces` OTLP's (service, name, trace, parent, tags)."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.http_entries: list[Any] = []
        self.tcp_entries: list[Any] = []
        self.log_names: collections.Counter[str] = collections.Counter()
        self.log_records: list[Any] = []
        self.traces: list[Any] = []
        self.spans: list[dict[str, Any]] = []

    # Handlers; each runs in a thread of the servers.

    def access_logs(self, messages: Iterator[Any], _: grpc.ServicerContext) -> Any:
        from envoy.service.accesslog.v3 import als_pb2

        with contextlib.suppress(grpc.RpcError):
            for message in messages:
                with self.lock:
                    if message.HasField("identifier"):
                        self.log_names[message.identifier.log_name] += 1
                    self.http_entries += message.http_logs.log_entry
                    self.tcp_entries += message.tcp_logs.log_entry
        return als_pb2.StreamAccessLogsResponse()

    def records(self, message: Any, _: grpc.ServicerContext) -> Any:
        from opentelemetry.proto.collector.logs.v1 import logs_service_pb2

        with self.lock:
            self.log_records += [record for resource in message.resource_logs for record in inner(resource)]
        return logs_service_pb2.ExportLogsServiceResponse()

    def exported(self, message: Any, _: grpc.ServicerContext) -> Any:
        from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

        with self.lock:
            for resource in message.resource_spans:
                service = {one.key: one.value.string_value for one in resource.resource.attributes}.get("service.name")
                self.traces += [(service, span) for span in inner(resource)]
        return trace_service_pb2.ExportTraceServiceResponse()

    def grpc_server(self) -> tuple[grpc.Server, int]:
        from envoy.service.accesslog.v3 import als_pb2
        from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
        from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

        def service(name: str, method: str, make: Any, handle: Any, request: Any, response: Any) -> Any:
            made = make(handle, request_deserializer=request.FromString, response_serializer=response.SerializeToString)
            return grpc.method_handlers_generic_handler(name, {method: made})

        handlers = (
            service(
                "envoy.service.accesslog.v3.AccessLogService",
                "StreamAccessLogs",
                grpc.stream_unary_rpc_method_handler,
                self.access_logs,
                als_pb2.StreamAccessLogsMessage,
                als_pb2.StreamAccessLogsResponse,
            ),
            service(
                "opentelemetry.proto.collector.logs.v1.LogsService",
                "Export",
                grpc.unary_unary_rpc_method_handler,
                self.records,
                logs_service_pb2.ExportLogsServiceRequest,
                logs_service_pb2.ExportLogsServiceResponse,
            ),
            service(
                "opentelemetry.proto.collector.trace.v1.TraceService",
                "Export",
                grpc.unary_unary_rpc_method_handler,
                self.exported,
                trace_service_pb2.ExportTraceServiceRequest,
                trace_service_pb2.ExportTraceServiceResponse,
            ),
        )
        server = grpc.server(
            futures.ThreadPoolExecutor(64)
        )  # A stream of access logs holds one for as long as it lives.
        server.add_generic_rpc_handlers(handlers)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        return server, port

    def zipkin_server(self) -> http.server.ThreadingHTTPServer:
        receivers = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = b""
                while size := int(self.rfile.readline(), 16):  # Envoy sends chunks.
                    body += self.rfile.read(size)
                    self.rfile.readline()
                with receivers.lock:
                    receivers.spans += json.loads(body)
                self.send_response(202)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)


@pytest.fixture(scope="module")
def receivers(walk: Mesh) -> Iterator[Receivers]:
    """Receivers, named in the mesh config as providers, and the Services they are reached by."""
    made = Receivers()
    server, port = made.grpc_server()
    with made.zipkin_server() as zipkin:
        threading.Thread(target=zipkin.serve_forever, daemon=True).start()
        configure(walk, port, zipkin.server_address[1])
        yield made
        zipkin.shutdown()
    server.stop(None).wait()


def configure(mesh: Mesh, port: int, zipkin_port: int) -> None:
    entry = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "ServiceEntry",
        "metadata": {"name": "receivers", "namespace": "istio-system"},
        "spec": {
            "hosts": ["receivers.test"],
            "addresses": ["10.96.77.77"],
            "location": "MESH_EXTERNAL",
            "resolution": "STATIC",
            "endpoints": [{"address": "10.97.255.254"}],
            "ports": [
                {"number": port, "name": "grpc", "protocol": "GRPC"},
                {"number": zipkin_port, "name": "http-zipkin", "protocol": "HTTP"},
            ],
        },
    }
    place = {"service": "receivers.test", "port": port}
    config = {
        "extensionProviders": [
            {"name": "my-http", "envoyHttpAls": {**place, "additionalRequestHeadersToLog": ["x-shown"]}},
            {"name": "my-tcp", "envoyTcpAls": {**place, "logName": "lines"}},
            {
                "name": "my-otel",
                "envoyOtelAls": {
                    **place,
                    "logFormat": {"text": "%REQ(:PATH)%", "labels": {"code": "%RESPONSE_CODE%", "of": "test"}},
                },
            },
            {"name": "my-zipkin", "zipkin": {"service": "receivers.test", "port": zipkin_port}},
            {"name": "my-otlp", "opentelemetry": place},
            {"name": "my-json", "envoyFileAccessLog": {"path": "/dev/stdout", "logFormat": {"labels": {}}}},
            {"name": "my-text", "envoyFileAccessLog": {"path": "/dev/stdout", "logFormat": {"text": OWN_FORMAT}}},
        ],
        "defaultConfig": {"tracing": {"sampling": 100}},
    }
    mesh.kubectl("apply", "-f", "-", given=json.dumps(entry))
    data = {"data": {"mesh": yaml.safe_dump(config)}}
    mesh.kubectl("patch", "configmap", "istio", "-n", "istio-system", "--type=merge", "-p", json.dumps(data))


def telemetry(mesh: Mesh, namespace: str = "near", **spec: Any) -> None:
    obj = {
        "apiVersion": "telemetry.istio.io/v1",
        "kind": "Telemetry",
        "metadata": {"name": "test", "namespace": namespace},
        "spec": spec,
    }
    mesh.kubectl("apply", "-f", "-", given=json.dumps(obj))


@pytest.fixture(scope="module")
def walk(mesh: Mesh) -> Mesh:
    """A client that can be told what to send, and echo."""
    mesh.kubectl("create", "namespace", "near")
    mesh.kubectl("label", "namespace", "near", "istio-injection=enabled")
    mesh.kubectl("apply", "-n", "near", "-f", str(SAMPLES / "echo" / "echo.yaml"))
    mesh.kubectl("delete", "-n", "near", "deployment", "echo-v2")
    objects = [*yaml.safe_load_all(OBJECTS), *client("near")]
    mesh.kubectl("apply", "-f", "-", given=yaml.safe_dump_all(objects))
    mesh.kubectl("wait", "--for=condition=Available", "deployment", "--all", "-n", "near", "--timeout=90s")
    wait_until(lambda: send(mesh, {"url": f"{ECHO}/fine"})[0].get("status") == 200, "the client reaches echo")
    return mesh


def whole_batch(mesh: Mesh, complete: Callable[[str], bool], what: str) -> str:
    """The path of a batch of which everything has come: connections of before a change drain with what they had."""
    for number in range(8):
        path = f"/fine?batch{number}="
        answers = send(mesh, *[{"url": ECHO + path, "headers": {"x-shown": "seen"}}] * MANY)
        assert [one["status"] for one in answers] == [200] * MANY
        with contextlib.suppress(AssertionError):
            wait_until(lambda path=path: complete(path), what, timeout_seconds=10)  # type: ignore[misc]
            return path
    raise AssertionError(f"of no batch: {what}")


def test_access_logs_go_to_every_kind_of_service(walk: Mesh, receivers: Receivers) -> None:
    names = ("my-http", "my-tcp", "my-otel")
    telemetry(walk, accessLogging=[{"providers": [{"name": name} for name in names]}])

    def arrived(path: str) -> tuple[int, int]:
        with receivers.lock:
            entries = [one for one in receivers.http_entries if one.request.path == path]
            records = [one for one in receivers.log_records if one.body.string_value == path]
        return len(entries), len(records)

    def in_force() -> bool:
        send(walk, {"url": f"{ECHO}/fine?probe"})
        return min(arrived("/fine?probe")) >= 2

    wait_until(in_force, "both proxies log to both services")
    path = whole_batch(
        walk, lambda path: arrived(path) == (2 * MANY, 2 * MANY), "an entry of each side for each request"
    )
    with receivers.lock:
        entry = next(one for one in receivers.http_entries if one.request.path == path)
        record = next(one for one in receivers.log_records if one.body.string_value == path)
        assert receivers.log_names["http_envoy_accesslog"] >= 2
    assert (entry.response.response_code.value, entry.request.request_headers["x-shown"]) == (200, "seen")
    attributes = {one.key: one.value.string_value for one in record.attributes}
    assert attributes == {"code": "200", "of": "test"}


def test_connections_are_logged_where_they_end(walk: Mesh, receivers: Receivers) -> None:
    def said() -> int:
        with receivers.lock:
            return len([one for one in receivers.tcp_entries if one.connection_properties.received_bytes == 12])

    def ended() -> bool:
        walk.kubectl("exec", "-n", "near", "deployment/client", "--", "python3", "-c", SPEAK)
        return said() >= 2

    wait_until(ended, "both sides logged a connection", every_seconds=1)
    with receivers.lock:
        assert receivers.log_names["lines"] >= 1


SPEAK = """
import socket
with socket.create_connection(("echo", 9000), timeout=10) as connection:
    connection.sendall(b"hello there\\n")
    connection.recv(100)
"""
TRACE, PARENT = "463ac35c9f6413ad48485a3953bb6124", "a2fb4a1d1a96d312"


def test_zipkin_spans_follow_b3_headers(walk: Mesh, receivers: Receivers) -> None:
    telemetry(walk, tracing=[{"providers": [{"name": "my-zipkin"}]}])
    headers = {"x-b3-traceid": TRACE, "x-b3-spanid": PARENT, "x-b3-sampled": "1"}

    def spans() -> list[dict[str, Any]]:
        with receivers.lock:
            return [one for one in receivers.spans if one["traceId"] == TRACE]

    def pairs() -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """Calls seen from both sides."""
        calls = {one["id"]: one for one in spans() if one["kind"] == "CLIENT"}
        served = [one for one in spans() if one["kind"] == "SERVER"]
        return [(calls[one["parentId"]], one) for one in served if one.get("parentId") in calls]

    def both() -> bool:
        send(walk, {"url": f"{ECHO}/fine", "headers": headers})
        return bool(pairs())

    wait_until(both, "spans of both sides", every_seconds=1)
    outgoing, incoming = pairs()[0]
    assert outgoing["parentId"] == PARENT
    assert outgoing["tags"]["istio.canonical_service"] == "client"
    assert incoming["tags"]["istio.canonical_service"] == "echo"


def test_otlp_spans_follow_w3c_headers_and_everything_is_sampled_as_the_mesh_config_says(
    walk: Mesh, receivers: Receivers
) -> None:
    telemetry(walk, tracing=[{"providers": [{"name": "my-otlp"}]}])
    trace = TRACE[::-1]

    def spans(path: str) -> list[Any]:
        with receivers.lock:
            return [(service, span) for service, span in receivers.traces if path in str(span.attributes)]

    def in_force() -> bool:
        send(walk, {"url": f"{ECHO}/fine?first", "headers": {"traceparent": f"00-{trace}-{PARENT}-01"}})
        return {service for service, _ in spans("/fine?first")} == {"client.near", "echo.near"}

    wait_until(in_force, "spans of both sides", every_seconds=1)
    outgoing = next(span for service, span in spans("/fine?first") if service == "client.near")
    assert (outgoing.trace_id.hex(), outgoing.parent_span_id.hex()) == (trace, PARENT)
    # 100 % of defaultConfig.tracing.sampling: each request has a span on either side.
    every = collections.Counter({"client.near": MANY, "echo.near": MANY})
    whole_batch(
        walk,
        lambda path: collections.Counter(service for service, _ in spans(path)) == every,
        "a span for every request",
    )
    telemetry(walk, tracing=[{"providers": [{"name": "my-otlp"}], "randomSamplingPercentage": 0}])

    def silent() -> bool:
        before = len(spans("/fine?none"))
        send(walk, *[{"url": f"{ECHO}/fine?none"}] * SENT)
        with contextlib.suppress(AssertionError):
            wait_until(lambda: len(spans("/fine?none")) > before, "no span", timeout_seconds=7)
            return False
        return True

    wait_until(silent, "the Telemetry object's percentage wins over the mesh config's", timeout_seconds=90)


@pytest.mark.parametrize("provider", ["envoy", "my-json", "my-text"])
def test_the_console_finds_requests_in_the_logs(walk: Mesh, receivers: Receivers, provider: str) -> None:
    expression = "response.code >= 400 || request.url_path.startsWith('/fine')"
    telemetry(walk, accessLogging=[{"providers": [{"name": provider}], "filter": {"expression": expression}}])

    def found(query: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = walk.console(f"/api/requests?namespaces=near&{query}")["items"]
        return items

    def logged() -> bool:
        send(
            walk,
            {"url": f"{ECHO}/fine?{provider}"},
            {"url": f"{ECHO}/aborted?{provider}"},
            {"url": f"{ECHO}/x?{provider}"},
        )
        lines = found(f"path=/fine?{provider}&codes=2xx&flags=-")
        return len(lines) >= 2 and all(found(f"path={path}?{provider}&workload=client") for path in ("/aborted", "/x"))

    wait_until(logged, "both sides' lines are found", every_seconds=1)
    sides = {(one["workload"], one["side"]) for one in found(f"path=/fine?{provider}")}
    assert sides == {("client", "outbound"), ("echo-v1", "inbound")}
    aborted = found(f"path=/aborted?{provider}&flags=FI&workload=client")[0]
    assert aborted["entry"]["response_code"] == 418
    assert [(one["kind"], one["name"], one["field"]) for one in aborted["responsible"]] == [
        ("VirtualService", "echo", "spec.http[0].fault")
    ]
    missing = found(f"path=/x?{provider}&codes=404&workload=client")[0]
    assert [one["flag"] for one in missing["reasons"]] == ["NR"]
    assert [(one["kind"], one["name"], one["cause"]) for one in missing["responsible"]] == [
        ("VirtualService", "echo", "noRule")
    ]


def test_a_pod_says_how_many_of_its_requests_are_traced(walk: Mesh, receivers: Receivers) -> None:
    annotation = {"proxy.istio.io/config": "tracing: {sampling: 0}"}
    template = {"spec": {"template": {"metadata": {"annotations": annotation}}}}
    walk.kubectl("patch", "deployment", "client", "-n", "near", "--type=merge", "-p", json.dumps(template))
    walk.kubectl("rollout", "status", "deployment/client", "-n", "near", "--timeout=90s")

    def spans(path: str) -> list[str]:
        with receivers.lock:
            return [text for _, span in receivers.traces if path in (text := str(span.attributes))]

    def sent(path: str, headers: dict[str, str] | None = None) -> list[str]:
        send(walk, *[{"url": f"{ECHO}{path}", "headers": headers or {}}] * SENT)
        return spans(path)

    # A Telemetry object that says a percentage wins; one that says none leaves it to the pod.
    telemetry(walk, tracing=[{"providers": [{"name": "my-otlp"}], "randomSamplingPercentage": 100}])
    wait_until(lambda: bool(sent("/fine?said")), "requests are traced", every_seconds=1)
    mark = {"mark": {"literal": {"value": "newer"}}}
    telemetry(walk, tracing=[{"providers": [{"name": "my-otlp"}], "customTags": mark}])
    # What a client asks to be traced is, which shows when the newer object is in force at both sides.
    forced = {"x-client-trace-id": "asked-for"}
    wait_until(
        lambda: len([text for text in sent("/fine?forced", forced)[-2 * SENT :] if "newer" in text]) == 2 * SENT,
        "the newer object is in force",
        every_seconds=1,
    )
    sent("/fine?unsaid")
    sent("/fine?later", forced)
    settle(lambda: len(spans("/fine?later")), 2 * SENT, "what was sent later has arrived")
    assert spans("/fine?unsaid") == []
