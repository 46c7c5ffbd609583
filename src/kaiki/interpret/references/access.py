"""AuthorizationPolicies against the mesh (KAI25xx)."""

from __future__ import annotations

from collections.abc import Iterator

from kaiki.model.finding import Finding, Severity
from kaiki.model.policy.access import AccessAction, AccessPolicy, AccessRule
from kaiki.model.service import Protocol
from kaiki.model.snapshot import MeshSnapshot
from kaiki.model.workload import ProxyKind, WorkloadInstance


def access_policy_findings(snapshot: MeshSnapshot, policy: AccessPolicy) -> Iterator[Finding]:
    """Findings about one AuthorizationPolicy."""
    if policy.has_targets:
        yield from _gateway_findings(snapshot, policy)
        return
    meant = [item for item in snapshot.workloads.values() if policy.is_for(item.namespace, item.labels)]
    if policy.selector and not meant:
        message = "no pod has these labels, so nobody is refused."
        hint = "Compare them with `kubectl get pods --show-labels`."
        yield Finding("KAI2512", Severity.WARNING, policy.source, "spec.selector", message, hint)
    elif policy.selector and all(item.proxy is ProxyKind.NONE for item in meant):
        message = "none of the pods it selects has a proxy, and only proxies refuse."
        hint = "Label the namespace istio-injection=enabled and restart the pods."
        yield Finding("KAI2513", Severity.WARNING, policy.source, "spec.selector", message, hint)
    if policy.selector and any(map(_asks_for_http, policy.rules)):
        yield from _bytes_findings(snapshot, policy, meant)


def _asks_for_http(rule: AccessRule) -> bool:
    return any(one.attribute.is_http for part in (*rule.sources, *rule.operations, rule.when) for one in part)


def _bytes_findings(snapshot: MeshSnapshot, policy: AccessPolicy, meant: list[WorkloadInstance]) -> Iterator[Finding]:
    ports = {
        port.number
        for item in meant
        for service in snapshot.services_by_workload.get(item.key, ())
        for port in service.ports
        if not port.protocol.is_http and port.protocol not in (Protocol.AUTO, Protocol.UDP)
    }
    if not ports:
        return
    numbers = ", ".join(map(str, sorted(ports)))
    if policy.action is AccessAction.DENY:
        effect = "there its conditions on HTTP do not count, so it refuses more"
    else:
        effect = "there its rules on HTTP never match"
    message = f"ports {numbers} of these pods do not speak HTTP: {effect}."
    hint = "Name the ports it is for (`to.operation.ports`), or declare them as HTTP."
    yield Finding("KAI2514", Severity.WARNING, policy.source, "spec.rules", message, hint)


def _gateway_findings(snapshot: MeshSnapshot, policy: AccessPolicy) -> Iterator[Finding]:
    gateways = [item for item in snapshot.workloads.values() if item.proxy is ProxyKind.GATEWAY]
    if (policy.gateways or policy.gateway_classes) and not any(
        policy.is_for(item.namespace, item.labels) for item in gateways
    ):
        names = ", ".join((*policy.gateways, *policy.gateway_classes))
        message = f"no gateway of namespace {policy.source.namespace} runs for {names}, so nobody is refused."
        hint = "Create the Gateway; a GatewayClass is looked for in policies of istio-system only."
        yield Finding("KAI2515", Severity.WARNING, policy.source, "spec.targetRefs", message, hint)
