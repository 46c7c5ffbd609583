"""From a node's or edge's id to PromQL label matchers, for plots of its history."""

from __future__ import annotations

from typing import NamedTuple

import orjson

from kaiki.console.errors import BadRequest

Matchers = dict[str, str]
_WITHOUT_NAME = ("unknown", "passthrough", "blackhole", "cluster")
_NAMED = ("workload", "gateway", "app", "service")


class Unlike(str):
    """Any text of a label but this one."""

    __slots__ = ()


class NodeId(NamedTuple):
    """A parsed id (`kaiki.graph.naming` writes them); `name` is the workload's for a pod."""

    type: str
    namespace: str = ""
    name: str = ""
    version: str = ""
    pod: str = ""


def parse_node(text: str) -> NodeId:
    """Raises BadRequest when the text is no node id."""
    kind, _, rest = text.partition(":")
    if kind in _WITHOUT_NAME:
        return NodeId(kind, rest)
    if kind == "namespace" and rest:
        return NodeId(kind, rest)
    namespace, slash, name = rest.partition("/")
    name, _, pod = name.partition("/") if kind == "pod" else (name, "", "")
    if kind not in (*_NAMED, "pod") or not slash or not name or bool(pod) is not (kind == "pod"):
        raise BadRequest(f"{text!r} is not a node id", "Take ids from /api/graph.")
    if kind == "app":
        name, _, version = name.partition("@")
        return NodeId(kind, namespace, name, version)
    return NodeId(kind, namespace, name, pod=pod)


def parse_edge(text: str) -> tuple[NodeId, NodeId, str]:
    """Source, target and protocol. Raises BadRequest when the text is no edge id."""
    ends, bar, protocol = text.rpartition("|")
    source, arrow, target = ends.partition(">")
    if not bar or not arrow:
        raise BadRequest(f"{text!r} is not an edge id", "Take ids from /api/graph.")
    return parse_node(source), parse_node(target), protocol


def selections_of_node(node: NodeId, direction: str, *, unreached: bool = False) -> list[Matchers]:
    """What flows into or out of a node, each request in one selection only.

    `unreached` narrows a service to what no workload behind it is known to have answered: what a service node stands
    for in a graph that draws workloads.
    """
    if direction == "outbound":
        reporter = "destination" if node.type == "unknown" else "source"
        return [_reported(reporter, node) | _source(node)]
    if node.type == "pod":  # Callers do not know which pod they reach.
        return [_reported("destination", node) | _destination(node)]
    return _both_reporters(_destination(node, unreached=unreached))


def selections_of_edge(source: NodeId, target: NodeId, *, unreached: bool = False) -> list[Matchers]:
    """What flows over an edge; `unreached` as in `selections_of_node`.

    An edge from a service to a workload behind it is part of the service's inbound.
    """
    if source.type == "service" and target.type != "service":
        return _both_reporters(_destination(source) | _destination(target))
    if source.type == "unknown":
        return [_reported("destination", target) | _source(source) | _destination(target)]
    if target.type == "pod" and source.type in ("workload", "gateway"):
        # Its own workload, for all callers with a proxy; or a caller whose proxy tells nothing.
        own = source[1:3] == target[1:3]
        callers: Matchers = {"source_workload": Unlike("unknown")} if own else _source(source)
        return [_reported("destination", target) | callers | _destination(target)]
    return [_reported("source", source) | _source(source) | _destination(target, unreached=unreached)]


def _reported(reporter: str, node: NodeId) -> Matchers:
    """By the proxies at a node, which is that end of the traffic."""
    return {"reporter": reporter} | ({"pod": node.pod} if node.pod else {})


def write_selector(metric: str, matchers: Matchers) -> str:
    """PromQL. Values are escaped as JSON strings, which PromQL reads alike."""
    written = ",".join(_written(label, value) for label, value in sorted(matchers.items()))
    return f"{metric}{{{written}}}"


def _written(label: str, value: str) -> str:
    return f"{label}{'!=' if isinstance(value, Unlike) else '='}{orjson.dumps(str(value)).decode()}"


def _both_reporters(matchers: Matchers) -> list[Matchers]:
    """Callers report; only for callers without a proxy does the callee (as in `kaiki.graph.records`)."""
    return [{"reporter": "source"} | matchers, {"reporter": "destination", "source_workload": "unknown"} | matchers]


def _source(node: NodeId) -> Matchers:
    if node.type == "unknown":
        return {"source_workload": "unknown"}
    return _side(node, "source")


def _destination(node: NodeId, *, unreached: bool = False) -> Matchers:
    match node.type:
        case "service":
            place = {"destination_service_namespace": node.namespace} if node.namespace else {}
            place |= {"destination_workload": "unknown"} if unreached else {}
            return place | {"destination_service_name": node.name}
        case "passthrough":
            return {"destination_service_name": "PassthroughCluster"}
        case "blackhole":
            return {"destination_service_name": "BlackHoleCluster"}
        case "unknown":
            return {"destination_workload": "unknown", "destination_service_namespace": node.namespace or "unknown"}
    return _side(node, "destination")


def _side(node: NodeId, side: str) -> Matchers:
    if node.type == "cluster":
        return {f"{side}_workload": Unlike("unknown")}
    matchers = {f"{side}_workload_namespace": node.namespace}
    if node.type == "namespace":
        return matchers
    if node.type in ("pod", "workload", "gateway"):
        return matchers | {f"{side}_workload": node.name}
    version = {f"{side}_canonical_revision": node.version} if node.version else {}
    return matchers | {f"{side}_canonical_service": node.name} | version
