"""EnvoyFilter: changes of what is generated for Envoy, in Envoy's own words (Istio, "Envoy Filter" reference)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta

from kaiki.resources.istio.common import ApiType, PortNumber

Json = dict[str, Any]
ApplyTo = Literal[
    "LISTENER",
    "FILTER_CHAIN",
    "NETWORK_FILTER",
    "HTTP_FILTER",
    "ROUTE_CONFIGURATION",
    "VIRTUAL_HOST",
    "HTTP_ROUTE",
    "CLUSTER",
    "EXTENSION_CONFIG",
    "BOOTSTRAP",
    "LISTENER_FILTER",
]
Operation = Literal["INVALID", "MERGE", "ADD", "REMOVE", "INSERT_BEFORE", "INSERT_AFTER", "INSERT_FIRST", "REPLACE"]
Context = Literal["ANY", "SIDECAR_INBOUND", "SIDECAR_OUTBOUND", "GATEWAY", "WAYPOINT"]


class EnvoySelector(ApiType, frozen=True):
    """The pods that carry all of these labels."""

    labels: dict[str, str] = {}


class TargetReference(ApiType, frozen=True):
    """What the patches are for, instead of a selector."""

    kind: str
    name: str
    group: str = ""
    namespace: str = ""


class ProxyMatch(ApiType, frozen=True):
    """Which proxies: by an expression on the version, and by values of their metadata."""

    proxy_version: str = ""
    metadata: dict[str, str] = {}


class SubFilterMatch(ApiType, frozen=True):
    """A filter within a filter."""

    name: str = ""


class FilterMatch(ApiType, frozen=True):
    """A network filter, and one within it."""

    name: str = ""
    sub_filter: SubFilterMatch | None = None


class FilterChainMatch(ApiType, frozen=True):
    """A filter chain."""

    name: str = ""
    sni: str = ""
    transport_protocol: str = ""
    application_protocols: str = ""
    destination_port: PortNumber = 0
    filter: FilterMatch | None = None


class ListenerMatch(ApiType, frozen=True):
    """A listener, and what in it."""

    port_number: PortNumber = 0
    port_name: str = ""
    filter_chain: FilterChainMatch | None = None
    listener_filter: str = ""
    name: str = ""


class RouteMatch(ApiType, frozen=True):
    """A route of a virtual host."""

    name: str = ""
    action: Literal["ANY", "ROUTE", "REDIRECT", "DIRECT_RESPONSE"] = "ANY"


class VirtualHostMatch(ApiType, frozen=True):
    """A virtual host of a route table."""

    name: str = ""
    domain_name: str = ""
    route: RouteMatch | None = None


class RouteConfigurationMatch(ApiType, frozen=True):
    """A route table, and what in it."""

    port_number: PortNumber = 0
    port_name: str = ""
    gateway: str = ""
    vhost: VirtualHostMatch | None = None
    name: str = ""


class ClusterMatch(ApiType, frozen=True):
    """A cluster."""

    port_number: PortNumber = 0
    service: str = ""
    subset: str = ""
    name: str = ""


class ObjectMatch(ApiType, frozen=True):
    """What a patch changes."""

    ONE_OF = (("listener", "routeConfiguration", "cluster"),)

    context: Context = "ANY"
    proxy: ProxyMatch | None = None
    listener: ListenerMatch | None = None
    route_configuration: RouteConfigurationMatch | None = None
    cluster: ClusterMatch | None = None


class Patch(ApiType, frozen=True):
    """How it changes it. `value` is Envoy's message as JSON."""

    operation: Operation = "INVALID"
    value: Json = {}
    filter_class: Literal["UNSPECIFIED", "AUTHN", "AUTHZ", "STATS"] = "UNSPECIFIED"


class ConfigPatch(ApiType, frozen=True):
    """One change."""

    apply_to: ApplyTo | None = None
    match: ObjectMatch | None = None
    patch: Patch | None = None


class EnvoyFilterSpec(ApiType, frozen=True):
    """Changes for some proxies of a namespace, or of the whole mesh from the root namespace."""

    ONE_OF = (("workloadSelector", "targetRefs"),)

    workload_selector: EnvoySelector | None = None
    target_refs: tuple[TargetReference, ...] = ()
    config_patches: tuple[ConfigPatch, ...] = ()
    priority: Annotated[int, Meta(ge=-2147483648, le=2147483647)] = 0
