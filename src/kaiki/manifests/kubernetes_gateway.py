"""What is deployed for a Gateway of the Gateway API: an ingress gateway of its own, under Istio's names and labels."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

from kaiki.manifests.gateway import gateway_container, gateway_volumes
from kaiki.manifests.objects import Object, deployment, service, service_account
from kaiki.manifests.settings import InstallSettings
from kaiki.model.deployment import GatewayDeployment
from kaiki.model.well_known import GATEWAY_CLASS_LABEL, GATEWAY_NAME_LABEL

EXTERNAL_NAMES = "external-dns.alpha.kubernetes.io/hostname"
RENDERED = "kaiki.io/rendered"
"""An annotation with a hash of what was applied, so that nothing is applied twice."""

_STATUS = ("status-port", 15021, 15021)
_PRIVILEGED = 1024
_SHIFT = 8000
_TAKEN = {15000, 15001, 15006, 15020, 15021, 15090}


def kubernetes_gateway_manifests(wanted: GatewayDeployment, settings: InstallSettings) -> list[Object]:
    """Account, service, deployment; each is owned by the Gateway and goes with it."""
    settings = replace(settings, namespace=wanted.namespace)
    selector = {GATEWAY_NAME_LABEL: wanted.gateway}
    labels = {**dict(wanted.labels), **selector, GATEWAY_CLASS_LABEL: wanted.class_name}
    pod_labels = {
        **labels,
        "istio.io/rev": settings.revision,
        "service.istio.io/canonical-name": wanted.name,
        "service.istio.io/canonical-revision": "latest",
    }
    annotations = {
        **dict(wanted.annotations),
        "prometheus.io/scrape": "true",
        "prometheus.io/port": "15020",
        "prometheus.io/path": "/stats/prometheus",
    }
    kind = wanted.service_type or "LoadBalancer"
    made = [
        service_account(wanted.name, settings, labels),
        _with_addresses(service(wanted.name, settings, labels, selector, _ports(wanted), kind), kind, wanted),
        deployment(
            wanted.name,
            settings,
            gateway_container(settings, wanted.name),
            pod_labels,
            selector,
            annotations=annotations,
            volumes=gateway_volumes(),
        ),
    ]
    return [_owned(obj, wanted) for obj in made]


def _with_addresses(made: Object, kind: str, wanted: GatewayDeployment) -> Object:
    """A load balancer is asked for the first address, and every Service takes others that are routed to the nodes.

    Names are for whoever keeps the zone (external-dns).
    """
    first, others = (wanted.addresses[:1], wanted.addresses[1:]) if kind == "LoadBalancer" else ((), wanted.addresses)
    spec = {
        **made["spec"],
        **({"loadBalancerIP": first[0]} if first else {}),
        **({"externalIPs": list(others)} if others else {}),
    }
    names = {EXTERNAL_NAMES: ",".join(wanted.hostnames)} if wanted.hostnames else {}
    return {**made, "metadata": {**made["metadata"], **({"annotations": names} if names else {})}, "spec": spec}


def _ports(wanted: GatewayDeployment) -> list[tuple[str, int, int]]:
    """Service ports and the ports the pod binds: those that need rights are moved to free ones without."""
    taken = _TAKEN | {number for _, number in wanted.ports}
    found = [_STATUS] if 15021 not in {number for _, number in wanted.ports} else []
    for name, number in wanted.ports:
        target = number
        if number < _PRIVILEGED:
            target = next(port for port in range(number + _SHIFT, 65536) if port not in taken)
            taken.add(target)
        found.append((name, number, target))
    return found


def _owned(obj: Object, wanted: GatewayDeployment) -> Object:
    metadata = {
        **obj["metadata"],
        "ownerReferences": [
            {
                "apiVersion": "gateway.networking.k8s.io/v1",
                "kind": "Gateway",
                "name": wanted.gateway,
                "uid": wanted.uid,
            }
        ],
    }
    rendered = {**obj, "metadata": metadata}
    digest = hashlib.sha256(json.dumps(rendered, sort_keys=True).encode()).hexdigest()[:16]
    annotations = {**dict(wanted.annotations), **metadata.get("annotations", {}), RENDERED: digest}
    return {**rendered, "metadata": {**metadata, "annotations": annotations}}
