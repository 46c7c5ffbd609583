"""Two versions of an app side by side: their numbers, who calls them and what they call, in one window.

The differences are judged as those of two times are (`comparison`): the baseline is the version before.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping

import msgspec
from aiohttp import web

from kaiki.console.answers import answer_json, read_duration, read_time
from kaiki.console.comparison import Change, change_of_edges, change_of_nodes
from kaiki.console.errors import UnknownObject
from kaiki.console.graphs import Graphs
from kaiki.console.inventory import Inventory
from kaiki.console.summaries import warnings_of
from kaiki.graph import Edge, GraphOptions, GraphType, Node, Registry, TrafficGraph


class ComparedCall(msgspec.Struct, frozen=True, rename="camel"):
    """What flows between the versions and one other node in one protocol; None where a version has no such edge."""

    node: Node
    protocol: str
    before: Edge | None
    after: Edge | None
    change: Change


class ComparedVersions(msgspec.Struct, frozen=True, rename="camel"):
    """`versions` are all there are, in the order people count; a version without traffic or workload has no node."""

    timestamp: float
    duration_seconds: int
    namespace: str
    app: str
    versions: tuple[str, ...]
    baseline: str
    version: str
    before: Node | None
    after: Node | None
    change: Change
    callers: tuple[ComparedCall, ...]
    calls: tuple[ComparedCall, ...]


_NUMBER = re.compile(r"(\d+)")


def known_versions(graph: TrafficGraph, registry: Registry, namespace: str, app: str) -> tuple[str, ...]:
    """The versions of an app that have traffic or a workload; v2 comes before v10."""
    seen = {node.version for node in graph.nodes if (node.namespace, node.app) == (namespace, app)}
    deployed = {one.version for one in registry.workloads if (one.namespace, one.app) == (namespace, app)}
    return tuple(sorted((seen | deployed) - {""}, key=_counted))


def _counted(version: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in _NUMBER.split(version)]


def compare_versions(
    graph: TrafficGraph, versions: tuple[str, ...], namespace: str, app: str, baseline: str, version: str
) -> ComparedVersions:
    """Two versions in one graph of versioned apps."""
    nodes = {node.id: node for node in graph.nodes}
    old, new = (f"app:{namespace}/{app}@{name}" for name in (baseline, version))
    before, after = nodes.get(old), nodes.get(new)
    return ComparedVersions(
        timestamp=graph.timestamp,
        duration_seconds=graph.duration_seconds,
        namespace=namespace,
        app=app,
        versions=versions,
        baseline=baseline,
        version=version,
        before=before,
        after=after,
        change=change_of_nodes(before, after),
        callers=_pair(nodes, _by_end(graph.edges, "source", old), _by_end(graph.edges, "source", new)),
        calls=_pair(nodes, _by_end(graph.edges, "target", old), _by_end(graph.edges, "target", new)),
    )


Ends = dict[tuple[str, str], Edge]


def _by_end(edges: Iterable[Edge], end: str, node: str) -> Ends:
    """The edges whose other end than `end` is a node, by their `end` and protocol."""
    other = "target" if end == "source" else "source"
    return {(getattr(edge, end), edge.protocol): edge for edge in edges if getattr(edge, other) == node}


def _pair(nodes: Mapping[str, Node], before: Ends, after: Ends) -> tuple[ComparedCall, ...]:
    return tuple(
        ComparedCall(nodes[key[0]], key[1], old, new, change_of_edges(old, new))
        for key in sorted(before | after)
        for old, new in ((before.get(key), after.get(key)),)
    )


class VersionHandlers:
    """`/api/versions/{namespace}/{app}`."""

    def __init__(self, graphs: Graphs, inventory: Inventory) -> None:
        self._graphs = graphs
        self._inventory = inventory

    def routes(self) -> list[web.AbstractRouteDef]:
        """What to mount."""
        return [web.get("/api/versions/{namespace}/{app}", self.compare)]

    async def compare(self, request: web.Request) -> web.Response:
        """Two versions of an app; without parameters the last, and the first of the others."""
        namespace, app = request.match_info["namespace"], request.match_info["app"]
        at = round(read_time(request, "at", time.time), 3)
        options = GraphOptions(GraphType.VERSIONED_APP, frozenset(), read_duration(request, "duration", 60), at, True)
        registry = self._inventory.registry()
        graph = await self._graphs.graph(options)
        versions = known_versions(graph, registry, namespace, app)
        if not versions:
            hint = "Versions come from the label version (or service.istio.io/canonical-revision) of an app's pods."
            raise UnknownObject(f"no version of an app {namespace}/{app} is known", hint)
        version = request.query.get("version") or versions[-1]
        other = next((name for name in versions if name != version), version)
        chosen = (request.query.get("baseline") or other, version)
        for name in chosen:
            if name not in versions:
                raise UnknownObject(
                    f"the app {namespace}/{app} has no version {name!r}", f"It has {', '.join(versions)}."
                )
        compared = compare_versions(graph, versions, namespace, app, *chosen)
        return answer_json(msgspec.to_builtins(compared) | {"warnings": warnings_of(self._inventory)})
