"""The built-in kinds this server stores: one row each, from which routes, discovery, validation and OpenAPI follow.

A `ResourceType` is what the rest of the server works with, for built-in kinds and for custom resources alike. The table
holds what Kubernetes's OpenAPI does not say: plural names, short names, categories, which kinds count generations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
CREATE_ONLY = ("create",)
READ_ONLY = ("get", "list")


@dataclass(frozen=True)
class Subresource:
    """A path below an object: `/status`, `/scale`, `/token`… `group`/`version` empty means the parent's.

    `paths` are, for a custom resource's scale, where the wanted and the present replicas and the label selector are.
    """

    name: str
    kind: str
    verbs: tuple[str, ...] = ("get", "patch", "update")
    group: str = ""
    version: str = ""
    paths: tuple[str, str, str] = (".spec.replicas", ".status.replicas", "")


@dataclass(frozen=True)
class PrinterColumn:
    """One column of a custom resource's table, as a CRD's `additionalPrinterColumns` describes it."""

    name: str
    type: str
    path: str
    priority: int = 0
    format: str = ""
    description: str = ""


@dataclass(frozen=True, eq=False)
class ResourceType:
    """One kind under one API version.

    `storage` names the collection its objects are kept in; several versions of one kind share it. `definition` names a
    built-in schema; `load_schema` reads a custom resource's, only when somebody needs it: a mesh has scores of CRDs
    with megabytes of schemas, and most are never used.
    """

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[Subresource, ...] = ()
    verbs: tuple[str, ...] = ALL_VERBS
    generation: bool = False
    singular: str = ""
    list_kind: str = ""
    definition: str = ""
    custom: bool = False
    load_schema: Callable[[], Mapping[str, Any]] | None = None
    schema_hash: str = ""
    columns: tuple[PrinterColumn, ...] = ()
    selectable_paths: tuple[str, ...] = ()
    storage_version: str = ""
    storage_name: str = ""

    @cached_property
    def api_version(self) -> str:
        """`group/version`, or `version` alone for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @cached_property
    def storage(self) -> str:
        """The collection's name in the store."""
        return self.storage_name or f"{self.group}/{self.plural}"

    @cached_property
    def singular_name(self) -> str:
        return self.singular or self.kind.lower()

    @cached_property
    def collection_kind(self) -> str:
        """The kind of a list of these."""
        return self.list_kind or f"{self.kind}List"

    @cached_property
    def qualified_name(self) -> str:
        """`deployments.apps`, as error messages write it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @cached_property
    def schema(self) -> Mapping[str, Any] | None:
        """A custom resource's schema without its descriptions; None for built-in kinds."""
        return _without_descriptions(self.load_schema()) if self.load_schema else None

    @cached_property
    def has_status(self) -> bool:
        return any(subresource.name == "status" for subresource in self.subresources)

    def subresource(self, name: str) -> Subresource | None:
        """The subresource of this name, or None."""
        return next((subresource for subresource in self.subresources if subresource.name == name), None)


