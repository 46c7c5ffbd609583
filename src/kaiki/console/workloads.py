"""From Kubernetes objects to the graph's registry: pure functions over plain dicts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from kaiki.graph import RegistryConfig, RegistryPod, RegistryService, RegistryWorkload
from kaiki.graph.tolerances import ANNOTATION, Tolerance, Tolerances, read_annotation, read_rules
from kaiki.model.identity import workload_labels
from kaiki.model.well_known import GATEWAY_NAME_LABEL, ROOT_NAMESPACE
from kaiki.model.workload import REACHABLE_CONDITION

Object = dict[str, Any]

PROXY_CONTAINER = "istio-proxy"
SETTINGS_NAME, SETTINGS_KEY = "kiali", "config.yaml"
"""The ConfigMap in the root namespace with the console's own settings, and its key: where Kiali has them."""


@dataclass(slots=True)
class _Pods:
    """The pods of one workload."""

    kind: str
    labels: dict[str, str] = field(default_factory=dict)
    count: int = 0
    ready: int = 0
    with_proxy: int = 0


def describe_workloads(deployments: Iterable[Object], pods: Iterable[Object]) -> tuple[RegistryWorkload, ...]:
    """Deployments, and whatever else owns pods (or the pods themselves), sorted by namespace and name."""
    found = _group_pods(pods)
    workloads = [_describe_deployment(deployment, found) for deployment in deployments]
    known = {(workload.namespace, workload.name) for workload in workloads}
    for (namespace, name), group in found.items():
        if (namespace, name) not in known:
            workloads.append(_describe(namespace, name, group.kind, group.labels, group, group.count, group.ready))
    return tuple(sorted(workloads, key=lambda item: (item.namespace, item.name)))


def _describe_deployment(deployment: Object, pods: dict[tuple[str, str], _Pods]) -> RegistryWorkload:
    metadata, spec, status = deployment["metadata"], deployment.get("spec", {}), deployment.get("status", {})
    labels = spec.get("template", {}).get("metadata", {}).get("labels") or {}
    namespace, name = metadata.get("namespace", ""), metadata["name"]
    group = pods.get((namespace, name), _Pods("Deployment"))
    desired, available = spec.get("replicas", 1), status.get("availableReplicas", 0)
    return _describe(namespace, name, "Deployment", labels, group, desired, available)


def _describe(
    namespace: str, name: str, kind: str, labels: dict[str, str], pods: _Pods, desired: int, available: int
) -> RegistryWorkload:
    metric_labels = workload_labels(name, namespace, labels)
    revision = metric_labels.canonical_revision
    return RegistryWorkload(
        namespace=namespace,
        name=name,
        kind=kind,
        app=metric_labels.canonical_service,
        version="" if revision == "latest" else revision,
        labels=dict(sorted(labels.items())),
        desired_replicas=desired,
        available_replicas=available,
        sidecar=pods.with_proxy == pods.count,
        gateway=is_gateway(labels),
        infrastructure=namespace == ROOT_NAMESPACE,
    )


def is_gateway(labels: dict[str, str]) -> bool:
    """Istio's own gateways carry `istio: …gateway`; those made for Gateway API carry the gateway's name."""
    return labels.get("istio", "").endswith("gateway") or GATEWAY_NAME_LABEL in labels


def describe_pods(pods: Iterable[Object]) -> tuple[RegistryPod, ...]:
    """The pods that have not ended, sorted by namespace and name."""
    found = (
        RegistryPod(
            namespace=pod["metadata"].get("namespace", ""),
            name=pod["metadata"]["name"],
            workload=owner_of(pod)[1],
            ready=is_ready(pod),
            sidecar=has_proxy(pod),
        )
        for pod in pods
        if not _has_ended(pod)
    )
    return tuple(sorted(found, key=lambda pod: (pod.namespace, pod.name)))


def _has_ended(pod: Object) -> bool:
    return pod.get("status", {}).get("phase") in ("Succeeded", "Failed")


