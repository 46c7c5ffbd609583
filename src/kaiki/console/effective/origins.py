"""The objects behind parts of a configuration: from the marks translation leaves in metadata, and from names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from envoy.config.core.v3 import base_pb2

from kaiki.console.effective.rows import Origin
from kaiki.console.workloads import place_of
from kaiki.kube.resource import KNOWN_TYPES
from kaiki.model.well_known import GATEWAY_NAME_LABEL
from kaiki.translate.simulation.origin import origin, origin_of_path

Object = dict[str, Any]
MOST_ORIGINS = 12
"""A listener of port 80 may come from every service of the mesh: nobody reads more of them in one row."""

_MESH_GROUPS = ("networking.istio.io", "security.istio.io", "telemetry.istio.io", "gateway.networking.k8s.io")
_VERSIONS = {item.kind: item.api_version for item in reversed(KNOWN_TYPES) if item.group in _MESH_GROUPS}
_GATEWAY_SECRET = re.compile(r"kubernetes(?:-gateway)?://(?:([^/]+)/)?(.+?)(?:-cacert)?$")


class Origins:
    """Who is who in one mesh, seen from the proxy of `pod` (None when the pod is not known).

    `made` maps a cluster to the objects behind it: filled while clusters are read, used by what leads to them.
    """

    def __init__(self, services: Iterable[Object], configs: Iterable[Object], pod: Object | None = None) -> None:
        known, self._configs, self._pod = list(services), list(configs), pod
        self._places = {place_of(item) for item in known}
        self._versions = {
            (str(item.get("kind", "")), *place_of(item)): str(item.get("apiVersion", ""))
            for item in reversed(self._configs)
        }
        self._entries = {
            str(host): self.origin("ServiceEntry", *place_of(item))
            for item in self._configs
            if item.get("kind") == "ServiceEntry"
            for host in (item.get("spec") or {}).get("hosts") or ()
        }
        self._ports = dict(_ports_of(known, pod)) if pod is not None else {}
        self.made: dict[str, tuple[Origin, ...]] = {}

    def origin(self, kind: str, namespace: str, name: str, field: str = "", role: str = "made") -> Origin:
        """An object, with the version its page needs."""
        version = self._versions.get((kind, namespace, name)) or _VERSIONS.get(kind, "")
        return Origin(kind, namespace, name, version, field, role)

    def marked(self, metadata: base_pb2.Metadata) -> Iterable[Origin]:
        """The object a part was made from, and the policies that refuse some of it."""
        source, field = origin(metadata)
        if source is not None:
            yield self.origin(source.kind, source.namespace, source.name, field)
        if "istio" not in metadata.filter_metadata:
            return
        fields = metadata.filter_metadata["istio"].fields
        for value in fields["policies"].list_value.values if "policies" in fields else ():
            if (policy := origin_of_path(value.string_value)) is not None:
                yield self.origin(policy.kind, policy.namespace, policy.name, role="refuses")

    def changed_by(self, touched: Iterable[tuple[str, str, str]]) -> Iterable[Origin]:
        """The EnvoyFilters that changed a resource."""
        return (self.origin(*place, role="changed") for place in touched)

    def of_cluster(self, metadata: base_pb2.Metadata) -> tuple[Origin, ...]:
        """The service whose cluster it is, and the DestinationRule that shaped it."""
        found = [*self.marked(metadata)]
        if "istio" in metadata.filter_metadata:
            fields = metadata.filter_metadata["istio"].fields
            host, name, namespace = (
                fields[key].string_value if key in fields else ""
                for key in ("destination_service", "destination_service_name", "destination_service_namespace")
            )
            if (namespace, name) in self._places:
                found.insert(0, Origin("Service", namespace, name))
            elif host in self._entries:
                found.insert(0, self._entries[host])
        return tuple(found)

    def of_clusters(self, names: Iterable[str]) -> Iterable[Origin]:
        """The objects behind the clusters that something leads to."""
        return (found for name in names for found in self.made.get(name, ()))

    def gateways_at(self, port: int) -> Iterable[Origin]:
        """The Gateways with a server at a port of this pod: listeners of plain HTTP are shared and bear no mark."""
        if self._pod is None:
            return
        labels, namespace = self._pod["metadata"].get("labels") or {}, place_of(self._pod)[0]
        for item in self._configs:
            if item.get("kind") != "Gateway":
                continue
            spec, place = item.get("spec") or {}, place_of(item)
            if "selector" in spec:
                chosen = (spec["selector"] or {}).items() <= labels.items()
                numbers = [(one.get("port") or {}).get("number") for one in spec.get("servers") or ()]
            else:
                chosen = place == (namespace, labels.get(GATEWAY_NAME_LABEL))
                numbers = [one.get("port") for one in spec.get("listeners") or ()]
            member = "servers" if "selector" in spec else "listeners"
            for position, number in enumerate(numbers if chosen else ()):
                if number == port or self._ports.get(number or 0) == port:
                    version = str(item.get("apiVersion", ""))
                    yield Origin("Gateway", *place, version, f"spec.{member}[{position}]")


def _ports_of(services: Iterable[Object], pod: Object) -> Iterable[tuple[int, int]]:
    """Service port → port of the pod, over the Services that select it."""
    labels, namespace = (pod["metadata"].get("labels") or {}), place_of(pod)[0]
    for service in services:
        spec = service.get("spec") or {}
        selector = spec.get("selector") or {}
        if selector and place_of(service)[0] == namespace and selector.items() <= labels.items():
            for port in spec.get("ports") or ():
                if isinstance(port.get("targetPort"), int):
                    yield port["port"], port["targetPort"]


def of_secret(name: str, namespace: str) -> tuple[Origin, ...]:
    """The Secret a gateway was given. It has no page: no secret is ever shown."""
    found = _GATEWAY_SECRET.match(name)
    return (Origin("Secret", found[1] or namespace, found[2]),) if found else ()


def of_workload(fields: Mapping[str, Any]) -> tuple[Origin, ...]:
    """The workload an endpoint belongs to."""
    namespace, name = (fields[key].string_value if key in fields else "" for key in ("workload_namespace", "workload"))
    return (Origin("Workload", namespace, name),) if name else ()


def first(origins: Iterable[Origin]) -> tuple[tuple[Origin, ...], int]:
    """Each once, the first dozen, and how many there are."""
    found = tuple(dict.fromkeys(origins))
    return found[:MOST_ORIGINS], len(found)
