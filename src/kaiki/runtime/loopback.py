"""Ports of the host's loopback that lead into the mesh: which are wanted (pure), and keeping them open.

Wanted are the forwards of the settings, the node ports of NodePort and LoadBalancer Services, and every port of a
LoadBalancer: as itself if it is 1024 or higher, 80 as 8080 and 443 as 8443, and where that is taken as any free one. A
port that a forward leads to already is not opened twice. A LoadBalancer also gets a loopback address of its own
(127.x.y.z) with its very ports, where the machine lets us have them (80 and 443 need a right): what guides read from
its status, and put before a colon and its port, leads to it, from pods too (`services.proxy_table`). `loadBalancerIP`
may ask for a certain one.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from kaiki.runtime.host_sockets import LOOPBACK, PortTaken, SocketTaker
from kaiki.runtime.sandbox import BALANCER_PREFIX
from kaiki.runtime.services import ServicePort, key_of
from kaiki.runtime.settings import Forward

Object = Mapping[str, Any]
ServiceKey: TypeAlias = tuple[str, str]
logger = logging.getLogger(__name__)

_FAMILIAR = {80: 8080, 443: 8443}
_FIRST_FREE_PORT = 1024
_OWN = "own:"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A loopback port. `exact` means that only the first candidate will do: a node port, or one of an own `address`."""

    name: str
    service: ServiceKey
    port: int
    candidates: tuple[int, ...]
    exact: bool = False
    address: str = LOOPBACK


def wanted_ports(services: Iterable[Object], forwards: Iterable[Forward], machine: str = "") -> tuple[Wanted, ...]:
    """All loopback ports that should be open. Of a service port only TCP can be forwarded. `machine` tells meshes apart
    that run side by side: each has addresses of its own."""
    found = [
        Wanted(
            f"forward:{one.name}",
            (one.namespace, one.service),
            one.port,
            (one.preferred_loopback_port,) if one.preferred_loopback_port else (),
        )
        for one in forwards
    ]
    forwarded = {(one.service, one.port) for one in found}
    for service in sorted(services, key=key_of):
        found.extend(
            one for one in _wanted_by(service, machine) if one.exact or (one.service, one.port) not in forwarded
        )
    return tuple(found)


def _wanted_by(service: Object, machine: str) -> Iterable[Wanted]:
    spec = service.get("spec") or {}
    key = key_of(service)
    kind = spec.get("type")
    if kind not in ("NodePort", "LoadBalancer"):
        return
    for port in spec.get("ports") or ():
        if (port.get("protocol") or "TCP") != "TCP":
            continue
        number = int(port["port"])
        if kind == "LoadBalancer":
            preferred = _FAMILIAR.get(number, number if number >= _FIRST_FREE_PORT else 0)
            name = f"service:{key[0]}/{key[1]}:{number}"
            yield Wanted(name, key, number, (preferred,) if preferred else ())
            yield Wanted(f"{_OWN}{key[0]}/{key[1]}:{number}", key, number, (number,), True, _address(service, machine))
        if node_port := int(port.get("nodePort") or 0):
            yield Wanted(f"node:{key[0]}/{key[1]}:{number}", key, number, (node_port,), exact=True)


def _asked_address(spec: Mapping[str, Any]) -> str:
    """The loopback address that a Service asks for itself; empty if it asks for none."""
    asked = str(spec.get("loadBalancerIP") or "")
    try:
        return asked if asked != LOOPBACK and ipaddress.IPv4Address(asked).is_loopback else ""
    except ValueError:
        return ""


def own_address(service: ServiceKey, machine: str = "") -> str:
    """The loopback address of one Service of a machine, always the same."""
    digest = hashlib.sha256("/".join((*service, machine)).encode()).digest()
    network = ipaddress.IPv4Network(BALANCER_PREFIX)
    first, count = network.network_address.packed[1], network.num_addresses >> 16
    return f"127.{first + digest[0] % count}.{digest[1]}.{1 + digest[2] % 254}"


