"""The gateway pods of a Gateway: its own, deployed for it, or those of a Service it names (manual deployment)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from kaiki.interpret.gateway_api.entrances import Pods
from kaiki.interpret.gateway_api.listeners import Listener
from kaiki.interpret.gateway_api.objects import Object, Problem
from kaiki.model.deployment import GatewayDeployment
from kaiki.model.well_known import GATEWAY_NAME_LABEL
from kaiki.model.workload import ProxyKind, WorkloadInstance
from kaiki.resources import core

Services = Mapping[tuple[str, str], Object]
IP_ADDRESS, HOSTNAME = "IPAddress", "Hostname"


class Serving(NamedTuple):
    """The pods of a Gateway and the Service before them; `problem` if the Gateway asks for what is not to be had."""

    pods: Pods
    service: Object | None
    problem: Problem | None = None


def service_name(gateway: Object) -> str:
    """The name of the Service (and Deployment, and ServiceAccount) that is made for a Gateway."""
    return f"{core.name(gateway)}-{core.spec(gateway).get('gatewayClassName')}"


def requested_addresses(gateway: Object) -> tuple[tuple[str, str], ...]:
    """(type, value) of the addresses a Gateway asks for; those without a value are any."""
    found = core.spec(gateway).get("addresses") or ()
    return tuple((str(one.get("type") or IP_ADDRESS), str(one["value"])) for one in found if one.get("value"))


def named_service(gateway: Object) -> tuple[str, str] | None:
    """(namespace, name) of the Service a Gateway names as its address; None if it wants one of its own."""
    for kind, value in requested_addresses(gateway):
        name, *rest = value.split(".")
        if kind == HOSTNAME and (len(rest) < 2 or rest[1] == "svc"):
            return rest[0] if rest else core.namespace(gateway), name
    return None


def serving(gateway: Object, services: Services) -> Serving:
    """The pods and the Service of a Gateway."""
    named = named_service(gateway)
    if named is not None:
        service = services.get(named)
        if service is None:
            pods = Pods(named[0], ((GATEWAY_NAME_LABEL, core.name(gateway)),))
            return Serving(pods, None, Problem("AddressNotUsable", f"there is no Service {named[0]}/{named[1]}."))
        selector = tuple(sorted((core.spec(service).get("selector") or {}).items()))
        return Serving(Pods(named[0], selector), service)
    pods = Pods(core.namespace(gateway), ((GATEWAY_NAME_LABEL, core.name(gateway)),))
    service = services.get((core.namespace(gateway), service_name(gateway)))
    return Serving(pods, service, _unusable_address(gateway, service) if service is not None else None)


def _unusable_address(gateway: Object, service: Object) -> Problem | None:
    """An address that is asked for, and that the Gateway's Service has not got."""
    given = [str(one.get("ip") or one.get("hostname")) for one in balancer_addresses(service)]
    given += external_addresses(service)
    for kind, value in requested_addresses(gateway):
        if value not in given:
            has = f"it has {', '.join(given)}" if given else "it has none"
            message = f"the gateway's Service has not been given the address {value} ({kind}); {has}."
            return Problem("AddressNotUsable", message)
    return None


def balancer_addresses(service: Object) -> Sequence[Mapping[str, Any]]:
    """What the load balancer of a Service is reached at."""
    return (core.status(service).get("loadBalancer") or {}).get("ingress") or ()


def external_addresses(service: Object) -> list[str]:
    """The addresses that a Service is to be reached at besides."""
    return [str(one) for one in core.spec(service).get("externalIPs") or ()]


def wanted_deployment(gateway: Object, listeners: Iterable[Listener]) -> GatewayDeployment | None:
    """The pods to deploy for a Gateway; None if it names a Service that has some."""
    if named_service(gateway) is not None:
        return None
    infrastructure = core.spec(gateway).get("infrastructure") or {}
    annotations = gateway["metadata"].get("annotations") or {}
    return GatewayDeployment(
        namespace=core.namespace(gateway),
        gateway=core.name(gateway),
        name=service_name(gateway),
        uid=str(gateway["metadata"].get("uid") or ""),
        class_name=str(core.spec(gateway).get("gatewayClassName")),
        ports=_ports(listeners),
        labels=_pairs(infrastructure.get("labels")),
        annotations=_pairs(infrastructure.get("annotations")),
        service_type=str(annotations.get("networking.istio.io/service-type") or ""),
        addresses=_values(gateway, IP_ADDRESS),
        hostnames=_values(gateway, HOSTNAME),
    )


def _values(gateway: Object, wanted: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value for kind, value in requested_addresses(gateway) if kind == wanted))


def _ports(listeners: Iterable[Listener]) -> tuple[tuple[str, int], ...]:
    """One Service port for each port listened at, named by what is spoken there and the port."""
    found: dict[int, str] = {}
    for item in listeners:
        if item.unaccepted is None and item.port:
            found.setdefault(item.port, f"{item.protocol.lower()}-{item.port}")
    return tuple((name, port) for port, name in sorted(found.items()))


def _pairs(said: Mapping[str, str] | None) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((str(key), str(value)) for key, value in (said or {}).items()))


def unsupported(gateway: Object) -> Problem | None:
    """What a Gateway asks for that cannot be had: parameters, and addresses."""
    if (core.spec(gateway).get("infrastructure") or {}).get("parametersRef"):
        return Problem("InvalidParameters", "infrastructure.parametersRef is not supported.")
    return unsupported_address(gateway)


def unsupported_address(gateway: Object) -> Problem | None:
    """Addresses of other types than the specification's cannot be given."""
    for address in core.spec(gateway).get("addresses") or ():
        kind = str(address.get("type") or IP_ADDRESS)
        if kind not in (IP_ADDRESS, HOSTNAME):
            message = f"addresses of type {kind} cannot be assigned; {IP_ADDRESS} and {HOSTNAME} can."
            return Problem("UnsupportedAddress", message)
    return None


def unready(found: Serving, addresses: int, workloads: Iterable[WorkloadInstance]) -> Problem | None:
    """Why traffic does not reach a Gateway's pods yet."""
    if found.problem is not None:
        return found.problem
    if not addresses:
        return Problem("AddressNotAssigned", "the gateway's Service has no address yet.")
    wanted = set(found.pods.selector)
    for item in workloads:
        is_there = item.proxy is ProxyKind.GATEWAY and item.namespace == found.pods.namespace
        if is_there and item.ready and wanted <= set(item.labels):
            return None
    return Problem("AddressNotAssigned", "no gateway pod is ready yet.")