def _group_pods(pods: Iterable[Object]) -> dict[tuple[str, str], _Pods]:
    groups: dict[tuple[str, str], _Pods] = {}
    for pod in pods:
        if _has_ended(pod):
            continue
        kind, name = owner_of(pod)
        group = groups.setdefault((pod["metadata"].get("namespace", ""), name), _Pods(kind))
        group.labels = group.labels or pod["metadata"].get("labels") or {}
        group.count += 1
        group.ready += is_ready(pod)
        group.with_proxy += has_proxy(pod)
    return groups


def owner_of(pod: Object) -> tuple[str, str]:
    """(kind, name) of what owns a pod; a ReplicaSet's Deployment is told by the template hash in its name."""
    metadata = pod["metadata"]
    for owner in metadata.get("ownerReferences") or ():
        template_hash = (metadata.get("labels") or {}).get("pod-template-hash", "")
        if owner.get("kind") == "ReplicaSet" and template_hash and owner["name"].endswith(f"-{template_hash}"):
            return "Deployment", owner["name"].removesuffix(f"-{template_hash}")
        return owner.get("kind", ""), owner["name"]
    return "Pod", metadata["name"]


def is_ready(pod: Object) -> bool:
    """The pod's Ready condition."""
    conditions = pod.get("status", {}).get("conditions") or ()
    return any(condition.get("type") == "Ready" and condition.get("status") == "True" for condition in conditions)


def place_of(item: Object) -> tuple[str, str]:
    """(namespace, name) of an object."""
    return str(item["metadata"].get("namespace") or ""), str(item["metadata"]["name"])


def describe_service(service: Object) -> Object:
    """A Kubernetes service as every page tells of it."""
    namespace, name = place_of(service)
    spec = service.get("spec") or {}
    ports = [
        {"name": port.get("name", ""), "number": port.get("port", 0), "protocol": port.get("protocol", "TCP")}
        for port in spec.get("ports") or ()
    ]
    return {
        "namespace": namespace,
        "name": name,
        "type": spec.get("type", "ClusterIP"),
        "address": spec.get("clusterIP", ""),
        "ports": ports,
        "selector": spec.get("selector") or {},
    }


def has_proxy(pod: Object) -> bool:
    """Whether a proxy runs in the pod, as a container or as a native sidecar."""
    spec = pod.get("spec", {})
    containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    return any(container.get("name") == PROXY_CONTAINER for container in containers)


def loopback_ports(pod: Object) -> list[int]:
    """The ports that only the pod itself reaches, as the node says in a condition: `8080, 9090: why`."""
    conditions = pod.get("status", {}).get("conditions") or ()
    texts = (item.get("message", "") for item in conditions if item.get("type") == REACHABLE_CONDITION)
    return [int(word) for text in texts for word in text.partition(":")[0].split(", ") if word.isdecimal()]


def trim_pod(pod: Object) -> None:
    """Keep of a pod what the console shows: a thousand whole pods would be tens of megabytes."""
    spec, status, metadata = pod.get("spec", {}), pod.get("status", {}), pod["metadata"]
    kept = ("name", "namespace", "uid", "labels", "ownerReferences", "resourceVersion")
    pod["metadata"] = {name: metadata[name] for name in kept if name in metadata}
    pod["spec"] = {
        name: [_trim_spec(container, metadata) for container in spec.get(name) or ()]
        for name in ("containers", "initContainers")
    }
    ready = [item for item in status.get("conditions") or () if item.get("type") in ("Ready", REACHABLE_CONDITION)]
    statuses = [*(status.get("containerStatuses") or ()), *(status.get("initContainerStatuses") or ())]
    pod["status"] = {
        "phase": status.get("phase", ""),
        "conditions": ready,
        "podIP": status.get("podIP", ""),
        "startTime": status.get("startTime", ""),
        "containerStatuses": [_trim_container(item) for item in statuses],
    }


def _trim_spec(container: Object, metadata: Object) -> Object:
    """The mesh's own images tell its versions; other images are nobody's business here."""
    name = container.get("name", "")
    own = name == PROXY_CONTAINER or metadata.get("namespace") == ROOT_NAMESPACE
    return {"name": name, "image": container.get("image", "")} if own else {"name": name}


