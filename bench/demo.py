"""`kaiki demo`: how soon it answers, how soon its graph is complete, and what it costs while nothing happens."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable

from bench.mesh import TIMEOUT_SECONDS, KubernetesApi, Mesh, Probe, mesh_from
from bench.processes import Process, family
from bench.table import Figure, print_figures, print_rows

STARTS = 3
CHANGES = 40
IDLE_SECONDS = 30.0
SETTLE_SECONDS = 10.0
EDGES = {
    ("istio-ingressgateway", "productpage-v1"),
    ("productpage-v1", "details-v1"),
    *(("productpage-v1", f"reviews-v{version}") for version in (1, 2, 3)),
    *((f"reviews-v{version}", "ratings-v1") for version in (2, 3)),
}
PROBE_HOST = "probe.bench"
ROUTES = "/apis/networking.istio.io/v1/namespaces/default/virtualservices"


def main() -> None:
    """Starts the demo three times, then once without traffic."""
    starts: list[tuple[float, float]] = []
    processes: list[tuple[Process, int]] = []
    delays: list[float] = []
    for number in range(STARTS):
        with mesh_from("demo") as mesh:
            starts.append(start_seconds(mesh))
            print(
                f"start {number + 1}: first 200 after {starts[-1][0]:.2f} s, graph after {starts[-1][1]:.2f} s",
                flush=True,
            )
            if number == STARTS - 1:
                time.sleep(SETTLE_SECONDS)
                processes = [(process, process.pss_kilobytes()) for process in family(mesh.process.pid)]
                delays = change_delays(mesh, CHANGES)
    with mesh_from("demo", "--load", "0") as mesh:
        first_page(mesh)
        idle = idle_shares(mesh)
    report(starts, processes, delays, idle)


def report(
    starts: list[tuple[float, float]],
    processes: list[tuple[Process, int]],
    delays: list[float],
    idle: list[tuple[str, float]],
) -> None:
    """Print every figure beside its target, then what it is made of."""
    page, graph = (statistics.median(column) for column in zip(*starts, strict=True))
    memory = sum(kilobytes for _, kilobytes in processes) / 1024
    control_plane = next((share for title, share in idle if title == "kaiki control-plane"), 0.0)
    print_figures(
        f"kaiki demo (start-up: median of {STARTS}; {CHANGES} changes; idle over {IDLE_SECONDS:.0f} s)",
        [
            Figure("first 200 through the gateway", page, "s", 6),
            Figure("first complete graph", graph, "s", 12),
            Figure("memory of everything (PSS)", memory, "MB", 750),
            Figure("change in force at the gateway, p50", percentile(delays, 50), "ms"),
            Figure("change in force at the gateway, p95", percentile(delays, 95), "ms", 150),
            Figure("control plane idle", control_plane, "% of a core", 2),
            Figure("everything idle", sum(share for _, share in idle), "% of a core"),
        ],
    )
    sizes = sorted(((process.title, kilobytes / 1024) for process, kilobytes in processes), key=lambda row: -row[1])
    print_rows("memory", ("process", "PSS MB"), [(title, f"{size:.1f}") for title, size in sizes])
    shares = sorted(idle, key=lambda row: -row[1])
    print_rows("idle", ("process", "% of a core"), [(title, f"{share:.2f}") for title, share in shares])


def start_seconds(mesh: Mesh) -> tuple[float, float]:
    """Seconds from the command to the first 200 through the gateway, and to all edges in the console's graph."""
    page = first_page(mesh)
    return page, when(mesh, lambda: edges(mesh) >= EDGES, 0.1)


def first_page(mesh: Mesh) -> float:
    """Seconds from the command to the first 200 for the product page."""
    probe = Probe(mesh.url("gateway"), "/productpage")
    try:
        return when(mesh, lambda: probe.get()[0] == 200, 0.03)
    finally:
        probe.close()


def when(mesh: Mesh, condition: Callable[[], bool], every_seconds: float) -> float:
    """Seconds from the demo's start until the condition holds; no answer counts as not yet."""
    while not _holds(condition):
        mesh.require_alive()
        if time.perf_counter() - mesh.started > TIMEOUT_SECONDS:
            raise TimeoutError(f"not within {TIMEOUT_SECONDS:.0f} s\n{mesh.output()}")
        time.sleep(every_seconds)
    return time.perf_counter() - mesh.started


def _holds(condition: Callable[[], bool]) -> bool:
    try:
        return condition()
    except (OSError, ValueError):
        return False


def edges(mesh: Mesh) -> set[tuple[str, str]]:
    """The graph's edges as pairs of workloads."""
    graph = mesh.console("/api/graph?duration=60s")
    names = {node["id"]: node.get("workload") or node["id"] for node in graph["nodes"]}
    return {(names[edge["source"]], names[edge["target"]]) for edge in graph["edges"]}


def change_delays(mesh: Mesh, count: int) -> list[float]:
    """Milliseconds from the API's answer to a changed VirtualService until the gateway answers by it."""
    api, probe = KubernetesApi(mesh.home), Probe(mesh.url("gateway"), "/", PROBE_HOST)
    api.request("POST", ROUTES, _virtual_service("change-0-end"))
    delays = []
    try:
        _wait_for(probe, b"change-0-end")
        for number in range(1, count + 1):
            # Away from whatever rhythm the control plane has.
            time.sleep(random.uniform(0.1, 0.4))
            word = f"change-{number}-end"
            api.request("PATCH", f"{ROUTES}/bench-probe", {"spec": _virtual_service(word)["spec"]}, "merge-patch+json")
            answered = time.perf_counter()
            _wait_for(probe, word.encode())
            delays.append((time.perf_counter() - answered) * 1000)
    finally:
        probe.close()
        api.request("DELETE", f"{ROUTES}/bench-probe")
    return delays


def _virtual_service(word: str) -> dict[str, object]:
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "bench-probe", "namespace": "default"},
        "spec": {
            "hosts": [PROBE_HOST],
            "gateways": ["bookinfo-gateway"],
            "http": [{"directResponse": {"status": 200, "body": {"string": word}}}],
        },
    }


def _wait_for(probe: Probe, word: bytes) -> None:
    deadline = time.perf_counter() + TIMEOUT_SECONDS
    while word not in probe.get()[1]:
        if time.perf_counter() > deadline:
            raise TimeoutError(f"{word.decode()} is not in force after {TIMEOUT_SECONDS:.0f} s")
        time.sleep(0.001)


def idle_shares(mesh: Mesh) -> list[tuple[str, float]]:
    """Per cent of a core that each process uses while no traffic flows."""
    time.sleep(SETTLE_SECONDS)
    processes = family(mesh.process.pid)
    before = [process.cpu_seconds() for process in processes]
    started = time.perf_counter()
    time.sleep(IDLE_SECONDS)
    elapsed = time.perf_counter() - started
    return [
        (process.title, 100 * (process.cpu_seconds() - earlier) / elapsed)
        for process, earlier in zip(processes, before, strict=True)
    ]


def percentile(values: list[float], percent: float) -> float:
    """The nearest-rank percentile; 0 of nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] if ordered else 0.0


if __name__ == "__main__":
    main()
