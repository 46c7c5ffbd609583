"""The front door of interpretation: what is in the API → the mesh it describes, and what is wrong with it.

Interpretation is many small functions, each of one key (a pod, a port, an object), run through a memo layer: what did
not change is the same object in the next snapshot, which is also how translation knows what to redo.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from kaiki.interpret.authorization_policies import access_findings, access_policy
from kaiki.interpret.bootstrap_refusals import BOOTSTRAP_REFUSAL, with_refusals
from kaiki.interpret.credentials import CREDENTIAL, credential
from kaiki.interpret.delegates import delegate_key, resolve_delegates
from kaiki.interpret.destination_rules import destination_policy
from kaiki.interpret.entry_hosts import known_hosts, reached_by, with_aliases
from kaiki.interpret.envoy_filters import envoy_filter, envoy_filter_findings
from kaiki.interpret.gateway_api.admission import kind_of, status_findings
from kaiki.interpret.gateway_api.backend_tls import policies_of, with_backend_tls
from kaiki.interpret.gateway_api.interpretation import NOTHING, GatewayApi, Registered, gateway_api, together
from kaiki.interpret.gateway_api.objects import KINDS as GATEWAY_API_KINDS
from kaiki.interpret.gateways import gateway
from kaiki.interpret.ingresses import KINDS as INGRESS_KINDS
from kaiki.interpret.ingresses import ingresses
from kaiki.interpret.inputs import InputTable
from kaiki.interpret.mesh_config import MESH_CONFIG, mesh_settings
from kaiki.interpret.object_defaults import with_defaults
from kaiki.interpret.peer_authentications import peer_findings, peer_policy
from kaiki.interpret.proxy_configs import proxy_config
from kaiki.interpret.references import Thing, references
from kaiki.interpret.references.judge import Judge
from kaiki.interpret.references.reports import provider_findings
from kaiki.interpret.registry import Registrar
from kaiki.interpret.service_entries import service_entry
from kaiki.interpret.services import external_names, full_host
from kaiki.interpret.sidecars import sidecar
from kaiki.interpret.telemetry import telemetry, telemetry_findings
from kaiki.interpret.virtual_services import virtual_service
from kaiki.interpret.workload_entries import group_findings, workload_entry
from kaiki.interpret.workloads import node_localities
from kaiki.model.credential import Credential
from kaiki.model.defaults import ObjectDefaults
from kaiki.model.envoy_filter import EnvoyFilter
from kaiki.model.finding import Finding, Severity
from kaiki.model.gateway import Gateway
from kaiki.model.memo import Memo
from kaiki.model.mesh import DEFAULT_SETTINGS
from kaiki.model.policy.access import AccessPolicy
from kaiki.model.policy.destination import DestinationPolicy
from kaiki.model.policy.peer import PeerPolicy
from kaiki.model.policy.telemetry import TelemetryPolicy
from kaiki.model.proxy_settings import ProxyConfigRule
from kaiki.model.route import MESH_GATEWAY, VirtualService
from kaiki.model.service import ServiceEntry
from kaiki.model.sidecar import Sidecar
from kaiki.model.snapshot import MeshSnapshot
from kaiki.model.workload_entry import WorkloadEntry
from kaiki.resources import core
from kaiki.resources.istio.authorization_policy import AuthorizationPolicySpec
from kaiki.resources.istio.destination_rule import DestinationRuleSpec
from kaiki.resources.istio.envoy_filter import EnvoyFilterSpec
from kaiki.resources.istio.gateway import GatewaySpec
from kaiki.resources.istio.parse import Parsed, is_istio, parse
from kaiki.resources.istio.peer_authentication import PeerAuthenticationSpec
from kaiki.resources.istio.proxy_config import ProxyConfigSpec
from kaiki.resources.istio.service_entry import ServiceEntrySpec
from kaiki.resources.istio.service_entry import WorkloadEntry as WorkloadEntrySpec
from kaiki.resources.istio.sidecar import SidecarSpec
from kaiki.resources.istio.telemetry import TelemetrySpec
from kaiki.resources.istio.virtual_service import VirtualServiceSpec
from kaiki.resources.istio.workload_group import WorkloadGroupSpec

Kept = TypeVar("Kept")
Slot = TypeVar("Slot", str, tuple[str, str])
Inputs = Mapping[tuple[str, str, str], Mapping[str, Any]]
"""(kind, namespace, name) → the object as the API gives it. An object that did not change is the same dict as before.

