"""The traffic graph in Kiali's JSON vocabulary, for programs that know it. Pure: our graph in, their elements out.

Field names and meanings are those of Kiali's documented graph API; rates and shares are strings, as there.
"""

from kaiki.graph.kiali.elements import KialiOptions, render_graph
from kaiki.graph.kiali.health import Members, render_health
from kaiki.graph.kiali.selection import NodeSelection, exchange_requests, select_node

__all__ = [
    "KialiOptions",
    "Members",
    "NodeSelection",
    "exchange_requests",
    "render_graph",
    "render_health",
    "select_node",
]
