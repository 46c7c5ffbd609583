"""Sidecar specs → sidecars of the model. Depends on one object alone."""

from __future__ import annotations

from kaiki.interpret.destination_rules import connection_pool
from kaiki.interpret.gateways import server_tls
from kaiki.interpret.hosts import resolve_host
from kaiki.interpret.service_entries import spoken_protocol
from kaiki.model import sidecar as model
from kaiki.model.finding import ObjectRef
from kaiki.model.route import Destination
from kaiki.resources.istio import sidecar as api


def sidecar(source: ObjectRef, spec: api.SidecarSpec, created: str) -> model.Sidecar:
    """Translate one spec."""
    policy = spec.outbound_traffic_policy
    selector = spec.workload_selector.labels if spec.workload_selector else {}
    return model.Sidecar(
        source=source,
        selector=tuple(sorted(selector.items())),
        egress=tuple(map(_egress, spec.egress)) if spec.egress else None,
        ingress=tuple(_ingress(item) for item in spec.ingress),
        inbound_pool=connection_pool(spec.inbound_connection_pool),
        registry_only=None if policy is None else policy.mode == "REGISTRY_ONLY",
        egress_proxy=_proxy(policy, source.namespace),
        created=created,
    )


def egress_host(text: str) -> model.EgressHost:
    """`namespace/host`; `.` is the namespace of whichever proxy reads it. Without a namespace any is meant."""
    space, slash, host = text.lower().partition("/")
    return model.EgressHost(space, host) if slash else model.EgressHost(model.ANY_NAMESPACE, space)


def _proxy(policy: api.OutboundTrafficPolicy | None, namespace: str) -> Destination | None:
    if policy is None or policy.egress_proxy is None:
        return None
    to = policy.egress_proxy
    return Destination(resolve_host(to.host, namespace), to.subset, to.port.number if to.port else 0)


def _egress(item: api.IstioEgressListener) -> model.EgressListener:
    port = item.port or api.SidecarPort()
    return model.EgressListener(
        hosts=tuple(map(egress_host, item.hosts)),
        port=port.number,
        protocol=spoken_protocol(port.protocol, port.name, port.number),
        bind=item.bind,
        captured=_captured(item.capture_mode, item.bind),
    )


def _ingress(item: api.IstioIngressListener) -> model.IngressListener:
    return model.IngressListener(
        port=item.port.number,
        name=item.port.name,
        protocol=spoken_protocol(item.port.protocol, item.port.name, item.port.number),
        bind=item.bind,
        captured=_captured(item.capture_mode, ""),
        endpoint=item.default_endpoint,
        tls=server_tls(item.tls),
        pool=connection_pool(item.connection_pool),
    )


def _captured(mode: str, bind: str) -> bool:
    """Redirected connections go by their own address, so a listener at an address of its own must be called there."""
    return mode != "NONE" and not (mode == "DEFAULT" and bind)
