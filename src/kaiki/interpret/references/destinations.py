"""DestinationRules against the mesh (KAI03xx)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from kaiki.interpret.credentials import levels_of
from kaiki.interpret.hosts import covers
from kaiki.model.credential import find_roots
from kaiki.model.finding import Finding, Severity
from kaiki.model.policy.destination import DestinationPolicy
from kaiki.model.snapshot import MeshSnapshot
from kaiki.model.workload import ProxyKind

_WHOLE = 100


def policy_findings(snapshot: MeshSnapshot, rule: DestinationPolicy) -> Iterator[Finding]:
    """Everything there is to say about one DestinationRule."""
    hosts = _hosts(snapshot, rule.host)
    if not hosts:
        message = f"there is no service {rule.host}, so the rule applies to nothing."
        yield Finding("KAI0301", Severity.WARNING, rule.source, "spec.host", message, "Create it, or correct the name.")
    yield from _older(snapshot, rule)
    yield from _subsets(snapshot, rule, hosts)
    yield from _secrets(snapshot, rule)
    yield from _localities(snapshot, rule)


def _hosts(snapshot: MeshSnapshot, pattern: str) -> list[str]:
    if "*" not in pattern:
        return [pattern] if pattern in snapshot.services else []
    return [host for host in snapshot.services if covers(pattern, host)]


def _labels(snapshot: MeshSnapshot, hosts: list[str]) -> list[set[tuple[str, str]]]:
    keys = ((host, port.number) for host in hosts for port in snapshot.services[host].ports)
    return [set(endpoint.subset_labels) for key in keys for endpoint in snapshot.endpoints.get(key, ())]


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
    endpoints = _labels(snapshot, hosts) if rule.subsets else []
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


def _secrets(snapshot: MeshSnapshot, rule: DestinationPolicy) -> Iterator[Finding]:
    """What is wrong with the Secrets a rule names. Gateways read them in their own namespace; sidecars only where the
    rule selects them, and their service account may list Secrets.
    """
    names = {
        tls.credential: tls.needs_pair
        for policy in levels_of(rule)
        if (tls := policy.tls) is not None and tls.credential and not tls.is_of_mesh
    }
    if not names:
        return
    if rule.workload_selector:
        yield from _secrets_of_selected(snapshot, rule, names)
        return
    spaces = sorted({item.namespace for item in snapshot.workloads.values() if item.proxy is ProxyKind.GATEWAY})
    for name, needs_pair in sorted(names.items()):
        for namespace in spaces:
            pair, roots = snapshot.credentials.get((namespace, name)), find_roots(snapshot.credentials, namespace, name)
            problem = pair.pair_problem if needs_pair and pair is not None else ""
            problem = problem or (roots.roots_problem if roots is not None else "")
            if problem:
                message = f"Secret {namespace}/{name} cannot be used by the gateways there: {problem}."
                hint = (
                    "Requests they send to the host get 503 until then. Sidecars need a rule with a workloadSelector."
                )
                yield Finding("KAI0305", Severity.WARNING, rule.source, "spec.trafficPolicy.tls", message, hint)


def _secrets_of_selected(
    snapshot: MeshSnapshot, rule: DestinationPolicy, names: Mapping[str, bool]
) -> Iterator[Finding]:
    namespace = rule.source.namespace
    for name, needs_pair in sorted(names.items()):
        pair, roots = snapshot.credentials.get((namespace, name)), find_roots(snapshot.credentials, namespace, name)
        problem = pair.pair_problem if needs_pair and pair is not None else ""
        problem = problem or (roots.roots_problem if roots is not None else "")
        if not problem and pair is not None and not pair.for_sidecars:
            problem = "a service account of the selected pods may not list Secrets there"
        if problem:
            message = f"Secret {namespace}/{name} cannot be used by the proxies this rule selects: {problem}."
            hint = (
                "Requests they send to the host get 503 until then; a Role with the verb list and a RoleBinding help."
            )
            yield Finding("KAI0305", Severity.WARNING, rule.source, "spec.trafficPolicy.tls", message, hint)


def _localities(snapshot: MeshSnapshot, rule: DestinationPolicy) -> Iterator[Finding]:
    for policy in levels_of(rule):
        balancer = policy.load_balancer
        settings = balancer.locality if balancer else None
        path = "spec.trafficPolicy.loadBalancer.localityLbSetting"
        if settings is None or not settings.enabled:
            continue
        if settings.distribute and (settings.failover or settings.failover_priority):
            message = "of distribute, failover and failoverPriority only distribute is in force."
            yield Finding("KAI0306", Severity.WARNING, rule.source, path, message, "Keep one of them.")
        elif (settings.failover or settings.failover_priority) and policy.outlier_detection is None:
            message = "without outlierDetection no endpoint is ever found unhealthy, so nothing fails over."
            yield Finding("KAI0307", Severity.WARNING, rule.source, path, message, "Add outlierDetection beside it.")
        for source, shares in settings.distribute:
            total = sum(weight for _, weight in shares)
            if total != _WHOLE:
                message = f"the weights from {source} add up to {total}; each gets its share of that, not of 100."
                yield Finding("KAI0308", Severity.WARNING, rule.source, f"{path}.distribute", message, "Give percent.")
