"""Probes as the kubelet runs them: from the node to the pod's address.

One difference, on purpose: until the first success a probe is repeated quickly, so that a pod is ready when it is,
not up to ten seconds later. Failures are still counted by the period the user wrote.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Object = Mapping[str, Any]

_FIRST_DELAY_SECONDS = 0.05
_LAST_DELAY_SECONDS = 1.0
_GROWTH = 1.25
_HEAD_BYTES = 8192


@dataclass(frozen=True, slots=True)
class HttpCheck:
    """GET and expect 200 to 399."""

    host: str
    port: int
    path: str
    secure: bool = False
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class TcpCheck:
    """Connect."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class ExecCheck:
    """Run a command in the container and expect 0."""

    command: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GrpcCheck:
    """Ask gRPC's health service about a service ("" for all of them) and expect SERVING."""

    host: str
    port: int
    service: str = ""


Check: TypeAlias = HttpCheck | TcpCheck | ExecCheck | GrpcCheck
RunCommand: TypeAlias = Callable[[tuple[str, ...], float], Awaitable[tuple[int, str]]]


@dataclass(frozen=True, slots=True)
class Probe:
    """A check and its timing."""

    check: Check
    initial_delay_seconds: float = 0.0
    period_seconds: float = 10.0
    timeout_seconds: float = 1.0
    success_threshold: int = 1
    failure_threshold: int = 3


@dataclass(frozen=True, slots=True)
class Outcome:
    """Whether a check passed, and why not."""

    passed: bool
    message: str = field(default="")


def port_number(container: Object, port: int | str) -> int:
    """A port written as a number or as the name of one of the container's; raises ValueError."""
    if isinstance(port, int) or str(port).isdecimal():
        return int(port)
    for declared in container.get("ports") or ():
        if declared.get("name") == port:
            return int(declared["containerPort"])
    raise ValueError(f"container {container['name']}: no port is named {port!r}")


def parse_handler(handler: Object, container: Object, pod_ip: str) -> Check | None:
    """The check of a probe or lifecycle handler; None for a kind this node does not know."""
    if "httpGet" in handler:
        http = handler["httpGet"]
        headers = tuple((one["name"], one.get("value", "")) for one in http.get("httpHeaders") or ())
        secure = str(http.get("scheme", "HTTP")).upper() == "HTTPS"
        port = port_number(container, http["port"])
        return HttpCheck(http.get("host") or pod_ip, port, http.get("path") or "/", secure, headers)
    if "tcpSocket" in handler:
        tcp = handler["tcpSocket"]
        return TcpCheck(tcp.get("host") or pod_ip, port_number(container, tcp["port"]))
    if "grpc" in handler:
        return GrpcCheck(pod_ip, int(handler["grpc"]["port"]), str(handler["grpc"].get("service") or ""))
    if "exec" in handler:
        return ExecCheck(tuple(handler["exec"].get("command") or ()))
    return None


def parse_probe(container: Object, kind: str, pod_ip: str) -> Probe | None:
    """`kind` is `startupProbe`, `readinessProbe` or `livenessProbe`; None when the container has none."""
    found = container.get(kind)
    check = parse_handler(found, container, pod_ip) if found else None
    if not found or check is None:
        return None
    return Probe(
        check,
        initial_delay_seconds=float(found.get("initialDelaySeconds") or 0),
        period_seconds=float(found.get("periodSeconds") or 10),
        timeout_seconds=float(found.get("timeoutSeconds") or 1),
        success_threshold=int(found.get("successThreshold") or 1),
        failure_threshold=int(found.get("failureThreshold") or 3),
    )


