"""The embedded store beside Debian's Prometheus in one run: `python -m bench prometheus`.

Both are processes of their own, get the same samples by remote write (20,000 series of a mesh, two hours at one sample
in fifteen seconds), and are asked the same over HTTP, turn by turn. Needs `prometheus` on the machine.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import cramjam

from bench.table import Figure, print_figures, print_rows
from kaiki.graph import traffic_queries
from kaiki.telemetry.matchers import NAME
from kaiki.telemetry.remote.messages import encode_labels

SERIES = 20_000
SAMPLES = 480
STEP_SECONDS = 15
ROUNDS = 3
BATCH_SERIES = 250
_UNPACKED = Path(__file__).resolve().parents[1] / ".tools" / "prometheus" / "usr" / "bin"
INSTANT = (
    "sum(rate(istio_requests_total[1m]))",
    "sum by (destination_service, response_code) (rate(istio_requests_total[5m]))",
    "topk(5, sum by (source_workload) (increase(istio_requests_total[5m])))",
    'istio_requests_total{response_code="503"}',
    "max_over_time(istio_requests_total[5m])",
)


def series_labels(number: int) -> dict[str, str]:
    """Of 1,000 edges, each seen by two reporters, with five codes, from two pods."""
    pod, rest = number % 2, number // 2
    code, rest = rest % 5, rest // 5
    reporter, edge = rest % 2, rest // 2
    source, destination = edge % 40, edge // 40
    labels = {
        NAME: "istio_requests_total",
        "reporter": ("source", "destination")[reporter],
        "request_protocol": "http",
        "response_code": ("200", "404", "500", "503", "0")[code],
        "response_flags": "-",
        "connection_security_policy": "mutual_tls",
        "instance": f"10.97.{edge % 250}.{pod}:15020",
        "pod": f"service-{destination}-{pod}",
        "namespace": "default",
        "job": "kubernetes-pods",
        "destination_service": f"service-{destination}.default.svc.cluster.local",
        "destination_service_name": f"service-{destination}",
        "destination_service_namespace": "default",
    }
    for side, name in (("source", source), ("destination", destination)):
        labels |= {
            f"{side}_workload": f"service-{name}-v1",
            f"{side}_workload_namespace": "default",
            f"{side}_principal": f"spiffe://cluster.local/ns/default/sa/service-{name}",
            f"{side}_app": f"service-{name}",
            f"{side}_version": "v1",
            f"{side}_cluster": "Kubernetes",
            f"{side}_canonical_service": f"service-{name}",
            f"{side}_canonical_revision": "v1",
        }
    return labels


def bodies(begin_ms: int, first_sample: int, samples: int, series: int) -> Iterator[bytes]:
    """Remote write requests: some samples of all series, as a scraper's would grow."""
    for start in range(0, series, BATCH_SERIES):
        parts = []
        for number in range(start, min(start + BATCH_SERIES, series)):
            encoded = [encode_labels(series_labels(number).items())]
            for step in range(first_sample, first_sample + samples):
                value = float(step * (number % 17)) if number % 5 == 0 else float(number % 100)
                stamp = _varint(begin_ms + step * STEP_SECONDS * 1000)
                sample = b"\x09" + struct.pack("<d", value) + b"\x10" + stamp
                encoded.append(b"\x12" + _varint(len(sample)) + sample)
            content = b"".join(encoded)
            parts.append(b"\x0a" + _varint(len(content)) + content)
        yield bytes(cramjam.snappy.compress_raw(b"".join(parts)))


def _varint(number: int) -> bytes:
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    made.append(number)
    return bytes(made)


