"""The control plane: one Deployment that serves configuration (15012), webhooks (15017) and its own metrics (15014)."""

from __future__ import annotations

from kaiki.manifests.base import ISTIO_GROUPS
from kaiki.manifests.objects import (
    READ,
    Object,
    cluster_rights,
    deployment,
    own_container,
    own_namespace_rights,
    requests,
    rule,
    service,
    service_account,
)
from kaiki.manifests.settings import InstallSettings
from kaiki.manifests.webhooks import INJECTOR, validator_name, webhook_manifests

NAME = "istiod"
_SELECTOR = {"app": "istiod", "istio": "pilot"}
_PORTS = (("grpc-xds-tls", 15012, 15012), ("https-webhook", 443, 15017), ("http-monitoring", 15014, 15014))
_STATUS = ("get", "update", "patch")


def istiod_manifests(settings: InstallSettings) -> list[Object]:
    """Account, rights, service, deployment; the webhooks last, because they are answered by it."""
    labels = {**_SELECTOR, "istio.io/rev": settings.revision}
    container = {
        **own_container(
            "discovery",
            settings,
            ["control-plane", f"--namespace={settings.namespace}", f"--capture={settings.capture}"],
            {"grpc-xds-tls": 15012, "https-webhook": 15017, "monitoring": 15014},
            {"path": "/ready", "port": 15014},
        ),
        **requests("50m", "96Mi"),
    }
    annotations = {"prometheus.io/scrape": "true", "prometheus.io/port": "15014", "prometheus.io/path": "/metrics"}
    return [
        service_account(NAME, settings, labels),
        *cluster_rights(NAME, settings, labels, _cluster_rules(settings)),
        *own_namespace_rights(NAME, settings, labels, _own_rules()),
        service(NAME, settings, labels, _SELECTOR, _PORTS),
        deployment(NAME, settings, container, labels, _SELECTOR, annotations=annotations),
        *webhook_manifests(settings),
    ]


def _cluster_rules(settings: InstallSettings) -> list[Object]:
    """Reads what configures a mesh; writes status, root certificate ConfigMaps, gateways, and its own two webhooks."""
    gateway_api = "gateway.networking.k8s.io"
    admission = "admissionregistration.k8s.io"
    return [
        rule("", ["services", "pods", "nodes", "namespaces", "secrets", "endpoints"], READ),
        rule("", ["configmaps"], [*READ, "create", "update", "patch"]),
        rule("", ["services", "serviceaccounts"], [*READ, "create", "update", "patch", "delete"]),
        rule("", ["events"], ["create", "patch"]),
        rule("apps", ["deployments"], [*READ, "create", "update", "patch", "delete"]),
        rule("apps", ["replicasets", "statefulsets", "daemonsets"], READ),
        rule("discovery.k8s.io", ["endpointslices"], READ),
        rule("networking.k8s.io", ["ingresses", "ingressclasses"], READ),
        rule("networking.k8s.io", ["ingresses/status"], _STATUS),
        *(rule(group, ["*"], READ) for group in ISTIO_GROUPS),
        *(rule(group, ["*/status"], _STATUS) for group in ISTIO_GROUPS),
        rule(gateway_api, ["*"], READ),
        rule(gateway_api, ["*/status"], _STATUS),
        rule(gateway_api, ["gatewayclasses"], ["create", "update", "patch"]),
        rule("apiextensions.k8s.io", ["customresourcedefinitions"], READ),
        rule("authentication.k8s.io", ["tokenreviews"], ["create"]),
        rule("authorization.k8s.io", ["subjectaccessreviews"], ["create"]),
        rule(admission, ["mutatingwebhookconfigurations", "validatingwebhookconfigurations"], READ),
        rule(admission, ["mutatingwebhookconfigurations"], ["update", "patch"], [INJECTOR]),
        rule(admission, ["validatingwebhookconfigurations"], ["update", "patch"], [validator_name(settings)]),
    ]


def _own_rules() -> list[Object]:
    """In its own namespace: the certificate authority's key, the webhook's certificate, and the leader's lease."""
    return [
        rule("", ["secrets"], ["create", "update", "patch"]),
        rule("coordination.k8s.io", ["leases"], [*READ, "create", "update", "patch"]),
    ]
