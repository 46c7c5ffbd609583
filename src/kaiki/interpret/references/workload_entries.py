"""WorkloadEntries against the mesh (KAI22xx)."""

from __future__ import annotations

from collections.abc import Iterator

from kaiki.interpret.service_entries import is_address
from kaiki.model.finding import Finding, Severity
from kaiki.model.snapshot import MeshSnapshot
from kaiki.model.workload_entry import WorkloadEntry


def workload_findings(snapshot: MeshSnapshot, item: WorkloadEntry) -> Iterator[Finding]:
    """Everything there is to say about one WorkloadEntry."""
    if not item.address:
        message = "without an address nothing can be sent there."
        yield Finding("KAI2201", Severity.ERROR, item.source, "spec.address", message, "Say an address or a name.")
    elif item.address.startswith("unix:"):
        message = "a unix socket is not reached from other pods; the entry is not in force."
        yield Finding("KAI2202", Severity.WARNING, item.source, "spec.address", message)
    elif not is_address(item.address) and not _looked_up(snapshot, item):
        message = f"{item.address} is a name, and no ServiceEntry with resolution DNS selects this entry."
        hint = "Say an address; Services and STATIC ServiceEntries leave names out."
        yield Finding("KAI2203", Severity.WARNING, item.source, "spec.address", message, hint)
    for other in snapshot.workload_entries:
        if other.source == item.source:
            return
        same = other.address == item.address and other.ports == item.ports and other.labels == item.labels
        if same and item.address and other.source.namespace == item.source.namespace:
            message = f"{other.source} is the same workload; it would be counted once."
            yield Finding("KAI2204", Severity.WARNING, item.source, "spec.address", message, "Remove one of them.")
            return


def _looked_up(snapshot: MeshSnapshot, item: WorkloadEntry) -> bool:
    return any(
        service.resolution.is_dns and service.namespace == item.source.namespace
        for host in snapshot.entries
        for service in (snapshot.services[host],)
    )
