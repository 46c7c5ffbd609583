"""The names of clusters, listeners and routes: Istio's, because dashboards and people know them."""

from __future__ import annotations

PASSTHROUGH = "PassthroughCluster"
BLACK_HOLE = "BlackHoleCluster"
INBOUND_PASSTHROUGH = "InboundPassthroughCluster"
VIRTUAL_OUTBOUND = "virtualOutbound"
VIRTUAL_INBOUND = "virtualInbound"
OUTBOUND_PORT = 15001
INBOUND_PORT = 15006


def outbound(host: str, port: int, subset: str = "") -> str:
    """The cluster of one port (and subset) of a host."""
    return f"outbound|{port}|{subset}|{host}"


def inbound(port: int) -> str:
    """The cluster that is the sidecar's own application at one port."""
    return f"inbound|{port}||"


def server_name(host: str, port: int, subset: str = "") -> str:
    """The SNI of mesh mTLS."""
    return f"outbound_.{port}_.{subset or '_'}_.{host}"
