"""WorkloadEntries → workloads of the registry, and the endpoints they are where something selects them."""

from __future__ import annotations

from collections.abc import Iterator

from kaiki.interpret.service_entries import is_address
from kaiki.model.finding import Finding, ObjectRef, Severity
from kaiki.model.identity import Identity, workload_labels
from kaiki.model.service import Endpoint
from kaiki.model.workload_entry import WorkloadEntry
from kaiki.resources import core
from kaiki.resources.istio import service_entry as api
from kaiki.resources.istio import workload_group as api_groups

TLS_MODE_LABEL = "security.istio.io/tlsMode"
HEALTH_ANNOTATION = "proxy.istio.io/health-checks-enabled"
"""On an entry whose workload is probed: until the first answer it counts as not healthy."""


def workload_entry(source: ObjectRef, spec: api.WorkloadEntry, obj: core.Object, created: str) -> WorkloadEntry:
    """Translate one object; `obj` gives its own labels (which count too) and its health."""
    labels = {**core.labels(obj), **spec.labels}
    mode = labels.get(TLS_MODE_LABEL)
    return WorkloadEntry(
        source=source,
        address=spec.address,
        ports=tuple(sorted(spec.ports.items())),
        labels=tuple(sorted(labels.items())),
        identity=Identity(source.namespace, spec.service_account) if spec.service_account else None,
        # Who has an identity is taken to be in the mesh, unless it says otherwise (Istio's rule).
        mtls=mode == "istio" if mode is not None else bool(spec.service_account),
        locality=spec.locality,
        weight=spec.weight or 1,
        healthy=_is_healthy(obj),
        created=created,
    )


def group_findings(source: ObjectRef, spec: api_groups.WorkloadGroupSpec) -> Iterator[Finding]:
    """What is wrong with a WorkloadGroup, whatever the mesh is like."""
    if spec.template.address:
        message = "unsupported: every member is registered with its own address, so the template's is not used."
        path, hint = "spec.template.address", "Leave it out, or write a WorkloadEntry for that address."
        yield Finding("KAI2205", Severity.WARNING, source, path, message, hint)


def _is_healthy(obj: core.Object) -> bool:
    conditions = core.status(obj).get("conditions") or ()
    known = next((item for item in conditions if item.get("type") == "Healthy"), None)
    if known is not None:
        return bool(known.get("status") == "True")
    return (obj["metadata"].get("annotations") or {}).get(HEALTH_ANNOTATION) != "true"


def entry_endpoint(entry: WorkloadEntry, port_name: str, number: int) -> Endpoint:
    """The endpoint a workload is behind a service port."""
    labels = dict(entry.labels)
    name = labels.get("service.istio.io/workload-name") or entry.source.name
    return Endpoint(
        address=entry.address,
        port=entry.port(port_name, number),
        healthy=entry.healthy,
        mtls=entry.mtls,
        identity=entry.identity,
        metric_labels=workload_labels(name, entry.source.namespace, labels),
        subset_labels=entry.labels,
        weight=entry.weight,
        locality=entry.locality,
    )


def entry_endpoints(
    entries: tuple[WorkloadEntry, ...], port_name: str, number: int, names_too: bool = False
) -> tuple[Endpoint, ...]:
    """The endpoints of some entries, sorted; those known by name only where names are looked up."""
    usable = (entry for entry in entries if is_address(entry.address) or (names_too and entry.address))
    found = (entry_endpoint(entry, port_name, number) for entry in usable)
    return tuple(sorted(found, key=lambda item: (item.address, item.port)))
