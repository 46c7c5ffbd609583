"""Services and EndpointSlices → what names mean. Pure.

reviews.default.svc.cluster.local             A      10.96.0.20, or the endpoints of a headless Service
reviews-0.reviews.default.svc.cluster.local   A      one endpoint of a headless Service, by hostname
_http._tcp.reviews.default.svc.cluster.local  SRV    the port and the name it is reached by
10-97-1-3.default.pod.cluster.local           A      10.97.1.3 (computed, not in the table)
20.0.96.10.in-addr.arpa                       PTR    the Service's name
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Object = Mapping[str, Any]

DOMAIN = "cluster.local"
HOST_ALIAS_NAME = "host.kaiki.internal"
HOST_ALIAS_ADDRESS = "10.97.255.254"


@dataclass(frozen=True, slots=True)
class Server:
    """Where an SRV record points."""

    port: int
    target: str


@dataclass(frozen=True, slots=True)
class NameTable:
    """All names of the cluster domain, in lower case without the last dot."""

    addresses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    servers: Mapping[str, tuple[Server, ...]] = field(default_factory=dict)
    pointers: Mapping[str, str] = field(default_factory=dict)
    parents: frozenset[str] = frozenset()

    def knows(self, name: str) -> bool:
        """Whether a name exists, with or without records of its own."""
        return name in self.addresses or name in self.aliases or name in self.servers or name in self.parents


def reverse_name(address: str) -> str:
    """The name PTR queries ask for."""
    return ".".join(reversed(address.split("."))) + ".in-addr.arpa"


class _Builder:
    def __init__(self) -> None:
        self.addresses: dict[str, dict[str, None]] = defaultdict(dict)
        self.aliases: dict[str, str] = {}
        self.servers: dict[str, dict[Server, None]] = defaultdict(dict)
        self.pointers: dict[str, str] = {}

    def add_service(self, service: Object, slices: Iterable[Object]) -> None:
        metadata, spec = service["metadata"], service.get("spec") or {}
        name = f"{metadata['name']}.{metadata.get('namespace', 'default')}.svc.{DOMAIN}".lower()
        if spec.get("type") == "ExternalName":
            self.aliases[name] = str(spec.get("externalName", "")).rstrip(".").lower()
        elif spec.get("clusterIP") == "None":
            self._add_headless(name, bool(spec.get("publishNotReadyAddresses")), slices)
        elif spec.get("clusterIP"):
            self.addresses[name][spec["clusterIP"]] = None
            self.pointers[reverse_name(spec["clusterIP"])] = name
            for port in spec.get("ports") or ():
                self._add_server(name, port, int(port["port"]), name)

    def _add_headless(self, name: str, not_ready_too: bool, slices: Iterable[Object]) -> None:
        self.addresses[name]
        for one in slices:
            for endpoint in one.get("endpoints") or ():
                if (endpoint.get("conditions") or {}).get("ready") is False and not not_ready_too:
                    continue
                for address in endpoint["addresses"]:
                    host = f"{endpoint.get('hostname') or address.replace('.', '-')}.{name}".lower()
                    self.addresses[name][address] = None
                    self.addresses[host][address] = None
                    for port in one.get("ports") or ():
                        self._add_server(name, port, int(port.get("port") or 0), host)

    def _add_server(self, name: str, port: Object, number: int, target: str) -> None:
        if port.get("name"):
            protocol = str(port.get("protocol") or "TCP").lower()
            self.servers[f"_{port['name']}._{protocol}.{name}".lower()][Server(number, target)] = None


def build_table(services: Iterable[Object], slices: Iterable[Object]) -> NameTable:
    """The table of these Services; order of the input does not matter."""
    by_service: dict[tuple[str, str], list[Object]] = defaultdict(list)
    for one in slices:
        metadata = one["metadata"]
        owner = (metadata.get("labels") or {}).get("kubernetes.io/service-name", "")
        if one.get("addressType", "IPv4") == "IPv4":
            by_service[metadata.get("namespace", "default"), owner].append(one)
    builder = _Builder()
    for service in services:
        key = (service["metadata"].get("namespace", "default"), service["metadata"]["name"])
        builder.add_service(service, by_service[key])
    builder.addresses[HOST_ALIAS_NAME][HOST_ALIAS_ADDRESS] = None
    servers = {
        name: tuple(sorted(found, key=lambda one: (one.target, one.port))) for name, found in builder.servers.items()
    }
    names = {*builder.addresses, *builder.aliases, *servers}
    return NameTable(
        addresses={name: tuple(sorted(found)) for name, found in builder.addresses.items()},
        aliases=builder.aliases,
        servers=servers,
        pointers=builder.pointers,
        parents=frozenset(_parents(names)),
    )


def _parents(names: Iterable[str]) -> Iterable[str]:
    """Names that exist only because something below them does: `default.svc.cluster.local`."""
    yield DOMAIN
    yield f"svc.{DOMAIN}"
    yield f"pod.{DOMAIN}"
    for name in names:
        rest = name
        while rest.endswith("." + DOMAIN):
            rest = rest.partition(".")[2]
            yield rest
