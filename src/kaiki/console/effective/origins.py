"""The objects behind parts of a configuration: from the marks translation leaves in metadata, and from names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from envoy.config.core.v3 import base_pb2

from kaiki.console.effective.rows import Origin
from kaiki.console.workloads import place_of
from kaiki.kube.resource import KNOWN_TYPES
from kaiki.translate.simulation.origin import origin, origin_of_path

Object = dict[str, Any]
MOST_ORIGINS = 12
"""A listener of port 80 may come from every service of the mesh: nobody reads more of them in one row."""

_MESH_GROUPS = ("networking.istio.io", "security.istio.io", "telemetry.istio.io", "gateway.networking.k8s.io")
_VERSIONS = {item.kind: item.api_version for item in reversed(KNOWN_TYPES) if item.group in _MESH_GROUPS}
_GATEWAY_SECRET = re.compile(r"kubernetes(?:-gateway)?://(?:([^/]+)/)?(.+?)(?:-cacert)?$")


class Origins:
    """Who is who in one mesh: `services` are places of Services, `entries` hosts of ServiceEntries.

    `made` maps a cluster to the objects behind it: filled while clusters are read, used by what leads to them.
    """

    def __init__(self, services: Iterable[Object], configs: Iterable[Object]) -> None:
        self._services = {place_of(item) for item in services}
        self._entries = {
            str(host): Origin("ServiceEntry", *place_of(item), _VERSIONS.get("ServiceEntry", ""))
            for item in configs
            if item.get("kind") == "ServiceEntry"
            for host in (item.get("spec") or {}).get("hosts") or ()
        }
        self.made: dict[str, tuple[Origin, ...]] = {}

    def of_cluster(self, metadata: base_pb2.Metadata) -> tuple[Origin, ...]:
        """The service whose cluster it is, and the DestinationRule that shaped it."""
        found = [*marked(metadata)]
        if "istio" in metadata.filter_metadata:
            fields = metadata.filter_metadata["istio"].fields
            host, name, namespace = (
                fields[key].string_value if key in fields else ""
                for key in ("destination_service", "destination_service_name", "destination_service_namespace")
            )
            if (namespace, name) in self._services:
                found.insert(0, Origin("Service", namespace, name))
            elif host in self._entries:
                found.insert(0, self._entries[host])
        return tuple(found)

    def of_clusters(self, names: Iterable[str]) -> Iterable[Origin]:
        """The objects behind the clusters that something leads to."""
        return (found for name in names for found in self.made.get(name, ()))


def marked(metadata: base_pb2.Metadata) -> Iterable[Origin]:
    """The object a part was made from, and the policies that refuse some of it."""
    source, field = origin(metadata)
    if source is not None:
        yield Origin(source.kind, source.namespace, source.name, _VERSIONS.get(source.kind, ""), field)
    if "istio" not in metadata.filter_metadata:
        return
    fields = metadata.filter_metadata["istio"].fields
    for value in fields["policies"].list_value.values if "policies" in fields else ():
        if (policy := origin_of_path(value.string_value)) is not None:
            version = _VERSIONS.get(policy.kind, "")
            yield Origin(policy.kind, policy.namespace, policy.name, version, role="refuses")


def changed_by(touched: Iterable[Iterable[str]]) -> Iterable[Origin]:
    """The EnvoyFilters that changed a resource."""
    for kind, namespace, name in touched:
        yield Origin(kind, namespace, name, _VERSIONS.get(kind, ""), role="changed")


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