class Server:
    """One of the two."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], url: str) -> None:
        self.name, self.process, self.url = name, process, url

    def write(self, body: bytes) -> None:
        headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
        request = urllib.request.Request(f"{self.url}/api/v1/write", body, headers)
        with urllib.request.urlopen(request, timeout=120) as answer:
            assert answer.status < 300

    def ask(self, path: str, **parameters: str) -> float:
        """Milliseconds, the whole answer read."""
        encoded = urllib.parse.urlencode(parameters).encode()
        begun = time.perf_counter()
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}", encoded, timeout=120) as answer:
            answer.read()
        return (time.perf_counter() - begun) * 1000

    def memory_megabytes(self) -> float:
        text = Path(f"/proc/{self.process.pid}/smaps_rollup").read_text()
        return int(next(line for line in text.splitlines() if line.startswith("Pss:")).split()[1]) / 1024

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100


@contextlib.contextmanager
def started(name: str, arguments: list[str], port: int) -> Iterator[Server]:
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    server = Server(name, process, f"http://127.0.0.1:{port}")
    try:
        for _ in range(300):
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{server.url}/-/ready"):
                break
            time.sleep(0.1)
        yield server
    finally:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _both(stack: contextlib.ExitStack, folder: Path) -> tuple[Server, Server] | None:
    program = shutil.which("prometheus") or shutil.which("prometheus", path=str(_UNPACKED))
    if program is None:
        return None
    (folder / "prometheus.yml").write_text("global: {}\n")
    mine, other = _free_port(), _free_port()
    own = [sys.executable, "-m", "kaiki", "metrics", f"--data={folder}/kaiki", f"--listen=127.0.0.1:{mine}"]
    ours = stack.enter_context(
        started("kaiki", [*own, f"--collector=127.0.0.1:{_free_port()}", "--no-cluster", "--no-traces"], mine)
    )
    flags = ["--web.enable-remote-write-receiver", f"--web.listen-address=127.0.0.1:{other}"]
    paths = [f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/prometheus"]
    return ours, stack.enter_context(started("prometheus", [program, *paths, *flags], other))


def _fill(servers: tuple[Server, Server], begin_ms: int, series: int) -> None:
    portion = 60
    for first in range(0, SAMPLES, portion):
        for body in bodies(begin_ms, first, portion, series):
            for server in servers:
                server.write(body)


def _compare(servers: tuple[Server, Server], path: str, **parameters: str) -> tuple[float, float]:
    """Medians of rounds that alternate, in milliseconds."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for server, taken in zip(servers, times, strict=True):
            taken.append(server.ask(path, **parameters))
    return statistics.median(times[0]), statistics.median(times[1])


def measure(series: int) -> list[Figure]:
    """One table; figures are shares of Prometheus's. Empty when there is no Prometheus to compare with."""
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        servers = _both(stack, Path(name))
        if servers is None:
            return []
        end = int(time.time()) // STEP_SECONDS * STEP_SECONDS
        _fill(servers, (end - (SAMPLES - 1) * STEP_SECONDS) * 1000, series)
        memory = [server.memory_megabytes() for server in servers]
        rows, figures = [], []
        graph = traffic_queries(60)["requests"]
        start = end - 200 * STEP_SECONDS
        ranged = {"start": str(start), "end": str(end), "step": str(STEP_SECONDS)}
        for title, path, query, target in [
            ("graph query, 201 steps", "query_range", graph, 0.5),
            ("graph query, instant", "query", graph, 1.0),
            *((query, "query", query, 1.0) for query in INSTANT),
        ]:
            when = ranged if path == "query_range" else {"time": str(end)}
            mine, other = _compare(servers, path, query=query, **when)
            rows.append((title[:76], f"{mine:.1f} ms", f"{other:.1f} ms"))
            figures.append(Figure(title[:76], mine / other, "×", target))
        rows.append(("memory with two hours of samples", f"{memory[0]:.0f} MB", f"{memory[1]:.0f} MB"))
        figures.append(Figure("memory with two hours of samples", memory[0] / memory[1], "×", 1.0))
        after = [server.memory_megabytes() for server in servers]
        rows.append(("memory after the queries", f"{after[0]:.0f} MB", f"{after[1]:.0f} MB"))
        print_rows(f"{series} series, {SAMPLES} samples each", ("", "kaiki", "prometheus"), rows)
        return figures


def main() -> None:
    """Prints the tables."""
    for series in (2000, SERIES):
        figures = measure(series)
        if not figures:
            print("no `prometheus` on this machine: `python3 tools/setup.py --system` gets it")
            return
        print_figures(f"as a share of Prometheus's, {series} series (median of {ROUNDS} rounds in turn)", figures)


if __name__ == "__main__":
    main()
