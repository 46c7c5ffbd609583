"""Requests per second through gateway and two sidecars, against the same Envoys with configuration written by hand.

    load ─▶ gateway ─mTLS─▶ [sidecar ─▶ relay ─▶ sidecar] ─mTLS─▶ [sidecar ─▶ backend]

Both chains stand in one mesh, in pods of the same make: same Envoy, same threads, same packet rules. Only what
configures the proxies differs: the mesh, with telemetry, or the files in `envoy/`, without. Load comes from a pod of
its own, to one chain, then the other, in turns.

All of it is built several times: how connections fall to threads, and processes into memory, stays as it is for as long
as they live, and changes the ratio by a tenth either way.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.chains import MESH, STATIC, Object, pod_of, ready_chains
from bench.mesh import TIMEOUT_SECONDS, KubernetesApi, Mesh, mesh_from
from bench.processes import Process, family
from bench.table import Figure, print_figures, print_rows

MESHES = 4
ROUNDS = 3
SECONDS = 4
WARM_UPS = 10
CONNECTIONS = 16
HOST = "relay.bench"
PLACES = ("gateway", "relay sidecar", "relay application", "backend sidecar", "backend application")
MESH_TITLES = {"envoy istio-ingressgateway": PLACES[0], "envoy relay": PLACES[1], "envoy backend": PLACES[3]}


@dataclass(frozen=True, slots=True)
class Round:
    """One round on one chain: what the load client says, and processor seconds by place in the chain."""

    client: str
    requests: int
    failures: int
    seconds: float
    p50_milliseconds: float
    p99_milliseconds: float
    cpu_seconds: Counter[str]

    @property
    def requests_per_second(self) -> float:
        return self.requests / self.seconds


def main() -> None:
    """Build both chains, load them in turns, print the ratio and where the processor's time goes."""
    rounds: dict[str, list[Round]] = {MESH: [], STATIC: []}
    for number in range(MESHES):
        with mesh_from("up") as mesh:
            for name, found in compare(mesh).items():
                rounds[name] += found
        said = (f"{name} {statistics.median(rates(them[-ROUNDS:])):.0f}/s" for name, them in rounds.items())
        print(f"mesh {number + 1}: {', '.join(said)}", flush=True)
    report(rounds)


def compare(mesh: Mesh) -> dict[str, list[Round]]:
    """Rounds on both chains of one mesh, in turns."""
    mesh.url("gateway")
    api = KubernetesApi(mesh.home)
    targets = ready_chains(api)
    for target in targets.values():
        warm_up(mesh, api, target)
    rounds: dict[str, list[Round]] = {MESH: [], STATIC: []}
    for number in range(ROUNDS):
        for name in (MESH, STATIC) if number % 2 else (STATIC, MESH):
            rounds[name].append(measure(mesh, api, targets[name], SECONDS))
    return rounds


def rates(rounds: list[Round]) -> list[float]:
    """Requests a second of each round."""
    return [one.requests_per_second for one in rounds]


def warm_up(mesh: Mesh, api: KubernetesApi, url: str) -> None:
    """Load a chain until every request is answered: names are looked up again only every few seconds."""
    for _ in range(WARM_UPS):
        if measure(mesh, api, url, 2).failures == 0:
            return
    raise RuntimeError(f"the chain at {url} does not answer")


def measure(mesh: Mesh, api: KubernetesApi, url: str, seconds: int) -> Round:
    """One round: a pod that sends requests to one chain for some seconds."""
    processes = [process for process in family(mesh.process.pid) if place(process)]
    before = Counter[str]()
    for process in processes:
        before[place(process)] += process.cpu_seconds()
    said = json.loads(run_load(api, url, seconds))
    after = Counter[str]()
    for process in processes:
        after[place(process)] += process.cpu_seconds()
    return Round(**said, cpu_seconds=after - before)


def place(process: Process) -> str:
    """`mesh gateway`, `static relay sidecar` …: where in which chain a process stands; empty when in none."""
    if process.title in MESH_TITLES:
        return f"{MESH} {MESH_TITLES[process.title]}"
    return process.title if process.title.startswith((f"{MESH} ", f"{STATIC} ")) else ""


def run_load(api: KubernetesApi, url: str, seconds: int) -> str:
    """Run `requests.py` in a pod until it has ended; what it printed."""
    script = str(Path(__file__).with_name("requests.py"))
    command = [sys.executable, "-E", script, url, HOST, str(seconds), str(CONNECTIONS)]
    pods = f"/api/v1/namespaces/{STATIC}/pods"
    container = {"name": "main", "image": "kaiki/host:local", "command": command}
    spec: Object = {"containers": [container], "restartPolicy": "Never", "terminationGracePeriodSeconds": 0}
    labels = {"sidecar.istio.io/inject": "false"}
    api.request("POST", pods, pod_of("load", labels, spec))
    try:
        deadline = time.perf_counter() + TIMEOUT_SECONDS
        while (phase := api.request("GET", f"{pods}/load")["status"].get("phase")) not in ("Succeeded", "Failed"):
            if time.perf_counter() > deadline:
                raise TimeoutError("the load does not end")
            time.sleep(0.3)
        text = str(api.request("GET", f"{pods}/load/log"))
        if phase == "Failed":
            raise RuntimeError(f"the load failed:\n{text}")
        return text
    finally:
        api.request("DELETE", f"{pods}/load")
        api.wait_until_gone(f"{pods}/load")


def report(rounds: dict[str, list[Round]]) -> None:
    """Print the ratio, the chains side by side, and the processor's time per request."""
    rate = {name: statistics.median(rates(them)) for name, them in rounds.items()}
    # Whatever else runs on the machine only takes away: the best rounds are the least disturbed ones.
    best = {name: max(rates(them)) for name, them in rounds.items()}
    cost = {name: per_request(name, them) for name, them in rounds.items()}
    proxies = {name: sum(cost[name][place] for place in PLACES if "application" not in place) for name in rounds}
    print_figures(
        f"throughput ({MESHES} meshes, {ROUNDS} rounds of {SECONDS} s in each; {CONNECTIONS} connections of "
        f"{rounds[MESH][0].client})",
        [
            Figure("mesh", rate[MESH], "requests/s"),
            Figure("static Envoys", rate[STATIC], "requests/s"),
            Figure("mesh / static", rate[MESH] / rate[STATIC], "", 0.85, at_least=True),
            Figure("mesh / static, best round of each", best[MESH] / best[STATIC], ""),
            Figure("the proxies' processor time, static / mesh", proxies[STATIC] / proxies[MESH], ""),
            Figure("failed requests", sum(one.failures for them in rounds.values() for one in them), ""),
        ],
    )
    median: dict[str, dict[str, Any]] = {
        name: {
            "p50 ms": statistics.median(one.p50_milliseconds for one in them),
            "p99 ms": statistics.median(one.p99_milliseconds for one in them),
        }
        | {f"{place}, µs of processor per request": cost[name][place] for place in PLACES}
        for name, them in rounds.items()
    }
    rows = [(key, f"{median[MESH][key]:.1f}", f"{median[STATIC][key]:.1f}") for key in median[MESH]]
    print_rows("per request", ("", "mesh", "static"), rows)


def per_request(chain: str, rounds: list[Round]) -> dict[str, float]:
    """Processor time per request in microseconds, by place: the median of the rounds."""
    return {
        place: statistics.median(one.cpu_seconds[f"{chain} {place}"] * 1e6 / max(1, one.requests) for one in rounds)
        for place in PLACES
    }


if __name__ == "__main__":
    main()