The kind of an Istio Gateway is `Gateway`; objects of other API groups with that kind are ignored. What Gateways need of
Secrets comes as `Credential` (see `kaiki.interpret.credentials`), without their contents; what Envoy refuses to start
with, as `BootstrapRefusal` (see `kaiki.interpret.bootstrap_refusals`).
"""

KINDS = (
    "Namespace",
    "Pod",
    "Service",
    "EndpointSlice",
    "Node",
    "VirtualService",
    "DestinationRule",
    "Gateway",
    "ServiceEntry",
    "Telemetry",
    "ConfigMap",
    "Sidecar",
    "WorkloadEntry",
    "EnvoyFilter",
    "WorkloadGroup",
    "ProxyConfig",
    "PeerAuthentication",
    "RequestAuthentication",
    "AuthorizationPolicy",
    "WasmPlugin",
    *GATEWAY_API_KINDS,
    *INGRESS_KINDS,
)
"""The kinds interpretation reads; others among the inputs are ignored. Of ConfigMaps, only the mesh's is needed."""


@dataclass(frozen=True, slots=True, eq=False)
class Interpretation:
    """A snapshot, what is wrong with the objects it came from, and what the next interpretation can reuse.

    `gateway_api` has the status of the Gateway API's objects, and what it wants to read.
    """

    snapshot: MeshSnapshot
    findings: tuple[Finding, ...]
    memo: Memo
    gateway_api: GatewayApi = NOTHING


def interpret(inputs: Inputs, previous: Interpretation | None = None) -> Interpretation:
    """Interpret all objects. With `previous`, only what depends on changed objects is redone.

    `previous` hands its memo on and should not be given twice.
    """
    memo = previous.memo if previous else Memo()
    memo.enter(inputs)
    table = _table(inputs)
    by_kind = table.by_kind
    config = inputs.get(MESH_CONFIG)
    settings, found = memo.get(mesh_settings, config) if config is not None else (DEFAULT_SETTINGS, ())
    things, findings = _things(by_kind, memo, settings.defaults)
    snapshot = _snapshot(table, things, memo, settings.defaults)
    added = gateway_api(by_kind, _registered(snapshot), memo)
    added = memo.get(together, added, ingresses(by_kind, snapshot.services, memo))
    snapshot = _with_gateway_api(snapshot, added, memo)
    if config is not None:
        snapshot, findings = replace(snapshot, settings=settings), [*findings, *found]
        findings += provider_findings(snapshot, core.reference(config))
    findings += memo.depends("judge", Judge).judge(snapshot, things)
    return Interpretation(snapshot, tuple(sorted(set(findings), key=_finding_order)), memo, added)


def check_object(obj: Mapping[str, Any], snapshot: MeshSnapshot, inputs: Inputs | None = None) -> list[Finding]:
    """What is wrong with one object before it is stored: syntax is an ERROR, meaning against the mesh is a WARNING.

    Objects of the Gateway API are judged against the others among the inputs.
    """
    if kind_of(obj):
        return [] if inputs is None else status_findings(obj, _table(inputs).by_kind, _registered(snapshot))
    if not is_istio(obj):
        return []
    thing, findings = _thing(obj, snapshot.settings.defaults)
    if thing is None:
        return list(findings)
    return sorted({*findings, *references(snapshot, (thing,))}, key=_finding_order)


def _table(inputs: Inputs) -> InputTable:
    return inputs if isinstance(inputs, InputTable) else InputTable(inputs)


def _finding_order(finding: Finding) -> tuple[Any, ...]:
    return finding.resource, finding.path, finding.code, finding.message


def _thing(obj: core.Object, defaults: ObjectDefaults) -> tuple[Thing | None, tuple[Finding, ...]]:
    """One Istio object with the defaults of the mesh."""
    thing, found = _as_written(obj)
    return (None if thing is None else with_defaults(thing, obj, defaults)), found


