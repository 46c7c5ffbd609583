"""What the API measures of its requests, under the names of Kubernetes' own API server, in the Prometheus text format.

A watch is counted when it ends, and held in `apiserver_longrunning_requests` while it lasts; how long it was open says
nothing about how quick the server is, so it is in no histogram.
"""

from __future__ import annotations

import os
import resource
import time
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_VERBS = {"create": "POST", "update": "PUT"}
_BUCKETS = (0.005, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_STARTED = "process_start_time_seconds"
_MEMORY = Path("/proc/self/statm")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request is for, as far as metrics tell requests apart. `verb` is Kubernetes' lower-case one."""

    verb: str
    group: str
    version: str
    resource: str
    subresource: str
    scope: str

    def labels(self) -> str:
        """All but the verb, as in the text format. None of it is text of a client's own."""
        names = ("group", "resource", "scope", "subresource", "version")
        return ",".join(f'{name}="{getattr(self, name)}"' for name in names)

    @property
    def shown_verb(self) -> str:
        return _VERBS.get(self.verb, self.verb.upper())


@dataclass(slots=True)
class RequestMetrics:
    """Counts since the start."""

    started: float = field(default_factory=time.time)
    _counts: dict[tuple[Asked, int], int] = field(default_factory=dict)
    _times: dict[Asked, list[float]] = field(default_factory=dict)
    _open: dict[Asked, int] = field(default_factory=dict)

    def begin(self, asked: Asked) -> None:
        """A watch was opened."""
        self._open[asked] = self._open.get(asked, 0) + 1

    def end(self, asked: Asked, code: int, seconds: float) -> None:
        """A request was answered."""
        self._counts[asked, code] = self._counts.get((asked, code), 0) + 1
        if asked.verb == "watch":
            self._open[asked] -= 1
            return
        times = self._times.setdefault(asked, [0.0] * (len(_BUCKETS) + 2))
        times[bisect_left(_BUCKETS, seconds)] += 1
        times[-1] += seconds

    def render(self) -> str:
        """In the text format."""
        return "\n".join((*self._requests(), *self._durations(), *self._watches(), *self._process(), ""))

    def _requests(self) -> Iterator[str]:
        yield "# HELP apiserver_request_total Requests answered."
        yield "# TYPE apiserver_request_total counter"
        for (asked, code), count in self._counts.items():
            yield f'apiserver_request_total{{code="{code}",verb="{asked.shown_verb}",{asked.labels()}}} {count}'

    def _durations(self) -> Iterator[str]:
        name = "apiserver_request_duration_seconds"
        yield f"# HELP {name} Seconds until requests were answered."
        yield f"# TYPE {name} histogram"
        for asked, times in self._times.items():
            labels, seen = f'verb="{asked.shown_verb}",{asked.labels()}', 0
            for bound, count in zip((*map(str, _BUCKETS), "+Inf"), times, strict=False):
                seen += int(count)
                yield f'{name}_bucket{{{labels},le="{bound}"}} {seen}'
            yield f"{name}_sum{{{labels}}} {times[-1]!r}"
            yield f"{name}_count{{{labels}}} {seen}"

    def _watches(self) -> Iterator[str]:
        yield "# HELP apiserver_longrunning_requests Watches that are open."
        yield "# TYPE apiserver_longrunning_requests gauge"
        for asked, count in self._open.items():
            yield f'apiserver_longrunning_requests{{verb="{asked.shown_verb}",{asked.labels()}}} {count}'

    def _process(self) -> Iterator[str]:
        memory = int(_MEMORY.read_text().split()[1]) * resource.getpagesize()
        rows = (
            (_STARTED, "gauge", "When the process started, in seconds since 1970.", repr(self.started)),
            ("process_cpu_seconds_total", "counter", "Processor time used.", repr(time.process_time())),
            ("process_resident_memory_bytes", "gauge", "Memory in use.", str(memory)),
            ("process_open_fds", "gauge", "Open files.", str(len(os.listdir("/proc/self/fd")))),
        )
        for name, kind, text, value in rows:
            yield f"# HELP {name} {text}\n# TYPE {name} {kind}\n{name} {value}"
