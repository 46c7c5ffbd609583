"""What a graph is asked for with, and how it is answered."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from kaiki.console.answers import read_duration, read_flag, read_names
from kaiki.console.errors import BadRequest
from kaiki.graph import GraphOptions, GraphType, TrafficGraph


class AnsweredGraph(TrafficGraph, frozen=True, rename="camel", kw_only=True):
    """A graph, and what could not be read for it."""

    warnings: list[dict[str, Any]]


def read_options(request: web.Request, timestamp: float) -> GraphOptions:
    """The options in a request's parameters. Raises BadRequest."""
    return GraphOptions(
        graph_type=read_graph_type(request),
        namespaces=read_names(request, "namespaces"),
        duration_seconds=read_duration(request, "duration", 60),
        timestamp=timestamp,
        idle=read_flag(request, "idle"),
        services=read_flag(request, "services"),
    )


def read_graph_type(request: web.Request) -> GraphType:
    """Of the parameter `graphType`; by workload without. Raises BadRequest."""
    text = request.query.get("graphType", GraphType.WORKLOAD.value)
    try:
        return GraphType(text)
    except ValueError:
        known = ", ".join(graph_type.value for graph_type in GraphType)
        raise BadRequest(f"graphType={text!r} is unknown", f"Use one of {known}.") from None