def _trim_container(status: Object) -> Object:
    state = {name: {"reason": more.get("reason", "")} for name, more in (status.get("state") or {}).items()}
    kept = {name: status[name] for name in ("name", "ready", "restartCount") if name in status}
    return kept | {"state": state}


def describe_tolerances(config: str, deployments: Iterable[Object], services: Iterable[Object]) -> Tolerances:
    """How many errors are too many: from the console's `config.yaml`, and from annotations of workloads and services.

    What cannot be read is left out and told in `problems`.
    """
    import yaml

    problems: list[str] = []
    try:
        rules, found = read_rules(yaml.safe_load(config))
        problems += [f"ConfigMap {ROOT_NAMESPACE}/{SETTINGS_NAME}: {one}" for one in found]
    except yaml.YAMLError as error:
        rules, place = (), f"ConfigMap {ROOT_NAMESPACE}/{SETTINGS_NAME}, {SETTINGS_KEY}"
        problems.append(f"{place}: {' '.join(str(error).split())}")
    annotated: dict[tuple[str, str, str], tuple[Tolerance, ...]] = {}
    for kind, items in (("workload", deployments), ("service", services)):
        for item in items:
            for metadata in (item["metadata"], _spec(_spec(item).get("template") or {}, "metadata")):
                text = (metadata.get("annotations") or {}).get(ANNOTATION)
                if text is None:
                    continue
                try:
                    annotated.setdefault((kind, *place_of(item)), read_annotation(str(text)))
                except ValueError as error:
                    problems.append(f"{kind} {'/'.join(place_of(item))}, annotation {ANNOTATION}: {error}")
    return Tolerances(rules, annotated, tuple(problems))


def describe_services(services: Iterable[Object]) -> tuple[RegistryService, ...]:
    """Services and their selectors."""
    return tuple(
        RegistryService(
            namespace=service["metadata"].get("namespace", ""),
            name=service["metadata"]["name"],
            selector=service.get("spec", {}).get("selector") or {},
        )
        for service in services
    )


def describe_configs(virtual_services: Iterable[Object], rules: Iterable[Object]) -> tuple[RegistryConfig, ...]:
    """What VirtualServices and DestinationRules do, and to which services."""
    configs = [
        _describe_config("VirtualService", item, _spec(item).get("hosts") or (), _route_features(_spec(item)))
        for item in virtual_services
    ]
    configs += [
        _describe_config("DestinationRule", item, (_spec(item).get("host", ""),), _policy_features(_spec(item)))
        for item in rules
    ]
    return tuple(configs)


def _spec(item: Object, member: str = "spec") -> Object:
    return item.get(member) or {}


def _describe_config(kind: str, item: Object, hosts: Iterable[str], features: set[str]) -> RegistryConfig:
    namespace = item["metadata"].get("namespace", "")
    return RegistryConfig(
        kind=kind,
        namespace=namespace,
        name=item["metadata"]["name"],
        hosts=tuple(resolve_host(host, namespace) for host in hosts),
        features=tuple(sorted(features)),
    )


def resolve_host(host: str, namespace: str) -> tuple[str, str]:
    """(namespace, name) of a service; hosts that are not of the cluster have no namespace."""
    if "." not in host:
        return namespace, host
    name, _, rest = host.partition(".")
    service_namespace, _, suffix = rest.partition(".")
    return (service_namespace, name) if suffix.startswith("svc") else ("", host)


def _route_features(spec: Object) -> set[str]:
    features: set[str] = set()
    for route in spec.get("http") or ():
        features |= {name for name in ("fault", "mirror", "timeout", "retries") if route.get(name)}
        features |= {"mirror"} if route.get("mirrors") else set()
        features |= {"weights"} if len(route.get("route") or ()) > 1 else set()
    return features


def _policy_features(spec: Object) -> set[str]:
    policies = [spec, *(spec.get("subsets") or ())]
    for policy in policies:
        traffic = policy.get("trafficPolicy") or {}
        if traffic.get("connectionPool") or traffic.get("outlierDetection"):
            return {"circuitBreaker"}
    return set()
