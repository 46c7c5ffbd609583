"""The whole mesh at one moment, resolved: what translation, the graph and the console read.

A snapshot is compared by identity. Values in it that did not change since the snapshot before are the same objects, so
`is` tells a reader what it must redo.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kaiki.model.credential import Credentials
from kaiki.model.envoy_filter import EnvoyFilter
from kaiki.model.finding import ObjectRef
from kaiki.model.gateway import Gateway
from kaiki.model.mesh import DEFAULT_SETTINGS, MeshSettings
from kaiki.model.policy.access import AccessPolicy
from kaiki.model.policy.destination import DestinationPolicy
from kaiki.model.policy.peer import PeerPolicy
from kaiki.model.policy.telemetry import TelemetryPolicy
from kaiki.model.proxy_settings import ProxyConfigRule
from kaiki.model.route import VirtualService
from kaiki.model.service import Endpoint, Service
from kaiki.model.sidecar import Sidecar
from kaiki.model.workload import WorkloadInstance
from kaiki.model.workload_entry import WorkloadEntry


@dataclass(frozen=True, slots=True, eq=False)
class MeshSnapshot:
    """One consistent state of the mesh.

    - `services`: host name (full) → service;
    - `endpoints`: (host name, service port number) → its endpoints, sorted by address;
    - `workloads`: (namespace, pod name) → pod;
    - `virtual_services`: `mesh` or gateway `namespace/name` → its VirtualServices, the oldest first;
    - `routed_hosts`: host → the VirtualServices that route it in sidecars, the one that wins first;
    - `gateway_hosts`: (gateway, host) → the VirtualServices that route it at a gateway, the oldest first;
    - `delegates`: (namespace, name) → a VirtualService without hosts, whose rules stand in those that delegate to it;
    - `delegated`: the keys of those that some VirtualService delegates to;
    - `destination_policies`: host → its DestinationRules, the one that wins first;
    - `envoy_filters`: patches of what is generated;
    - `gateways`: the oldest first;
    - `entries`: host name → the ServiceEntry it comes from; hosts of Kubernetes' Services are not among them;
    - `entry_sources`: host name → all ServiceEntries that are merged to it, the oldest first;
    - `backend_policies`: host name → (port, 0 for all; BackendTLSPolicy) of those that secure connections to it;
    - `telemetry`: the Telemetry objects, the oldest first;
    - `sidecars`, `workload_entries`, `proxy_configs`, `peer_policies`, `access_policies`: the oldest
      first;
    - `credentials`: (namespace, name) → what is known of a Secret some Gateway names;
    - `keeps_sessions`: whether some route keeps sessions at one endpoint;
    - `services_by_workload`: (namespace, pod name) → the services that select it, the oldest first.
    """

    services: Mapping[str, Service] = field(default_factory=dict)
    endpoints: Mapping[tuple[str, int], tuple[Endpoint, ...]] = field(default_factory=dict)
    workloads: Mapping[tuple[str, str], WorkloadInstance] = field(default_factory=dict)
    virtual_services: Mapping[str, tuple[VirtualService, ...]] = field(default_factory=dict)
    routed_hosts: Mapping[str, tuple[VirtualService, ...]] = field(default_factory=dict)
    gateway_hosts: Mapping[tuple[str, str], tuple[VirtualService, ...]] = field(default_factory=dict)
    destination_policies: Mapping[str, tuple[DestinationPolicy, ...]] = field(default_factory=dict)
    delegates: Mapping[tuple[str, str], VirtualService] = field(default_factory=dict)
    delegated: frozenset[tuple[str, str]] = frozenset()
    gateways: tuple[Gateway, ...] = ()
    envoy_filters: tuple[EnvoyFilter, ...] = ()
    services_by_workload: Mapping[tuple[str, str], tuple[Service, ...]] = field(default_factory=dict)
    namespaces: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    credentials: Credentials = field(default_factory=dict)
    entries: Mapping[str, ObjectRef] = field(default_factory=dict)
    entry_sources: Mapping[str, tuple[ObjectRef, ...]] = field(default_factory=dict)
    backend_policies: Mapping[str, tuple[tuple[int, ObjectRef], ...]] = field(default_factory=dict)
    settings: MeshSettings = DEFAULT_SETTINGS
    telemetry: tuple[TelemetryPolicy, ...] = ()
    sidecars: tuple[Sidecar, ...] = ()
    proxy_configs: tuple[ProxyConfigRule, ...] = ()
    peer_policies: tuple[PeerPolicy, ...] = ()
    access_policies: tuple[AccessPolicy, ...] = ()
    workload_entries: tuple[WorkloadEntry, ...] = ()
    keeps_sessions: bool = False


EMPTY_SNAPSHOT = MeshSnapshot()
