"""PeerAuthentications against the mesh (KAI24xx)."""

from __future__ import annotations

from collections.abc import Iterator

from kaiki.model.finding import Finding, Severity
from kaiki.model.policy.peer import PeerPolicy
from kaiki.model.snapshot import MeshSnapshot
from kaiki.model.well_known import ROOT_NAMESPACE
from kaiki.model.workload import ProxyKind, WorkloadInstance


def peer_policy_findings(snapshot: MeshSnapshot, policy: PeerPolicy) -> Iterator[Finding]:
    """Findings about one PeerAuthentication."""
    source = policy.source
    for other in snapshot.peer_policies:
        if other.source == source:
            break
        if (other.source.namespace, other.selector) == (source.namespace, policy.selector):
            message = f"{other.source} is older and for the same workloads: only that one is in force."
            yield Finding("KAI2403", Severity.WARNING, source, "spec.selector", message, "Keep one of them.")
            break
    if not policy.selector:
        return
    selected = [
        item
        for item in snapshot.workloads.values()
        if item.namespace == source.namespace and item.matches(policy.selector)
    ]
    if not selected:
        message = f"no pod of namespace {source.namespace} has these labels, so it is in force nowhere."
        hint = "Leave the selector out to mean the whole mesh." if source.namespace == ROOT_NAMESPACE else ""
        hint = hint or "Compare them with `kubectl get pods --show-labels`."
        yield Finding("KAI2404", Severity.WARNING, source, "spec.selector", message, hint)
        return
    if all(item.proxy is not ProxyKind.SIDECAR for item in selected):
        message = "none of the pods it selects has a sidecar, and only sidecars take mutual TLS."
        hint = "Label the namespace istio-injection=enabled and restart the pods."
        yield Finding("KAI2405", Severity.WARNING, source, "spec.selector", message, hint)
    called = {number for item in selected for number in _ports(snapshot, item)}
    for number, _ in policy.ports:
        if number not in called:
            message = f"no Service sends to port {number} of these pods, and only such ports have modes of their own."
            hint = "Write the pod's port (targetPort), not the Service's, or add the port to the Service."
            path = f"spec.portLevelMtls[{number}]"
            yield Finding("KAI2406", Severity.WARNING, source, path, message, hint)


def _ports(snapshot: MeshSnapshot, item: WorkloadInstance) -> Iterator[int]:
    named = dict(item.named_ports)
    for service in snapshot.services_by_workload.get(item.key, ()):
        for port in service.ports:
            target = port.target_port
            yield named.get(target, 0) if isinstance(target, str) else target or port.number
