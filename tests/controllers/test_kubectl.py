"""The real kubectl against the controllers: roll out, wait, undo, restart, scale, delete."""

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import orjson
import pytest

from kaiki.apiserver import credentials
from kaiki.kube.client import KubeClient
from kaiki.kube.resource import PODS, REPLICA_SETS

KUBECTL = Path(sys.prefix) / "bin" / "kubectl"
Run = Callable[..., Coroutine[Any, Any, str]]

pytestmark = pytest.mark.skipif(not KUBECTL.exists(), reason="kubectl is not installed")


@pytest.fixture
def kubectl(client: KubeClient, tmp_path: Path) -> Run:
    home = tmp_path / "user"
    config = credentials.write_kubeconfig(tmp_path, client.config.server)

    async def run(*arguments: str, text: str = "") -> str:
        process = await asyncio.create_subprocess_exec(
            str(KUBECTL),
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=os.environ | {"KUBECONFIG": str(config), "HOME": str(home)},
        )
        output, _ = await asyncio.wait_for(process.communicate(text.encode()), 60)
        assert process.returncode == 0, output.decode()
        return output.decode()

    return run


def manifest(image: str) -> str:
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": image}]}}
    spec = {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": template}
    metadata = {"name": "web", "namespace": "default"}
    return orjson.dumps({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}).decode()


async def images(client: KubeClient) -> set[str]:
    pods = [pod for pod in await client.list(PODS, "default") if not pod["metadata"].get("deletionTimestamp")]
    return {pod["spec"]["containers"][0]["image"] for pod in pods}


async def test_a_rollout_by_kubectl(client: KubeClient, cluster: Any, kubectl: Run) -> None:
    await kubectl("apply", "-f", "-", text=manifest("web:1"))
    assert "successfully rolled out" in await kubectl("rollout", "status", "deployment/web", "--timeout=20s")
    await kubectl("wait", "--for=condition=Available", "deployment/web", "--timeout=20s")
    await kubectl("set", "image", "deployment/web", "web=web:2")
    assert "successfully rolled out" in await kubectl("rollout", "status", "deployment/web", "--timeout=20s")
    assert await images(client) == {"web:2"}
    history = await kubectl("rollout", "history", "deployment/web")
    assert [line.split()[0] for line in history.splitlines() if line[:1].isdigit()] == ["1", "2"]
    await kubectl("rollout", "undo", "deployment/web")
    await kubectl("rollout", "status", "deployment/web", "--timeout=20s")
    assert await images(client) == {"web:1"}
    before = {pod["metadata"]["name"] for pod in await client.list(PODS, "default")}
    await kubectl("rollout", "restart", "deployment/web")
    await kubectl("rollout", "status", "deployment/web", "--timeout=20s")
    running = [pod for pod in await client.list(PODS, "default") if not pod["metadata"].get("deletionTimestamp")]
    assert not before & {pod["metadata"]["name"] for pod in running}
    await kubectl("scale", "deployment/web", "--replicas=4")
    await kubectl("rollout", "status", "deployment/web", "--timeout=20s")
    assert len(await client.list(PODS, "default")) == 4
    described = await kubectl("describe", "deployment", "web")
    assert "Scaled up replica set" in described and "4 available" in described
    await kubectl("delete", "deployment", "web", "--cascade=foreground", "--timeout=20s")
    assert await client.list(REPLICA_SETS, "default") == []
    assert [pod for pod in await client.list(PODS, "default") if not pod["metadata"].get("deletionTimestamp")] == []


async def test_a_pod_of_its_own_and_a_namespace(client: KubeClient, cluster: Any, kubectl: Run) -> None:
    await kubectl("create", "namespace", "shop")
    await kubectl("run", "lonely", "--image=web:1", "--namespace=shop")
    await kubectl("wait", "--for=condition=Ready", "pod/lonely", "--namespace=shop", "--timeout=20s")
    assert "kaiki" in await kubectl("get", "pod", "lonely", "--namespace=shop", "--output=wide")
    await kubectl("delete", "namespace", "shop", "--timeout=20s")


async def test_other_workloads(client: KubeClient, cluster: Any, kubectl: Run) -> None:
    template = {"metadata": {"labels": {"app": "db"}}, "spec": {"containers": [{"name": "db", "image": "db"}]}}
    spec = {"selector": {"matchLabels": {"app": "db"}}, "template": template}
    metadata = {"name": "db", "namespace": "default"}
    stateful = {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": metadata}
    stateful |= {"spec": {**spec, "replicas": 2, "serviceName": "db"}}
    daemon = {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": metadata, "spec": spec}
    for document in (stateful, daemon):
        await kubectl("apply", "-f", "-", text=orjson.dumps(document).decode())
    assert "complete" in await kubectl("rollout", "status", "statefulset/db", "--timeout=20s")
    assert "successfully rolled out" in await kubectl("rollout", "status", "daemonset/db", "--timeout=20s")
    await kubectl("create", "job", "once", "--image=db")
    pods = "job-name=once"
    await kubectl("wait", "--for=condition=Ready", "pod", "--selector", pods, "--timeout=20s")
    (pod,) = await client.list(PODS, "default", label_selector=pods)
    name = pod["metadata"]["name"]
    await client.patch(PODS, name, "default", {"status": {"phase": "Succeeded"}}, subresource="status")
    await kubectl("wait", "--for=condition=Complete", "job/once", "--timeout=20s")
    await kubectl("delete", "statefulset/db", "daemonset/db", "job/once", "--timeout=20s")
