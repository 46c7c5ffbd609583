"""backendRefs → destinations, with the share that must fail because its backend cannot be used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from kaiki.interpret.gateway_api.grants import Grants
from kaiki.interpret.gateway_api.objects import Problem, reference
from kaiki.interpret.services import full_host
from kaiki.model.route import Destination, HeaderChanges, WeightedDestination
from kaiki.model.service import Service


@dataclass(frozen=True, slots=True, eq=False)
class Backends:
    """What references are looked up in. `broken` are (host, port) whose BackendTLSPolicy cannot be kept, `secured` the
    hosts with one that can.
    """

    services: Mapping[str, Service]
    grants: Grants
    broken: frozenset[tuple[str, int]] = frozenset()
    secured: frozenset[str] = frozenset()


class Origin(NamedTuple):
    """Who refers: the kind and the namespace of a route."""

    kind: str
    namespace: str


class Shares(NamedTuple):
    """The usable destinations with their weights, the weight of the unusable ones, and what is wrong with those."""

    destinations: tuple[WeightedDestination, ...]
    failing: int
    problems: tuple[Problem, ...]

    @property
    def failing_percent(self) -> float:
        """The part of all requests that must fail."""
        total = self.failing + sum(item.weight for item in self.destinations)
        return 100.0 * self.failing / total if total else 100.0


def resolve(ref: Mapping[str, Any], origin: Origin, backends: Backends) -> Destination | Problem:
    """The destination of one reference, or why it has none."""
    target = reference(ref, origin.namespace, "", "Service")
    if (target.group, target.kind) == ("networking.istio.io", "Hostname"):
        return _at(backends, Destination(target.name, port=int(ref.get("port") or 0)))
    if (target.group, target.kind) != ("", "Service"):
        return Problem("InvalidKind", f"{target.kind} of group {target.group or 'core'!r} cannot be a backend.")
    if not backends.grants.allow(origin.kind, origin.namespace, target):
        message = f"no ReferenceGrant in namespace {target.namespace} allows {origin.kind}s of {origin.namespace}"
        return Problem("RefNotPermitted", f"{message} to refer to {target.text}.")
    return _at(backends, Destination(full_host(target.name, target.namespace), port=int(ref.get("port") or 0)))


def _at(backends: Backends, wanted: Destination) -> Destination | Problem:
    service = backends.services.get(wanted.host)
    if service is None:
        return Problem("BackendNotFound", f"there is no service {wanted.host}.")
    if not wanted.port or service.port(wanted.port) is None:
        has = ", ".join(str(port.number) for port in service.ports)
        return Problem("BackendNotFound", f"{wanted.host} has no port {wanted.port}; it has {has}.")
    if (wanted.host, wanted.port) in backends.broken:
        return Problem("BackendNotFound", f"the BackendTLSPolicy of {wanted.host} cannot be kept.")
    return wanted


def shares(
    refs: Sequence[tuple[Mapping[str, Any], HeaderChanges, HeaderChanges]], origin: Origin, backends: Backends
) -> Shares:
    """The shares of (reference, request header changes, response header changes). Weight 0 gets nothing."""
    found, problems, failing = [], [], 0
    for ref, request, response in refs:
        weight = 1 if ref.get("weight") is None else int(ref["weight"])
        target = resolve(ref, origin, backends)
        if isinstance(target, Problem):
            problems.append(target)
            failing += weight
        elif weight > 0:
            found.append(WeightedDestination(target, weight, request, response))
    return Shares(tuple(found), failing, tuple(problems))
