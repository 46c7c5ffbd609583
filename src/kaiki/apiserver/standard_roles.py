"""The roles every cluster has: what users bind their own people and programs to (`view`, `edit`, `admin`…)."""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]
GROUP = "rbac.authorization.k8s.io"
_READ = ["get", "list", "watch"]
_WRITE = ["create", "delete", "deletecollection", "patch", "update"]
_SEEN = (
    ("", "bindings configmaps endpoints events limitranges namespaces namespaces/status persistentvolumeclaims pods "
         "pods/log pods/status replicationcontrollers replicationcontrollers/scale resourcequotas serviceaccounts "
         "services services/status"),
    ("apps", "controllerrevisions daemonsets daemonsets/status deployments deployments/scale deployments/status "
             "replicasets replicasets/scale replicasets/status statefulsets statefulsets/scale statefulsets/status"),
    ("batch", "cronjobs cronjobs/status jobs jobs/status"),
    ("autoscaling", "horizontalpodautoscalers horizontalpodautoscalers/status"),
    ("policy", "poddisruptionbudgets poddisruptionbudgets/status"),
    ("networking.k8s.io", "ingresses ingresses/status networkpolicies"),
    ("discovery.k8s.io", "endpointslices"),
)  # fmt: skip
_EDITED = (
    ("", "configmaps events persistentvolumeclaims pods replicationcontrollers replicationcontrollers/scale secrets "
         "serviceaccounts services pods/attach pods/exec pods/portforward pods/proxy pods/eviction services/proxy "
         "serviceaccounts/token"),
    ("apps", "daemonsets deployments deployments/rollback deployments/scale replicasets replicasets/scale statefulsets "
             "statefulsets/scale"),
    ("batch", "cronjobs jobs"),
    ("autoscaling", "horizontalpodautoscalers"),
    ("policy", "poddisruptionbudgets"),
    ("networking.k8s.io", "ingresses networkpolicies"),
    ("coordination.k8s.io", "leases"),
)  # fmt: skip
_DISCOVERED = [
    "/api",
    "/api/*",
    "/apis",
    "/apis/*",
    "/healthz",
    "/livez",
    "/openapi",
    "/openapi/*",
    "/readyz",
    "/version",
]
_REVIEWS = ["selfsubjectaccessreviews", "selfsubjectrulesreviews"]


def _rules(table: tuple[tuple[str, str], ...], verbs: list[str]) -> list[Object]:
    return [{"apiGroups": [group], "resources": resources.split(), "verbs": verbs} for group, resources in table]


def _role(name: str, rules: list[Object], aggregated_as: str = "", aggregates: bool = False) -> Object:
    labels = {"kubernetes.io/bootstrapping": "rbac-defaults"}
    if aggregated_as:
        labels[f"{GROUP}/aggregate-to-{aggregated_as}"] = "true"
    role: Object = {"kind": "ClusterRole", "metadata": {"name": name, "labels": labels}, "rules": rules}
    if aggregates:
        selector = {"matchLabels": {f"{GROUP}/aggregate-to-{name}": "true"}}
        role["aggregationRule"] = {"clusterRoleSelectors": [selector]}
    return role


def standard_roles() -> list[Object]:
    """The ClusterRoles. Users add to `view`, `edit` and `admin` by label, as Kubernetes's aggregation has it."""
    view = _rules(_SEEN, _READ)
    edit = [*view, *_rules(_EDITED, [*_READ, *_WRITE])]
    namespaced = {"apiGroups": [GROUP], "resources": ["roles", "rolebindings"], "verbs": [*_READ, *_WRITE]}
    reviews = {"apiGroups": ["authorization.k8s.io"], "resources": ["localsubjectaccessreviews"], "verbs": ["create"]}
    everything: Object = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
    own: Object = {"apiGroups": ["authorization.k8s.io"], "resources": _REVIEWS, "verbs": ["create"]}
    self_review: Object = {
        "apiGroups": ["authentication.k8s.io"],
        "resources": ["selfsubjectreviews"],
        "verbs": ["create"],
    }
    delegated = [
        {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]},
        {"apiGroups": ["authorization.k8s.io"], "resources": ["subjectaccessreviews"], "verbs": ["create"]},
    ]
    return [
        _role("cluster-admin", [everything, {"nonResourceURLs": ["*"], "verbs": ["*"]}]),
        _role("admin", [*edit, namespaced, reviews], aggregates=True),
        _role("edit", edit, aggregated_as="admin", aggregates=True),
        _role("view", view, aggregated_as="edit", aggregates=True),
        _role("system:basic-user", [own, self_review]),
        _role("system:discovery", [{"nonResourceURLs": _DISCOVERED, "verbs": ["get"]}]),
        _role(
            "system:public-info-viewer",
            [{"nonResourceURLs": ["/healthz", "/livez", "/readyz", "/version"], "verbs": ["get"]}],
        ),
        _role("system:auth-delegator", delegated),
    ]


def standard_bindings() -> list[Object]:
    """What holds for everybody who is known, and for the administrators."""
    bound = {
        "cluster-admin": "system:masters",
        "system:basic-user": "system:authenticated",
        "system:discovery": "system:authenticated",
        "system:public-info-viewer": "system:authenticated",
    }
    return [
        {
            "kind": "ClusterRoleBinding",
            "metadata": {"name": role, "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"}},
            "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": role},
            "subjects": [{"apiGroup": GROUP, "kind": "Group", "name": group}],
        }
        for role, group in bound.items()
    ]