def _without_descriptions(value: Any, in_properties: bool = False) -> Any:
    if isinstance(value, list):
        return [_without_descriptions(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _without_descriptions(item, key == "properties" and not in_properties)
        for key, item in value.items()
        if in_properties or key not in ("description", "x-kubernetes-validations")
    }


def _row(group: str, version: str, kind: str, plural: str, flags: str = "", short: str = "") -> ResourceType:
    """One built-in kind. Flags: `c` cluster-scoped, `s` status, `x` scale, `a` category all, `g` counts generations.

    `e` is the category api-extensions; `r` kinds that are asked and not stored, `l` those that can only be read.
    """
    subresources = [Subresource("status", kind)] if "s" in flags else []
    if "x" in flags:
        subresources.append(Subresource("scale", "Scale", group="autoscaling", version="v1"))
    return ResourceType(
        group=group,
        version=version,
        kind=kind,
        plural=plural,
        namespaced="c" not in flags,
        short_names=tuple(short.split()),
        categories=("all",) if "a" in flags else ("api-extensions",) if "e" in flags else (),
        subresources=(*subresources, *_EXTRA_SUBRESOURCES.get(plural, ())),
        verbs=CREATE_ONLY if "r" in flags else READ_ONLY if "l" in flags else ALL_VERBS,
        generation="g" in flags,
        definition=_definition(group, version, kind),
        # Events of both groups are the same objects.
        storage_name="/events" if plural == "events" else "",
    )


_EXTRA_SUBRESOURCES = {
    "pods": (
        Subresource("log", "Pod", ("get",)),
        Subresource("binding", "Binding", ("create",)),
        Subresource("eviction", "Eviction", ("create",), "policy", "v1"),
        Subresource("ephemeralcontainers", "Pod"),
        Subresource("resize", "Pod"),
    ),
    "namespaces": (Subresource("finalize", "Namespace", ("update",)),),
    "certificatesigningrequests": (Subresource("approval", "CertificateSigningRequest"),),
    "serviceaccounts": (Subresource("token", "TokenRequest", ("create",), "authentication.k8s.io", "v1"),),
}

_PACKAGES = {
    "": "io.k8s.api.core",
    "apps": "io.k8s.api.apps",
    "batch": "io.k8s.api.batch",
    "autoscaling": "io.k8s.api.autoscaling",
    "policy": "io.k8s.api.policy",
    "networking.k8s.io": "io.k8s.api.networking",
    "rbac.authorization.k8s.io": "io.k8s.api.rbac",
    "coordination.k8s.io": "io.k8s.api.coordination",
    "discovery.k8s.io": "io.k8s.api.discovery",
    "events.k8s.io": "io.k8s.api.events",
    "scheduling.k8s.io": "io.k8s.api.scheduling",
    "storage.k8s.io": "io.k8s.api.storage",
    "certificates.k8s.io": "io.k8s.api.certificates",
    "flowcontrol.apiserver.k8s.io": "io.k8s.api.flowcontrol",
    "node.k8s.io": "io.k8s.api.node",
    "resource.k8s.io": "io.k8s.api.resource",
    "admissionregistration.k8s.io": "io.k8s.api.admissionregistration",
    "authentication.k8s.io": "io.k8s.api.authentication",
    "authorization.k8s.io": "io.k8s.api.authorization",
    "storagemigration.k8s.io": "io.k8s.api.storagemigration",
    "internal.apiserver.k8s.io": "io.k8s.api.apiserverinternal",
    "apiregistration.k8s.io": "io.k8s.kube-aggregator.pkg.apis.apiregistration",
    "apiextensions.k8s.io": "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions",
}


def _definition(group: str, version: str, kind: str) -> str:
    return f"{_PACKAGES[group]}.{version}.{kind}"


_RBAC = "rbac.authorization.k8s.io"
_ADMISSION = "admissionregistration.k8s.io"

BUILT_IN: tuple[ResourceType, ...] = (
    _row("", "v1", "Namespace", "namespaces", "cs", "ns"),
    _row("", "v1", "Pod", "pods", "sag", "po"),
    _row("", "v1", "Service", "services", "sa", "svc"),
    _row("", "v1", "Endpoints", "endpoints", "", "ep"),
    _row("", "v1", "ServiceAccount", "serviceaccounts", "", "sa"),
    _row("", "v1", "ConfigMap", "configmaps", "", "cm"),
    _row("", "v1", "Secret", "secrets"),
    _row("", "v1", "Event", "events", "", "ev"),
    _row("", "v1", "Node", "nodes", "cs", "no"),
    _row("", "v1", "LimitRange", "limitranges", "", "limits"),
    _row("", "v1", "ResourceQuota", "resourcequotas", "s", "quota"),
    _row("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", "s", "pvc"),
    _row("", "v1", "PersistentVolume", "persistentvolumes", "cs", "pv"),
    _row("apps", "v1", "Deployment", "deployments", "sxag", "deploy"),
    _row("apps", "v1", "ReplicaSet", "replicasets", "sxag", "rs"),
    _row("apps", "v1", "StatefulSet", "statefulsets", "sxag", "sts"),
    _row("apps", "v1", "DaemonSet", "daemonsets", "sag", "ds"),
    _row("apps", "v1", "ControllerRevision", "controllerrevisions"),
    _row("batch", "v1", "Job", "jobs", "sag"),
    _row("batch", "v1", "CronJob", "cronjobs", "sag", "cj"),
    _row("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", "sa", "hpa"),
    _row("autoscaling", "v1", "HorizontalPodAutoscaler", "horizontalpodautoscalers", "sa", "hpa"),
    _row("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", "sg", "pdb"),
    _row("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", "g", "netpol"),
    _row("networking.k8s.io", "v1", "Ingress", "ingresses", "sg", "ing"),
    _row("networking.k8s.io", "v1", "IngressClass", "ingressclasses", "cg"),
    _row(_RBAC, "v1", "Role", "roles"),
    _row(_RBAC, "v1", "RoleBinding", "rolebindings"),
    _row(_RBAC, "v1", "ClusterRole", "clusterroles", "c"),
    _row(_RBAC, "v1", "ClusterRoleBinding", "clusterrolebindings", "c"),
    _row("coordination.k8s.io", "v1", "Lease", "leases"),
    _row("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", "g"),
    _row("events.k8s.io", "v1", "Event", "events", "", "ev"),
    _row("scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses", "cg", "pc"),
    _row("storage.k8s.io", "v1", "StorageClass", "storageclasses", "c", "sc"),
    _row(_ADMISSION, "v1", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations", "ceg"),
    _row(_ADMISSION, "v1", "ValidatingWebhookConfiguration", "validatingwebhookconfigurations", "ceg"),
    _row("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", "csge", "crd crds"),
    _row("", "v1", "ReplicationController", "replicationcontrollers", "sxag", "rc"),
    _row("", "v1", "PodTemplate", "podtemplates"),
    _row(_ADMISSION, "v1", "ValidatingAdmissionPolicy", "validatingadmissionpolicies", "cseg"),
    _row(_ADMISSION, "v1", "ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings", "ce"),
    _row(_ADMISSION, "v1", "MutatingAdmissionPolicy", "mutatingadmissionpolicies", "ceg"),
    _row(_ADMISSION, "v1", "MutatingAdmissionPolicyBinding", "mutatingadmissionpolicybindings", "ce"),
    _row("certificates.k8s.io", "v1", "CertificateSigningRequest", "certificatesigningrequests", "cs", "csr"),
    _row("flowcontrol.apiserver.k8s.io", "v1", "FlowSchema", "flowschemas", "csg"),
    _row("flowcontrol.apiserver.k8s.io", "v1", "PriorityLevelConfiguration", "prioritylevelconfigurations", "csg"),
    _row("networking.k8s.io", "v1", "IPAddress", "ipaddresses", "c", "ip"),
    _row("networking.k8s.io", "v1", "ServiceCIDR", "servicecidrs", "cs"),
    _row("node.k8s.io", "v1", "RuntimeClass", "runtimeclasses", "c"),
    _row("resource.k8s.io", "v1", "DeviceClass", "deviceclasses", "cg"),
    _row("resource.k8s.io", "v1", "ResourceClaim", "resourceclaims", "s"),
    _row("resource.k8s.io", "v1", "ResourceClaimTemplate", "resourceclaimtemplates"),
    _row("resource.k8s.io", "v1", "ResourceSlice", "resourceslices", "cg"),
    _row("storage.k8s.io", "v1", "CSIDriver", "csidrivers", "c"),
    _row("storage.k8s.io", "v1", "CSINode", "csinodes", "c"),
    _row("storage.k8s.io", "v1", "CSIStorageCapacity", "csistoragecapacities"),
    _row("storage.k8s.io", "v1", "VolumeAttachment", "volumeattachments", "cs"),
    _row("storage.k8s.io", "v1", "VolumeAttributesClass", "volumeattributesclasses", "c", "vac"),
    _row("", "v1", "ComponentStatus", "componentstatuses", "cl", "cs"),
    _row("apiregistration.k8s.io", "v1", "APIService", "apiservices", "cse"),
    # Kinds that have no stable version yet, each in its newest.
    _row("certificates.k8s.io", "v1beta1", "ClusterTrustBundle", "clustertrustbundles", "c"),
    _row("certificates.k8s.io", "v1beta1", "PodCertificateRequest", "podcertificaterequests", "s"),
    _row("coordination.k8s.io", "v1beta1", "LeaseCandidate", "leasecandidates"),
    _row("internal.apiserver.k8s.io", "v1alpha1", "StorageVersion", "storageversions", "cs"),
    _row("resource.k8s.io", "v1beta2", "DeviceTaintRule", "devicetaintrules", "csg"),
    _row("resource.k8s.io", "v1alpha3", "ResourcePoolStatusRequest", "resourcepoolstatusrequests", "cs"),
    _row("scheduling.k8s.io", "v1alpha2", "PodGroup", "podgroups", "s"),
    _row("scheduling.k8s.io", "v1alpha2", "Workload", "workloads"),
    _row("storagemigration.k8s.io", "v1beta1", "StorageVersionMigration", "storageversionmigrations", "cs"),
    _row("authentication.k8s.io", "v1", "TokenReview", "tokenreviews", "cr"),
    _row("authentication.k8s.io", "v1", "SelfSubjectReview", "selfsubjectreviews", "cr"),
    _row("authorization.k8s.io", "v1", "SubjectAccessReview", "subjectaccessreviews", "cr"),
    _row("authorization.k8s.io", "v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews", "cr"),
    _row("authorization.k8s.io", "v1", "SelfSubjectRulesReview", "selfsubjectrulesreviews", "cr"),
    _row("authorization.k8s.io", "v1", "LocalSubjectAccessReview", "localsubjectaccessreviews", "r"),
)


# Kinds that something on this machine acts on; all others are stored, served, and said to be no more than that.
_ACTED_ON = frozenset(
    [
        "poddisruptionbudgets",
        "namespaces",
        "pods",
        "services",
        "endpoints",
        "serviceaccounts",
        "configmaps",
        "secrets",
        "events",
        "nodes",
        "limitranges",
        "resourcequotas",
        "persistentvolumeclaims",
        "deployments",
        "replicasets",
        "statefulsets",
        "daemonsets",
        "controllerrevisions",
        "jobs",
        "roles",
        "rolebindings",
        "clusterroles",
        "clusterrolebindings",
        "leases",
        "endpointslices",
        "mutatingwebhookconfigurations",
        "validatingwebhookconfigurations",
        "customresourcedefinitions",
        "certificatesigningrequests",
        "ingresses",
        "ingressclasses",
        "componentstatuses",
    ]
)


def is_idle(kind: ResourceType) -> bool:
    """Whether objects of this kind are only kept."""
    return not kind.custom and kind.plural not in _ACTED_ON


def _body(group: str, version: str, kind: str, definition: str = "") -> ResourceType:
    return ResourceType(group, version, kind, "", definition=definition or _definition(group, version, kind))


# What is sent and answered but never stored.
SCALE = _body("autoscaling", "v1", "Scale")
EVICTION = _body("policy", "v1", "Eviction")
BINDING = _body("", "v1", "Binding")
TOKEN_REQUEST = _body("authentication.k8s.io", "v1", "TokenRequest")
DELETE_OPTIONS = _body("", "v1", "DeleteOptions", "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions")
# Definitions that are not kinds of their own but are sent or answered, so OpenAPI must describe them.
EXTRA_DEFINITIONS: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("", "v1"): ("io.k8s.api.core.v1.Binding", "io.k8s.apimachinery.pkg.apis.meta.v1.Status"),
    ("autoscaling", "v1"): ("io.k8s.api.autoscaling.v1.Scale",),
    ("policy", "v1"): ("io.k8s.api.policy.v1.Eviction",),
    ("authentication.k8s.io", "v1"): ("io.k8s.api.authentication.v1.TokenRequest",),
}
