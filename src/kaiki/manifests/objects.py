"""The shapes that installed objects share: metadata, a workload with probes, a service, an account with its rights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kaiki.manifests.settings import InstallSettings, Platform

MANAGED = {"app.kubernetes.io/managed-by": "kaiki"}
READ = ("get", "list", "watch")
UNPRIVILEGED_USER = 1337
Object = dict[str, Any]


def metadata(name: str, labels: Mapping[str, str], namespace: str = "") -> Object:
    """Metadata of an installed object; every one carries `app.kubernetes.io/managed-by: kaiki`."""
    return {"name": name, **({"namespace": namespace} if namespace else {}), "labels": {**labels, **MANAGED}}


def deployment(
    name: str,
    settings: InstallSettings,
    container: Object,
    labels: Mapping[str, str],
    selector: Mapping[str, str],
    *,
    account: str = "",
    annotations: Mapping[str, str] | None = None,
    volumes: Sequence[Object] = (),
    recreate: bool = False,
) -> Object:
    """A Deployment of one replica with one container; `recreate` for what must not run twice over one store."""
    template_metadata: Object = {"labels": {**labels, "sidecar.istio.io/inject": "false"}}
    if annotations:
        template_metadata["annotations"] = dict(annotations)
    strategy: Object = {"type": "Recreate"}
    if not recreate:
        strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    pod: Object = {
        "serviceAccountName": account or name,
        "terminationGracePeriodSeconds": 10,
        "containers": [container],
    }
    if volumes:
        pod["volumes"] = list(volumes)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(name, labels, settings.namespace),
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": dict(selector)},
            "strategy": strategy,
            "template": {"metadata": template_metadata, "spec": pod},
        },
    }


def own_container(
    name: str, settings: InstallSettings, arguments: Sequence[str], ports: Mapping[str, int], readiness: Object
) -> Object:
    """One of Kaiki's own parts. Readiness is asked every second: a part that is up should be used."""
    return {
        "name": name,
        "image": settings.kaiki_image,
        "args": list(arguments),
        "ports": [{"name": port_name, "containerPort": port, "protocol": "TCP"} for port_name, port in ports.items()],
        "readinessProbe": {"httpGet": readiness, "periodSeconds": 1, "timeoutSeconds": 3, "failureThreshold": 3},
        **security(settings),
    }


def security(settings: InstallSettings) -> Object:
    """A container's security context on a cluster. Locally the runtime runs everything as the user, without rights."""
    if settings.platform is Platform.LOCAL:
        return {}
    return {
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "runAsGroup": UNPRIVILEGED_USER,
            "runAsNonRoot": True,
            "runAsUser": UNPRIVILEGED_USER,
        }
    }


def service(
    name: str,
    settings: InstallSettings,
    labels: Mapping[str, str],
    selector: Mapping[str, str],
    ports: Iterable[tuple[str, int, int]],
    service_type: str = "",
) -> Object:
    """A Service; ports are (name, port, target port). Without a type it is left out, so a user's change survives."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(name, labels, settings.namespace),
        "spec": {
            **({"type": service_type} if service_type else {}),
            "selector": dict(selector),
            "ports": [
                {"name": port_name, "port": port, "targetPort": target, "protocol": "TCP"}
                for port_name, port, target in ports
            ],
        },
    }


def service_account(name: str, settings: InstallSettings, labels: Mapping[str, str]) -> Object:
    """A ServiceAccount in the installation's namespace."""
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata(name, labels, settings.namespace)}


def rule(group: str, resources: Iterable[str], verbs: Iterable[str], names: Iterable[str] = ()) -> Object:
    """One RBAC rule; `names` narrows it to single objects."""
    named = list(names)
    return {
        "apiGroups": [group],
        "resources": list(resources),
        "verbs": list(verbs),
        **({"resourceNames": named} if named else {}),
    }


def cluster_rights(
    account: str, settings: InstallSettings, labels: Mapping[str, str], rules: Sequence[Object]
) -> list[Object]:
    """A ClusterRole and its binding, named `<account>-<namespace>` so that two installations don't collide."""
    name = f"{account}-{settings.namespace}"
    return _rights("ClusterRole", name, account, settings, metadata(name, labels), rules)


def own_namespace_rights(
    account: str, settings: InstallSettings, labels: Mapping[str, str], rules: Sequence[Object]
) -> list[Object]:
    """A Role in the installation's own namespace, and its binding."""
    return _rights("Role", account, account, settings, metadata(account, labels, settings.namespace), rules)


def _rights(
    kind: str, name: str, account: str, settings: InstallSettings, shared: Object, rules: Sequence[Object]
) -> list[Object]:
    api_version = "rbac.authorization.k8s.io/v1"
    return [
        {"apiVersion": api_version, "kind": kind, "metadata": shared, "rules": list(rules)},
        {
            "apiVersion": api_version,
            "kind": f"{kind}Binding",
            "metadata": shared,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": settings.namespace}],
        },
    ]


def requests(cpu: str, memory: str) -> Object:
    """Resource requests as Kubernetes quantities; no limits, so that a burst is slowed and not killed."""
    return {"resources": {"requests": {"cpu": cpu, "memory": memory}}}
