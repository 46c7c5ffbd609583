"""Golden cases of comparisons: `comparisons/<name>/in.yaml` gives `comparison.json`, as `test_golden` does for graphs.

Two times (`before`, `after`, and the `changes` of the configuration between them), or two `versions` of an app.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from kaiki.console.beside import made_between
from kaiki.console.comparison import Comparison, compare_graphs
from kaiki.console.versions import ComparedVersions, compare_versions, known_versions
from kaiki.graph import GraphOptions, Registry, TrafficGraph, build_graph
from kaiki.model.journal import ChangeEntry

from .test_golden import expand_traffic

CASES = Path(__file__).parent / "comparisons"


def compare(written: dict[str, Any]) -> Comparison | ComparedVersions:
    registry = msgspec.convert(written.get("registry", {}), Registry)

    def build(part: dict[str, Any]) -> TrafficGraph:
        options = {"timestamp": part.get("timestamp", 0), "graph_type": written.get("options", {}).get("graphType")}
        given = {name: value for name, value in options.items() if value}
        return build_graph(expand_traffic(part["traffic"]), registry, msgspec.convert(given, GraphOptions))

    if "versions" in written:
        asked, graph = written["versions"], build(written)
        return compare_versions(graph, known_versions(graph, registry, asked["namespace"], asked["app"]), **asked)
    before, after = build(written["before"]), build(written["after"])
    made = made_between(map(read_change, written["changes"]), before.timestamp, after.timestamp)
    return compare_graphs(before, after, made, registry).comparison


def read_change(row: dict[str, Any]) -> ChangeEntry:
    metadata = {"kind": row["kind"], "metadata": {"namespace": row["namespace"], "name": row["name"]}}
    objects = {side: metadata | row[side] if side in row else None for side in ("before", "after")}
    return ChangeEntry(**{"author": "", "operation": "update", "api_version": "v1", **row, **objects})


@pytest.mark.parametrize("folder", sorted(CASES.iterdir()), ids=lambda folder: folder.name)
def test_golden_comparison(folder: Path) -> None:
    compared = compare(yaml.safe_load((folder / "in.yaml").read_text()))
    written = msgspec.json.format(msgspec.json.encode(compared), indent=1) + b"\n"
    expected = folder / "comparison.json"
    if os.environ.get("KAIKI_UPDATE_GOLDEN") == "1":
        expected.write_bytes(written)
    assert written == expected.read_bytes(), f"{folder.name} differs; KAIKI_UPDATE_GOLDEN=1 rewrites it"
