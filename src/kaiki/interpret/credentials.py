"""Which Secrets Gateways need, and what is known of them.

Gateways decide which Secrets are read, and what is in those decides which servers are in force. So interpretation says
what it wants (`wanted_credentials`), the reader of Secrets answers with inputs of the kind `Credential`, and the
contents go another way, straight to the gateways.
"""

from __future__ import annotations

from collections.abc import Iterator

from kaiki.model.credential import Credential, roots_names
from kaiki.model.gateway import Gateway, ServerTls
from kaiki.model.policy.destination import DestinationPolicy, TrafficPolicy
from kaiki.model.snapshot import MeshSnapshot
from kaiki.model.workload import ProxyKind
from kaiki.resources import core
from kaiki.resources.credential import Material

CREDENTIAL = "Credential"


def wanted_credentials(snapshot: MeshSnapshot) -> frozenset[tuple[str, str]]:
    """(namespace, name) of every Secret that a Gateway needs, in the namespaces of the pods it selects."""
    by_pods = {
        (namespace, name)
        for item in snapshot.gateways
        for namespace in gateway_namespaces(snapshot, item)
        for name in _names(item)
    }
    return frozenset(
        _policy_secrets(snapshot)
        | {(space, one) for space, name, _ in sidecar_credentials(snapshot) for one in (name, *roots_names(name))}
        | by_pods
        | {(owner, name) for item in snapshot.gateways for owner, name in _placed(item)}
    )


def shared_credentials(snapshot: MeshSnapshot) -> frozenset[tuple[str, str, str]]:
    """(namespace, name, reader) of Secrets that a Gateway names with their namespace; `reader` is its pods'."""
    return frozenset(
        (owner, name, item.namespace) for item in snapshot.gateways for owner, name in _placed(item) if item.namespace
    )


def sidecar_credentials(snapshot: MeshSnapshot) -> frozenset[tuple[str, str, str]]:
    """(namespace, name, service account) of Secrets that DestinationRules name for the sidecars they select.

    Only with a workloadSelector, which keeps a rule to its own namespace; and, as in Istio, only service accounts that
    may list Secrets there are given them.
    """
    selecting = [rule for rules in snapshot.destination_policies.values() for rule in rules if rule.workload_selector]
    return frozenset(
        (rule.source.namespace, name, item.identity.service_account)
        for rule in selecting
        for name in _credentials_of(rule)
        for item in snapshot.workloads.values()
        if item.proxy is ProxyKind.SIDECAR
        and item.namespace == rule.source.namespace
        and set(rule.workload_selector) <= set(item.labels)
    )


def _credentials_of(rule: DestinationPolicy) -> set[str]:
    levels = (policy.tls for policy in levels_of(rule))
    return {tls.credential for tls in levels if tls is not None and tls.credential and not tls.is_of_mesh}


def _placed(item: Gateway) -> list[tuple[str, str]]:
    found = (server.tls for server in item.servers)
    shown = [item.client_credential] if item.client_credential else []
    return shown + [
        (space, name)
        for tls in found
        if tls is not None
        for space, name in (*tls.secrets, *((tls.credential_namespace, one) for one in _placed_roots(tls)))
        if space
    ]


def _placed_roots(tls: ServerTls) -> tuple[str, ...]:
    return roots_names(tls.roots_from) if tls.roots_from and tls.credential_namespace else ()


def _policy_secrets(snapshot: MeshSnapshot) -> set[tuple[str, str]]:
    """The Secrets that DestinationRules name, for every namespace with gateway pods."""
    rules = (rule for same_host in snapshot.destination_policies.values() for rule in same_host)
    names = {name for rule in rules for name in _credentials_of(rule)}
    if not names:
        return set()
    spaces = {item.namespace for item in snapshot.workloads.values() if item.proxy is ProxyKind.GATEWAY}
    both = {one for name in names if "/" not in name for one in (name, *roots_names(name))}
    return {(namespace, name) for namespace in spaces for name in both}


def levels_of(rule: DestinationPolicy) -> Iterator[TrafficPolicy]:
    """Every policy a rule holds: for the host, its ports, its subsets and theirs."""
    for policy in (rule.policy, *(subset.policy for subset in rule.subsets)):
        yield policy
        yield from (item for _, item in policy.ports)


def _names(item: Gateway) -> set[str]:
    found: set[str] = set()
    for server in item.servers:
        tls = server.tls
        if tls is not None and tls.needs_pair:
            found.update(name for space, name in tls.secrets if not space)
        if tls is not None and tls.roots_from and not tls.credential_namespace:
            found.update(roots_names(tls.roots_from))
    # A name with a slash is no Secret's.
    return {name for name in found if "/" not in name}


def gateway_namespaces(snapshot: MeshSnapshot, item: Gateway) -> list[str]:
    """The namespaces of the gateway pods a Gateway selects."""
    return sorted(
        {
            workload.namespace
            for workload in snapshot.workloads.values()
            if workload.proxy is ProxyKind.GATEWAY and item.selects(workload.namespace, workload.labels)
        }
    )


def credential_input(namespace: str, name: str, material: Material, for_sidecars: bool = False) -> core.Object:
    """What interpretation is told of a Secret: nothing of what is in it."""
    return {
        "metadata": {"namespace": namespace, "name": name},
        "version": material.version,
        "pairProblem": material.pair_problem,
        "rootsProblem": material.roots_problem,
        "forSidecars": for_sidecars,
    }


def credential(obj: core.Object) -> Credential:
    """An input as a value."""
    return Credential(
        namespace=core.namespace(obj),
        name=core.name(obj),
        version=str(obj["version"]),
        exists=bool(obj["version"]),
        pair_problem=str(obj["pairProblem"]),
        roots_problem=str(obj["rootsProblem"]),
        for_sidecars=bool(obj.get("forSidecars")),
    )