def _as_written(obj: core.Object) -> tuple[Thing | None, tuple[Finding, ...]]:
    """One Istio object in the model's words; None if it cannot be read or an error makes it meaningless."""
    parsed = parse(obj)
    if not isinstance(parsed, Parsed):
        return None, parsed
    if any(finding.severity is Severity.ERROR for finding in parsed.findings):
        return None, parsed.findings
    match parsed.spec:
        case VirtualServiceSpec() as spec:
            return virtual_service(parsed.reference, spec, parsed.created), parsed.findings
        case DestinationRuleSpec() as spec:
            return destination_policy(parsed.reference, spec, parsed.created), parsed.findings
        case GatewaySpec() as spec:
            return gateway(parsed.reference, spec, parsed.created), parsed.findings
        case ServiceEntrySpec() as spec:
            return service_entry(parsed.reference, spec, parsed.created, obj), parsed.findings
        case WorkloadEntrySpec() as spec:
            return workload_entry(parsed.reference, spec, obj, parsed.created), parsed.findings
        case TelemetrySpec() as spec:
            found = (*parsed.findings, *telemetry_findings(parsed.reference, spec))
            return telemetry(parsed.reference, spec, parsed.created), found
        case EnvoyFilterSpec() as spec:
            found = (*parsed.findings, *envoy_filter_findings(parsed.reference, spec))
            return envoy_filter(parsed.reference, spec, parsed.created), found
        case ProxyConfigSpec() as spec:
            return proxy_config(parsed.reference, spec, parsed.created, core.generation(obj)), parsed.findings
        case AuthorizationPolicySpec() as spec:
            found = (*parsed.findings, *access_findings(parsed.reference, spec))
            if any(finding.severity is Severity.ERROR for finding in found):
                return None, found
            return access_policy(parsed.reference, spec, obj, parsed.created), found
        case PeerAuthenticationSpec() as spec:
            found = (*parsed.findings, *peer_findings(parsed.reference, spec))
            return peer_policy(parsed.reference, spec, parsed.created), found
        case WorkloadGroupSpec() as spec:
            return None, (*parsed.findings, *group_findings(parsed.reference, spec))
        case SidecarSpec() as spec:
            return sidecar(parsed.reference, spec, parsed.created), parsed.findings
    return None, parsed.findings


def _things(
    by_kind: Mapping[str, list[core.Object]], memo: Memo, defaults: ObjectDefaults
) -> tuple[tuple[Thing, ...], list[Finding]]:
    """All Istio objects, the oldest first (then by name): the order in which conflicts are decided."""
    things: list[Thing] = []
    findings: list[Finding] = []
    for kind in (
        "VirtualService",
        "DestinationRule",
        "Gateway",
        "ServiceEntry",
        "Telemetry",
        "Sidecar",
        "WorkloadEntry",
        "EnvoyFilter",
        "ProxyConfig",
        "WorkloadGroup",
        "PeerAuthentication",
        "RequestAuthentication",
        "AuthorizationPolicy",
        "WasmPlugin",
    ):
        for obj in filter(is_istio, by_kind.get(kind, ())):
            thing, found = memo.get(_thing, obj, defaults)
            findings += found
            if thing is not None:
                things.append(memo.keep(("thing", thing.source), thing))
    things.sort(key=lambda thing: (thing.created, thing.source))
    return tuple(things), findings


def _snapshot(table: InputTable, things: tuple[Thing, ...], memo: Memo, defaults: ObjectDefaults) -> MeshSnapshot:
    by_kind = table.by_kind
    selectable = tuple(thing for thing in things if isinstance(thing, WorkloadEntry))
    pods, services, slices = (table.of_kind(kind) for kind in ("Pod", "Service", "EndpointSlice"))
    registrar = memo.depends("registrar", Registrar)
    # Nodes tell of themselves all the time; what counts is where they are.
    nodes = memo.keep("nodes", memo.get(node_localities, by_kind.get("Node", ())))
    peers = memo.keep("peer policies", tuple(thing for thing in things if isinstance(thing, PeerPolicy)))
    made = registrar.update(pods, services, slices, selectable, defaults.service_export_to, nodes, peers)
    written = [thing for thing in things if isinstance(thing, VirtualService)]
    routes: dict[str, list[VirtualService]] = defaultdict(list)
    for item in resolve_delegates(written, memo):
        # One without hosts has no place of its own: its rules stand in those that delegate to it.
        for name in dict.fromkeys(item.gateways) if item.hosts else ():
            routes[name].append(item)
    policies: dict[str, list[DestinationPolicy]] = defaultdict(list)
    gateways: list[Gateway] = []
    entries: list[ServiceEntry] = []
    telemetries: list[TelemetryPolicy] = []
    sidecars: list[Sidecar] = []
    for thing in things:
        match thing:
            case DestinationPolicy():
                policies[thing.host].append(thing)
            case Gateway():
                gateways.append(thing)
            case ServiceEntry():
                entries.append(thing)
            case TelemetryPolicy():
                telemetries.append(thing)
            case Sidecar():
                sidecars.append(thing)
    known = memo.get(known_hosts, made, tuple(entries), selectable, memo.part("hosts"))
    aliases = memo.get(external_names, by_kind.get("Service", ()))
    if aliases:
        names = {full_host(*alias) for found in aliases.values() for alias in found}
        routed = memo.keep("routed aliases", tuple(sorted({host for item in written for host in item.hosts} & names)))
        known = memo.get(with_aliases, known, aliases, routed, memo.part("aliases"))
    return MeshSnapshot(
        services=known.services,
        endpoints=known.endpoints,
        entries=memo.keep("entries", known.sources),
        entry_sources=memo.keep("all entries", known.all_sources),
        workloads=made.workloads,
        services_by_workload=reached_by(made, known, tuple(entries), selectable, memo),
        virtual_services=_kept(memo, "routes", routes),
        gateway_hosts=_gateway_hosts(routes, memo),
        destination_policies=_kept(memo, "policies", policies),
        delegates=memo.keep(
            "delegates", {(item.source.namespace, item.source.name): item for item in written if not item.hosts}
        ),
        delegated=memo.keep(
            "delegated", frozenset(key for item in written for route in item.http if (key := delegate_key(route)))
        ),
        gateways=memo.keep("gateways", tuple(gateways)),
        envoy_filters=memo.get(
            with_refusals,
            tuple(thing for thing in things if isinstance(thing, EnvoyFilter)),
            tuple(table.by_kind.get(BOOTSTRAP_REFUSAL, ())),
        ),
        telemetry=memo.keep("telemetry", tuple(telemetries)),
        sidecars=memo.keep("sidecars", tuple(sidecars)),
        peer_policies=peers,
        access_policies=memo.keep("access policies", tuple(one for one in things if isinstance(one, AccessPolicy))),
        proxy_configs=memo.keep("proxy configs", tuple(one for one in things if isinstance(one, ProxyConfigRule))),
        workload_entries=memo.keep("workload entries", selectable),
        credentials=memo.keep("credentials", _credentials(by_kind, memo)),
        namespaces=memo.get(_namespaces, by_kind.get("Namespace", ())),
    )


