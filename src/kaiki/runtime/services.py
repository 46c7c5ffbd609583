"""Services and EndpointSlices → packet rules and loopback targets: a small kube-proxy. Pure.

pod ──10.96.0.20:80──▶ outer namespace: prerouting ─ goto service chain ─ one endpoint by chance ─▶ 10.97.1.7:8080
anything not of the mesh ──▶ the egress relay
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

from kaiki.runtime import rules
from kaiki.runtime.sandbox import GATEWAY, HOST_ALIASES, MESH_PREFIX

Object = Mapping[str, Any]

ServiceKey: TypeAlias = tuple[str, str]

API_SERVICE = ("10.96.0.1", 443)
_PROTOCOLS = {"TCP": "tcp", "UDP": "udp", "SCTP": "sctp"}


@dataclass(frozen=True, slots=True)
class ServicePort:
    """One port of a Service and the endpoints that are ready for it, sorted."""

    namespace: str
    service: str
    name: str
    address: str
    protocol: str
    port: int
    node_port: int
    endpoints: tuple[tuple[str, int], ...]


def key_of(found: Object) -> ServiceKey:
    """Namespace and name."""
    return str(found["metadata"].get("namespace", "default")), str(found["metadata"]["name"])


def service_of_slice(found: Object) -> ServiceKey:
    """The Service an EndpointSlice belongs to."""
    labels = found["metadata"].get("labels") or {}
    return str(found["metadata"].get("namespace", "default")), str(labels.get("kubernetes.io/service-name", ""))


def _ready_endpoints(slices: Iterable[Object], port_name: str, protocol: str) -> tuple[tuple[str, int], ...]:
    found: set[tuple[str, int]] = set()
    for one in slices:
        for port in one.get("ports") or ():
            if (port.get("name") or "") != port_name or (port.get("protocol") or "TCP") != protocol:
                continue
            for endpoint in one.get("endpoints") or ():
                if (endpoint.get("conditions") or {}).get("ready") is not False and port.get("port"):
                    found.update((address, int(port["port"])) for address in endpoint["addresses"])
    return tuple(sorted(found))


def ready_pods(slices: Iterable[Object]) -> frozenset[str]:
    """The uids of the pods that traffic is sent to: endpoints that are ready."""
    return frozenset(
        str(reference["uid"])
        for one in slices
        for endpoint in one.get("endpoints") or ()
        if (endpoint.get("conditions") or {}).get("ready") is not False
        and (reference := endpoint.get("targetRef") or {}).get("uid")
    )


def target_ports(slices: Iterable[Object]) -> dict[str, frozenset[int]]:
    """The TCP ports that traffic is sent to, by pod address, whether ready or not."""
    found: dict[str, frozenset[int]] = defaultdict(frozenset)
    for one in slices:
        ports = (port for port in one.get("ports") or () if (port.get("protocol") or "TCP") == "TCP")
        numbers = frozenset(int(port["port"]) for port in ports if port.get("port"))
        for endpoint in one.get("endpoints") or ():
            for address in endpoint["addresses"]:
                found[address] |= numbers
    return dict(found)


def service_ports(services: Iterable[Object], slices: Iterable[Object]) -> tuple[ServicePort, ...]:
    """All ports of all Services that have any, sorted, with their ready IPv4 endpoints."""
    by_service: dict[ServiceKey, list[Object]] = defaultdict(list)
    for one in slices:
        if one.get("addressType", "IPv4") == "IPv4":
            by_service[service_of_slice(one)].append(one)
    found = []
    for service in services:
        spec = service.get("spec") or {}
        key = key_of(service)
        for port in spec.get("ports") or ():
            protocol = str(port.get("protocol") or "TCP")
            name = str(port.get("name") or "")
            endpoints = _ready_endpoints(by_service[key], name, protocol)
            address = str(spec.get("clusterIP") or "")
            node_port = int(port.get("nodePort") or 0)
            found.append(ServicePort(*key, name, address, protocol, int(port["port"]), node_port, endpoints))
    return tuple(sorted(found, key=lambda one: (one.namespace, one.service, one.port, one.protocol)))


def _endpoint_rules(port: ServicePort) -> tuple[rules.Rule, ...]:
    """One rule for each endpoint; each takes its share of what those before it left."""
    protocol = rules.Protocol(_PROTOCOLS[port.protocol])
    count = len(port.endpoints)
    return tuple(
        rules.Rule((protocol,), rules.Translate(address, number, count - place))
        for place, (address, number) in enumerate(port.endpoints)
    )


def proxy_table(
    ports: Iterable[ServicePort],
    egress_port: int,
    api_address: tuple[str, int],
    balancers: Mapping[ServiceKey, str] = MappingProxyType({}),
) -> rules.Table:
    """The rules of the outer namespace. Ports without ready endpoints have none: connecting is refused at once.

    `balancers` are addresses of load balancers, which lead to the same endpoints.
    """
    chains: list[rules.Chain] = []
    jumps: list[rules.Rule] = []
    hairpins: dict[str, None] = {}
    for port in ports:
        if port.address in ("", "None") or not port.endpoints or port.protocol not in _PROTOCOLS:
            continue
        name = f"service{len(chains)}"
        chains.append(rules.Chain(name, _endpoint_rules(port)))
        for address in filter(None, (port.address, balancers.get((port.namespace, port.service)))):
            match = (rules.Destination(address), rules.Port(_PROTOCOLS[port.protocol], port.port))
            jumps.append(rules.Rule(match, rules.Goto(name)))
        hairpins.update(dict.fromkeys(address for address, _ in port.endpoints))
    api = (rules.Destination(API_SERVICE[0]), rules.Port("tcp", API_SERVICE[1]))
    jumps.append(rules.Rule(api, rules.Translate(*api_address)))
    egress = rules.Translate(GATEWAY, egress_port)
    leaving = (
        rules.Rule((rules.Destination(HOST_ALIASES), rules.Protocol("tcp")), egress),
        rules.Rule((rules.Destination(MESH_PREFIX, negated=True), rules.Protocol("tcp")), egress),
    )
    # A pod that reaches itself through its service must see another source, or it would answer itself directly.
    selves = tuple(
        rules.Rule((rules.Source(address), rules.Destination(address)), rules.Masquerade()) for address in hairpins
    )
    own = rules.Rule((rules.Destination(MESH_PREFIX, negated=True),), rules.Return())
    base = (
        rules.Chain("prerouting", (*jumps, *leaving), rules.Hook.PREROUTING),
        rules.Chain("output", (own, *jumps), rules.Hook.OUTPUT),
        rules.Chain("postrouting", selves, rules.Hook.POSTROUTING, 100),
    )
    return rules.Table("kaiki-services", rules.Family.IP, (*base, *chains))
