"""What names only the mesh knows mean: hosts of ServiceEntries, for the DNS of pods that have a sidecar.

    {"hosts": {"db.example.org": ["240.240.1.7"]},      every host with its addresses
     "views": {"shop": ["db.example.org"]}}             namespaces that see fewer, and what they see

A namespace sees what its ServiceEntries' exports and its Sidecar leave it: a name whose connections no proxy would know
is better looked up outside.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from kaiki.interpret.hosts import is_visible
from kaiki.model.service import Service
from kaiki.model.sidecar import OWN_NAMESPACE, Sidecar
from kaiki.model.snapshot import MeshSnapshot
from kaiki.model.well_known import ROOT_NAMESPACE


def mesh_names(snapshot: MeshSnapshot) -> str:
    """The document as JSON; the same snapshot gives the same text."""
    known = [snapshot.services[host] for host in snapshot.entries]
    named = sorted((item for item in known if item.called_at), key=lambda item: item.hostname)
    views: dict[str, list[str]] = {}
    for namespace in snapshot.namespaces:
        sidecar = _sidecar(snapshot, namespace)
        seen = [item.hostname for item in named if _sees(item, namespace, sidecar)]
        if len(seen) < len(named):
            views[namespace] = seen
    hosts: Mapping[str, list[str]] = {item.hostname: list(item.called_at) for item in named}
    return json.dumps({"hosts": hosts, "views": views}, sort_keys=True, separators=(",", ":"))


def _sees(item: Service, namespace: str, sidecar: Sidecar | None) -> bool:
    if not is_visible(item.export_to, namespace):
        return False
    listeners = sidecar.egress if sidecar else None
    if listeners is None:
        return True
    # `.` is the namespace that looks, also in the Sidecar of the whole mesh.
    return any(
        host.includes(item.namespace, item.hostname)
        or (host.namespace == OWN_NAMESPACE and item.namespace == namespace and host.covers(item.hostname))
        for listener in listeners
        for host in listener.hosts
    )


def _sidecar(snapshot: MeshSnapshot, namespace: str) -> Sidecar | None:
    """The Sidecar of all pods of a namespace. One for some of them changes what proxies do, not what names mean."""
    for space in (namespace, ROOT_NAMESPACE):
        for item in snapshot.sidecars:
            if item.source.namespace == space and not item.selector:
                return item
    return None
