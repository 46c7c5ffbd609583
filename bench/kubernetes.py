"""What the embedded Kubernetes API costs: `python -m bench kubernetes`.

A server of its own, in a process of its own, with 10,000 objects of 1.7 KB; the clients are here. Where the client is
the slower part (it is written in Python too), the processor time of the server tells more than the rate.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import aiohttp

from bench.processes import Process
from bench.table import Figure, print_figures
from kaiki.apiserver import credentials
from kaiki.apiserver.ownership import Manager
from kaiki.apiserver.store import Store

OBJECTS, OBJECT_BYTES = 10_000, 1700
WATCHERS, EVENTS = 100, 300
PUTS, WRITERS = 3000, 8
ROUNDS = 7
KUBECTL = Path(sys.executable).parent / "kubectl"
MAPS = "/api/v1/namespaces/default/configmaps"
MANAGER = Manager("bench", "Update", "v1", "2030-01-01T00:00:00Z")
FIELDS = {"f:data": {".": {}, "f:text": {}}, "f:metadata": {"f:labels": {".": {}, "f:app": {}}}}
SERVER = """
import asyncio, sys
from pathlib import Path
from kaiki.apiserver.server import ApiServerSettings, serve

asyncio.run(serve(ApiServerSettings(Path(sys.argv[1]), listen_fds=(int(sys.argv[2]),))))
"""


class Server:
    """A running server and a session to it."""

    def __init__(self, process: Process, session: aiohttp.ClientSession, url: str, home: Path, seconds: float) -> None:
        self.process, self.session, self.url, self.home = process, session, url, home
        self.start_seconds = seconds

    async def cpu_milliseconds(self, work: Callable[[], Awaitable[object]], times: int = ROUNDS) -> float:
        """The server's processor time for one of these."""
        before = self.process.cpu_seconds()
        for _ in range(times):
            await work()
        return (self.process.cpu_seconds() - before) / times * 1000

    async def get(self, path: str, accept: str = "application/json") -> bytes:
        async with self.session.get(self.url + path, headers={"Accept": accept}) as response:
            response.raise_for_status()
            return await response.read()


@contextlib.asynccontextmanager
async def running(home: Path) -> AsyncIterator[Server]:
    """A server on a free port of loopback."""
    credentials.ensure_credentials(home)
    context = ssl.create_default_context(cadata=credentials.authority_certificate(home))
    headers = {"Authorization": f"Bearer {credentials.admin_token(home)}"}
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        credentials.write_kubeconfig(home, url)
        command = [sys.executable, "-c", SERVER, str(home), str(listener.fileno())]
        began = time.perf_counter()
        with subprocess.Popen(command, pass_fds=(listener.fileno(),)) as child:
            connector = aiohttp.TCPConnector(ssl=context, limit=0)
            timeout = aiohttp.ClientTimeout(total=300)
            try:
                async with aiohttp.ClientSession(headers=headers, connector=connector, timeout=timeout) as session:
                    server = Server(Process(child.pid, os.getpid(), "apiserver"), session, url, home, 0)
                    await server.get("/readyz")
                    server.start_seconds = time.perf_counter() - began
                    yield server
            finally:
                child.terminate()


def body(number: int, note: str = "") -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"map-{number}", "namespace": "default", "labels": {"app": f"a{number % 50}"}},
        "data": {"text": note + "x" * (OBJECT_BYTES - 300)},
    }


def fill(home: Path) -> None:
    """Write the objects straight into the store: this is not what is measured."""
    store = Store(home / "api.sqlite")
    for number in range(OBJECTS):
        value = body(number)
        value["metadata"] |= {"uid": f"{number:036}", "creationTimestamp": "2030-01-01T00:00:00Z"}  # type: ignore[operator]
        value["metadata"] |= {"managedFields": [MANAGER.entry(FIELDS)]}  # type: ignore[operator]
        store.put("/configmaps", "default", f"map-{number}", value, 0)
    store.close()


async def measure_lists(server: Server) -> list[Figure]:
    table = "application/json;as=Table;v=v1;g=meta.k8s.io"
    listed = await server.cpu_milliseconds(lambda: server.get(MAPS))
    chosen = await server.cpu_milliseconds(lambda: server.get(f"{MAPS}?labelSelector=app%3Da7"))
    page = await server.cpu_milliseconds(lambda: server.get(f"{MAPS}?limit=500", table))
    return [
        Figure(f"list {OBJECTS:,} objects, server CPU", listed, "ms", 60),
        Figure("200 of them by label, server CPU", chosen, "ms"),
        Figure("a page of 500 as kubectl's table, server CPU", page, "ms"),
    ]


