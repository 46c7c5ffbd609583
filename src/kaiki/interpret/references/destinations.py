"""DestinationRules against the mesh (KAI03xx)."""

from __future__ import annotations

from collections.abc import Iterator

from kaiki.interpret.hosts import covers
from kaiki.model.finding import Finding, Severity
from kaiki.model.policy.destination import DestinationPolicy
from kaiki.model.snapshot import MeshSnapshot


def policy_findings(snapshot: MeshSnapshot, rule: DestinationPolicy) -> Iterator[Finding]:
    """Everything there is to say about one DestinationRule."""
    hosts = [host for host in snapshot.services if covers(rule.host, host)]
    if not hosts:
        message = f"there is no service {rule.host}, so the rule applies to nothing."
        yield Finding("KAI0301", Severity.WARNING, rule.source, "spec.host", message, "Create it, or correct the name.")
    yield from _older(snapshot, rule)
    yield from _subsets(snapshot, rule, hosts)


def _older(snapshot: MeshSnapshot, rule: DestinationPolicy) -> Iterator[Finding]:
    for other in snapshot.destination_policies.get(rule.host, ()):
        if other.source == rule.source:
            return
        same_place = other.source.namespace == rule.source.namespace
        if same_place and other.workload_selector == rule.workload_selector:
            message = f"{other.source} is older: its traffic policy holds, and of this rule only new subsets count."
            yield Finding("KAI0302", Severity.WARNING, rule.source, "spec.host", message, "Put one host into one rule.")
            return


def _subsets(snapshot: MeshSnapshot, rule: DestinationPolicy, hosts: list[str]) -> Iterator[Finding]:
    seen: set[str] = set()
    endpoints = [
        set(endpoint.subset_labels)
        for (host, _), items in snapshot.endpoints.items()
        if host in hosts
        for endpoint in items
    ]
    for index, subset in enumerate(rule.subsets):
        path = f"spec.subsets[{index}]"
        if subset.name in seen:
            message = f"there is already a subset {subset.name} above; this one is not used."
            yield Finding("KAI0303", Severity.WARNING, rule.source, path, message, "Give it another name.")
        elif endpoints and not any(set(subset.labels) <= labels for labels in endpoints):
            wanted = ", ".join(f"{key}={value}" for key, value in subset.labels)
            message = f"no pod of {rule.host} has the labels {wanted}, so subset {subset.name} is empty."
            yield Finding("KAI0304", Severity.WARNING, rule.source, path, message, "Compare with the pods' labels.")
        seen.add(subset.name)
