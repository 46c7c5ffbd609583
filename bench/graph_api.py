"""How fast a graph is told: `python -m bench graph_api`, or `python -m bench.graph_api --workloads 1000 5000`.

    a store (processes of its own) with a made-up mesh's series ◀── a console ◀── /api/graph

Every workload calls two others, four of five calls within its namespace of twenty; both proxies report, every fifth
edge has errors, and each edge has a histogram of twenty buckets on both sides. Samples every 15 s; windows of 60 s.
Cold: no answer is kept from before, each request is for a moment of its own; the store is up and has been asked before,
as it is by whoever looks at a graph. No Kubernetes API: what its registry of workloads adds is the row `build`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import numpy as np
import orjson
from aiohttp import web

from bench.table import Figure, print_figures
from kaiki.console.metrics import MetricsClient
from kaiki.console.server import running as console_running
from kaiki.console.settings import ConsoleSettings
from kaiki.graph import (
    GraphOptions,
    GraphType,
    Registry,
    RegistryService,
    RegistryWorkload,
    build_graph,
    traffic_queries,
)
from kaiki.telemetry.api.application import Api, ApiSettings
from kaiki.telemetry.matchers import NAME
from kaiki.telemetry.promql.context import QuerySettings
from kaiki.telemetry.store.series import SeriesStore, StoreLimits

PER_NAMESPACE, CALLS, SCRAPES, INTERVAL_MS, REQUESTS, MOST = 20, 2, 24, 15_000, 20, 1200
BEGIN_MS = 1_700_000_000_000
BOUNDS = (0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 600_000, 1_800_000)
LES = (*(f"{bound:g}" for bound in BOUNDS), "3.6e+06", "+Inf")
TOKEN = "bench"
Labels = dict[str, str]


def edges(workloads: int) -> list[tuple[int, int]]:
    """Who calls whom."""
    draw = random.Random(1)
    found = set()
    for caller in range(workloads):
        for _ in range(CALLS):
            near = caller // PER_NAMESPACE * PER_NAMESPACE + draw.randrange(PER_NAMESPACE)
            callee = draw.randrange(workloads) if draw.random() < 0.2 else min(near, workloads - 1)
            if callee != caller:
                found.add((caller, callee))
    return sorted(found)


def _side(number: int, side: str) -> Labels:
    namespace, name = f"namespace-{number // PER_NAMESPACE}", f"service-{number}"
    return {
        f"{side}_workload": f"{name}-v1",
        f"{side}_workload_namespace": namespace,
        f"{side}_canonical_service": name,
        f"{side}_canonical_revision": "v1",
        f"{side}_app": name,
        f"{side}_version": "v1",
        f"{side}_principal": f"spiffe://cluster.local/ns/{namespace}/sa/{name}",
        f"{side}_cluster": "Kubernetes",
    }


def series(workloads: int) -> Iterator[tuple[str, Labels, float]]:
    """Metric, labels and growth per second of every series."""
    for caller, callee in edges(workloads):
        namespace = f"namespace-{callee // PER_NAMESPACE}"
        service = {
            "destination_service": f"service-{callee}.{namespace}.svc.cluster.local",
            "destination_service_name": f"service-{callee}",
            "destination_service_namespace": namespace,
            "request_protocol": "http",
            "job": "envoy-stats",
        }
        for reporter in ("source", "destination"):
            both = {"reporter": reporter, **_side(caller, "source"), **_side(callee, "destination"), **service}
            both["connection_security_policy"] = "mutual_tls" if reporter == "destination" else "unknown"
            good, bad = both | {"response_code": "200"}, both | {"response_code": "503", "response_flags": "UH"}
            yield "istio_requests_total", good, 4.0
            if (caller + callee) % 5 == 0:
                yield "istio_requests_total", bad, 0.5
            yield "istio_request_duration_milliseconds_sum", good, 80.0
            yield "istio_request_bytes_sum", good, 2000.0
            yield "istio_response_bytes_sum", good, 9000.0
            for place, le in enumerate(LES):
                yield "istio_request_duration_milliseconds_bucket", good | {"le": le}, min(4.0, place / 2)


async def serve(workloads: int, folder: Path, live: bool = False) -> None:
    """Fill a store and answer queries until told to end; prints its port and the number of its series.

    With `live` the samples reach to now, and come on and on, at the same rates.
    """
    begin_ms = int(time.time() * 1000) - (SCRAPES - 1) * INTERVAL_MS if live else BEGIN_MS
    store = SeriesStore(folder, StoreLimits(max_series=10_000_000))
    made = [(store.series_id([(NAME, metric), *labels.items()]), rate) for metric, labels, rate in series(workloads)]
    ids = np.array([number for number, _ in made], np.int32)
    rates = np.array([rate for _, rate in made])
    for step in range(SCRAPES):
        store.append(begin_ms + step * INTERVAL_MS, ids, rates * (step * INTERVAL_MS / 1000))
    settings = ApiSettings(QuerySettings(max_samples=50_000_000, max_cells=50_000_000))
    runner = web.AppRunner(Api(store, settings).application())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(orjson.dumps({"port": runner.addresses[0][1], "series": len(ids)}).decode(), flush=True)
    for step in itertools.count(SCRAPES):
        moment_ms = begin_ms + step * INTERVAL_MS
        await asyncio.sleep(moment_ms / 1000 - time.time() if live else 3600)
        store.append(moment_ms, ids, rates * (step * INTERVAL_MS / 1000))


async def measure(port: int, workloads: int) -> tuple[list[float], list[float], int]:
    """Milliseconds of each request to the console and of its queries at the store, and the number of queries."""
    url = f"http://127.0.0.1:{port}"
    settings = ConsoleSettings(("127.0.0.1", 0), url, token=TOKEN, metrics_timeout_seconds=120)
    end = (BEGIN_MS + (SCRAPES - 1) * INTERVAL_MS) / 1000
    whole, asked = [], []
    async with console_running(settings) as address, aiohttp.ClientSession() as client:
        graph, headers = f"http://{address[0]}:{address[1]}/api/graph", {"Authorization": f"Bearer {TOKEN}"}
        for turn in range(REQUESTS + 1):
            at = end - turn * 0.5
            begun = time.perf_counter()
            parameters = {"duration": "60s", "at": str(at), "most": str(MOST)}
            async with client.get(graph, params=parameters, headers=headers) as answer:
                size = len((await answer.read()) if answer.status == 200 else b"")
            assert size, f"{workloads} workloads: HTTP {answer.status}"
            whole.append((time.perf_counter() - begun) * 1000)
            begun = time.perf_counter()
            await asyncio.gather(*(_ask(client, url, query, at - 0.25) for query in traffic_queries(60).values()))
            asked.append((time.perf_counter() - begun) * 1000)
    return whole[1:], asked[1:], len(traffic_queries(60))


async def _ask(client: aiohttp.ClientSession, url: str, query: str, at: float) -> None:
    parameters = {"query": query, "time": str(at), "increase": "exact", "format": "packed"}
    if "_bucket" in query:
        parameters["pivot"] = "le"
    async with client.post(f"{url}/api/v1/query", data=parameters) as answer:
        await answer.read()


async def build(port: int, workloads: int) -> float:
    """Milliseconds to build the graph from what the store answered, with a registry of all workloads and services."""
    registry = Registry(
        workloads=tuple(
            RegistryWorkload(
                f"namespace-{n // PER_NAMESPACE}",
                f"service-{n}-v1",
                app=f"service-{n}",
                version="v1",
                labels={"app": f"service-{n}"},
            )
            for n in range(workloads)
        ),
        services=tuple(
            RegistryService(f"namespace-{n // PER_NAMESPACE}", f"service-{n}", {"app": f"service-{n}"})
            for n in range(workloads)
        ),
    )
    at = (BEGIN_MS + (SCRAPES - 1) * INTERVAL_MS) / 1000
    client = MetricsClient(f"http://127.0.0.1:{port}", 120)
    traffic = await client.traffic(60, at)
    await client.close()
    options = GraphOptions(graph_type=GraphType.WORKLOAD, duration_seconds=60, timestamp=at)
    times = []
    for _ in range(5):
        begun = time.perf_counter()
        build_graph(traffic, registry, options, MOST)
        times.append((time.perf_counter() - begun) * 1000)
    return statistics.median(times)


@contextlib.contextmanager
def serving(workloads: int, *options: str) -> Iterator[tuple[int, int]]:
    """A store in a process of its own: its port, and how many series it holds."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "bench.graph_api", "--serve", str(workloads), "--folder", folder, *options]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as store:
            try:
                assert store.stdout is not None
                told = orjson.loads(store.stdout.readline())
                yield told["port"], told["series"]
            finally:
                store.kill()


def figures(workloads: int) -> list[Figure]:
    """The rows of one mesh."""
    with serving(workloads) as (port, count):
        whole, asked, queries = asyncio.run(measure(port, workloads))
        built = asyncio.run(build(port, workloads))
    name = f"{workloads} workloads, {count} series"
    target = 500.0 if workloads == 5000 else None
    return [
        Figure(f"{name}: graph API, cold, p95", statistics.quantiles(whole, n=20)[-1], "ms", target),
        Figure(f"{name}: of it the store's queries, median", statistics.median(asked), "ms"),
        Figure(f"{name}: build with a registry, median", built, "ms"),
        Figure(f"{name}: queries per graph, {workloads // PER_NAMESPACE} namespaces", queries, "", 6.0),
    ]


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workloads", type=int, nargs="+", default=[100, 1000, 5000], help="sizes of meshes")
    parser.add_argument("--serve", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--live", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        asyncio.run(serve(given.serve, given.folder, given.live))
        return
    rows = [figure for workloads in given.workloads for figure in figures(workloads)]
    print_figures(f"graph API, {REQUESTS} requests each; console and store, a process each", rows)


if __name__ == "__main__":
    main()