async def run_check(check: Check, timeout_seconds: float, run_command: RunCommand) -> Outcome:
    """Carry a check out; never raises for what the container does."""
    try:
        async with asyncio.timeout(timeout_seconds):
            match check:
                case HttpCheck():
                    return await _check_http(check)
                case TcpCheck(host, port):
                    _, writer = await asyncio.open_connection(host, port)
                    writer.transport.abort()
                    return Outcome(True)
                case GrpcCheck():
                    return await _check_grpc(check)
                case ExecCheck(command):
                    code, output = await run_command(command, timeout_seconds)
                    return Outcome(code == 0, output.strip())
    except TimeoutError:
        return Outcome(False, f"no answer within {timeout_seconds:g} s")
    except (OSError, ValueError) as error:
        return Outcome(False, str(error))


async def _check_grpc(check: GrpcCheck) -> Outcome:
    """Two messages of one field each: grpc.health.v1, written and read by hand."""
    import grpc  # large, and few probes need it

    name = check.service.encode()[:127]
    question = b"\x0a" + bytes([len(name)]) + name if name else b""
    async with grpc.aio.insecure_channel(f"{check.host}:{check.port}") as channel:
        ask = channel.unary_unary("/grpc.health.v1.Health/Check")
        try:
            answer: bytes = await ask(question)
        except grpc.aio.AioRpcError as error:
            return Outcome(False, f"gRPC {error.code().name}: {error.details()}")
    if answer[:2] == b"\x08\x01":
        return Outcome(True)
    return Outcome(False, f"service {check.service!r} is not serving")


async def _check_http(check: HttpCheck) -> Outcome:
    context = None
    if check.secure:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    reader, writer = await asyncio.open_connection(check.host, check.port, ssl=context)
    try:
        names = {name.lower() for name, _ in check.headers}
        lines = [f"GET {check.path} HTTP/1.1", *(f"{name}: {value}" for name, value in check.headers)]
        if "host" not in names:
            lines.append(f"Host: {check.host}:{check.port}")
        if "user-agent" not in names:
            lines.append("User-Agent: kube-probe/1.33")
        writer.write("\r\n".join([*lines, "Accept: */*", "Connection: close", "", ""]).encode())
        status = (await reader.readline()).split()
        code = int(status[1]) if len(status) > 1 else 0
        return Outcome(200 <= code < 400, "" if 200 <= code < 400 else f"HTTP probe failed with statuscode: {code}")
    finally:
        writer.transport.abort()


async def wait_for_success(
    probe: Probe, run_command: RunCommand, on_failure: Callable[[str], None], give_up: bool
) -> bool:
    """Check quickly until it passes. With `give_up`, False after as many periods as the failure threshold allows."""
    loop = asyncio.get_running_loop()
    counted_at = loop.time() + probe.initial_delay_seconds + probe.period_seconds
    delay = _FIRST_DELAY_SECONDS
    failures = 0
    while True:
        outcome = await run_check(probe.check, probe.timeout_seconds, run_command)
        if outcome.passed:
            return True
        if loop.time() >= counted_at:
            failures += 1
            counted_at += probe.period_seconds
            on_failure(outcome.message)
            if give_up and failures >= probe.failure_threshold:
                return False
        await asyncio.sleep(delay)
        delay = min(delay * _GROWTH, _LAST_DELAY_SECONDS, max(probe.period_seconds, _FIRST_DELAY_SECONDS))


async def keep_checking(
    probe: Probe, run_command: RunCommand, on_failure: Callable[[str], None], on_change: Callable[[bool], None]
) -> None:
    """Check every period, for ever; `on_change` is told when the thresholds are crossed. Starts as passed."""
    passed, successes, failures = True, 0, 0
    while True:
        await asyncio.sleep(probe.period_seconds)
        outcome = await run_check(probe.check, probe.timeout_seconds, run_command)
        if outcome.passed:
            successes, failures = successes + 1, 0
        else:
            successes, failures = 0, failures + 1
            on_failure(outcome.message)
        if passed and failures >= probe.failure_threshold:
            passed = False
            on_change(False)
        elif not passed and successes >= probe.success_threshold:
            passed = True
            on_change(True)
        elif not passed and failures >= probe.failure_threshold:
            on_change(False)
