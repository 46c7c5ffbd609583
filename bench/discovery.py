"""What the control plane costs: first snapshot, one change, one endpoint for many proxies, growth.

    1,000 services × 10 endpoints, 100 VirtualServices, 50 DestinationRules; processor time of this process

The mesh is made of API objects, as the API server gives them; nothing is mocked between them and the bytes for Envoy.
The proxies of the third row are sessions of this process, evenly spread over all namespaces: a change is over when the
last has its response, encoded, and its acknowledgement is taken in. gRPC and the socket are not part of it.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import gc
import resource
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

from bench.table import print_rows

Key = tuple[str, str, str]
Inputs = dict[Key, dict[str, Any]]
ENDPOINTS, ROUTES, RULES, PROXIES = 10, 100, 50, 200
UNCOUNTED, ROUNDS = 3, 31


def mesh(services: int, endpoints: int = ENDPOINTS, routes: int = ROUTES, rules: int = RULES) -> Inputs:
    """The API objects of a mesh, by kind, namespace and name; twenty services a namespace."""
    found: Inputs = {}

    def add(obj: dict[str, Any]) -> None:
        metadata = obj["metadata"]
        found[obj["kind"], metadata["namespace"], metadata["name"]] = obj

    for number in range(services):
        name, namespace = f"service-{number}", f"namespace-{number // 20}"
        pods = [_pod(name, namespace, number, index) for index in range(endpoints)]
        for pod in pods:
            add(pod)
        add(_service(name, namespace, number))
        add(_slice(name, namespace, pods))
        if number < routes:
            add(_istio("VirtualService", name, namespace, _routes(name)))
        if number < rules:
            subsets = [{"name": version, "labels": {"version": version}} for version in ("v0", "v1")]
            add(_istio("DestinationRule", name, namespace, {"host": name, "subsets": subsets}))
    return found


def _pod(name: str, namespace: str, number: int, index: int) -> dict[str, Any]:
    return {
        "kind": "Pod",
        "metadata": {
            "name": f"{name}-{index}",
            "namespace": namespace,
            "uid": f"{name}-{index}",
            "labels": {"app": name, "version": f"v{index % 2}"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": name, "controller": True}],
        },
        "spec": {
            "serviceAccountName": name,
            "initContainers": [{"name": "istio-proxy"}],
            "containers": [{"name": "app"}],
        },
        "status": {
            "podIP": f"10.{number >> 8 & 255}.{number & 255}.{index + 1}",
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


def _service(name: str, namespace: str, number: int) -> dict[str, Any]:
    return {
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "clusterIP": f"10.{100 + (number >> 16)}.{number >> 8 & 255}.{number & 255}",
            "selector": {"app": name},
            "ports": [{"name": "http", "port": 80, "targetPort": 8080}],
        },
    }


def _slice(name: str, namespace: str, pods: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "kind": "EndpointSlice",
        "metadata": {"name": name, "namespace": namespace, "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080}],
        "endpoints": [
            {
                "addresses": [pod["status"]["podIP"]],
                "conditions": {"ready": True},
                "targetRef": {"kind": "Pod", "name": pod["metadata"]["name"], "namespace": namespace},
            }
            for pod in pods
        ],
    }


def _istio(kind: str, name: str, namespace: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, "creationTimestamp": "2024-01-01T00:00:00Z"}
    return {"apiVersion": "networking.istio.io/v1", "kind": kind, "metadata": metadata, "spec": spec}


def _routes(name: str) -> dict[str, Any]:
    return {"hosts": [name], "http": [{"timeout": "1s", "route": [{"destination": {"host": name}}]}]}


def cpu_seconds(work: Callable[[], object]) -> float:
    """The processor time of some work, without the collector's chance."""
    with without_collector():
        started = time.process_time()
        work()
        return time.process_time() - started


