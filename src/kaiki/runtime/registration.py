"""The Node object: made, kept Ready, with a Lease as heartbeat."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import platform
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from kaiki import __version__
from kaiki.kube.client import KubeClient
from kaiki.kube.errors import KubeError, NotFound
from kaiki.kube.resource import LEASES, NODES
from kaiki.runtime.measurements import METRICS_PORT
from kaiki.runtime.node import NODE_NAME
from kaiki.runtime.sandbox import GATEWAY
from kaiki.runtime.status import time_text

logger = logging.getLogger(__name__)

_HEARTBEAT_SECONDS = 20.0
_LEASE_SECONDS = 60
_LEASE_NAMESPACE = "kube-node-lease"


def node_object() -> dict[str, Any]:
    """The Node as it is made."""
    labels = {
        "kubernetes.io/hostname": NODE_NAME,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine()),
        "node.kubernetes.io/instance-type": "kaiki",
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": NODE_NAME, "labels": labels},
        "spec": {"podCIDR": "10.97.0.0/16", "podCIDRs": ["10.97.0.0/16"]},
    }


def node_status(machine: Mapping[str, str], since: float, now: float) -> dict[str, Any]:
    """A ready node's status."""
    resources = {"cpu": machine["cpu"], "memory": machine["memory"], "pods": "500"}
    problems = ("MemoryPressure", "DiskPressure", "PIDPressure")
    times = {"lastHeartbeatTime": time_text(now), "lastTransitionTime": time_text(since)}
    conditions = [{"type": kind, "status": "False", "reason": f"KubeletHasNo{kind}"} | times for kind in problems]
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "kaiki is running pods"} | times
    info = {
        "kubeletVersion": f"v{__version__}+kaiki",
        "containerRuntimeVersion": f"kaiki://{__version__}",
        "kernelVersion": platform.release(),
        "osImage": platform.system(),
        "operatingSystem": "linux",
        "architecture": node_object()["metadata"]["labels"]["kubernetes.io/arch"],
        "machineID": "",
        "systemUUID": "",
        "bootID": "",
        "kubeProxyVersion": "",
    }
    return {
        "capacity": resources,
        "allocatable": resources,
        "conditions": [*conditions, ready],
        "addresses": [{"type": "InternalIP", "address": GATEWAY}, {"type": "Hostname", "address": NODE_NAME}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": METRICS_PORT}},
        "nodeInfo": info,
    }


def lease_object(now: float) -> dict[str, Any]:
    """The heartbeat."""
    renewed = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": NODE_NAME, "namespace": _LEASE_NAMESPACE},
        "spec": {"holderIdentity": NODE_NAME, "leaseDurationSeconds": _LEASE_SECONDS, "renewTime": renewed},
    }


async def keep_registered(client: KubeClient, machine: Mapping[str, str]) -> None:
    """Make the Node and keep it; failures are tried again."""
    since = time.time()
    delay = 0.1
    while True:
        try:
            if await client.find(NODES, NODE_NAME) is None:
                await client.create(node_object(), resource=NODES)
            status = {"status": node_status(machine, since, time.time())}
            await client.patch(NODES, NODE_NAME, None, status, subresource="status")
            await _renew_lease(client)
            delay = _HEARTBEAT_SECONDS
        except KubeError as error:
            logger.info("node not registered: %s", error)
            delay = min(delay * 2, _HEARTBEAT_SECONDS)
        await asyncio.sleep(delay)


async def _renew_lease(client: KubeClient) -> None:
    """Heartbeats as other nodes give them; without the namespace for it the status is heartbeat enough."""
    lease = lease_object(time.time())
    if await client.find(LEASES, NODE_NAME, _LEASE_NAMESPACE) is None:
        with contextlib.suppress(NotFound):
            await client.create(lease, resource=LEASES)
    else:
        await client.patch(LEASES, NODE_NAME, _LEASE_NAMESPACE, {"spec": lease["spec"]})
