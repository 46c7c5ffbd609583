"""The control plane's webhooks: injection of pods, validation of Istio's resources.

`caBundle` is missing on purpose: the control plane writes it when it knows its certificate, and applying these objects
again must not take it away.
"""

from __future__ import annotations

from kaiki.manifests.base import ISTIO_GROUPS
from kaiki.manifests.objects import Object, metadata
from kaiki.manifests.settings import InstallSettings

INJECTOR = "istio-sidecar-injector"
_GATEWAY_API = ("gateway.networking.k8s.io", "gateway.networking.x-k8s.io")
_POD_KEY = "sidecar.istio.io/inject"
_NAMESPACE_KEY = "istio-injection"
_REVISION_KEY = "istio.io/rev"


def validator_name(settings: InstallSettings) -> str:
    """The validating configuration's name carries the namespace, as Istio's does."""
    return f"istio-validator-{settings.namespace}"


def webhook_manifests(settings: InstallSettings) -> list[Object]:
    """Both configurations. Validation starts as Ignore; the control plane turns it to Fail once it answers."""
    labels = {"app": "sidecar-injector", _REVISION_KEY: settings.revision}
    api_version = "admissionregistration.k8s.io/v1"
    return [
        {
            "apiVersion": api_version,
            "kind": "MutatingWebhookConfiguration",
            "metadata": metadata(INJECTOR, labels),
            "webhooks": _injection_webhooks(settings),
        },
        {
            "apiVersion": api_version,
            "kind": "ValidatingWebhookConfiguration",
            "metadata": metadata(validator_name(settings), {"app": "istiod", _REVISION_KEY: settings.revision}),
            "webhooks": [_validation_webhook(settings), _journal_webhook(settings)],
        },
    ]


def _injection_webhooks(settings: InstallSettings) -> list[Object]:
    """The four ways to ask for a sidecar, no two of which match the same pod (Istio's default injector).

    By the namespace's revision, by the pod's revision, by the namespace's `istio-injection`, by the pod alone.
    """
    unlabelled = [_absent(_NAMESPACE_KEY), _absent(_REVISION_KEY)]
    not_refused = _unless(_POD_KEY, "false")
    ours = _among(_REVISION_KEY, settings.revision)
    ways = {
        "rev.namespace": ([ours, _absent(_NAMESPACE_KEY)], [not_refused]),
        "rev.object": (unlabelled, [not_refused, ours]),
        "namespace": ([_among(_NAMESPACE_KEY, "enabled")], [not_refused]),
        "object": (unlabelled, [_among(_POD_KEY, "true"), _absent(_REVISION_KEY)]),
    }
    return [
        {
            "name": f"{prefix}.sidecar-injector.istio.io",
            **_call(settings, "/inject"),
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]}],
            "namespaceSelector": {"matchExpressions": of_namespace},
            "objectSelector": {"matchExpressions": of_pod},
            "failurePolicy": "Fail",
            "reinvocationPolicy": "Never",
        }
        for prefix, (of_namespace, of_pod) in ways.items()
    ]


def _validation_webhook(settings: InstallSettings) -> Object:
    rule = {
        "apiGroups": [*ISTIO_GROUPS, *_GATEWAY_API],
        "apiVersions": ["*"],
        "resources": ["*"],
        "operations": ["CREATE", "UPDATE"],
    }
    return {
        "name": "validation.istio.io",
        **_call(settings, "/validate"),
        "rules": [rule],
        "failurePolicy": "Ignore",
    }


def _journal_webhook(settings: InstallSettings) -> Object:
    """Takes note of every change for the console's history. It never refuses, and may be down."""
    operations = ["CREATE", "UPDATE", "DELETE"]
    groups = [*ISTIO_GROUPS, *_GATEWAY_API]
    return {
        "name": "journal.kaiki.internal",
        **_call(settings, "/journal"),
        "sideEffects": "NoneOnDryRun",
        "timeoutSeconds": 2,
        "rules": [
            {"apiGroups": groups, "apiVersions": ["*"], "resources": ["*"], "operations": operations},
            {"apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"], "operations": ["UPDATE"]},
        ],
        "failurePolicy": "Ignore",
    }


def _call(settings: InstallSettings, path: str) -> Object:
    target = {"name": "istiod", "namespace": settings.namespace, "path": path, "port": 443}
    return {
        "clientConfig": {"service": target},
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "timeoutSeconds": 10,
    }


def _absent(key: str) -> Object:
    return {"key": key, "operator": "DoesNotExist"}


def _among(key: str, value: str) -> Object:
    return {"key": key, "operator": "In", "values": [value]}


def _unless(key: str, value: str) -> Object:
    return {"key": key, "operator": "NotIn", "values": [value]}
