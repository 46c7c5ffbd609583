"""The pods of headless Services by their own names (`web-0.web.default.svc.cluster.local`), where HTTP is spoken.

Who calls such a name means that pod and no other. Its virtual host asks the Service's cluster for the one endpoint, so
mutual TLS and metrics are the Service's. What VirtualServices say of the Service is not for single pods.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator

from envoy.config.route.v3 import route_components_pb2

from kaiki.model.route import Retries
from kaiki.model.service import Service
from kaiki.translate.encode import serialize
from kaiki.translate.endpoints import ADDRESS_KEY
from kaiki.translate.scope import Scope, Target
from kaiki.translate.virtual_hosts import plain_host, service_names

Named = tuple[tuple[Service, int], ...]
"""Headless services and the number of one of their ports."""


def held_by_names(scope: Scope, services: Named) -> tuple[object, ...]:
    """All that the virtual hosts of their pods depend on, but for the services themselves."""
    return tuple(scope.snapshot.endpoints.get((service.hostname, number)) for service, number in services)


def pod_hosts(
    scope: Scope, services: Iterable[tuple[Service, int]], taken: tuple[Container[str], ...]
) -> Iterator[bytes]:
    """The virtual hosts of pods that have names; names that are among those `taken` already are somebody else's."""
    own: set[str] = set()
    for service, number in services:
        target, retries = scope.port_target(service, number), scope.snapshot.settings.defaults.retries
        for item in scope.snapshot.endpoints.get((service.hostname, number), ()):
            names = (f"{item.hostname}.{name}" for name in service_names(service, scope.namespace))
            if not (item.hostname and item.healthy):
                continue
            domains = tuple(name for name in names if not any(name in some for some in (*taken, own)))
            if domains:
                own.update(domains)
                place = f"{item.address}:{item.port}"
                yield scope.memo.get(_pod_host, f"{domains[0]}:{number}", domains, target, retries, place)


def _pod_host(name: str, domains: tuple[str, ...], target: Target, retries: Retries | None, place: str) -> bytes:
    host = route_components_pb2.VirtualHost.FromString(plain_host(name, domains, target, retries))
    match = host.routes[0].route.metadata_match.filter_metadata["envoy.lb"]
    match.fields[ADDRESS_KEY].string_value = place
    return serialize(host)
