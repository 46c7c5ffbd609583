"""What the Kubernetes API knows of the mesh, as far as a graph needs it: workloads, services and Istio's objects."""

from __future__ import annotations

from functools import cached_property

import msgspec

from kaiki.graph.tolerances import Tolerances


class RegistryWorkload(msgspec.Struct, frozen=True, rename="camel"):
    """One workload: what its pods' owner wants and has. `sidecar` is true when every running pod has a proxy.

    `infrastructure` is part of the mesh itself (control plane, metrics, console), which needs no sidecar. `app` and
    `version` are the canonical ones (`model.identity.workload_labels`), empty when unknown.
    """

    namespace: str
    name: str
    kind: str = "Deployment"
    app: str = ""
    version: str = ""
    labels: dict[str, str] = {}
    desired_replicas: int = 1
    available_replicas: int = 1
    sidecar: bool = True
    gateway: bool = False
    infrastructure: bool = False


class RegistryPod(msgspec.Struct, frozen=True, rename="camel"):
    """One pod that has not ended, and the workload that owns it (itself, where nothing does)."""

    namespace: str
    name: str
    workload: str
    ready: bool = True
    sidecar: bool = True


class RegistryService(msgspec.Struct, frozen=True, rename="camel"):
    """One Kubernetes service; `selector` picks pods by label."""

    namespace: str
    name: str
    selector: dict[str, str] = {}


class RegistryConfig(msgspec.Struct, frozen=True, rename="camel"):
    """One Istio object that decorates the graph: `hosts` as (namespace, service name), and what it configures.

    `features` are words out of `fault`, `mirror`, `timeout`, `retries`, `weights`, `circuitBreaker`.
    """

    kind: str
    namespace: str
    name: str
    hosts: tuple[tuple[str, str], ...] = ()
    features: tuple[str, ...] = ()


class Registry(msgspec.Struct, frozen=True, dict=True):
    """Everything known at one moment. An empty registry is legal: the graph then shows what the series alone tell."""

    workloads: tuple[RegistryWorkload, ...] = ()
    pods: tuple[RegistryPod, ...] = ()
    services: tuple[RegistryService, ...] = ()
    configs: tuple[RegistryConfig, ...] = ()
    tolerances: Tolerances = Tolerances()

    @cached_property
    def workload_index(self) -> dict[tuple[str, str], RegistryWorkload]:
        """Workloads by (namespace, name)."""
        return {(workload.namespace, workload.name): workload for workload in self.workloads}

    @cached_property
    def pods_of_workload(self) -> dict[tuple[str, str], tuple[RegistryPod, ...]]:
        """The pods of each workload: by (namespace, workload name)."""
        found: dict[tuple[str, str], list[RegistryPod]] = {}
        for pod in self.pods:
            found.setdefault((pod.namespace, pod.workload), []).append(pod)
        return {place: tuple(pods) for place, pods in found.items()}

    @cached_property
    def service_of_workload(self) -> dict[tuple[str, str], str]:
        """The first service, by name, that selects each workload's pods: (namespace, workload) to service name."""
        found: dict[tuple[str, str], str] = {}
        for (namespace, service), workloads in sorted(self.workloads_of_service.items(), key=lambda item: item[0][1]):
            for workload in workloads:
                found.setdefault((namespace, workload.name), service)
        return found

    @cached_property
    def workloads_of_service(self) -> dict[tuple[str, str], tuple[RegistryWorkload, ...]]:
        """Every workload a service selects, by (namespace, service name)."""
        in_namespace: dict[str, list[RegistryWorkload]] = {}
        for workload in self.workloads:
            in_namespace.setdefault(workload.namespace, []).append(workload)
        return {
            (service.namespace, service.name): tuple(
                workload for workload in in_namespace.get(service.namespace, ()) if _selects(service, workload)
            )
            for service in self.services
        }


def _selects(service: RegistryService, workload: RegistryWorkload) -> bool:
    return bool(service.selector) and service.selector.items() <= workload.labels.items()
