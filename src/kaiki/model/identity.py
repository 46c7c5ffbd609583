"""Who a workload is: its SPIFFE identity and the labels that Istio's metrics carry for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

UNKNOWN = "unknown"
DEFAULT_TRUST_DOMAIN = "cluster.local"


@dataclass(frozen=True, slots=True, order=True)
class Identity:
    """A SPIFFE identity, `spiffe://<trust domain>/ns/<namespace>/sa/<service account>` (Istio's form)."""

    namespace: str
    service_account: str
    trust_domain: str = DEFAULT_TRUST_DOMAIN

    def __str__(self) -> str:
        return f"spiffe://{self.trust_domain}/ns/{self.namespace}/sa/{self.service_account}"


@dataclass(frozen=True, slots=True, order=True)
class WorkloadLabels:
    """The seven values by which Istio's standard metrics name one side of a request.

    Rules (Istio, "Standard metrics" and "Canonical service"): the canonical service is the label
    `service.istio.io/canonical-name`, else `app.kubernetes.io/name`, else `app`, else the workload's name; the
    canonical revision is `service.istio.io/canonical-revision`, else `app.kubernetes.io/version`, else `version`, else
    `latest`.
    """

    workload: str
    namespace: str
    app: str
    version: str
    canonical_service: str
    canonical_revision: str
    cluster: str = "Kubernetes"

    @property
    def joined(self) -> str:
        """All seven in this order, divided by `;`, which cannot stand in any of them."""
        names = (self.workload, self.namespace, self.app, self.version, self.canonical_service)
        return ";".join((*names, self.canonical_revision, self.cluster))


def workload_labels(
    workload: str, namespace: str, labels: Mapping[str, str], cluster: str = "Kubernetes"
) -> WorkloadLabels:
    """Derive the metric labels of a workload from its name and its pods' labels."""
    canonical_service = (
        labels.get("service.istio.io/canonical-name")
        or labels.get("app.kubernetes.io/name")
        or labels.get("app")
        or workload
    )
    canonical_revision = (
        labels.get("service.istio.io/canonical-revision")
        or labels.get("app.kubernetes.io/version")
        or labels.get("version")
        or "latest"
    )
    return WorkloadLabels(
        workload=workload,
        namespace=namespace,
        app=labels.get("app") or labels.get("app.kubernetes.io/name") or UNKNOWN,
        version=labels.get("version") or labels.get("app.kubernetes.io/version") or UNKNOWN,
        canonical_service=canonical_service,
        canonical_revision=canonical_revision,
        cluster=cluster,
    )
