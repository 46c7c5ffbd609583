"""Sidecars against the mesh (KAI21xx)."""

from __future__ import annotations

from collections.abc import Iterator

from kaiki.model.finding import Finding, Severity
from kaiki.model.gateway import ServerTls
from kaiki.model.sidecar import (
    ANY_NAMESPACE,
    NO_NAMESPACE,
    OWN_NAMESPACE,
    UNIX_PREFIX,
    EgressHost,
    EgressListener,
    IngressListener,
    Sidecar,
    endpoint_problem,
)
from kaiki.model.snapshot import MeshSnapshot
from kaiki.model.well_known import ROOT_NAMESPACE
from kaiki.model.workload import ProxyKind, WorkloadInstance


def sidecar_findings(snapshot: MeshSnapshot, item: Sidecar) -> Iterator[Finding]:
    """Everything there is to say about one Sidecar."""
    yield from _selector(snapshot, item)
    for index, egress in enumerate(item.egress or ()):
        yield from _egress(snapshot, item, egress, f"spec.egress[{index}]")
    yield from _everything_else(item)
    ports: set[int] = set()
    for index, ingress in enumerate(item.ingress):
        yield from _ingress(item, ingress, f"spec.ingress[{index}]", ports)
        ports.add(ingress.port)
    if item.egress_proxy is not None and item.egress_proxy.host not in snapshot.services:
        message = f"there is no service {item.egress_proxy.host}, so what the mesh does not know is refused."
        path = "spec.outboundTrafficPolicy.egressProxy.host"
        yield Finding("KAI2108", Severity.WARNING, item.source, path, message, "Create it, or correct the name.")


def _pods(snapshot: MeshSnapshot, item: Sidecar) -> list[WorkloadInstance]:
    return [
        workload
        for workload in snapshot.workloads.values()
        if workload.proxy is ProxyKind.SIDECAR
        and workload.namespace == item.source.namespace
        and set(item.selector) <= set(workload.labels)
    ]


def _selector(snapshot: MeshSnapshot, item: Sidecar) -> Iterator[Finding]:
    path = "spec.workloadSelector"
    pods = _pods(snapshot, item) if item.selector else []
    if item.selector and not pods:
        labels = ", ".join(f"{key}={value}" for key, value in item.selector)
        message = f"no pod of namespace {item.source.namespace} has a sidecar and the labels {labels}."
        yield Finding("KAI2105", Severity.WARNING, item.source, path, message, "Compare with the pods' labels.")
    for other in snapshot.sidecars:
        if other.source == item.source:
            return
        if other.source.namespace != item.source.namespace or bool(other.selector) != bool(item.selector):
            continue
        if not item.selector:
            message = f"{other.source} is older and has no workloadSelector either: it is in force, this one is not."
            yield Finding("KAI2103", Severity.WARNING, item.source, "spec", message, "Keep one for the namespace.")
            return
        shared = [pod for pod in pods if set(other.selector) <= set(pod.labels)]
        if shared:
            message = f"{other.source} is older and selects {shared[0].name} too: that one is in force there."
            yield Finding("KAI2104", Severity.WARNING, item.source, path, message, "Select each pod once.")
            return


def _egress(snapshot: MeshSnapshot, item: Sidecar, listener: EgressListener, path: str) -> Iterator[Finding]:
    if listener.bind and not listener.port and not listener.bind.startswith(UNIX_PREFIX):
        message = "an address to bind needs a port; the listener is not made."
        yield Finding("KAI2109", Severity.ERROR, item.source, f"{path}.port", message, "Say port.number.")
    for index, host in enumerate(listener.hosts):
        place = f"{path}.hosts[{index}]"
        if not host.host or "*" in host.host.removeprefix("*") or "/" in host.host:
            message = f"'{host.namespace}/{host.host}' is not NAMESPACE/HOST."
            hint = "Write ./*, namespace/host.example.org, */*, or ~/* for nothing; the host must be a full name."
            yield Finding("KAI2102", Severity.ERROR, item.source, place, message, hint)
        elif not _is_known(snapshot, item, host):
            message = f"no service and no VirtualService in '{host.namespace}' has the host {host.host}."
            hint = "Hosts are full names, such as reviews.default.svc.cluster.local."
            yield Finding("KAI2101", Severity.WARNING, item.source, place, message, hint)


def _is_known(snapshot: MeshSnapshot, item: Sidecar, host: EgressHost) -> bool:
    here = item.source.namespace
    if host.namespace == NO_NAMESPACE or (host.namespace in (ANY_NAMESPACE, OWN_NAMESPACE) and host.host == "*"):
        return True
    if host.namespace == OWN_NAMESPACE and here != ROOT_NAMESPACE:
        host = EgressHost(here, host.host)
    elif host.namespace == OWN_NAMESPACE:
        host = EgressHost(ANY_NAMESPACE, host.host)
    services = snapshot.services.values()
    if any(host.includes(service.namespace, service.hostname) for service in services):
        return True
    routes = (route for same in snapshot.virtual_services.values() for route in same)
    return any(host.includes(route.source.namespace, name) for route in routes for name in route.hosts)


def _everything_else(item: Sidecar) -> Iterator[Finding]:
    listeners = item.egress or ()
    without = [index for index, one in enumerate(listeners) if not one.port and not one.bind]
    if without and without != [len(listeners) - 1]:
        message = "only the last egress listener may go without a port; those here are taken together."
        path = f"spec.egress[{without[0]}].port"
        yield Finding("KAI2110", Severity.WARNING, item.source, path, message, "Put all such hosts into the last one.")


def _unsupported_tls(item: Sidecar, tls: ServerTls, path: str) -> Iterator[Finding]:
    """Secrets are for gateways, and a port of a workload has no plaintext beside it to redirect from."""
    fields = {
        tls.credential_field: tls.credential,
        "caCertCredentialName": tls.roots_credential,
        "httpsRedirect": tls.https_redirect,
    }
    for field, value in fields.items():
        if value:
            message = f"unsupported: {field} is for gateways; a sidecar's own TLS takes files of the proxy's container."
            hint = "Say serverCertificate, privateKey and caCertificates."
            yield Finding("KAI2112", Severity.WARNING, item.source, f"{path}.{field}", message, hint)


def _ingress(item: Sidecar, listener: IngressListener, path: str, taken: set[int]) -> Iterator[Finding]:
    if not listener.port:
        message = "an ingress listener needs a port."
        yield Finding("KAI2109", Severity.ERROR, item.source, f"{path}.port.number", message, "Say which.")
    if listener.port in taken:
        message = f"port {listener.port} has a listener above; this one is not in force."
        yield Finding("KAI2107", Severity.WARNING, item.source, f"{path}.port", message, "Keep one for each port.")
    problem = endpoint_problem(listener.endpoint) if listener.endpoint else ""
    if problem:
        message = f"{listener.endpoint!r} cannot be used: {problem}."
        yield Finding("KAI2106", Severity.ERROR, item.source, f"{path}.defaultEndpoint", message)
    tls = listener.tls
    if tls is not None:
        yield from _unsupported_tls(item, tls, f"{path}.tls")
    if tls is not None and tls.needs_pair and not (tls.server_certificate and tls.private_key):
        message = "a sidecar's own TLS needs serverCertificate and privateKey, files in the proxy's container."
        yield Finding("KAI2111", Severity.ERROR, item.source, f"{path}.tls", message, "Name both.")
