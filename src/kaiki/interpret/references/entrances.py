"""Gateways against the mesh (KAI04xx)."""

from __future__ import annotations

from collections.abc import Iterator

from kaiki.model.finding import Finding, Severity
from kaiki.model.gateway import Gateway, GatewayServer, ServerTlsMode
from kaiki.model.snapshot import MeshSnapshot

_HTTP = ("HTTP", "HTTP2", "GRPC", "GRPC-WEB")
_KNOWN = (*_HTTP, "HTTPS", "TLS", "TCP", "MONGO")


def gateway_findings(snapshot: MeshSnapshot, item: Gateway) -> Iterator[Finding]:
    """Everything there is to say about one Gateway."""
    wanted = set(item.selector)
    if not any(wanted <= set(workload.labels) for workload in snapshot.workloads.values()):
        labels = ", ".join(f"{key}={value}" for key, value in item.selector)
        message = f"no pod has the labels {labels}, so nothing listens for this Gateway."
        hint = "The ingress gateway of the installation has istio=ingressgateway."
        yield Finding("KAI0401", Severity.WARNING, item.source, "spec.selector", message, hint)
    for index, server in enumerate(item.servers):
        path = f"spec.servers[{index}]"
        yield from _server(item, server, path)
        yield from _conflict(snapshot, item, server, path)


_RESERVED = (15000, 15001, 15006, 15020, 15021, 15090)


def _server(item: Gateway, server: GatewayServer, path: str) -> Iterator[Finding]:
    if server.protocol not in _KNOWN:
        message = f"{server.protocol} is not a protocol of a server; known are {', '.join(_KNOWN)}."
        yield Finding("KAI0405", Severity.WARNING, item.source, f"{path}.port.protocol", message, "The port is closed.")
    if server.port in _RESERVED:
        message = f"every proxy listens at port {server.port} for itself; the server is not in force."
        yield Finding("KAI0404", Severity.WARNING, item.source, f"{path}.port.number", message, "Use another port.")
    if server.protocol == "HTTPS" and server.tls_mode is None:
        message = "an HTTPS server needs tls.mode; the port stays closed."
        yield Finding("KAI0403", Severity.WARNING, item.source, f"{path}.tls", message, "Say SIMPLE or PASSTHROUGH.")
    elif server.tls is not None and _lacks_certificate(server):
        message = (
            "the server has no certificate by file, and certificates from Secrets are not in force in this version."
        )
        hint = "The port stays closed; set serverCertificate and privateKey to paths in the gateway's container."
        yield Finding("KAI0403", Severity.WARNING, item.source, f"{path}.tls", message, hint)


def _lacks_certificate(server: GatewayServer) -> bool:
    tls = server.tls
    if tls is None or tls.mode not in (ServerTlsMode.SIMPLE, ServerTlsMode.MUTUAL, ServerTlsMode.OPTIONAL_MUTUAL):
        return False
    return not (tls.server_certificate and tls.private_key)


def _kind(server: GatewayServer) -> str:
    if server.tls_mode is not None:
        return "TLS"
    return "plain HTTP" if server.protocol in _HTTP else "plain TCP"


def _conflict(snapshot: MeshSnapshot, item: Gateway, server: GatewayServer, path: str) -> Iterator[Finding]:
    """At one port the oldest Gateway decides what is spoken; Gateways that speak the same are merged."""
    for other in snapshot.gateways:
        if other.source == item.source:
            return
        if not (set(other.selector) <= set(item.selector) or set(item.selector) <= set(other.selector)):
            continue
        for theirs in other.servers:
            if theirs.port == server.port and _kind(theirs) != _kind(server):
                message = (
                    f"{other.source} is older and speaks {_kind(theirs)} at port {server.port}, not {_kind(server)}."
                )
                hint = "Use another port; this server is not in force."
                yield Finding("KAI0402", Severity.WARNING, item.source, f"{path}.port", message, hint)
                return