def balancer_addresses(services: Iterable[Object], machine: str = "") -> dict[ServiceKey, str]:
    """The own address of each LoadBalancer."""
    balancers = (one for one in services if (one.get("spec") or {}).get("type") == "LoadBalancer")
    return {key_of(one): _address(one, machine) for one in balancers}


def _address(balancer: Object, machine: str) -> str:
    return _asked_address(balancer["spec"]) or own_address(key_of(balancer), machine)


def load_balancer_status(numbers: Mapping[int, int], address: str = LOOPBACK) -> dict[str, Any]:
    """`status.loadBalancer` for service ports that are open as the given loopback ports."""
    ports = [{"port": number, "protocol": "TCP"} for number in sorted(numbers)]
    return {"ingress": [{"ip": address, "ipMode": "Proxy", "ports": ports}]} if ports else {}


class Loopback:
    """Opens and closes ports until they are those wanted, and points them at ready endpoints."""

    def __init__(
        self,
        sockets: SocketTaker,
        order: Callable[[dict[str, Any], tuple[int, ...]], None],
        on_taken: Callable[[Wanted, str], None],
        on_change: Callable[[Mapping[str, int]], None],
        machine: str = "",
    ) -> None:
        self._sockets = sockets
        self._order = order
        self._on_taken = on_taken
        self._on_change = on_change
        self._machine = machine
        self._open: dict[str, tuple[Wanted, int]] = {}
        self._refused: dict[str, Wanted] = {}
        self._targets: dict[str, tuple[tuple[str, int], ...]] = {}
        self._lock = asyncio.Lock()

    def published(self, service: ServiceKey) -> dict[int, int]:
        """The loopback ports a LoadBalancer is reached by, by service port."""
        return {
            wanted.port: port for wanted, port in self._open.values() if wanted.service == service and not wanted.exact
        }

    def address(self, service: ServiceKey) -> str:
        """The address a LoadBalancer is reached at: its own, if all its ports could be opened there."""
        wanted = (*(one for one, _ in self._open.values()), *self._refused.values())
        mine = [one for one in wanted if one.service == service and one.name.startswith(_OWN)]
        return mine[0].address if mine and not any(one.name in self._refused for one in mine) else LOOPBACK

    def ports(self) -> dict[str, int]:
        """All open ports by name."""
        return {name: port for name, (_, port) in self._open.items()}

    async def apply(self, wanted: tuple[Wanted, ...], ports: tuple[ServicePort, ...]) -> None:
        """Make it so."""
        async with self._lock:
            before = self.ports()
            by_name = {one.name: one for one in wanted}
            for name in [name for name, (one, _) in self._open.items() if by_name.get(name) != one]:
                self._order({"op": "close", "name": name}, ())
                del self._open[name]
                self._targets.pop(name, None)
            self._refused = {name: one for name, one in self._refused.items() if by_name.get(name) == one}
            for one in wanted:
                if one.name not in self._open and one.name not in self._refused:
                    await self._listen(one)
            self._point(wanted, ports)
            if self.ports() != before:
                self._on_change(self.ports())

    async def _listen(self, wanted: Wanted) -> None:
        try:
            more = {} if wanted.address == LOOPBACK else {"address": wanted.address}
            listener = await self._sockets.listen(wanted.candidates, any_port=not wanted.exact, **more)
        except PortTaken as error:
            self._refused[wanted.name] = wanted
            if wanted.address == LOOPBACK:
                self._on_taken(wanted, str(error))
            return
        with listener:
            port = int(listener.getsockname()[1])
            self._order({"op": "listen", "name": wanted.name}, (listener.fileno(),))
        self._open[wanted.name] = (wanted, port)

    def _point(self, wanted: tuple[Wanted, ...], ports: tuple[ServicePort, ...]) -> None:
        endpoints = {(one.namespace, one.service, one.port): one.endpoints for one in ports if one.protocol == "TCP"}
        for one in wanted:
            targets = endpoints.get((*one.service, one.port), ())
            if one.name in self._open and self._targets.get(one.name) != targets:
                self._targets[one.name] = targets
                self._order({"op": "targets", "name": one.name, "targets": targets}, ())
