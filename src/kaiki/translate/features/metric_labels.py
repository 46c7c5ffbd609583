"""What the labels of Istio's standard metrics are made of: names shared by all that writes or carries them."""

from __future__ import annotations

import json
from enum import StrEnum

from kaiki.model.identity import UNKNOWN

WORKLOAD_FIELDS = (
    "workload",
    "workload_namespace",
    "app",
    "version",
    "canonical_service",
    "canonical_revision",
    "cluster",
)
"""The parts of a workload's name in metrics: suffixes of labels, keys of the metadata `istio` and of `peer.*` state."""

SERVICE_LABELS = ("destination_service", "destination_service_name", "destination_service_namespace")
"""The labels that name the service: keys of the metadata `istio` of clusters."""

METADATA_NAMESPACE = "istio"


class Reporter(StrEnum):
    """Which end of a request a proxy is, and at the destination whether the client showed a certificate."""

    SOURCE = "source"
    DESTINATION_MTLS = "destination, mutual TLS"
    DESTINATION_PLAINTEXT = "destination, plaintext"


def service_of_route(key: str, fallback: str = "") -> str:
    """A formatter for a label of the service a client's proxy sends to: the cluster's, or the route's own where a
    request that may not leave the mesh gets no cluster; then a constant, if there is one."""
    operators = [
        {"command": "CLUSTER_METADATA", "param": f"{METADATA_NAMESPACE}:{key}"},
        {"command": "METADATA", "param": f"ROUTE:{METADATA_NAMESPACE}:{key}"},
    ]
    if fallback:
        operators.append({"command": "CEL", "param": f"'{fallback}'"})
    return f"%COALESCE({json.dumps({'operators': operators}, separators=(',', ':'))})%"


def security_policy(reporter: Reporter) -> str:
    """The label `connection_security_policy`; only the destination knows it."""
    policies = {Reporter.DESTINATION_MTLS: "mutual_tls", Reporter.DESTINATION_PLAINTEXT: "none"}
    return policies.get(reporter, UNKNOWN)
