"""A request as users think of it (a source, a host, a port) put to the simulation: which proxy, address and port."""

from __future__ import annotations

from dataclasses import replace

from kaiki.model.memo import Memo
from kaiki.model.proxy import Proxy, ProxyConfig
from kaiki.model.snapshot import MeshSnapshot
from kaiki.model.workload import ProxyKind, WorkloadInstance
from kaiki.translate.gateway import bound_servers, port_map
from kaiki.translate.generate import generate
from kaiki.translate.simulation.destination import with_destinations
from kaiki.translate.simulation.names import address_of
from kaiki.translate.simulation.simulate import simulate
from kaiki.translate.simulation.values import Outcome, Request


class UnknownProxy(Exception):
    """No pod of this name has a proxy; the text names some that have."""


def proxy_of(snapshot: MeshSnapshot, namespace: str, name: str) -> Proxy:
    """The proxy of a pod, by its name, its workload's, or its `app`. Raises UnknownProxy."""
    with_proxy = [item for item in snapshot.workloads.values() if item.proxy is not ProxyKind.NONE]
    here = [item for item in with_proxy if item.namespace == namespace]
    chosen = next((item for item in here if item.name == name), None)
    chosen = chosen or next((item for item in here if _is_called(item, name)), None)
    if chosen is None:
        others = ", ".join(sorted({f"{item.metric_labels.workload}.{item.namespace}" for item in with_proxy})) or "none"
        raise UnknownProxy(f"no pod {name} with a proxy is in namespace {namespace}; proxies are at: {others}")
    return Proxy.of(chosen, chosen.proxy)


def _is_called(item: WorkloadInstance, name: str) -> bool:
    return name in (item.metric_labels.workload, item.metric_labels.app)


def explain_request(
    snapshot: MeshSnapshot, proxy: Proxy, request: Request, config: ProxyConfig | None = None
) -> Outcome:
    """What the proxy does with a request. A missing address is the one its host resolves to; a gateway's port is the
    one users see."""
    config = config or generate(snapshot, proxy, Memo())
    if proxy.kind is ProxyKind.GATEWAY:
        # A Gateway may name the pod's port or the Service's; users call the Service's.
        ports = {bound.server.port: bound.port for bound in bound_servers(snapshot, proxy)} | port_map(snapshot, proxy)
        request = replace(request, port=ports.get(request.port, request.port))
        return with_destinations(snapshot, proxy, request, simulate(config, request))
    if not request.address:
        address, service = address_of(snapshot, request.host, proxy.namespace)
        port = request.port or (service.ports[0].number if service and service.ports else 80)
        request = replace(request, address=address, port=port)
    return with_destinations(snapshot, proxy, request, simulate(config, request))