@contextlib.contextmanager
def without_collector() -> Iterator[None]:
    """The collector looks before, and not while."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class Plane:
    """Interpretation and translation, as the control plane joins them, for `proxies` sidecars."""

    def __init__(self, inputs: Inputs, proxies: int) -> None:
        from kaiki.interpret.inputs import InputTable
        from kaiki.interpret.interpretation import interpret
        from kaiki.model.memo import Memo
        from kaiki.model.proxy import Capture, Proxy
        from kaiki.model.workload import ProxyKind

        self.inputs, self.memo = InputTable(inputs), Memo()
        self.current = interpret(self.inputs)
        workloads = list(self.current.snapshot.workloads.values())
        workloads = workloads[:: max(1, len(workloads) // proxies)][:proxies]
        self.proxies = [
            Proxy(
                kind=ProxyKind.SIDECAR,
                name=item.name,
                namespace=item.namespace,
                identity=item.identity,
                metric_labels=item.metric_labels,
                labels=item.labels,
                address=item.address,
                capture=Capture.MARK,
            )
            for item in workloads
        ]
        self.push()

    def push(self) -> None:
        """What every proxy should have."""
        from kaiki.translate.generate import generate

        for proxy in self.proxies:
            generate(self.current.snapshot, proxy, self.memo)

    def change(self, key: Key, edit: Callable[[dict[str, Any]], None]) -> None:
        """One object changes."""
        self.interpret_change(key, edit)
        self.push()

    def interpret_change(self, key: Key, edit: Callable[[dict[str, Any]], None]) -> None:
        """One object changes; nobody is told."""
        from kaiki.interpret.interpretation import interpret

        changed = copy.deepcopy(dict(self.inputs[key]))
        edit(changed)
        self.inputs = self.inputs.changed({key: changed})
        self.current = interpret(self.inputs, self.current)


class Served(Plane):
    """A plane whose proxies are connected: what changes is sent to them and acknowledged."""

    def __init__(self, inputs: Inputs, proxies: int) -> None:
        super().__init__(inputs, proxies)
        from kaiki.discovery.configs import Configs
        from kaiki.discovery.metrics import Metrics
        from kaiki.discovery.session import Session
        from kaiki.translate.generate import generate

        metrics = Metrics()
        self._configs = Configs(lambda snapshot, proxy: generate(snapshot, proxy, self.memo), metrics)
        self._configs.publish(self.current.snapshot, 0.0)
        self.sessions = [Session(proxy, self._configs, _NoIssuer(), metrics) for proxy in self.proxies]
        self.sent = 0
        for session in self.sessions:
            for request in _first_requests(self._configs.of(session.proxy)):
                session.receive(request)
        self._serve()

    def publish(self) -> None:
        """As the control plane does with a new interpretation."""
        self._configs.publish(self.current.snapshot, 0.0)
        self._serve()

    def _serve(self) -> None:
        for session in self.sessions:
            for data in session.responses():
                self.sent += len(data)
            self._acknowledge(session)

    def _acknowledge(self, session: Any) -> None:
        from kaiki.discovery.wire import DiscoveryRequest

        while pending := [watch.pending for watch in session.stream.watches.values() if watch.pending is not None]:
            for response in pending:
                session.receive(DiscoveryRequest(response.type_url, response.nonce))
            for data in session.responses():
                self.sent += len(data)

    def change(self, key: Key, edit: Callable[[dict[str, Any]], None]) -> None:
        """One object changes."""
        self.interpret_change(key, edit)
        self.publish()


class _NoIssuer:
    """No proxy here asks for a secret."""

    root_certificates = b""

    def issue(self, *_: object) -> Any:
        raise AssertionError("nobody asks")

    def rotation_time(self, *_: object) -> None:
        return None


def _first_requests(targets: Any) -> list[Any]:
    from kaiki.discovery.wire import DiscoveryRequest
    from kaiki.model.proxy import CLUSTER_TYPE, ENDPOINT_TYPE, LISTENER_TYPE, ROUTE_TYPE, VIRTUAL_HOST_TYPE

    wildcards = [DiscoveryRequest(kind) for kind in (CLUSTER_TYPE, LISTENER_TYPE, VIRTUAL_HOST_TYPE)]
    named = [DiscoveryRequest(kind, subscribe=tuple(targets[kind])) for kind in (ENDPOINT_TYPE, ROUTE_TYPE)]
    return [*wildcards, *named]


def median_change(plane: Plane, key: Key, edit: Callable[[dict[str, Any], int], None]) -> float:
    """The median processor time of a change that is made many times, each a little different.

    The first ones are not counted, and the collector looks before all of them: looking at every object of a large mesh
    empties the processor's caches, which would be measured instead.
    """
    rounds = []
    with without_collector():
        for number in range(UNCOUNTED + ROUNDS):
            started = time.process_time()
            plane.change(key, lambda obj, number=number: edit(obj, number))  # type: ignore[misc]
            rounds.append(time.process_time() - started)
    return statistics.median(rounds[UNCOUNTED:])


def set_timeout(obj: dict[str, Any], number: int) -> None:
    """Change a route."""
    obj["spec"]["http"][0]["timeout"] = f"{number + 2}s"


def set_ready(obj: dict[str, Any], number: int) -> None:
    """Change an endpoint."""
    obj["endpoints"][0]["conditions"]["ready"] = bool(number % 2)


def measure(services: int, proxies: int) -> list[tuple[str, float, float]]:
    """(what, seconds of processor time, target in seconds) for a mesh of this size."""
    inputs = mesh(services)
    planes: list[Plane] = []
    first = cpu_seconds(lambda: planes.append(Plane(inputs, 1)))
    one = median_change(planes[0], ("VirtualService", "namespace-0", "service-3"), set_timeout)
    alone = median_change(planes[0], ("EndpointSlice", "namespace-0", "service-3"), set_ready)
    many = Served(mesh(services), proxies)
    endpoint = median_change(many, ("EndpointSlice", "namespace-0", "service-3"), set_ready)
    sent = many.sent
    route = median_change(many, ("VirtualService", "namespace-0", "service-3"), set_timeout)
    size = (many.sent - sent) / (UNCOUNTED + ROUNDS) / proxies
    print(
        f"one VirtualService changed, {proxies} proxies: {size:.0f} bytes to each, {route * 1000:.0f} ms in all",
        flush=True,
    )
    return [
        (f"{services} services: first snapshot to first resources", first, 1.5),
        (f"{services} services: one VirtualService changed", one, 0.010),
        (f"{services} services: one endpoint changed", alone, 0.010),
        (f"{services} services: one endpoint changed, {proxies} proxies: to the last response", endpoint, 0.030),
    ]


def main(arguments: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench discovery", description=__doc__)
    parser.add_argument("--services", type=int, default=1000)
    parser.add_argument("--large", type=int, default=10_000, help="0 leaves the large mesh out")
    parser.add_argument("--proxies", type=int, default=PROXIES)
    options = parser.parse_args(arguments)
    rows = measure(options.services, options.proxies)
    lines = [(what, f"{seconds * 1000:.1f} ms", f"≤ {target * 1000:g} ms") for what, seconds, target in rows]
    if options.large:
        large = Plane(mesh(options.large, routes=ROUTES, rules=RULES), 1)
        changed = median_change(large, ("VirtualService", "namespace-0", "service-3"), set_timeout)
        endpoint = median_change(large, ("EndpointSlice", "namespace-0", "service-3"), set_ready)
        megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        lines.append((f"{options.large} services: one VirtualService changed", f"{changed * 1000:.1f} ms", ""))
        lines.append((f"{options.large} services: one endpoint changed", f"{endpoint * 1000:.1f} ms", ""))
        lines.append(("growth: one endpoint changed", f"{endpoint / rows[2][1]:.1f} ×", "≤ 1.5 ×"))
        lines.append(("growth: one VirtualService changed", f"{changed / rows[1][1]:.1f} ×", "≤ 1.5 ×"))
        lines.append(
            (f"{options.large} services: memory with its inputs (this process)", f"{megabytes:.0f} MB", "≤ 600 MB")
        )
    print_rows("The control plane", ("what", "measured", "target"), lines)


if __name__ == "__main__":
    main()
