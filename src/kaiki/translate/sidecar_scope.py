"""Which Sidecar (the API's kind) speaks for a proxy: of its own namespace by label, of its namespace, of the mesh."""

from __future__ import annotations

from dataclasses import replace

from kaiki.model.memo import Memo
from kaiki.model.proxy import Proxy
from kaiki.model.sidecar import OWN_NAMESPACE, EgressHost, EgressListener, Sidecar
from kaiki.model.snapshot import MeshSnapshot
from kaiki.model.well_known import ROOT_NAMESPACE
from kaiki.model.workload import ProxyKind

SidecarsByNamespace = dict[str, tuple[Sidecar, ...]]


def sidecar_of(snapshot: MeshSnapshot, proxy: Proxy, memo: Memo) -> Sidecar | None:
    """The Sidecar of a proxy, its hosts as seen from there; None if there is none. The older of two wins."""
    if not snapshot.sidecars or proxy.kind is ProxyKind.GATEWAY:
        return None
    known = memo.get(_by_namespace, snapshot)
    own = known.get(proxy.namespace, ())
    labels = set(proxy.labels)
    picked = next((item for item in own if item.selector and set(item.selector) <= labels), None)
    chosen = picked or _default(own) or _default(known.get(ROOT_NAMESPACE, ()))
    return None if chosen is None else memo.get(_as_seen_from, chosen, proxy.namespace)


def _by_namespace(snapshot: MeshSnapshot) -> SidecarsByNamespace:
    spaces = dict.fromkeys(item.source.namespace for item in snapshot.sidecars)
    return {space: tuple(item for item in snapshot.sidecars if item.source.namespace == space) for space in spaces}


def _default(items: tuple[Sidecar, ...]) -> Sidecar | None:
    return next((item for item in items if not item.selector), None)


def _as_seen_from(item: Sidecar, namespace: str) -> Sidecar:
    """`./host` is a host of the proxy's own namespace, also in the Sidecar of the whole mesh."""
    if item.egress is None:
        return item
    return replace(item, egress=tuple(_resolved(listener, namespace) for listener in item.egress))


def _resolved(listener: EgressListener, namespace: str) -> EgressListener:
    hosts = (replace(host, namespace=namespace) if host.namespace == OWN_NAMESPACE else host for host in listener.hosts)
    return replace(listener, hosts=tuple[EgressHost, ...](hosts))
