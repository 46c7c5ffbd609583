"""What Kubernetes's built-in admission does to new pods: the service account, and its token mounted in each
container.
"""

from __future__ import annotations

import random
import string
from typing import Any

from kaiki.apiserver.errors import forbidden
from kaiki.apiserver.limit_ranges import apply_limit_ranges, limit_complaints
from kaiki.apiserver.requests import ApiRequest
from kaiki.apiserver.store import Store

TOKEN_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount"
SERVICE_ACCOUNTS = "/serviceaccounts"
LIMIT_RANGES = "/limitranges"
Object = dict[str, Any]


def admit_pod(request: ApiRequest, pod: Object, store: Store) -> None:
    """Complete a new pod in place. ApiError 403 when its service account does not exist."""
    spec = pod["spec"]
    name = spec.get("serviceAccountName") or "default"
    spec["serviceAccountName"] = spec["serviceAccount"] = name
    account = store.get(SERVICE_ACCOUNTS, request.namespace, name)
    if account is None and name != "default":
        why = f'error looking up service account {request.namespace}/{name}: serviceaccount "{name}" not found'
        raise forbidden(request.kind, pod["metadata"].get("name", ""), why)
    mounts = spec.get("automountServiceAccountToken")
    if mounts is None:
        # `default` is made by a controller just after its namespace; a pod that comes first is not refused for that.
        mounts = account.load().get("automountServiceAccountToken", True) if account else True
    if mounts:
        _mount_token(spec)
    _complete(spec)
    apply_limit_ranges(pod, [record.load() for record in store.list(LIMIT_RANGES, request.namespace)])
    pod["status"] = {"phase": "Pending", "qosClass": quality_of_service(spec)}


def check_limits(request: ApiRequest, pod: Object, store: Store) -> None:
    """ApiError 403 when a complete pod, its sidecar included, is outside its namespace's limits."""
    ranges = [record.load() for record in store.list(LIMIT_RANGES, request.namespace)]
    complaints = limit_complaints(pod, ranges) if ranges else []
    if complaints:
        why = complaints[0] if len(complaints) == 1 else f"[{', '.join(complaints)}]"
        raise forbidden(request.kind, pod["metadata"].get("name", ""), why)


def _mount_token(spec: Object) -> None:
    volumes = spec.setdefault("volumes", [])
    if any(volume["name"].startswith("kube-api-access-") for volume in volumes):
        return
    name = "kube-api-access-" + "".join(random.choices(string.ascii_lowercase + string.digits, k=5))
    mounted = False
    for container in (*(spec.get("initContainers") or ()), *spec["containers"]):
        mounts = container.setdefault("volumeMounts", [])
        if not any(mount.get("mountPath") == TOKEN_FOLDER for mount in mounts):
            mounts.append({"name": name, "readOnly": True, "mountPath": TOKEN_FOLDER})
            mounted = True
    if mounted:
        volumes.append(_token_volume(name))
    elif not volumes:
        del spec["volumes"]


def _token_volume(name: str) -> Object:
    authority = {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}
    namespace = {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
    return {
        "name": name,
        "projected": {
            "defaultMode": 420,
            "sources": [
                {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                {"configMap": authority},
                {"downwardAPI": {"items": [namespace]}},
            ],
        },
    }


def _complete(spec: Object) -> None:
    spec.setdefault("priority", 0)
    spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
    tolerations = spec.setdefault("tolerations", [])
    for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"):
        if not any(each.get("key") in (key, None) for each in tolerations):
            tolerations.append({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300})


def quality_of_service(spec: Object) -> str:
    """Guaranteed, Burstable or BestEffort, by the containers' requests and limits."""
    resources = [each.get("resources") or {} for each in (*(spec.get("initContainers") or ()), *spec["containers"])]
    if not any(each.get("requests") or each.get("limits") for each in resources):
        return "BestEffort"
    for each in resources:
        limits, requests = each.get("limits") or {}, each.get("requests") or {}
        if not {"cpu", "memory"} <= limits.keys() or any(
            requests.get(key, limits[key]) != limits[key] for key in limits
        ):
            return "Burstable"
    return "Guaranteed"
