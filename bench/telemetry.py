"""What telemetry costs a pair of sidecars: processor time per request with the metrics on and off, in turns.

    load ─▶ gateway ─mTLS─▶ [sidecar ─▶ relay ─▶ sidecar] ─mTLS─▶ [sidecar ─▶ backend]

One chain, the same proxies and connections: a Telemetry object for the mesh turns the metrics off and its removal on
again, which the proxies take over while they run. Compared are rounds next to each other, so that whatever else the
machine does weighs on both alike. Everything else is as installed: no access log, no traces.
"""

from __future__ import annotations

import json
import statistics
import time
import urllib.request
from urllib.parse import urlencode

from bench.chains import MESH, ready_chains
from bench.mesh import TIMEOUT_SECONDS, KubernetesApi, mesh_from
from bench.mesh import Mesh as BenchMesh
from bench.table import Figure, print_figures, print_rows
from bench.throughput import Round, measure, warm_up

TURNS = 6
SECONDS = 4
SIDECARS = ("relay sidecar", "backend sidecar")
_PATH = "/apis/telemetry.istio.io/v1/namespaces/istio-system/telemetries"
_OFF = {
    "apiVersion": "telemetry.istio.io/v1",
    "kind": "Telemetry",
    "metadata": {"name": "bench-off", "namespace": "istio-system"},
    "spec": {
        "metrics": [{"providers": [{"name": "prometheus"}], "overrides": [{"disabled": True}]}],
    },
}


def main() -> None:
    """Measure on and off in turns; print the ratio and where it lies."""
    rounds: dict[bool, list[Round]] = {True: [], False: []}
    with mesh_from("up") as mesh:
        mesh.url("gateway")
        api = KubernetesApi(mesh.home)
        target = ready_chains(api)[MESH]
        warm_up(mesh, api, target)
        for turn in range(TURNS):
            for on in (True, False) if turn % 2 else (False, True):
                switch(mesh, api, target, on)
                rounds[on].append(measure(mesh, api, target, SECONDS))
    report(rounds)


def switch(mesh: BenchMesh, api: KubernetesApi, target: str, on: bool) -> None:
    """Turn the metrics on or off, and wait until the proxies do as they are told: counts grow, or stand still."""
    present = api.find(f"{_PATH}/bench-off") is not None
    if on and present:
        api.request("DELETE", f"{_PATH}/bench-off")
    elif not on and not present:
        api.request("POST", _PATH, _OFF)
    deadline = time.perf_counter() + TIMEOUT_SECONDS
    while time.perf_counter() < deadline:
        measure(mesh, api, target, 1)
        time.sleep(7)  # What was counted before is scraped by now.
        before = counted(mesh)
        measure(mesh, api, target, 1)
        time.sleep(7)
        if (counted(mesh) > before) is on:
            return
    raise TimeoutError(f"the proxies do not turn their metrics {'on' if on else 'off'}")


def counted(mesh: BenchMesh) -> float:
    """What the sidecars of the chain have counted so far, as the store has it; ended series count too."""
    query = f'sum(last_over_time(istio_requests_total{{source_workload_namespace="{MESH}"}}[1h]))'
    url = f"{mesh.url('metrics')}/api/v1/query?{urlencode({'query': query})}"
    with urllib.request.urlopen(url, timeout=10) as response:
        rows = json.load(response)["data"]["result"]
    return float(rows[0]["value"][1]) if rows else 0.0


def cost(one: Round, places: tuple[str, ...] = SIDECARS) -> float:
    """Processor microseconds per request of the named places."""
    return sum(one.cpu_seconds[f"{MESH} {place}"] for place in places) * 1e6 / max(1, one.requests)


def report(rounds: dict[bool, list[Round]]) -> None:
    """Print the ratio of neighbours, and the medians."""
    pairs = list(zip(rounds[True], rounds[False], strict=True))
    ratio = statistics.median(cost(on) / cost(off) for on, off in pairs)
    rate = statistics.median(on.requests_per_second / off.requests_per_second for on, off in pairs)
    print_figures(
        f"telemetry ({TURNS} turns of {SECONDS} s each way)",
        [
            Figure("a sidecar pair's processor time per request, metrics on / off", ratio, "", 1.15),
            Figure("requests per second, on / off", rate, ""),
            Figure("failed requests", sum(one.failures for them in rounds.values() for one in them), ""),
        ],
    )
    rows = [
        (place, *(f"{statistics.median(cost(one, (place,)) for one in rounds[on]):.1f}" for on in (True, False)))
        for place in ("gateway", *SIDECARS)
    ]
    print_rows("microseconds of processor per request", ("", "on", "off"), rows)


if __name__ == "__main__":
    main()
