"""Client libraries that others write against: each lists, patches, applies and watches here as on a cluster.

They are synchronous, or have loops of their own, so each runs as a program beside the server.
"""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from typing import Any

import pytest

OFFICIAL = """
import sys
from kubernetes import client, config, dynamic, watch

config.load_kube_config(sys.argv[1])
core, apps = client.CoreV1Api(), client.AppsV1Api()
core.create_namespaced_config_map("default", {"metadata": {"name": "one", "labels": {"a": "b"}}, "data": {"k": "v"}})
listed = core.list_namespaced_config_map("default", label_selector="a=b")
assert [each.metadata.name for each in listed.items] == ["one"]
core.patch_namespaced_config_map("one", "default", {"data": {"x": "y"}})
assert core.read_namespaced_config_map("one", "default").data == {"k": "v", "x": "y"}
stream = watch.Watch()
for event in stream.stream(core.list_namespaced_config_map, "default", label_selector="a", timeout_seconds=20):
    assert (event["type"], event["object"].metadata.name) == ("ADDED", "one")
    stream.stop()
maps = dynamic.DynamicClient(client.ApiClient()).resources.get(api_version="v1", kind="ConfigMap")
body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "two"}, "data": {"a": "1"}}
assert maps.server_side_apply(body, name="two", namespace="default", field_manager="me").data.a == "1"
template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "a", "image": "a"}]}}
spec = {"replicas": 0, "selector": {"matchLabels": {"a": "b"}}, "template": template}
apps.create_namespaced_deployment("default", {"metadata": {"name": "web"}, "spec": spec})
assert apps.patch_namespaced_deployment_scale("web", "default", {"spec": {"replicas": 2}}).spec.replicas == 2
review = {"spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}}
assert client.AuthorizationV1Api().create_self_subject_access_review(review).status.allowed
try:
    core.read_namespaced_pod("none", "default")
except client.ApiException as error:
    assert (error.status, error.reason) == (404, "Not Found")
"""
LIGHTKUBE = """
import sys
from lightkube import Client, KubeConfig
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import ConfigMap, Namespace
from lightkube.types import PatchType

client = Client(config=KubeConfig.from_file(sys.argv[1]), field_manager="me")
client.create(ConfigMap(metadata=ObjectMeta(name="one", namespace="default", labels={"l": "k"}), data={"a": "b"}))
assert [each.metadata.name for each in client.list(ConfigMap, namespace="default", labels={"l": "k"})] == ["one"]
assert "kube-system" in [each.metadata.name for each in client.list(Namespace)]
client.patch(ConfigMap, "one", {"data": {"z": "1"}}, patch_type=PatchType.MERGE)
for value in ("1", "2"):
    applied = client.apply(ConfigMap(metadata=ObjectMeta(name="two", namespace="default"), data={"q": value}))
    assert applied.data == {"q": value}
for operation, found in client.watch(ConfigMap, namespace="default", labels={"l": "k"}):
    assert (operation, found.data) == ("ADDED", {"a": "b", "z": "1"})
    break
client.delete(ConfigMap, "one")
"""
ASYNCHRONOUS = """
import asyncio, sys
from kubernetes_asyncio import client, config, watch

async def main():
    await config.load_kube_config(sys.argv[1])
    async with client.ApiClient() as api:
        core = client.CoreV1Api(api)
        await core.create_namespaced_config_map("default", {"metadata": {"name": "one", "labels": {"s": "t"}}})
        listed = await core.list_namespaced_config_map("default", label_selector="s=t")
        assert [each.metadata.name for each in listed.items] == ["one"]
        assert (await core.patch_namespaced_config_map("one", "default", {"data": {"x": "y"}})).data == {"x": "y"}
        stream = watch.Watch()
        async for event in stream.stream(core.list_namespaced_config_map, "default", timeout_seconds=20):
            assert (event["type"], event["object"].metadata.name) == ("ADDED", "one")
            stream.stop()
        await core.delete_namespaced_config_map("one", "default")

asyncio.run(main())
"""
LIBRARIES = {"kubernetes": OFFICIAL, "lightkube": LIGHTKUBE, "kubernetes_asyncio": ASYNCHRONOUS}


@pytest.mark.parametrize("library", LIBRARIES)
async def test_a_library(api: Any, library: str) -> None:
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    command = [sys.executable, "-c", LIBRARIES[library], str(api.home / "kubeconfig")]
    process = await asyncio.create_subprocess_exec(*command, stdout=-1, stderr=-1)
    out, error = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode == 0, (out + error).decode()
