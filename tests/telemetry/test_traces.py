"""Traces: what is received, by every protocol, is what Jaeger's API answers; and the store stays within its bounds."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import grpc.aio
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

from kaiki.telemetry.traces.jaeger import BadParameter, duration_us, trace_query
from kaiki.telemetry.traces.server import Traces, TraceSettings, serving_traces
from kaiki.telemetry.traces.span import Details, Span, tag
from kaiki.telemetry.traces.store import TraceLimits, TraceQuery, TraceStore

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
TRACE = "0af7651916cd43dd8448eb211c80319c"
START_US = 1_700_000_000_000_000


def _span(number: int, service: str = "web", parent: str = "", trace: str = TRACE, **tags: Any) -> Span:
    return Span(
        trace=trace,
        span=f"{number:016x}",
        parent=parent,
        service=service,
        operation=f"GET {number}",
        kind="server",
        start_us=START_US + number,
        duration_us=number * 1000,
        details=Details(tags=tuple(tag(key, value) for key, value in tags.items())),
    )


def _request() -> Any:
    request = trace_service_pb2.ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.add(key="service.name").value.string_value = "reviews.default"
    group.resource.attributes.add(key="host").value.string_value = "a"
    spans = group.instrumentation_library_spans.add()
    spans.instrumentation_library.name = "envoy"
    one = spans.spans.add(
        trace_id=bytes.fromhex(TRACE),
        span_id=bytes.fromhex("b7ad6b7169203331"),
        parent_span_id=bytes.fromhex("00f067aa0ba902b7"),
        name="reviews.default.svc.cluster.local",
        kind=2,
        start_time_unix_nano=START_US * 1000,
        end_time_unix_nano=(START_US + 2500) * 1000,
    )
    one.attributes.add(key="http.status_code").value.string_value = "503"
    one.attributes.add(key="retries").value.int_value = 2
    one.attributes.add(key="list").value.array_value.values.add().bool_value = True
    one.status.code = 2
    one.events.add(time_unix_nano=(START_US + 1) * 1000, name="retry")
    one.links.add(trace_id=bytes.fromhex(TRACE), span_id=bytes.fromhex("00f067aa0ba902b8"))
    spans.spans.add(name="without ids")
    return request


@pytest.fixture
async def traces(tmp_path: Path) -> AsyncIterator[Traces]:
    settings = TraceSettings(tmp_path, "127.0.0.1", grpc_port=0, http_port=0, zipkin_port=0, query_port=0)
    async with serving_traces(settings) as running:
        yield running


async def _get(traces: Traces, path: str, status: int = 200, **parameters: Any) -> Any:
    url = f"http://127.0.0.1:{traces.query_port}{path}"
    async with aiohttp.ClientSession() as session, session.get(url, params=parameters) as response:
        assert response.status == status, await response.text()
        return json.loads(await response.read())


async def _wait(traces: Traces, spans: int) -> None:
    import asyncio

    for _ in range(500):
        store_line = traces.intake.render().splitlines()[-1]
        if store_line == f"kaiki_traces_spans {spans}":
            return
        await asyncio.sleep(0.02)
    raise AssertionError(traces.intake.render())


async def test_what_comes_over_grpc_is_answered_in_jaegers_words(traces: Traces) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{traces.grpc_port}") as channel:
        call = channel.unary_unary(
            EXPORT,
            request_serializer=trace_service_pb2.ExportTraceServiceRequest.SerializeToString,
            response_deserializer=trace_service_pb2.ExportTraceServiceResponse.FromString,
        )
        await call(_request())
    await _wait(traces, 1)
    assert (await _get(traces, "/api/services"))["data"] == ["reviews.default"]
    assert (await _get(traces, "/jaeger/api/services"))["total"] == 1
    (trace,) = (await _get(traces, f"/api/traces/{TRACE}"))["data"]
    assert trace["processes"] == {
        "p1": {"serviceName": "reviews.default", "tags": [{"key": "host", "type": "string", "value": "a"}]}
    }
    (span,) = trace["spans"]
    assert (span["startTime"], span["duration"], span["processID"]) == (START_US, 2500, "p1")
    assert span["references"] == [
        {"refType": "CHILD_OF", "traceID": TRACE, "spanID": "00f067aa0ba902b7"},
        {"refType": "FOLLOWS_FROM", "traceID": TRACE, "spanID": "00f067aa0ba902b8"},
    ]
    assert {one["key"]: (one["type"], one["value"]) for one in span["tags"]} == {
        "http.status_code": ("string", "503"),
        "retries": ("int64", 2),
        "list": ("string", "[true]"),
        "otel.scope.name": ("string", "envoy"),
        "span.kind": ("string", "server"),
        "error": ("bool", True),
        "otel.status_code": ("string", "ERROR"),
    }
    assert span["logs"] == [
        {"timestamp": START_US + 1, "fields": [{"key": "event", "type": "string", "value": "retry"}]}
    ]


async def test_otlp_over_http_and_zipkin(traces: Traces) -> None:
    zipkin = [
        {
            "traceId": TRACE[16:],
            "id": "00f067aa0ba902b7",
            "name": "get",
            "kind": "CLIENT",
            "timestamp": START_US,
            "duration": 5000,
            "localEndpoint": {"serviceName": "productpage.default", "ipv4": "10.0.0.1"},
            "tags": {"http.status_code": "200", "error": "timeout"},
        }
    ]
    async with aiohttp.ClientSession() as session:
        body, headers = _request().SerializeToString(), {"Content-Type": "application/x-protobuf"}
        url = f"http://127.0.0.1:{traces.http_port}/v1/traces"
        async with session.post(url, data=body, headers=headers) as response:
            assert response.status == 200
        async with session.post(url, data=b"{}", headers={"Content-Type": "application/json"}) as response:
            assert response.status == 415
        url = f"http://127.0.0.1:{traces.zipkin_port}/api/v2/spans"
        async with session.post(url, json=zipkin) as response:
            assert response.status == 202
        async with session.post(url, data=b"[{}]") as response:
            assert response.status == 400
    await _wait(traces, 2)
    found = (await _get(traces, "/api/traces", service="productpage.default", start=START_US, end=START_US + 1))["data"]
    assert [one["traceID"] for one in found] == [TRACE[16:].rjust(32, "0")]
    assert {"key": "error", "type": "bool", "value": True} in found[0]["spans"][0]["tags"]
    operations = (await _get(traces, "/api/operations", service="reviews.default"))["data"]
    assert operations == [{"name": "reviews.default.svc.cluster.local", "spanKind": "server"}]
    found = await _get(traces, "/api/traces", service="reviews.default", tag="http.status_code:503", start=0)
    assert len(found["data"]) == 1
    assert not (await _get(traces, "/api/traces", service="reviews.default", tags='{"retries":"3"}', start=0))["data"]


async def test_what_cannot_be_answered_says_why(traces: Traces) -> None:
    assert (await _get(traces, "/api/traces", 400))["errors"][0]["msg"] == "parameter 'service' is required"
    assert (await _get(traces, f"/api/traces/{TRACE}", 404))["errors"] == [{"code": 404, "msg": "trace not found"}]
    wrong = await _get(traces, "/api/traces", 400, service="a", minDuration="soon")
    assert "minDuration" in wrong["errors"][0]["msg"]


def test_parameters() -> None:
    assert duration_us("1h1.5s", "x") == 3_601_500_000
    query = trace_query({"service": ["a"], "lookback": ["2d"], "operation": ["all"], "limit": ["0"]}, START_US)
    assert query == TraceQuery("a", start_us=START_US - 2 * 86_400_000_000, end_us=START_US, limit=1)
    with pytest.raises(BadParameter, match="tag"):
        trace_query({"service": ["a"], "tag": ["x"]}, 0)


def test_searching_and_dependencies(tmp_path: Path) -> None:
    store = TraceStore(tmp_path / "t")
    other = "1" * 32
    store.add([_span(1), _span(2, "reviews", parent=f"{1:016x}"), _span(3, trace=other, code=200)])
    assert store.search(TraceQuery("web")) == [other, TRACE]
    assert store.search(TraceQuery("web", limit=1)) == [other]
    assert store.search(TraceQuery("web", maximum_us=1500)) == [TRACE]
    assert store.search(TraceQuery("web", tags=(("code", "200"),))) == [other]
    assert store.search(TraceQuery("web", operation="GET 3", minimum_us=2000)) == [other]
    (edge,) = store.dependencies(START_US, START_US + 10)
    assert (edge.parent, edge.child, edge.calls) == ("web", "reviews", 1)
    store.close()
    again = TraceStore(tmp_path / "t")
    assert (again.services(), again.spans) == (["reviews", "web"], 3)
    again.close()


def test_the_oldest_go_when_it_is_full(tmp_path: Path) -> None:
    store = TraceStore(tmp_path / "t", TraceLimits(spans=100))
    for first in range(0, 300, 50):
        store.add([_span(number, f"s{number // 100}", trace=f"{number:032x}") for number in range(first, first + 50)])
    assert 80 <= store.spans <= 100
    assert store.services() == ["s2"]
    assert not store.trace(f"{0:032x}") and store.trace(f"{299:032x}")
    store.close()
    small = TraceStore(tmp_path / "b", TraceLimits(bytes=200_000))
    for first in range(0, 2000, 100):
        small.add([_span(number, text="x" * 500) for number in range(first, first + 100)])
    assert small.used_bytes() <= 200_000 and small.spans
    small.close()


def test_a_broken_file_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / "t").write_bytes(b"this is no database" * 100)
    store = TraceStore(tmp_path / "t")
    store.add([_span(1)])
    assert store.spans == 1 and (tmp_path / "t.broken").read_bytes().startswith(b"this is no")
    store.close()
