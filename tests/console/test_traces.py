"""The console's way to traces: Jaeger's own answers, and words where there are none."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from kaiki.console.server import running
from kaiki.console.settings import ConsoleSettings
from kaiki.telemetry.traces.server import TraceSettings, serving_traces
from kaiki.telemetry.traces.span import Details, Span, tag

TOKEN = "secret-of-the-test"
SPAN = Span("0" * 31 + "1", "1" * 16, "", "a b.shop", "GET /", "server", 1000, 5, Details((tag("code", 200),)))


async def _ask(tracing_url: str, *paths: str) -> list[tuple[int, Any]]:
    settings = ConsoleSettings(
        listen=("127.0.0.1", 0),
        tracing_url=tracing_url,
        token=TOKEN,
        token_secret=None,
        metrics_url="http://127.0.0.1:9",
    )
    found = []
    async with running(settings) as (host, port), aiohttp.ClientSession() as session:
        for path in paths:
            headers = {"Authorization": f"Bearer {TOKEN}"}
            async with session.get(f"http://{host}:{port}{path}", headers=headers) as answer:
                found.append((answer.status, await answer.json()))
    return found


async def test_jaegers_answers_are_passed_on(tmp_path: Path) -> None:
    settings = TraceSettings(tmp_path, "127.0.0.1", grpc_port=0, http_port=0, zipkin_port=0, query_port=0)
    async with serving_traces(settings) as traces:
        traces.intake.add([SPAN])
        url = f"http://127.0.0.1:{traces.query_port}/jaeger"
        for _ in range(200):
            answers = await _ask(url, "/api/tracing/services")
            if answers[0][1]["data"]:
                break
        services, operations, found, one, missing = await _ask(
            url,
            "/api/tracing/services",
            "/api/tracing/services/a%20b.shop/operations",
            "/api/tracing/traces?service=a%20b.shop&start=0&tag=code:200",
            f"/api/tracing/traces/{SPAN.trace}",
            "/api/tracing/traces/2",
        )
    assert services == (200, services[1]) and services[1]["data"] == ["a b.shop"]
    assert operations[1]["data"] == ["GET /"]
    assert found[1]["data"][0]["traceID"] == one[1]["data"][0]["traceID"] == SPAN.trace
    assert missing[0] == 404 and missing[1]["errors"][0]["msg"] == "trace not found"


@pytest.mark.parametrize("configured", [True, False])
async def test_no_backend_is_said(configured: bool) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}" if configured else ""
        ((status, body),) = await _ask(url, "/api/tracing/services")
    assert status == 503 and body["error"]["code"] == "tracesUnavailable"
    assert ("does not answer" if configured else "no tracing backend") in body["error"]["message"]
