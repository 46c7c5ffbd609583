"""Virtual addresses and node ports of Services: given out at random, never twice, kept for the Service's life.

Nothing is stored besides the Services themselves: what is taken is read from them when needed.
"""

from __future__ import annotations

import ipaddress
import random
from typing import Any

from kaiki.apiserver.catalog import ResourceType
from kaiki.apiserver.errors import FieldErrors, invalid_value
from kaiki.apiserver.store import Store

SERVICES = "/services"
NODE_PORTS = range(30000, 32768)
Object = dict[str, Any]


class AddressPool:
    """Gives Services their `clusterIP` and `nodePort`s out of the service range (a CIDR)."""

    def __init__(self, store: Store, service_range: str) -> None:
        self._store = store
        self._network = ipaddress.ip_network(service_range)
        self._random = random.SystemRandom()

    def assign(self, kind: ResourceType, service: Object) -> None:
        """Complete a Service in place: the addresses and ports it asks for, else free ones."""
        spec = service["spec"]
        if spec["type"] == "ExternalName":
            for key in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"):
                spec.pop(key, None)
            return
        self._assign_address(kind, service)
        wants_ports = spec["type"] == "NodePort" or (
            spec["type"] == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts", True)
        )
        if wants_ports:
            self._assign_node_ports(kind, service)
        elif spec["type"] == "ClusterIP":
            for port in spec.get("ports") or ():
                port.pop("nodePort", None)

    def carry_over(self, service: Object, before: Object) -> None:
        """An update that leaves out what was given before keeps it, as in Kubernetes. In place."""
        spec, old = service["spec"], before.get("spec") or {}
        if (
            old.get("type") not in (None, "ExternalName")
            and spec["type"] != "ExternalName"
            and not spec.get("clusterIP")
        ):
            spec["clusterIP"] = old.get("clusterIP", "")
            spec["clusterIPs"] = old.get("clusterIPs", [])
        given = {(port.get("protocol"), port.get("port")): port.get("nodePort") for port in old.get("ports") or ()}
        for port in spec.get("ports") or ():
            number = given.get((port.get("protocol"), port.get("port")))
            if number and not port.get("nodePort"):
                port["nodePort"] = number

    def _assign_address(self, kind: ResourceType, service: Object) -> None:
        spec, metadata = service["spec"], service["metadata"]
        wanted = spec.get("clusterIP") or next(iter(spec.get("clusterIPs") or ()), "")
        if wanted == "None":
            spec["clusterIP"], spec["clusterIPs"] = "None", ["None"]
            return
        taken = {other["spec"].get("clusterIP") for other in self._others(metadata)}
        if wanted and wanted in taken:
            why = "failed to allocate IP " + wanted + ": provided IP is already allocated"
            raise FieldErrors(kind, metadata["name"], [invalid_value("spec.clusterIPs", [wanted], why)])
        if wanted and ipaddress.ip_address(wanted) not in self._network:
            why = f"failed to allocate IP {wanted}: the provided IP is not in the valid range {self._network}"
            raise FieldErrors(kind, metadata["name"], [invalid_value("spec.clusterIPs", [wanted], why)])
        spec["clusterIP"] = wanted or self._free_address(taken)
        spec["clusterIPs"] = [spec["clusterIP"]]

    def _free_address(self, taken: set[str | None]) -> str:
        # The lowest addresses are left to those who choose theirs: kubernetes is .1, DNS often .10.
        low, high = 256, self._network.num_addresses - 2
        for _ in range(1000):
            address = str(self._network[self._random.randint(low, high)])
            if address not in taken:
                return address
        raise RuntimeError(f"no free address left in {self._network}")

    def _assign_node_ports(self, kind: ResourceType, service: Object) -> None:
        taken = {
            port.get("nodePort")
            for other in self._others(service["metadata"])
            for port in other["spec"].get("ports") or ()
        }
        for at, port in enumerate(service["spec"].get("ports") or ()):
            wanted = port.get("nodePort")
            path = f"spec.ports[{at}].nodePort"
            if wanted and wanted in taken:
                cause = invalid_value(path, wanted, "provided port is already allocated")
                raise FieldErrors(kind, service["metadata"]["name"], [cause])
            if wanted and wanted not in NODE_PORTS:
                cause = invalid_value(path, wanted, "provided port is not in the valid range. The range is 30000-32767")
                raise FieldErrors(kind, service["metadata"]["name"], [cause])
            if not wanted:
                port["nodePort"] = self._random.choice([number for number in NODE_PORTS if number not in taken])
            taken.add(port["nodePort"])

    def _others(self, metadata: Object) -> list[Object]:
        own = metadata["namespace"], metadata["name"]
        return [record.load() for record in self._store.list(SERVICES) if (record.namespace, record.name) != own]
