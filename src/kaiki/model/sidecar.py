"""Sidecars (the API's kind): what the proxies of some pods accept, and how much of the mesh they see."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from kaiki.model.finding import ObjectRef
from kaiki.model.gateway import ServerTls
from kaiki.model.policy.destination import ConnectionPool
from kaiki.model.route import Destination
from kaiki.model.service import Protocol

ANY_NAMESPACE = "*"
NO_NAMESPACE = "~"
OWN_NAMESPACE = "."
UNIX_PREFIX = "unix:"


def covers(pattern: str, host: str) -> bool:
    """Whether a host pattern (`*`, `*.example.org`, `example.org`) includes a host or a narrower pattern."""
    if pattern in ("*", host):
        return True
    return pattern.startswith("*.") and host.removeprefix("*").endswith(pattern[1:])


@dataclass(frozen=True, slots=True, order=True)
class EgressHost:
    """Hosts of one namespace (`*`: of any; `~`: of none), by name or pattern."""

    namespace: str
    host: str

    def includes(self, namespace: str, host: str) -> bool:
        """Whether a host that a namespace offers is meant; of two patterns, whether they share a host."""
        if self.namespace not in (ANY_NAMESPACE, namespace):
            return False
        return self.covers(host)

    def covers(self, host: str) -> bool:
        """Whether a host of the right namespace is meant."""
        return covers(self.host, host) or covers(host, self.host)


@dataclass(frozen=True, slots=True)
class EgressListener:
    """Hosts that may be reached. `port` 0 means every port no other listener names.

    `bind` is the address of a listener of its own; only where `captured` do redirected connections arrive there.
    """

    hosts: tuple[EgressHost, ...]
    port: int = 0
    protocol: Protocol = Protocol.AUTO
    bind: str = ""
    captured: bool = True

    def includes(self, namespace: str, host: str) -> bool:
        """Whether a host that a namespace offers may be reached by this listener."""
        return any(item.includes(namespace, host) for item in self.hosts)


@dataclass(frozen=True, slots=True)
class IngressListener:
    """A port at which the workload is called. `endpoint` is where the application listens, as it is written.

    `""` and `0.0.0.0:PORT` mean the pod's own address, `127.0.0.1:PORT` the loopback, `unix:PATH` a socket.
    """

    port: int
    name: str
    protocol: Protocol
    bind: str = ""
    captured: bool = True
    endpoint: str = ""
    tls: ServerTls | None = None
    pool: ConnectionPool | None = None


@dataclass(frozen=True, slots=True)
class Sidecar:
    """One Sidecar. An empty `selector` means all pods of the namespace; `egress` None: everything is visible.

    `registry_only` None leaves the decision to the mesh; `egress_proxy` is where unknown traffic goes instead.
    """

    source: ObjectRef
    selector: tuple[tuple[str, str], ...] = ()
    egress: tuple[EgressListener, ...] | None = None
    ingress: tuple[IngressListener, ...] = ()
    inbound_pool: ConnectionPool | None = None
    registry_only: bool | None = None
    egress_proxy: Destination | None = None
    created: str = ""

    @property
    def own_ports(self) -> frozenset[int]:
        """The ports that egress listeners name: other listeners have no say there."""
        return frozenset(item.port for item in self.egress or () if item.port)

    def reaches(self, namespace: str, host: str, port: int) -> bool:
        """Whether a port of a host that a namespace offers may be reached."""
        if self.egress is None:
            return True
        number = port if port in self.own_ports else 0
        return any(item.port == number and item.includes(namespace, host) for item in self.egress)

    def knows(self, namespace: str, host: str) -> bool:
        """Whether a host that a namespace offers may be reached at any port."""
        return self.egress is None or any(item.includes(namespace, host) for item in self.egress)


def unix_path(text: str) -> str:
    """The path of `unix:PATH` or `unix://PATH`."""
    return text.removeprefix(UNIX_PREFIX).removeprefix("//")


def split_endpoint(text: str) -> tuple[str, int]:
    """(address, port) of `ADDRESS:PORT` or `[ADDRESS]:PORT`; ("", 0) if it is neither."""
    address, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or not 0 < int(port) < 65536:
        return "", 0
    return address.strip("[]"), int(port)


def endpoint_problem(text: str) -> str:
    """Why a `defaultEndpoint` cannot be used; empty if it can (Istio's rule: no address of another machine)."""
    if text.startswith(UNIX_PREFIX):
        path = unix_path(text)
        return "" if path.startswith(("/", "@")) else "the path of a unix socket begins with / or @"
    address, port = split_endpoint(text)
    if not port:
        return "it is neither ADDRESS:PORT nor unix:PATH"
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return f"{address!r} is not an address"
    if parsed.is_loopback or parsed.is_unspecified:
        return ""
    return "it must be 127.0.0.1, 0.0.0.0 (the pod's own address) or a unix socket"