async def measure_puts(server: Server) -> list[Figure]:
    async def write(numbers: range) -> None:
        for number in numbers:
            async with server.session.put(f"{server.url}{MAPS}/map-{number}", json=body(number, "new")) as response:
                response.raise_for_status()
                await response.read()

    cpu, began = server.process.cpu_seconds(), time.perf_counter()
    await asyncio.gather(*(write(range(at, PUTS, WRITERS)) for at in range(WRITERS)))
    took, used = time.perf_counter() - began, server.process.cpu_seconds() - cpu
    return [
        Figure(f"PUT, durable, {WRITERS} clients", PUTS / took, "/s", 1500, at_least=True),
        Figure("PUT, server CPU", used / PUTS * 1000, "ms"),
    ]


async def measure_watches(server: Server) -> list[Figure]:
    ready, seen = asyncio.Semaphore(0), 0

    async def follow() -> None:
        nonlocal seen
        async with server.session.get(f"{server.url}{MAPS}?watch=true&resourceVersion={revision}") as response:
            ready.release()
            count = 0
            async for chunk in response.content.iter_any():
                count += chunk.count(b"\n")
                if count >= EVENTS:
                    break
            seen += count

    revision = json.loads(await server.get(f"{MAPS}?limit=1"))["metadata"]["resourceVersion"]
    tasks = [asyncio.create_task(follow()) for _ in range(WATCHERS)]
    for _ in tasks:
        await ready.acquire()
    cpu, began = server.process.cpu_seconds(), time.perf_counter()
    patch = {"Content-Type": "application/merge-patch+json"}

    async def change(numbers: range) -> None:
        for number in numbers:
            data = json.dumps({"data": {"event": str(number)}})
            async with server.session.patch(f"{server.url}{MAPS}/map-{number}", data=data, headers=patch) as response:
                await response.read()

    await asyncio.gather(*(change(range(at, EVENTS, WRITERS)) for at in range(WRITERS)))
    await asyncio.gather(*tasks)
    took, used = time.perf_counter() - began, server.process.cpu_seconds() - cpu
    rate = seen / took
    return [
        Figure(f"{WATCHERS} watchers × {EVENTS} events", rate, "events/s", 25_000, at_least=True),
        Figure("the same by server CPU", seen / used, "events/s"),
    ]


def measure_kubectl(server: Server) -> list[Figure]:
    environment = {"KUBECONFIG": str(server.home / "kubeconfig"), "HOME": str(server.home), "PATH": os.environ["PATH"]}

    def seconds(*arguments: str) -> float:
        began = time.perf_counter()
        subprocess.run([str(KUBECTL), *arguments], env=environment, capture_output=True, check=True)
        return time.perf_counter() - began

    seconds("get", "pods")
    own = statistics.median(seconds("version", "--client") for _ in range(ROUNDS * 2))
    whole = statistics.median(seconds("get", "pods") for _ in range(ROUNDS * 2))
    return [
        Figure("kubectl's own start-up", own * 1000, "ms"),
        Figure("kubectl get pods", whole * 1000, "ms", own * 1300),
    ]


async def measure(home: Path) -> list[Figure]:
    async with running(home) as server:
        empty = server.process.pss_kilobytes()
        empty_seconds = server.start_seconds
    fill(home)
    async with running(home) as server:
        memory = (server.process.pss_kilobytes() - empty) / 1024
        figures = [
            Figure(f"start with {OBJECTS:,} objects", server.start_seconds * 1000, "ms", 1000),
            Figure("start with none", empty_seconds * 1000, "ms"),
            Figure(f"memory of {OBJECTS:,} objects", memory, "MB", 60),
            *await measure_lists(server),
            *await measure_puts(server),
            *await measure_watches(server),
        ]
        return figures + await asyncio.to_thread(measure_kubectl, server)


def main() -> None:
    """Prints one table."""
    with tempfile.TemporaryDirectory() as folder:
        figures = asyncio.run(measure(Path(folder)))
    print_figures(f"The embedded Kubernetes API, {OBJECTS:,} objects of {OBJECT_BYTES / 1000} KB", figures)


if __name__ == "__main__":
    main()
