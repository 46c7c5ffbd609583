"""The ingress gateway, and an egress gateway where one is asked for: an Envoy as a router each. They have no
application, so nothing is redirected and they need no rights.

The container reads its credentials where every sidecar does; its bootstrap, which names the same paths, is part of
`InstallSettings.gateway_arguments` and `egress_arguments`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kaiki.manifests.objects import Object, deployment, requests, security, service, service_account
from kaiki.manifests.settings import InstallSettings, Platform, Profile
from kaiki.model.identity import UNKNOWN

NAME = "istio-ingressgateway"
ACCOUNT = "istio-ingressgateway-service-account"
_SELECTOR = {"app": NAME, "istio": "ingressgateway"}
_PORTS = (("status-port", 15021, 15021), ("http2", 80, 8080), ("https", 443, 8443))
_DEMO_PORTS = (("tcp", 31400, 31400), ("tls", 15443, 15443))
EGRESS_NAME = "istio-egressgateway"
_EGRESS_ACCOUNT = "istio-egressgateway-service-account"
_EGRESS_SELECTOR = {"app": EGRESS_NAME, "istio": "egressgateway"}
_EGRESS_PORTS = (("http2", 80, 8080), ("https", 443, 8443))
_TOKEN_SECONDS = 43_200


def gateway_manifests(settings: InstallSettings) -> list[Object]:
    """Account, service, deployment of the ingress gateway."""
    ports = (*_PORTS, *(_DEMO_PORTS if settings.profile is Profile.DEMO else ()))
    return [
        service_account(ACCOUNT, settings, _SELECTOR),
        service(NAME, settings, _SELECTOR, _SELECTOR, ports, "LoadBalancer"),
        _deployment(NAME, ACCOUNT, settings, _SELECTOR, settings.gateway_arguments),
    ]


def egress_manifests(settings: InstallSettings) -> list[Object]:
    """The same of an egress gateway, which only the mesh reaches; nothing where none is asked for."""
    if not settings.egress_arguments:
        return []
    return [
        service_account(_EGRESS_ACCOUNT, settings, _EGRESS_SELECTOR),
        service(EGRESS_NAME, settings, _EGRESS_SELECTOR, _EGRESS_SELECTOR, _EGRESS_PORTS),
        _deployment(EGRESS_NAME, _EGRESS_ACCOUNT, settings, _EGRESS_SELECTOR, settings.egress_arguments),
    ]


def _deployment(
    name: str, account: str, settings: InstallSettings, selector: Mapping[str, str], arguments: tuple[str, ...]
) -> Object:
    labels = {
        **selector,
        "istio.io/rev": settings.revision,
        "service.istio.io/canonical-name": name,
        "service.istio.io/canonical-revision": "latest",
    }
    annotations = {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": "15020",
        "prometheus.io/path": "/stats/prometheus",
    }
    return deployment(
        name,
        settings,
        gateway_container(settings, name, arguments),
        labels,
        selector,
        account=account,
        annotations=annotations,
        volumes=gateway_volumes(),
    )


def gateway_container(settings: InstallSettings, name: str, arguments: tuple[str, ...] = ()) -> Object:
    """Envoy as the gateway `name`, started as the ingress gateway unless it has arguments of its own."""
    return {
        "name": "istio-proxy",
        "image": settings.proxy_image,
        "args": list(arguments or settings.gateway_arguments),
        "env": _environment(settings, name),
        "ports": [
            {"name": "status-port", "containerPort": 15021, "protocol": "TCP"},
            {"name": "http2", "containerPort": 8080, "protocol": "TCP"},
            {"name": "https", "containerPort": 8443, "protocol": "TCP"},
            {"name": "http-envoy-prom", "containerPort": 15090, "protocol": "TCP"},
        ],
        "startupProbe": _probe(period_seconds=1, failures=600),
        "readinessProbe": _probe(period_seconds=15, failures=4),
        "volumeMounts": [
            {"name": "istio-token", "mountPath": "/var/run/secrets/tokens", "readOnly": True},
            {"name": "istiod-ca-cert", "mountPath": "/var/run/secrets/istio", "readOnly": True},
        ],
        "lifecycle": {"preStop": {"exec": {"command": ["bash", "-c", _drain(settings)]}}},
        **requests("50m", "64Mi"),
        **security(settings),
    }


def _drain(settings: InstallSettings) -> str:
    """Tell Envoy to send its clients elsewhere, and give them time to go: it ends at once when told to end.

    Only the administration interface can, which listens on loopback and wants a POST; Envoy's image has bash and
    nothing that speaks HTTP. On a cluster a load balancer has to notice as well.
    """
    seconds = 1 if settings.platform is Platform.LOCAL else 5
    request = r"POST /drain_listeners?graceful&skip_exit HTTP/1.1\r\nHost: admin\r\nContent-Length: 0\r\n\r\n"
    return f"exec 3<>/dev/tcp/127.0.0.1/15000 && printf '{request}' >&3 && sleep {seconds}"


def _environment(settings: InstallSettings, name: str) -> list[Object]:
    """Who the gateway is, for the metrics' labels; the same names as in a sidecar."""
    fields = {"POD_NAME": "metadata.name", "POD_NAMESPACE": "metadata.namespace", "POD_IP": "status.podIP"}
    values = {
        "KAIKI_WORKLOAD": name,
        "KAIKI_APP": name,
        "KAIKI_VERSION": UNKNOWN,
        "KAIKI_CANONICAL_SERVICE": name,
        "KAIKI_CANONICAL_REVISION": "latest",
        "KAIKI_CLUSTER": settings.cluster_name,
        "KAIKI_WORKLOAD_NAMESPACE": settings.namespace,
        "KAIKI_LABELS": f"{name};{settings.namespace};{name};{UNKNOWN};{name};latest;{settings.cluster_name}",
    }
    return [
        *({"name": field, "valueFrom": {"fieldRef": {"fieldPath": path}}} for field, path in fields.items()),
        *({"name": field, "value": value} for field, value in values.items()),
        {"name": "OTEL_RESOURCE_ATTRIBUTES", "value": f"service.name={name}.$(POD_NAMESPACE)"},
    ]


def _probe(period_seconds: int, failures: int) -> Object:
    request: dict[str, Any] = {"path": "/healthz/ready", "port": 15021}
    return {"httpGet": request, "periodSeconds": period_seconds, "timeoutSeconds": 3, "failureThreshold": failures}


def gateway_volumes() -> list[Object]:
    """The token a gateway proves itself by, and the root of the control plane."""
    token = {"audience": "istio-ca", "expirationSeconds": _TOKEN_SECONDS, "path": "istio-token"}
    return [
        {"name": "istio-token", "projected": {"sources": [{"serviceAccountToken": token}]}},
        {"name": "istiod-ca-cert", "configMap": {"name": "istio-ca-root-cert"}},
    ]