def _namespaces(objects: Iterable[core.Object]) -> dict[str, Mapping[str, str]]:
    return {core.name(obj): core.labels(obj) for obj in objects}


def _kept(memo: Memo, name: str, found: Mapping[Slot, list[Kept]]) -> dict[Slot, tuple[Kept, ...]]:
    """Lists by name as tuples, sorted; the very objects of before where they hold the same."""
    tuples = {key: memo.keep((name, key), tuple(found[key])) for key in sorted(found)}
    return memo.keep(name, tuples)


def _registered(snapshot: MeshSnapshot) -> Registered:
    return Registered(
        snapshot.services, snapshot.workloads, snapshot.credentials, snapshot.namespaces, snapshot.entries
    )


def _with_gateway_api(snapshot: MeshSnapshot, added: GatewayApi, memo: Memo) -> MeshSnapshot:
    """The snapshot with what the Gateway API adds; routes of Services come before Istio's for the same host."""
    if added is NOTHING:
        return replace(snapshot, routed_hosts=_routed_hosts(snapshot.virtual_services.get(MESH_GATEWAY, ()), memo))
    routes = dict(snapshot.virtual_services)
    for item in added.at_gateways:
        routes[item.gateways[0]] = (*routes.get(item.gateways[0], ()), item)
    if added.mesh:
        routes[MESH_GATEWAY] = (*added.mesh, *routes.get(MESH_GATEWAY, ()))
    return replace(
        snapshot,
        keeps_sessions=any(route.session for item in (*added.at_gateways, *added.mesh) for route in item.http),
        virtual_services=_kept(memo, "all routes", {name: list(found) for name, found in routes.items()}),
        routed_hosts=_routed_hosts(routes.get(MESH_GATEWAY, ()), memo),
        gateways=memo.keep("all gateways", (*snapshot.gateways, *added.gateways)),
        destination_policies=memo.keep(
            "all policies", memo.get(with_backend_tls, snapshot.destination_policies, added.backend_tls)
        ),
        backend_policies=memo.get(policies_of, added.backend_tls),
    )


def _routed_hosts(routes: Iterable[VirtualService], memo: Memo) -> dict[str, tuple[VirtualService, ...]]:
    found: dict[str, list[VirtualService]] = defaultdict(list)
    for item in routes:
        for host in dict.fromkeys(item.hosts):
            found[host].append(item)
    return _kept(memo, "routed hosts", found)


def _gateway_hosts(
    routes: Mapping[str, list[VirtualService]], memo: Memo
) -> dict[tuple[str, str], tuple[VirtualService, ...]]:
    found: dict[tuple[str, str], list[VirtualService]] = defaultdict(list)
    for place, items in routes.items():
        for item in items if place != MESH_GATEWAY else ():
            for host in dict.fromkeys(item.hosts):
                found[place, host].append(item)
    return _kept(memo, "hosts at gateways", found)


def _credentials(by_kind: Mapping[str, list[core.Object]], memo: Memo) -> dict[tuple[str, str], Credential]:
    made = (memo.get(credential, obj) for obj in by_kind.get(CREDENTIAL, ()))
    return {(item.namespace, item.name): item for item in made}
