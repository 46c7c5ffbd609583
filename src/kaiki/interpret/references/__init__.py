"""What an object means against the rest of the mesh: names nobody answers to, and objects that contradict each other.

    KAI02xx  VirtualServices       KAI03xx  DestinationRules       KAI04xx  Gateways       KAI05xx  ServiceEntries
    KAI12xx  Telemetry
    KAI21xx  Sidecars              KAI22xx  WorkloadEntries       KAI23xx  ProxyConfigs   KAI24xx  PeerAuthentications
    KAI25xx  AuthorizationPolicies

All of it is judged from the snapshot alone, object by object, so that the same words are said at admission (when the
object is not stored yet) and afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable

from kaiki.interpret.references.access import access_policy_findings
from kaiki.interpret.references.destinations import policy_findings
from kaiki.interpret.references.entrances import gateway_findings
from kaiki.interpret.references.entries import entry_findings
from kaiki.interpret.references.peers import peer_policy_findings
from kaiki.interpret.references.proxy_configs import proxy_config_findings
from kaiki.interpret.references.reports import telemetry_findings
from kaiki.interpret.references.routes import route_findings
from kaiki.interpret.references.sidecars import sidecar_findings
from kaiki.interpret.references.workload_entries import workload_findings
from kaiki.model.envoy_filter import EnvoyFilter
from kaiki.model.finding import Finding
from kaiki.model.gateway import Gateway
from kaiki.model.policy.access import AccessPolicy
from kaiki.model.policy.destination import DestinationPolicy
from kaiki.model.policy.peer import PeerPolicy
from kaiki.model.policy.telemetry import TelemetryPolicy
from kaiki.model.proxy_settings import ProxyConfigRule
from kaiki.model.route import VirtualService
from kaiki.model.service import ServiceEntry
from kaiki.model.sidecar import Sidecar
from kaiki.model.snapshot import MeshSnapshot
from kaiki.model.workload_entry import WorkloadEntry

Thing = (
    VirtualService
    | DestinationPolicy
    | Gateway
    | ServiceEntry
    | TelemetryPolicy
    | Sidecar
    | WorkloadEntry
    | EnvoyFilter
    | ProxyConfigRule
    | PeerPolicy
    | AccessPolicy
)


def references(snapshot: MeshSnapshot, things: Iterable[Thing]) -> list[Finding]:
    """Findings about `things` against `snapshot`, which may or may not hold them already."""
    found: list[Finding] = []
    for thing in things:
        match thing:
            case VirtualService():
                found += route_findings(snapshot, thing)
            case DestinationPolicy():
                found += policy_findings(snapshot, thing)
            case Gateway():
                found += gateway_findings(snapshot, thing)
            case ServiceEntry():
                found += entry_findings(snapshot, thing)
            case TelemetryPolicy():
                found += telemetry_findings(snapshot, thing)
            case Sidecar():
                found += sidecar_findings(snapshot, thing)
            case ProxyConfigRule():
                found += proxy_config_findings(snapshot, thing)
            case AccessPolicy():
                found += access_policy_findings(snapshot, thing)
            case PeerPolicy():
                found += peer_policy_findings(snapshot, thing)
            case WorkloadEntry():
                found += workload_findings(snapshot, thing)
    return found
