"""The node's metrics are in the text format, whole."""

from __future__ import annotations

from kaiki.runtime.measurements import Measurements
from kaiki.telemetry.exposition import parse_exposition


def test_what_is_measured_is_written() -> None:
    measured = Measurements(container_starts=3, container_restarts=1)
    for seconds in (0.0005, 0.004, 7.0):
        measured.sandbox_seconds.observe(seconds)
    text = measured.render(["Running", "Running", "Pending"], {"running": 2}, 4)
    found = {(one.name, one.labels): one.value for one in parse_exposition(text)}
    assert found["kaiki_runtime_pods", (("phase", "Running"),)] == 2
    assert found["kaiki_runtime_pods", (("phase", "Failed"),)] == 0
    assert found["kaiki_runtime_containers", (("state", "running"),)] == 2
    assert found["kaiki_runtime_services", ()] == 4
    assert found["kaiki_runtime_container_restarts_total", ()] == 1
    bucket = "kaiki_runtime_sandbox_start_seconds_bucket"
    assert [found[bucket, (("le", bound),)] for bound in ("0.001", "0.005", "1.0", "+Inf")] == [1, 2, 2, 3]
    assert found["process_resident_memory_bytes", ()] > 0
