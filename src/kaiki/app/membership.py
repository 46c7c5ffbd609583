"""Members of a WorkloadGroup: a WorkloadEntry for as long as a guest runs, healthy while its probe says so.

    WorkloadGroup vms ─template─▶ WorkloadEntry vms-10-97-1-9 ◀─selects─ Service, ServiceEntry
                     └─probe────▶ readiness of the guest's pod ─▶ condition Healthy of the entry

The entry is removed before the guest is asked to end, and belongs to its Deployment, so that it goes with that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from kaiki.kube.client import KubeClient
from kaiki.kube.errors import NotFound
from kaiki.kube.resource import PODS, WORKLOAD_ENTRIES, Object

GROUP_ANNOTATION = "istio.io/autoRegistrationGroup"
HEALTH_ANNOTATION = "proxy.istio.io/health-checks-enabled"
FIELD_MANAGER = "kaiki-run"
POLL_SECONDS = 0.3
_APPLICATION_LABELS = ("app", "version")


def member_deployment(deployment: Object, group: Object) -> Object:
    """The guest's Deployment as that of a member: Services pick its entry, not its pod, and the group has the probe."""
    template = deployment["spec"]["template"]
    # What the group's Services select is the entry; a pod with the same labels would be picked twice.
    for labels in (template["metadata"]["labels"], deployment["spec"]["selector"]["matchLabels"]):
        for name in _APPLICATION_LABELS:
            labels.pop(name, None)
    spec = group.get("spec") or {}
    canonical = {
        **((spec.get("metadata") or {}).get("labels") or {}),
        **((spec.get("template") or {}).get("labels") or {}),
    }
    names = {"service.istio.io/canonical-name": "app", "service.istio.io/canonical-revision": "version"}
    template["metadata"]["labels"] |= {key: canonical[name] for key, name in names.items() if canonical.get(name)}
    pod = template["spec"]
    if account := (spec.get("template") or {}).get("serviceAccount"):
        pod["serviceAccountName"] = account
    if probe := spec.get("probe"):
        pod["containers"][0]["readinessProbe"] = {key: value for key, value in probe.items() if value}
    return deployment


def workload_entry(group: Object, deployment: Object, address: str) -> Object:
    """The entry of a member at an address."""
    metadata, spec = group["metadata"], group.get("spec") or {}
    own, template = spec.get("metadata") or {}, dict(spec.get("template") or {})
    labels = {**(own.get("labels") or {}), **(template.get("labels") or {}), "security.istio.io/tlsMode": "istio"}
    annotations = {**(own.get("annotations") or {}), GROUP_ANNOTATION: metadata["name"]}
    if spec.get("probe"):
        annotations[HEALTH_ANNOTATION] = "true"
    owner = deployment["metadata"]
    return {
        "apiVersion": WORKLOAD_ENTRIES.api_version,
        "kind": WORKLOAD_ENTRIES.kind,
        "metadata": {
            "name": f"{metadata['name']}-{address.replace('.', '-')}",
            "namespace": metadata["namespace"],
            "labels": labels,
            "annotations": annotations,
            "ownerReferences": [
                {"apiVersion": "apps/v1", "kind": "Deployment", "name": owner["name"], "uid": owner["uid"]}
            ],
        },
        "spec": {**template, "address": address, "labels": labels},
    }


def healthy_condition(healthy: bool, now: datetime) -> Object:
    """The status of an entry whose probe answers, or does not."""
    message = "" if healthy else "the probe of the WorkloadGroup fails"
    condition = {
        "type": "Healthy",
        "status": "True" if healthy else "False",
        "message": message,
        "lastTransitionTime": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    return {"status": {"conditions": [condition]}}


async def keep_registered(
    client: KubeClient, group: Object, deployment: Object, container: str, say: Callable[[str], object]
) -> None:
    """Keep an entry for each pod of a member, with its health; until cancelled."""
    namespace = deployment["metadata"]["namespace"]
    selector = ",".join(f"{key}={value}" for key, value in deployment["spec"]["selector"]["matchLabels"].items())
    probed = bool((group.get("spec") or {}).get("probe"))
    known: dict[str, bool | None] = {}
    while True:
        present: dict[str, bool] = {}
        for pod in await client.list(PODS, namespace, label_selector=selector):
            if (address := _address(pod, container)) is not None:
                present[address] = _is_ready(pod, container)
        for address in known.keys() - present.keys():
            await _withdraw(client, namespace, workload_entry(group, deployment, address)["metadata"]["name"])
            del known[address]
        for address, ready in present.items():
            entry = workload_entry(group, deployment, address)
            name = entry["metadata"]["name"]
            if address not in known:
                await client.apply(entry, FIELD_MANAGER)
                say(f"registered as WorkloadEntry {namespace}/{name}")
                known[address] = None
            if probed and known[address] != ready:
                status = healthy_condition(ready, datetime.now(UTC))
                await client.patch(WORKLOAD_ENTRIES, name, namespace, status, subresource="status")
                known[address] = ready
        await asyncio.sleep(POLL_SECONDS)


async def withdraw_all(client: KubeClient, namespace: str, deployment_name: str) -> None:
    """Remove every entry that belongs to a Deployment."""
    for entry in await client.list(WORKLOAD_ENTRIES, namespace):
        owners = entry["metadata"].get("ownerReferences") or ()
        if any(one.get("kind") == "Deployment" and one.get("name") == deployment_name for one in owners):
            await _withdraw(client, namespace, entry["metadata"]["name"])


async def _withdraw(client: KubeClient, namespace: str, name: str) -> None:
    try:
        await client.delete(WORKLOAD_ENTRIES, name, namespace)
    except NotFound:
        return


def _address(pod: dict[str, Any], container: str) -> str | None:
    """Where a pod that runs and is to stay is reached."""
    status = pod.get("status") or {}
    running = any(
        one["name"] == container and "running" in (one.get("state") or {})
        for one in status.get("containerStatuses") or ()
    )
    if not running or pod["metadata"].get("deletionTimestamp"):
        return None
    return str(status["podIP"]) if status.get("podIP") else None


def _is_ready(pod: dict[str, Any], container: str) -> bool:
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return any(one["name"] == container and one.get("ready") for one in statuses)
