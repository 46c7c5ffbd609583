"""Golden cases: `cases/<name>/in.yaml` (options, registry, compact traffic) gives `graph.json`, byte for byte.

`KAIKI_UPDATE_GOLDEN=1` rewrites the expectations; the difference is then reviewed like code.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from kaiki.graph import GraphOptions, Registry, Sample, TrafficSeries, build_graph, gather_histograms

CASES = Path(__file__).parent / "cases"
BOUNDS = ("5", "10", "25", "50", "100", "250", "500", "1000", "+Inf")


def load_case(folder: Path) -> tuple[TrafficSeries, Registry, GraphOptions]:
    written = yaml.safe_load((folder / "in.yaml").read_text())
    options = msgspec.convert(written.get("options", {}), GraphOptions)
    registry = msgspec.convert(written.get("registry", {}), Registry)
    return expand_traffic(written.get("traffic", [])), registry, options


def expand_traffic(rows: list[dict[str, Any]]) -> TrafficSeries:
    """A row is one series as a person thinks of it: who, to whom, how many, with which outcome and durations."""
    fields: dict[str, list[Sample]] = {name: [] for name in TrafficSeries.__struct_fields__}
    for row in rows:
        for reporter in row.get("reporters", ["source", "destination"]):
            _expand_row(fields, row, reporter)
    buckets = gather_histograms(fields.pop("duration_buckets"))
    return TrafficSeries(duration_buckets=buckets, **{name: tuple(samples) for name, samples in fields.items()})


def _expand_row(fields: dict[str, list[Sample]], row: dict[str, Any], reporter: str) -> None:
    labels = {"reporter": reporter, "request_protocol": row.get("protocol", "http")}
    labels |= {"pod": row[f"{reporter}_pod"]} if f"{reporter}_pod" in row else {}
    labels |= _side("source", row.get("from"), row) | _side("destination", row.get("to"), row) | _service(row)
    security = row.get("security", "mutual_tls") if reporter == "destination" else "unknown"
    secured = labels | {"connection_security_policy": security}
    if row.get("protocol") == "tcp":
        fields["tcp_sent"].append(Sample(secured, row.get("sent", 0)))
        fields["tcp_received"].append(Sample(secured, row.get("received", 0)))
        fields["tcp_opened"].append(Sample(secured, row.get("opened", 0)))
        return
    outcome = {"response_code": str(row.get("code", 200)), "response_flags": row.get("flags", "-")}
    outcome["grpc_response_status"] = str(row.get("grpc", ""))
    fields["requests"].append(Sample(secured | outcome, row["count"]))
    for name in ("request_bytes", "response_bytes"):
        if name in row:
            fields[name].append(Sample(labels, row[name]))
    if "buckets" in row:
        for bound, count in zip(BOUNDS, row["buckets"], strict=True):
            fields["duration_buckets"].append(Sample(labels | {"le": bound}, count))
        fields["durations"].append(Sample(labels, row.get("milliseconds", 0)))


def _side(name: str, text: str | None, row: dict[str, Any]) -> dict[str, str]:
    """`default/reviews-v2` is workload reviews-v2 of app reviews, version v2; nothing is unknown."""
    namespace, _, workload = (text or "unknown/unknown").partition("/")
    app, _, version = workload.rpartition("-v")
    principal = f"spiffe://cluster.local/ns/{namespace}/sa/{app or workload}" if text else "unknown"
    return {
        f"{name}_workload": workload,
        f"{name}_workload_namespace": namespace,
        f"{name}_canonical_service": app or workload,
        f"{name}_canonical_revision": f"v{version}" if app else "latest",
        f"{name}_principal": principal if row.get("security", "mutual_tls") == "mutual_tls" else "unknown",
    }


def _service(row: dict[str, Any]) -> dict[str, str]:
    namespace, _, name = row.get("service", "unknown/unknown").rpartition("/")
    return {
        "destination_service": f"{name}.{namespace}.svc.cluster.local" if namespace else name,
        "destination_service_name": name,
        "destination_service_namespace": namespace or "unknown",
    }


@pytest.mark.parametrize("folder", sorted(CASES.iterdir()), ids=lambda folder: folder.name)
def test_golden(folder: Path) -> None:
    graph = build_graph(*load_case(folder))
    written = msgspec.json.format(msgspec.json.encode(graph), indent=1) + b"\n"
    expected = folder / "graph.json"
    if os.environ.get("KAIKI_UPDATE_GOLDEN") == "1":
        expected.write_bytes(written)
    assert written == expected.read_bytes(), f"{folder.name} differs; KAIKI_UPDATE_GOLDEN=1 rewrites it"
