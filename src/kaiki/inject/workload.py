"""The name of the workload a pod belongs to, as Istio's metrics show it: `reviews-v1`, not `reviews-v1-6d4f-x2x9`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_SCHEDULED_JOB = re.compile(r"^(?P<name>.+)-\d{8,}$")


def workload_name(pod: Mapping[str, Any]) -> str:
    """Derive the workload's name from the pod's controller.

    A ReplicaSet made by a Deployment carries the `pod-template-hash` its pods are labelled with, and a Job made by a
    CronJob its scheduled minute: both are cut off. Without a controller it is the pod's own name, or its prefix when
    the name is still to be generated.
    """
    metadata = pod.get("metadata") or {}
    owner = next((one for one in metadata.get("ownerReferences") or [] if one.get("controller")), None)
    if owner is None:
        return str(metadata.get("name") or (metadata.get("generateName") or "").rstrip("-") or "unknown")
    name = str(owner.get("name", ""))
    if owner.get("kind") == "ReplicaSet":
        template_hash = (metadata.get("labels") or {}).get("pod-template-hash")
        return name.removesuffix(f"-{template_hash}") if template_hash else name
    if owner.get("kind") == "Job" and (scheduled := _SCHEDULED_JOB.match(name)):
        return scheduled["name"]
    return name
