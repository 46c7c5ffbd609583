"""A made-up mesh's samples, with all that makes evaluation hard: gaps, resets, late births, NaN."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kaiki.telemetry.exposition import render_series
from kaiki.telemetry.matchers import NAME
from kaiki.telemetry.promql.numbers import format_number
from kaiki.telemetry.store.series import SeriesStore

START_MS = 1_700_000_000_000
END_MS = START_MS + 1_800_000
_BOUNDS = ("5", "10", "25", "100", "+Inf")


@dataclass(frozen=True)
class MadeSeries:
    """One series with its samples."""

    labels: tuple[tuple[str, str], ...]
    times: list[int]
    values: list[float]

    @property
    def name(self) -> str:
        return dict(self.labels)[NAME]


def make_series(seed: int = 7) -> list[MadeSeries]:
    """About sixty series over half an hour, every five seconds or so."""
    chance = random.Random(seed)
    made: list[MadeSeries] = []
    for workload in ("front", "reviews", "ratings"):
        for version in ("v1", "v2"):
            base = (("app", workload), ("version", version), ("pod", f"{workload}-{version}"))
            for code in ("200", "503"):
                labels = (*base, ("code", code), (NAME, "requests_total"))
                made.append(_counter(chance, labels, 10 if code == "200" else 1))
            made.append(_gauge(chance, (*base, (NAME, "memory_bytes"))))
            made += _histogram(chance, base)
    for workload, team in (("front", "web"), ("reviews", "shop")):
        made.append(_constant((("app", workload), ("team", team), (NAME, "owner_info"))))
    times = list(range(START_MS, END_MS, 30_000))
    odd = [float("nan") if i % 7 == 3 else float("inf") if i % 11 == 5 else i - 20.0 for i in range(len(times))]
    made.append(MadeSeries((("kind", "odd"), (NAME, "odd_values")), times, odd))
    return made


def fill(store: SeriesStore, series: list[MadeSeries]) -> None:
    """Appends everything, in order of time, and commits now and then."""
    ids = [store.series_id(one.labels) for one in series]
    events = sorted((t, i) for i, one in enumerate(series) for t in one.times)
    cursor = [0] * len(series)
    for count, (moment, i) in enumerate(events):
        series_id = ids[i]
        assert series_id is not None
        store.append(moment, np.array([series_id], np.int32), np.array([series[i].values[cursor[i]]]))
        cursor[i] += 1
        if count % 1000 == 0:
            store.commit()
    store.commit()


def write_openmetrics(series: list[MadeSeries], path: Path) -> None:
    """The input of `promtool tsdb create-blocks-from openmetrics`."""
    with path.open("w") as file:
        for name in sorted({one.name for one in series}):
            file.write(f"# TYPE {name} unknown\n")
            for one in series:
                if one.name == name:
                    text = render_series(name, [pair for pair in one.labels if pair[0] != NAME])
                    file.writelines(_sample_lines(text, one))
        file.write("# EOF\n")


def _sample_lines(text: str, one: MadeSeries) -> Iterator[str]:
    for moment, value in zip(one.times, one.values, strict=True):
        yield f"{text} {format_number(value)} {moment / 1000:.3f}\n"


def _times(chance: random.Random) -> list[int]:
    offset = chance.randrange(5000)
    begin = START_MS + (chance.choice([0, 0, 0, 400_000]) + offset)
    gap = chance.choice([None, None, 900_000])
    times = []
    for moment in range(begin, END_MS, 5000):
        if gap and START_MS + gap <= moment < START_MS + gap + 330_000:
            continue
        times.append(moment + chance.randrange(-40, 40))
    return times


def _counter(chance: random.Random, labels: tuple[tuple[str, str], ...], speed: int) -> MadeSeries:
    times, value, values = _times(chance), 0.0, []
    for _ in times:
        value = 0.0 if chance.random() < 0.01 else value + chance.randrange(speed + 1)
        values.append(value)
    return MadeSeries(labels, times, values)


def _gauge(chance: random.Random, labels: tuple[tuple[str, str], ...]) -> MadeSeries:
    times = _times(chance)
    return MadeSeries(labels, times, [round(chance.uniform(-50, 1e6), 3) for _ in times])


def _constant(labels: tuple[tuple[str, str], ...]) -> MadeSeries:
    times = list(range(START_MS, END_MS, 15_000))
    return MadeSeries(labels, times, [1.0] * len(times))


def _histogram(chance: random.Random, base: tuple[tuple[str, str], ...]) -> list[MadeSeries]:
    times = _times(chance)
    counts = {bound: [] for bound in _BOUNDS}  # type: dict[str, list[float]]
    running = dict.fromkeys(_BOUNDS, 0.0)
    for _ in times:
        reached = 0.0
        for bound in _BOUNDS:
            reached += chance.randrange(4)
            running[bound] += reached
            counts[bound].append(running[bound])
    return [MadeSeries((*base, ("le", bound), (NAME, "duration_bucket")), times, counts[bound]) for bound in _BOUNDS]


_ISTIO_SIDES = (
    ("istio-ingressgateway", "istio-system", "productpage-v1", "default", "productpage", "v1"),
    ("productpage-v1", "default", "reviews-v1", "default", "reviews", "v1"),
    ("productpage-v1", "default", "reviews-v2", "default", "reviews", "v2"),
    ("reviews-v2", "default", "ratings-v1", "default", "ratings", "v1"),
    ("unknown", "unknown", "unknown", "unknown", "PassthroughCluster", "unknown"),
)
_ISTIO_BOUNDS = ("0.5", "1", "5", "10", "25", "50", "100", "250", "500", "1000", "2500", "5000", "10000", "+Inf")


def make_mesh_series(seed: int = 11) -> list[MadeSeries]:
    """What a small mesh and the processes around it expose: metrics of Istio, Envoy, istiod, containers."""
    chance = random.Random(seed)
    made: list[MadeSeries] = []
    for side in _ISTIO_SIDES:
        for reporter in ("source", "destination"):
            base = _istio_labels(side, reporter)
            http = (*base, ("request_protocol", "http"))
            for code, flags in (("200", "-"), ("404", "-"), ("503", "UH")):
                labels = (*http, ("response_code", code), ("response_flags", flags), ("grpc_response_status", ""))
                made.append(
                    _slow_counter(chance, (*labels, (NAME, "istio_requests_total")), 20 if code == "200" else 1)
                )
            grpc = (("request_protocol", "grpc"), ("response_code", "200"), ("grpc_response_status", "14"))
            made.append(_slow_counter(chance, (*base, *grpc, (NAME, "istio_requests_total")), 3))
            for metric in ("istio_request_duration_milliseconds", "istio_request_bytes", "istio_response_bytes"):
                made += _istio_histogram(chance, (*http, ("response_code", "200")), metric)
            for metric in ("sent_bytes", "received_bytes", "connections_opened", "connections_closed"):
                tcp = (*base, ("request_protocol", "tcp"), (NAME, f"istio_tcp_{metric}_total"))
                made.append(_slow_counter(chance, tcp, 1000))
    return made + _machine_series(chance)


def _istio_labels(side: tuple[str, ...], reporter: str) -> tuple[tuple[str, str], ...]:
    source, source_namespace, destination, namespace, app, version = side
    service = app if app == "PassthroughCluster" else f"{app}.{namespace}.svc.cluster.local"
    return (
        ("reporter", reporter),
        ("source_workload", source),
        ("source_workload_namespace", source_namespace),
        ("source_canonical_service", source),
        ("source_canonical_revision", "latest"),
        ("source_app", source),
        ("source_principal", f"spiffe://cluster.local/ns/{source_namespace}/sa/{source}"),
        ("destination_workload", destination),
        ("destination_workload_namespace", namespace),
        ("destination_canonical_service", app),
        ("destination_canonical_revision", version),
        ("destination_app", app),
        ("destination_version", version),
        ("destination_service", service),
        ("destination_service_name", app),
        ("destination_service_namespace", namespace),
        ("destination_principal", f"spiffe://cluster.local/ns/{namespace}/sa/{app}"),
        ("connection_security_policy", "mutual_tls" if reporter == "destination" else "unknown"),
        ("job", "kubernetes-pods"),
        ("instance", f"{destination}-{reporter}:15020"),
    )


def _slow_times(chance: random.Random) -> list[int]:
    return list(range(START_MS + chance.randrange(15_000), END_MS, 15_000))


def _slow_counter(chance: random.Random, labels: tuple[tuple[str, str], ...], speed: int) -> MadeSeries:
    times, value, values = _slow_times(chance), 0.0, []
    for _ in times:
        value = 0.0 if chance.random() < 0.005 else value + chance.randrange(speed + 1)
        values.append(value)
    return MadeSeries(labels, times, values)


def _slow_gauge(chance: random.Random, labels: tuple[tuple[str, str], ...], size: float) -> MadeSeries:
    times = _slow_times(chance)
    return MadeSeries(labels, times, [round(chance.uniform(0, size), 3) for _ in times])


def _istio_histogram(chance: random.Random, base: tuple[tuple[str, str], ...], metric: str) -> list[MadeSeries]:
    times = _slow_times(chance)
    rows: dict[str, list[float]] = {bound: [] for bound in _ISTIO_BOUNDS}
    running = dict.fromkeys(_ISTIO_BOUNDS, 0.0)
    sums, total = [], 0.0
    for _ in times:
        reached = 0.0
        for bound in _ISTIO_BOUNDS:
            reached += chance.choice((0, 0, 1, 3))
            running[bound] += reached
            rows[bound].append(running[bound])
        total += reached * chance.uniform(1, 400)
        sums.append(total)
    buckets = [MadeSeries((*base, ("le", b), (NAME, f"{metric}_bucket")), times, rows[b]) for b in _ISTIO_BOUNDS]
    count = MadeSeries((*base, (NAME, f"{metric}_count")), times, rows["+Inf"])
    return [*buckets, count, MadeSeries((*base, (NAME, f"{metric}_sum")), times, sums)]


def _machine_series(chance: random.Random) -> list[MadeSeries]:
    made: list[MadeSeries] = []
    istiod = (("app", "istiod"), ("job", "istiod"), ("instance", "istiod:15014"), ("pod", "istiod-1"))
    counters = ("pilot_xds_pushes", "pilot_total_xds_rejects", "galley_validation_passed", "galley_validation_failed")
    counters += ("process_cpu_seconds_total", "sidecar_injection_success_total", "pilot_k8s_cfg_events")
    for metric in counters:
        for kind in ("cds", "eds", "lds", "rds"):
            made.append(_slow_counter(chance, (*istiod, ("type", kind), (NAME, metric)), 2))
    gauges = ("pilot_xds", "pilot_services", "pilot_virt_services", "go_goroutines", "process_resident_memory_bytes")
    gauges += ("go_memstats_alloc_bytes", "go_memstats_heap_inuse_bytes", "process_virtual_memory_bytes")
    for metric in gauges:
        made.append(_slow_gauge(chance, (*istiod, (NAME, metric)), 1e8 if "bytes" in metric else 30))
    made += _istio_histogram(chance, istiod, "pilot_proxy_convergence_time")
    made += _istio_histogram(chance, (*istiod, ("type", "cds")), "pilot_xds_push_time")
    for pod in ("istiod-1", "productpage-v1-a", "istio-ingressgateway-b"):
        for container in ("istio-proxy", "discovery"):
            box = (("pod", pod), ("container", container), ("namespace", "istio-system"), ("job", "cadvisor"))
            made.append(_slow_counter(chance, (*box, (NAME, "container_cpu_usage_seconds_total")), 2))
            made.append(_slow_gauge(chance, (*box, (NAME, "container_memory_working_set_bytes")), 2e8))
        made.append(_slow_counter(chance, (("pod", pod), (NAME, "envoy_cluster_upstream_cx_total")), 4))
        made.append(_constant((("component", "proxy"), ("tag", "1.2.3"), ("pod", pod), (NAME, "istio_build"))))
    return made


def make_odd_series() -> list[MadeSeries]:
    """Numbers and buckets that a well-behaved program never shows."""
    times = list(range(START_MS, END_MS, 20_000))
    rows: dict[tuple[tuple[str, str], ...], list[float]] = {
        (("kind", "zero"),): [0.0, -0.0],
        (("kind", "huge"),): [1e300, -1e300, 1.7e308],
        (("kind", "tiny"),): [1e-300, 5e-324, 0.0],
        (("kind", "infinite"),): [float("inf"), float("inf"), float("-inf"), 3.0],
        (("kind", "missing"),): [float("nan")],
        (("kind", "constant"),): [4.0],
        (("kind", "large integer"),): [2.0**53, 2.0**53 + 2, 123456789012345680.0],
        (("kind", 'quo"te\\back é世'),): [1.0, 2.0, 3.0],
        (("kind", "falling"),): [9.0, 8.0, 7.5, 7.5, 1.0],
        (("kind", "v10"),): [10.0],
        (("kind", "v9"),): [9.0],
    }
    made = [MadeSeries((*labels, (NAME, "odd")), times, _repeated(values, times)) for labels, values in rows.items()]
    return made + _odd_buckets(times)


def _repeated(values: list[float], times: list[int]) -> list[float]:
    return [values[i % len(values)] for i in range(len(times))]


def _odd_buckets(times: list[int]) -> list[MadeSeries]:
    shapes: dict[str, dict[str, float]] = {
        "plain": {"1": 1, "2": 3, "+Inf": 4},
        "falling": {"1": 5, "2": 3, "4": 8, "+Inf": 7},
        "no end": {"1": 1, "2": 2},
        "only end": {"+Inf": 3},
        "negative": {"-2": 1, "-1": 4, "0": 5, "+Inf": 6},
        "below zero": {"-1": 4, "+Inf": 4},
        "twice": {"1": 1, "1.0": 2, "2": 4, "+Inf": 5},
        "empty": {"1": 0, "2": 0, "+Inf": 0},
        "all above": {"1": 0, "2": 0, "+Inf": 9},
        "unreadable": {"one": 1, "2": 2, "+Inf": 3},
        "not a number": {"1": float("nan"), "2": 2, "+Inf": 3},
        "unknown end": {"1": 1, "2": 2, "+Inf": float("nan")},
        "fractions": {"0.1": 0.25, "0.2": 0.5, "1e3": 0.75, "+Inf": 1},
    }
    return [
        MadeSeries((("shape", shape), ("le", bound), (NAME, "shapes_bucket")), times, [float(value)] * len(times))
        for shape, buckets in shapes.items()
        for bound, value in buckets.items()
    ]
