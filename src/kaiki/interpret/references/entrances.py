"""Gateways against the mesh (KAI04xx)."""

from __future__ import annotations

from collections.abc import Iterator

from kaiki.interpret.credentials import gateway_namespaces
from kaiki.interpret.references.overlaps import shared_server_findings
from kaiki.model.credential import find_roots
from kaiki.model.finding import Finding, Severity
from kaiki.model.gateway import Gateway, GatewayServer, ServerTls
from kaiki.model.snapshot import MeshSnapshot

_HTTP = ("HTTP", "HTTP2", "GRPC", "GRPC-WEB")
_KNOWN = (*_HTTP, "HTTPS", "TLS", "TCP", "MONGO", "MYSQL", "REDIS")


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
        yield from _credentials(snapshot, item, server, path)
        yield from _conflict(snapshot, item, server, path)
    yield from shared_server_findings(snapshot, item)


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
    elif server.tls is not None and server.tls.needs_pair and not server.has_certificate:
        message = "the server has no certificate; it is not in force."
        hint = "Set credentialName to a Secret in the namespace of the gateway's pods."
        yield Finding("KAI0403", Severity.WARNING, item.source, f"{path}.tls", message, hint)
    elif server.tls is not None and server.tls.needs_pair:
        yield from _versions(item, server.tls, path)


def _versions(item: Gateway, tls: ServerTls, path: str) -> Iterator[Finding]:
    if tls.minimum_version and tls.maximum_version and tls.minimum_version > tls.maximum_version:
        message = f"no version of TLS is at least {tls.minimum_version} and at most {tls.maximum_version}."
        hint = "No client will be able to connect."
        yield Finding("KAI0408", Severity.WARNING, item.source, f"{path}.tls.minProtocolVersion", message, hint)


def _credentials(snapshot: MeshSnapshot, item: Gateway, server: GatewayServer, path: str) -> Iterator[Finding]:
    """What is wrong with the Secrets a server names, in each namespace its gateway's pods run in."""
    tls = server.tls
    if tls is None or not tls.needs_pair or not server.has_certificate:
        return
    for namespace in gateway_namespaces(snapshot, item):
        if "/" in tls.credential + tls.roots_credential:
            name, problem = tls.credential if "/" in tls.credential else tls.roots_credential, "a name has no slash"
            yield _unusable(item, f"{path}.tls.credentialName", namespace, name, problem)
            continue
        pair = snapshot.credentials.get((namespace, tls.credential)) if tls.credential else None
        for _, name in tls.secrets:
            known = snapshot.credentials.get((namespace, name))
            if known is not None and known.pair_problem:
                yield _unusable(item, f"{path}.tls.{tls.credential_field}", namespace, name, known.pair_problem)
        roots = find_roots(snapshot.credentials, namespace, tls.roots_from) if tls.roots_from else None
        if roots is not None and roots.roots_problem and not (pair is not None and not pair.exists):
            name = "caCertCredentialName" if tls.roots_credential else "credentialName"
            yield _unusable(item, f"{path}.tls.{name}", namespace, tls.roots_from, roots.roots_problem)


def _unusable(item: Gateway, path: str, namespace: str, name: str, problem: str) -> Finding:
    message = f"Secret {namespace}/{name} cannot be used: {problem}. The server is not in force until it can."
    hint = f"Secrets are looked for in the namespace of the gateway's pods, {namespace}."
    return Finding("KAI0406", Severity.WARNING, item.source, path, message, hint)


def _kind(server: GatewayServer) -> str:
    if server.tls_mode is not None:
        return "TLS"
    return "plain HTTP" if server.protocol in _HTTP else "plain TCP"


def _conflict(snapshot: MeshSnapshot, item: Gateway, server: GatewayServer, path: str) -> Iterator[Finding]:
    """At one port the oldest Gateway decides what is spoken; Gateways that speak the same are merged."""
    for other in snapshot.gateways:
        if other.source == item.source:
            return
        if other.namespace:
            continue
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
