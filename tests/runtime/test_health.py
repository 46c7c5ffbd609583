"""Probes against real sockets."""

import asyncio
from typing import Any

import pytest

from kaiki.runtime import health
from kaiki.runtime.health import (
    HttpCheck,
    Outcome,
    Probe,
    TcpCheck,
    keep_checking,
    parse_probe,
    run_check,
    wait_for_success,
)


async def no_command(command: tuple[str, ...], timeout_seconds: float) -> tuple[int, str]:
    return (0, "") if command == ("true",) else (1, "no\n")


class Server:
    """Answers with the status it is told; counts."""

    def __init__(self) -> None:
        self.status = 200
        self.count = 0
        self.server: Any = None

    async def __aenter__(self) -> "Server":
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.count += 1
        assert b"User-Agent: kube-probe" in head
        writer.write(f"HTTP/1.1 {self.status} X\r\nContent-Length: 0\r\n\r\n".encode())
        writer.close()


@pytest.mark.parametrize(("status", "passed"), [(200, True), (302, True), (404, False), (500, False)])
async def test_http(status: int, passed: bool) -> None:
    async with Server() as server:
        server.status = status
        outcome = await run_check(HttpCheck("127.0.0.1", server.port, "/x"), 5, no_command)
        assert outcome.passed is passed and (passed or str(status) in outcome.message)


async def test_tcp_and_refusal() -> None:
    async with Server() as server:
        port = server.port
    assert not (await run_check(TcpCheck("127.0.0.1", port), 5, no_command)).passed


async def test_exec() -> None:
    container = {"name": "c", "livenessProbe": {"exec": {"command": ["false"]}}}
    probe = parse_probe(container, "livenessProbe", "")
    assert probe and await run_check(probe.check, 1, no_command) == Outcome(False, "no")


def test_parsing_with_a_named_port() -> None:
    handler = {
        "httpGet": {"port": "web", "path": "/h", "httpHeaders": [{"name": "A", "value": "b"}]},
        "periodSeconds": 3,
    }
    container = {"name": "c", "ports": [{"name": "web", "containerPort": 8080}], "readinessProbe": handler}
    probe = parse_probe(container, "readinessProbe", "10.97.1.1")
    assert probe == Probe(HttpCheck("10.97.1.1", 8080, "/h", headers=(("A", "b"),)), period_seconds=3)
    assert parse_probe(container, "startupProbe", "") is None


async def test_the_first_success_comes_quickly() -> None:
    async with Server() as server:
        server.status = 500
        probe = Probe(HttpCheck("127.0.0.1", server.port, "/"), period_seconds=1000)
        waiting = asyncio.create_task(wait_for_success(probe, no_command, lambda _: None, give_up=True))
        async with asyncio.timeout(30):
            while server.count < 2:
                await asyncio.sleep(0.01)
            server.status = 200
            assert await waiting


async def test_giving_up_after_the_threshold() -> None:
    failures: list[str] = []
    probe = Probe(TcpCheck("127.0.0.1", 1), period_seconds=0.05, failure_threshold=2)
    assert not await wait_for_success(probe, no_command, failures.append, give_up=True)
    assert len(failures) == 2


async def test_thresholds() -> None:
    changes: asyncio.Queue[bool] = asyncio.Queue()
    async with Server() as server, asyncio.timeout(30):
        server.status = 500
        probe = Probe(HttpCheck("127.0.0.1", server.port, "/"), period_seconds=0.02, failure_threshold=2)
        checking = asyncio.create_task(keep_checking(probe, no_command, lambda _: None, changes.put_nowait))
        assert await changes.get() is False
        server.status = 200
        while not await changes.get():
            pass
        checking.cancel()


@pytest.mark.parametrize(("service", "passed"), [("", True), ("boats", True), ("sunk", False), ("nobody", False)])
async def test_grpc(service: str, passed: bool) -> None:
    import grpc

    states = {b"": b"\x08\x01", b"\x0a\x05boats": b"\x08\x01", b"\x0a\x04sunk": b"\x08\x02"}

    async def answer(question: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        if question not in states:
            await context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
        return states[question]

    server = grpc.aio.server()
    handler = grpc.method_handlers_generic_handler(
        "grpc.health.v1.Health", {"Check": grpc.unary_unary_rpc_method_handler(answer)}
    )
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        check = health.parse_handler({"grpc": {"port": port, "service": service}}, {"name": "a"}, "127.0.0.1")
        assert check is not None
        outcome = await health.run_check(check, 5.0, None)  # type: ignore[arg-type]
        assert outcome.passed is passed, outcome
    finally:
        await server.stop(None)
