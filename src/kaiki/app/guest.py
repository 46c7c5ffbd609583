"""A process of the user's own in the mesh: a Deployment and a Service that live as long as one command line.

kaiki run reviews --port 9080 -- python3 reviews.py
    └─ Deployment reviews-v1 (labels app=reviews, version=v1)   Service reviews (made when missing)
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kaiki.kube.client import KubeClient
from kaiki.kube.config import load_config
from kaiki.kube.errors import NotFound
from kaiki.kube.resource import DEPLOYMENTS, NAMESPACES, PODS, SERVICES, WORKLOAD_GROUPS
from kaiki.model.workload import REACH_LOOPBACK_ANNOTATION

HOST_IMAGE = "kaiki/host:local"
"""An image that is this machine itself: the image map runs the container's own command as it stands."""
MANAGED_LABEL = "kaiki.io/guest"
POLL_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class Guest:
    """What the user asked for. `command` is looked up on the PATH given in `environment`, in `working_folder`."""

    name: str
    namespace: str
    version: str
    port: int
    protocol: str
    command: tuple[str, ...]
    working_folder: str
    environment: tuple[tuple[str, str], ...]
    user_id: int
    group: str = ""

    @property
    def deployment_name(self) -> str:
        return f"{self.name}-{self.version}"


def deployment(guest: Guest) -> dict[str, Any]:
    """The guest's Deployment: one pod that is injected whatever its namespace says."""
    labels = {"app": guest.name, "version": guest.version, MANAGED_LABEL: guest.deployment_name}
    container = {
        "name": guest.name,
        "image": HOST_IMAGE,
        "command": [escape(part) for part in guest.command],
        "workingDir": guest.working_folder,
        "env": [{"name": name, "value": escape(value)} for name, value in guest.environment],
        "ports": [{"name": guest.protocol, "containerPort": guest.port}],
        "securityContext": {"runAsUser": guest.user_id},
        "readinessProbe": {"tcpSocket": {"port": guest.port}, "periodSeconds": 1},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": guest.deployment_name, "namespace": guest.namespace, "labels": labels},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {
                    "labels": {**labels, "sidecar.istio.io/inject": "true"},
                    # Whoever says --port means it to be called, wherever the program listens.
                    "annotations": {REACH_LOOPBACK_ANNOTATION: "true"},
                },
                "spec": {"containers": [container], "terminationGracePeriodSeconds": 5},
            },
        },
    }


def service(guest: Guest) -> dict[str, Any]:
    """The Service all versions of the guest share."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": guest.name,
            "namespace": guest.namespace,
            "labels": {"app": guest.name, MANAGED_LABEL: "true"},
        },
        "spec": {"selector": {"app": guest.name}, "ports": [{"name": guest.protocol, "port": guest.port}]},
    }


def escape(text: str) -> str:
    """Keep `$(NAME)` in the user's words from being expanded as Kubernetes does in commands and values."""
    return text.replace("$(", "$$(")


async def host_guest(
    kubeconfig: Path, guest: Guest, say: Callable[[str], object], show: Callable[[bytes], object]
) -> int:
    """Run the guest until it is interrupted: create, follow its output, remove. Answers 0."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with KubeClient(load_config(kubeconfig)) as client:
        await client.get(NAMESPACES, guest.namespace)
        if guest.group:
            return await _host_member(client, guest, stop, say, show)
        owns_service = await client.find(SERVICES, guest.name, guest.namespace) is None
        if owns_service:
            await client.create(service(guest))
        try:
            await client.apply(deployment(guest), "kaiki-run")
            url = f"http://{guest.name}.{guest.namespace}:{guest.port}"
            say(f"{guest.deployment_name} joins the mesh as {url} (Ctrl-C leaves)")
            await _until(stop, follow_output(client, guest, say, show))
        finally:
            await remove(client, guest, owns_service)
    return 0


async def _until(stop: asyncio.Event, *work: Coroutine[Any, Any, None]) -> None:
    """Do all of it until `stop`; what fails before is raised."""
    tasks = [asyncio.create_task(one) for one in work]
    stopping = asyncio.create_task(stop.wait())
    try:
        done, _ = await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in done - {stopping}:
            task.result()
    finally:
        for task in (stopping, *tasks):
            task.cancel()
        await asyncio.gather(stopping, *tasks, return_exceptions=True)


async def _host_member(
    client: KubeClient, guest: Guest, stop: asyncio.Event, say: Callable[[str], object], show: Callable[[bytes], object]
) -> int:
    """Run the guest as a member of a WorkloadGroup: registered by WorkloadEntries instead of a Service of its own."""
    from kaiki.app.membership import keep_registered, member_deployment, withdraw_all

    group = await client.get(WORKLOAD_GROUPS, guest.group, guest.namespace)
    try:
        made = await client.apply(member_deployment(deployment(guest), group), "kaiki-run")
        say(f"{guest.deployment_name} joins WorkloadGroup {guest.namespace}/{guest.group} (Ctrl-C leaves)")
        await _until(
            stop, follow_output(client, guest, say, show), keep_registered(client, group, made, guest.name, say)
        )
    finally:
        await withdraw_all(client, guest.namespace, guest.deployment_name)
        await remove(client, guest, owns_service=False)
    return 0


async def follow_output(
    client: KubeClient, guest: Guest, say: Callable[[str], object], show: Callable[[bytes], object]
) -> None:
    """Show the container's output as it comes, across restarts; tell once why a pod does not start."""
    told = ""
    while True:
        pods = await client.list(PODS, guest.namespace, label_selector=f"{MANAGED_LABEL}={guest.deployment_name}")
        for pod in pods:
            reason = waiting_reason(pod, guest.name)
            if reason is None:
                with contextlib.suppress(NotFound):
                    async for piece in client.logs(pod["metadata"]["name"], guest.namespace, guest.name, follow=True):
                        show(piece)
            elif reason and reason != told:
                told = reason
                say(f"waiting: {reason}")
        await asyncio.sleep(POLL_SECONDS)


def waiting_reason(pod: dict[str, Any], container: str) -> str | None:
    """None when the container has run at all; else the reason it waits for (empty while it is only starting)."""
    for status in pod.get("status", {}).get("containerStatuses", []):
        if status["name"] == container:
            waiting = status.get("state", {}).get("waiting")
            if waiting is None or status.get("restartCount", 0):
                return None
            return str(waiting.get("message", ""))
    return ""


async def remove(client: KubeClient, guest: Guest, owns_service: bool) -> None:
    """Take the guest out again; its Service too when this command made it and no other version is left."""
    with contextlib.suppress(NotFound):
        await client.delete(DEPLOYMENTS, guest.deployment_name, guest.namespace)
    others = await client.list(DEPLOYMENTS, guest.namespace, label_selector=f"app={guest.name}")
    if owns_service and not [other for other in others if other["metadata"]["name"] != guest.deployment_name]:
        with contextlib.suppress(NotFound):
            await client.delete(SERVICES, guest.name, guest.namespace)
