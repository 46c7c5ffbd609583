"""What the node measures of its own work, for `GET /metrics` at 10.97.0.1:10255, in the Prometheus text format.

The port is the kubelet's for reading only. Names begin with `kaiki_runtime_`; a kubelet's own would promise more.
"""

from __future__ import annotations

import os
import resource
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

METRICS_PORT = 10255
_MEMORY = Path("/proc/self/statm")
_SANDBOX_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0)
_START_BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
_PHASES = ("Pending", "Running", "Succeeded", "Failed")


class Histogram:
    """Observed seconds by bucket."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        """Count one."""
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self._sum += seconds

    def lines(self, name: str, text: str) -> Iterator[str]:
        """In the text format."""
        yield f"# HELP {name} {text}"
        yield f"# TYPE {name} histogram"
        total = 0
        for bound, count in zip((*map(str, self._bounds), "+Inf"), self._counts, strict=True):
            total += count
            yield f'{name}_bucket{{le="{bound}"}} {total}'
        yield f"{name}_sum {self._sum:.6f}"
        yield f"{name}_count {total}"


@dataclass(slots=True)
class Measurements:
    """Counts since the node's start."""

    started: float = field(default_factory=time.time)
    sandbox_seconds: Histogram = field(default_factory=lambda: Histogram(_SANDBOX_BUCKETS))
    ready_seconds: Histogram = field(default_factory=lambda: Histogram(_START_BUCKETS))
    container_starts: int = 0
    container_restarts: int = 0
    container_failures: int = 0
    sandbox_failures: int = 0
    captures: int = 0

    def render(self, phases: Iterable[str], containers: Mapping[str, int], services: int) -> str:
        """`phases` has the phase of every pod, `containers` how many are in each state."""
        counted = Counter(phases)
        lines = [
            *_family("pods", "gauge", "Pods of this node.", {f'phase="{one}"': counted[one] for one in _PHASES}),
            *_family("containers", "gauge", "Containers.", {f'state="{k}"': n for k, n in containers.items()}),
            *_family("services", "gauge", "Services whose addresses lead to pods.", {"": services}),
            *_family("container_starts_total", "counter", "Containers started.", {"": self.container_starts}),
            *_family("container_restarts_total", "counter", "Containers started again.", {"": self.container_restarts}),
            *_family("container_failures_total", "counter", "Runs that ended badly.", {"": self.container_failures}),
            *_family("sandbox_failures_total", "counter", "Sandboxes that failed.", {"": self.sandbox_failures}),
            *_family("captures_total", "counter", "Pods whose traffic was led to a proxy.", {"": self.captures}),
            *self.sandbox_seconds.lines(f"{_PREFIX}sandbox_start_seconds", "Time to make a pod's network."),
            *self.ready_seconds.lines(f"{_PREFIX}pod_ready_seconds", "From a pod's first sight to its being ready."),
            *self._process(),
        ]
        return "\n".join(lines) + "\n"

    def _process(self) -> Iterator[str]:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        try:
            memory = int(_MEMORY.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except OSError:
            memory = usage.ru_maxrss * 1024
        for name, kind, value in (
            ("process_start_time_seconds", "gauge", self.started),
            ("process_cpu_seconds_total", "counter", usage.ru_utime + usage.ru_stime),
            ("process_resident_memory_bytes", "gauge", memory),
        ):
            yield f"# TYPE {name} {kind}"
            yield f"{name} {value}"


_PREFIX = "kaiki_runtime_"


def _family(name: str, kind: str, text: str, values: Mapping[str, int]) -> Iterator[str]:
    yield f"# HELP {_PREFIX}{name} {text}"
    yield f"# TYPE {_PREFIX}{name} {kind}"
    for labels, value in values.items():
        yield f"{_PREFIX}{name}{{{labels}}} {value}" if labels else f"{_PREFIX}{name} {value}"
