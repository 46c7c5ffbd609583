"""The resource types Kaiki reads and writes, and the paths they live under.

Built-in and mesh types are constants so that no discovery request is needed before the first list; any other type is
found through `KubeClient.discover`.
"""

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ResourceType:
    """One collection of the API: group (empty for the core), version, plural, kind, and whether it has namespaces."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """As `apiVersion` in objects: `v1`, `apps/v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """The URL path of the collection, the object or its subresource. `namespace` is ignored for cluster types."""
        parts = ["apis", self.group, self.version] if self.group else ["api", self.version]
        if namespace and self.namespaced:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(self.plural)
        parts += [quote(part, safe="") for part in (name, subresource) if part]
        return "/" + "/".join(parts)

    def describe(self, namespace: str | None = None, name: str | None = None) -> str:
        """For messages: `Pod default/web`, `Pod list in default`."""
        if name is None:
            return f"{self.kind} list" + (f" in {namespace}" if namespace and self.namespaced else "")
        return f"{self.kind} {namespace}/{name}" if namespace and self.namespaced else f"{self.kind} {name}"


def _core(plural: str, kind: str, namespaced: bool = True) -> ResourceType:
    return ResourceType("", "v1", plural, kind, namespaced)


NAMESPACES = _core("namespaces", "Namespace", False)
NODES = _core("nodes", "Node", False)
PERSISTENT_VOLUMES = _core("persistentvolumes", "PersistentVolume", False)
PODS = _core("pods", "Pod")
SERVICES = _core("services", "Service")
ENDPOINTS = _core("endpoints", "Endpoints")
CONFIG_MAPS = _core("configmaps", "ConfigMap")
SECRETS = _core("secrets", "Secret")
SERVICE_ACCOUNTS = _core("serviceaccounts", "ServiceAccount")
EVENTS = _core("events", "Event")
PERSISTENT_VOLUME_CLAIMS = _core("persistentvolumeclaims", "PersistentVolumeClaim")
RESOURCE_QUOTAS = _core("resourcequotas", "ResourceQuota")
LIMIT_RANGES = _core("limitranges", "LimitRange")
REPLICATION_CONTROLLERS = _core("replicationcontrollers", "ReplicationController")

DEPLOYMENTS = ResourceType("apps", "v1", "deployments", "Deployment")
REPLICA_SETS = ResourceType("apps", "v1", "replicasets", "ReplicaSet")
STATEFUL_SETS = ResourceType("apps", "v1", "statefulsets", "StatefulSet")
DAEMON_SETS = ResourceType("apps", "v1", "daemonsets", "DaemonSet")
JOBS = ResourceType("batch", "v1", "jobs", "Job")
CRON_JOBS = ResourceType("batch", "v1", "cronjobs", "CronJob")
HORIZONTAL_POD_AUTOSCALERS = ResourceType("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler")
POD_DISRUPTION_BUDGETS = ResourceType("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget")
NETWORK_POLICIES = ResourceType("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy")
INGRESSES = ResourceType("networking.k8s.io", "v1", "ingresses", "Ingress")
INGRESS_CLASSES = ResourceType("networking.k8s.io", "v1", "ingressclasses", "IngressClass", False)
ENDPOINT_SLICES = ResourceType("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")
LEASES = ResourceType("coordination.k8s.io", "v1", "leases", "Lease")
CUSTOM_RESOURCE_DEFINITIONS = ResourceType(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", False
)
MUTATING_WEBHOOKS = ResourceType(
    "admissionregistration.k8s.io", "v1", "mutatingwebhookconfigurations", "MutatingWebhookConfiguration", False
)
VALIDATING_WEBHOOKS = ResourceType(
    "admissionregistration.k8s.io", "v1", "validatingwebhookconfigurations", "ValidatingWebhookConfiguration", False
)
TOKEN_REVIEWS = ResourceType("authentication.k8s.io", "v1", "tokenreviews", "TokenReview", False)
SUBJECT_ACCESS_REVIEWS = ResourceType(
    "authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", False
)
ROLES = ResourceType("rbac.authorization.k8s.io", "v1", "roles", "Role")
ROLE_BINDINGS = ResourceType("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding")
CLUSTER_ROLES = ResourceType("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", False)
CLUSTER_ROLE_BINDINGS = ResourceType(
    "rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", False
)
PRIORITY_CLASSES = ResourceType("scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", False)


def _networking(plural: str, kind: str, version: str = "v1") -> ResourceType:
    return ResourceType("networking.istio.io", version, plural, kind)


VIRTUAL_SERVICES = _networking("virtualservices", "VirtualService")
DESTINATION_RULES = _networking("destinationrules", "DestinationRule")
GATEWAYS = _networking("gateways", "Gateway")
SERVICE_ENTRIES = _networking("serviceentries", "ServiceEntry")
SIDECARS = _networking("sidecars", "Sidecar")
WORKLOAD_ENTRIES = _networking("workloadentries", "WorkloadEntry")
WORKLOAD_GROUPS = _networking("workloadgroups", "WorkloadGroup")
ENVOY_FILTERS = _networking("envoyfilters", "EnvoyFilter", "v1alpha3")
PROXY_CONFIGS = _networking("proxyconfigs", "ProxyConfig", "v1beta1")
AUTHORIZATION_POLICIES = ResourceType("security.istio.io", "v1", "authorizationpolicies", "AuthorizationPolicy")
PEER_AUTHENTICATIONS = ResourceType("security.istio.io", "v1", "peerauthentications", "PeerAuthentication")
REQUEST_AUTHENTICATIONS = ResourceType("security.istio.io", "v1", "requestauthentications", "RequestAuthentication")
TELEMETRIES = ResourceType("telemetry.istio.io", "v1", "telemetries", "Telemetry")
WASM_PLUGINS = ResourceType("extensions.istio.io", "v1alpha1", "wasmplugins", "WasmPlugin")

GATEWAY_CLASSES = ResourceType("gateway.networking.k8s.io", "v1", "gatewayclasses", "GatewayClass", False)
KUBERNETES_GATEWAYS = ResourceType("gateway.networking.k8s.io", "v1", "gateways", "Gateway")
HTTP_ROUTES = ResourceType("gateway.networking.k8s.io", "v1", "httproutes", "HTTPRoute")
GRPC_ROUTES = ResourceType("gateway.networking.k8s.io", "v1", "grpcroutes", "GRPCRoute")
TLS_ROUTES = ResourceType("gateway.networking.k8s.io", "v1", "tlsroutes", "TLSRoute")
LISTENER_SETS = ResourceType("gateway.networking.k8s.io", "v1", "listenersets", "ListenerSet")
TCP_ROUTES = ResourceType("gateway.networking.k8s.io", "v1", "tcproutes", "TCPRoute")
REFERENCE_GRANTS = ResourceType("gateway.networking.k8s.io", "v1beta1", "referencegrants", "ReferenceGrant")
BACKEND_TLS_POLICIES = ResourceType("gateway.networking.k8s.io", "v1", "backendtlspolicies", "BackendTLSPolicy")

KNOWN_TYPES: tuple[ResourceType, ...] = tuple(
    value for value in list(globals().values()) if isinstance(value, ResourceType)
)
_BY_KIND: dict[tuple[str, str], ResourceType] = {(known.group, known.kind): known for known in KNOWN_TYPES}


def find_type(api_version: str, kind: str) -> ResourceType | None:
    """The known type of a kind, in the version asked for; None when Kaiki does not know the kind."""
    group, _, version = api_version.rpartition("/")
    known = _BY_KIND.get((group, kind))
    if known is None or known.version == version:
        return known
    return ResourceType(group, version, known.plural, kind, known.namespaced)


def resource_for(obj: Object) -> ResourceType:
    """The type of an object, by its `apiVersion` and `kind`.

    Raises LookupError for kinds Kaiki has no constant for: `KubeClient.discover` asks the server about those.
    """
    api_version, kind = str(obj.get("apiVersion", "")), str(obj.get("kind", ""))
    found = find_type(api_version, kind)
    if found is None:
        raise LookupError(f"no resource type is known for kind {kind!r} in {api_version!r}; ask the server: discover()")
    return found


def namespace_of(obj: Object) -> str:
    """`metadata.namespace`, empty for cluster objects."""
    return str(obj["metadata"].get("namespace") or "")


def name_of(obj: Object) -> str:
    """`metadata.name`."""
    return str(obj["metadata"]["name"])
