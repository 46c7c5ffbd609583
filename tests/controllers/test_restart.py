"""The controllers outlive the API server: it comes back with what it had, and work goes on."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from kaiki.apiserver import credentials
from kaiki.apiserver.server import ApiServer, ApiServerSettings
from kaiki.controllers.run import run_controllers
from kaiki.kube.client import KubeClient
from kaiki.kube.config import read_kubeconfig
from kaiki.kube.resource import DEPLOYMENTS, PODS


def deployment(name: str) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "web", "image": "web"}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": template},
    }


async def bound_pods(client: KubeClient, count: int) -> bool:
    pods = await client.list(PODS, "default")
    return len(pods) == count and all(pod["spec"].get("nodeName") for pod in pods)


async def test_work_goes_on_after_a_restart(tmp_path: Path, until: Callable[..., Awaitable[Any]]) -> None:
    stop = asyncio.Event()
    async with ApiServer(ApiServerSettings(tmp_path, listen_addresses=(("127.0.0.1", 0),))) as server:
        port = server.ports[0]
        client = KubeClient(read_kubeconfig(credentials.write_kubeconfig(tmp_path, f"https://127.0.0.1:{port}")))
        controllers = asyncio.create_task(run_controllers(client, stop))
        await client.apply(deployment("one"))
        await until(lambda: bound_pods(client, 1))
    async with ApiServer(ApiServerSettings(tmp_path, listen_addresses=(("127.0.0.1", port),))):
        await client.apply(deployment("two"))
        await until(lambda: bound_pods(client, 2), "the second Deployment's pod")
        await client.delete(DEPLOYMENTS, "one", "default", propagation="Background")
        await until(lambda: terminating(client), "the first one's end")
        stop.set()
        await controllers
        await client.close()


async def terminating(client: KubeClient) -> bool:
    """There is no kubelet here: the pod waits for one to end it."""
    pods = await client.list(PODS, "default")
    return {pod["metadata"]["labels"]["app"] for pod in pods if not pod["metadata"].get("deletionTimestamp")} == {"two"}
