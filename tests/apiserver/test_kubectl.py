"""The real kubectl against the real server: what a user does in a day, in one go."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import orjson

KUBECTL = Path(sys.executable).parent / "kubectl"
WEB = """
apiVersion: v1
kind: Service
metadata: {name: web, labels: {app: web}}
spec:
  type: NodePort
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: 8080}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: web, image: "web:1", env: [{name: COLOR, value: red}]}]
"""
BOATS = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: boats.sea.example}
spec:
  group: sea.example
  scope: Namespaced
  names: {plural: boats, kind: Boat, shortNames: [bt], categories: [all]}
  versions:
  - &v1
    name: v1
    served: true
    storage: true
    subresources: {status: {}}
    additionalPrinterColumns: [{name: Sails, type: integer, jsonPath: .spec.sails}]
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            required: [name]
            properties:
              name: {type: string, pattern: '^[a-z]+$', description: What the boat is called.}
              sails: {type: integer, default: 2}
          status: {type: object, x-kubernetes-preserve-unknown-fields: true}
  - {<<: *v1, name: v1beta1, storage: false}
"""
BOAT = """
apiVersion: sea.example/v1
kind: Boat
metadata: {name: argo}
spec: {name: argo}
"""


class Kubectl:
    """Runs kubectl with the server's kubeconfig."""

    def __init__(self, home: Path) -> None:
        self.environment = {**os.environ, "KUBECONFIG": str(home / "kubeconfig"), "HOME": str(home)}

    async def run(self, *arguments: str, stdin: str = "") -> tuple[int, str, str]:
        process = await asyncio.create_subprocess_exec(
            KUBECTL, *arguments, env=self.environment, stdin=-1, stdout=-1, stderr=-1
        )
        out, error = await process.communicate(stdin.encode())
        return process.returncode or 0, out.decode(), error.decode()

    async def __call__(self, *arguments: str, stdin: str = "") -> str:
        code, out, error = await self.run(*arguments, stdin=stdin)
        assert code == 0, (arguments, out, error)
        return out

    async def fails(self, *arguments: str, stdin: str = "") -> str:
        code, out, error = await self.run(*arguments, stdin=stdin)
        assert code != 0, (arguments, out)
        return error


async def test_workloads(api: Any) -> None:
    kubectl = Kubectl(api.home)
    assert "created" in await kubectl("apply", "-f", "-", stdin=WEB)
    assert (await kubectl("apply", "-f", "-", stdin=WEB)).count("unchanged") == 2
    red = "value: red"
    code, out, _ = await kubectl.run("diff", "-f", "-", stdin=WEB.replace(red, "value: blue"))
    assert (code, "+          value: blue" in out) == (1, True)
    assert "configured" in await kubectl("apply", "-f", "-", stdin=WEB.replace(red, "value: blue"))
    listed = await kubectl("get", "deployments,services", "-o", "wide", "-l", "app=web")
    for text in ("deployment.apps/web   0/2", "NodePort", "80:3"):
        assert text in listed
    await kubectl("scale", "deployment/web", "--replicas=3")
    await kubectl("set", "image", "deployment/web", "web=web:2")
    await kubectl("rollout", "restart", "deployment/web")
    await kubectl("label", "deployment", "web", "tier=front")
    await kubectl("annotate", "deployment", "web", "note=hi")
    path = "{.spec.replicas} {.spec.template.spec.containers[0].image} {.metadata.labels.tier}"
    assert await kubectl("get", "deploy", "web", "-o", f"jsonpath={path}") == "3 web:2 front"
    assert "GROUP:      apps" in await kubectl("explain", "deployment.spec.strategy")
    assert "Selector:" in await kubectl("describe", "deployment", "web")
    applied = await kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=WEB)
    assert applied.count("serverside-applied") == 2
    error = await kubectl.fails("apply", "-f", "-", stdin=WEB.replace("replicas", "replcas"))
    assert 'unknown field "spec.replcas"' in error
    await kubectl("delete", "all", "--all")
    assert "web" not in await kubectl("get", "all")


async def test_created_by_protobuf(api: Any) -> None:
    kubectl = Kubectl(api.home)
    await kubectl("create", "namespace", "team")
    await kubectl("create", "deployment", "web", "--image=web:1", "--replicas=0", "--port=80", "-n", "team")
    await kubectl("create", "service", "clusterip", "web", "--tcp=80:8080", "-n", "team")
    await kubectl("create", "configmap", "map", "--from-literal=a=b", "-n", "team")
    await kubectl("create", "secret", "generic", "key", "--from-literal=a=b", "-n", "team")
    await kubectl("create", "serviceaccount", "bob", "-n", "team")
    assert (await kubectl("create", "token", "bob", "-n", "team")).count(".") == 2
    await kubectl("create", "role", "reader", "--verb=get", "--resource=pods", "-n", "team")
    await kubectl("create", "rolebinding", "reads", "--role=reader", "--serviceaccount=team:bob", "-n", "team")
    _, _, warned = await kubectl.run("create", "job", "once", "--image=x", "-n", "team")
    assert warned == ""
    _, _, warned = await kubectl.run("create", "cronjob", "often", "--image=x", "--schedule=* * * * *", "-n", "team")
    assert "cronjobs are stored, but nothing on this machine acts on them" in warned
    made = orjson.loads(await kubectl("get", "deploy,svc,cm,secret,role", "-n", "team", "-o", "json"))["items"]
    by_kind = {each["kind"]: each for each in made}
    assert by_kind["Deployment"]["spec"]["replicas"] == 0
    assert by_kind["Service"]["spec"]["ports"][0]["targetPort"] == 8080
    assert by_kind["ConfigMap"]["data"] == {"a": "b"}
    assert by_kind["Secret"]["data"] == {"a": "Yg=="}
    assert by_kind["Role"]["rules"][0]["resources"] == ["pods"]
    assert "kaiki-admin" in await kubectl("auth", "whoami")
    assert (await kubectl("auth", "can-i", "create", "pods")).strip() == "yes"
    assert "Server Version: v1." in await kubectl("version")
    assert "https://" in await kubectl("cluster-info")
    assert "customresourcedefinitions" in await kubectl("api-resources")


async def test_custom_resources(api: Any) -> None:
    kubectl = Kubectl(api.home)
    await kubectl("apply", "-f", "-", stdin=BOATS)
    await kubectl("wait", "--for=condition=Established", "crd/boats.sea.example", "--timeout=10s")
    await kubectl("apply", "-f", "-", stdin=BOAT)
    assert "unchanged" in await kubectl("apply", "-f", "-", stdin=BOAT)
    assert (await kubectl("get", "bt")).split() == ["NAME", "SAILS", "argo", "2"]
    older = orjson.loads(await kubectl("get", "boats.v1beta1.sea.example", "argo", "-o", "json"))
    assert older["apiVersion"] == "sea.example/v1beta1"
    assert "What the boat is called." in await kubectl("explain", "boat.spec.name")
    error = await kubectl.fails("apply", "-f", "-", stdin=BOAT + "extra: 1\n")
    assert 'unknown field "extra"' in error
    error = await kubectl.fails("apply", "-f", "-", stdin=BOAT.replace("spec: {name: argo}", "spec: {name: A1}"))
    assert "spec.name in body should match '^[a-z]+$'" in error
    error = await kubectl.fails("apply", "-f", "-", stdin=BOAT.replace("spec: {name: argo}", "spec: {}"))
    assert "spec.name: Required value" in error
    assert "boat.sea.example/argo" in await kubectl("get", "all")
    await kubectl("delete", "crd", "boats.sea.example")
    # kubectl still believes its discovery cache; the server says what is so.
    assert "NotFound" in await kubectl.fails("get", "boats")


async def test_watching(api: Any) -> None:
    kubectl = Kubectl(api.home)
    process = await asyncio.create_subprocess_exec(
        KUBECTL, "get", "configmaps", "-w", "-o", "name", env=kubectl.environment, stdout=-1, stderr=-1
    )
    assert process.stdout is not None
    body = {"metadata": {"name": "one"}}
    try:
        await api.post("/api/v1/namespaces/default/configmaps", body)
        async with asyncio.timeout(20):
            assert await process.stdout.readline() == b"configmap/one\n"
    finally:
        process.kill()
        await process.communicate()


LIST = """
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: ConfigMap, metadata: {name: first}, data: {a: b}}
- {apiVersion: v1, kind: ConfigMap, metadata: {name: second}}
"""


async def test_a_list_is_taken_apart_and_its_items_are_checked(api: Any) -> None:
    """For `kind: List`, kubectl asks for OpenAPI v2 as protobuf."""
    kubectl = Kubectl(api.home)
    assert (await kubectl("apply", "-f", "-", stdin=LIST)).split() == [
        "configmap/first",
        "created",
        "configmap/second",
        "created",
    ]
    again = await kubectl("get", "configmaps", "first", "second", "-o", "yaml")
    assert "configmap/first" in await kubectl("apply", "-f", "-", stdin=again)
    assert 'unknown field "dta"' in await kubectl.fails("apply", "-f", "-", stdin=LIST.replace(" data:", " dta:"))


async def test_who_owns_what_with_the_commands_of_a_day(api: Any) -> None:
    """create, label, apply, apply --server-side: the managers they leave, the conflict they meet, and its ways out."""
    kubectl = Kubectl(api.home)

    async def managers(name: str) -> set[str]:
        text = await kubectl("get", "deployment", name, "-o", "json", "--show-managed-fields")
        return {f"{each['manager']} {each['operation']}" for each in orjson.loads(text)["metadata"]["managedFields"]}

    await kubectl("create", "deployment", "web", "--image=web:1")
    await kubectl("label", "deployment", "web", "tier=front")
    await kubectl("patch", "deployment", "web", "-p", '{"spec":{"paused":true}}')
    await kubectl("scale", "deployment", "web", "--replicas=2")
    expected = {f"kubectl-{verb} Update" for verb in ("create", "label", "patch")} | {"kubectl Update"}
    assert await managers("web") == expected
    assert "managedFields" not in await kubectl("get", "deployment", "web", "-o", "yaml")
    wanted = WEB.partition("---")[2].replace('"web:1"', '"web:2"')
    refused = await kubectl.fails("apply", "--server-side", "-f", "-", stdin=wanted)
    image = '.spec.template.spec.containers[name="web"].image'
    assert f'Apply failed with 1 conflict: conflict with "kubectl-create" using apps/v1: {image}' in refused
    assert "--force-conflicts" in refused
    assert "serverside-applied" in await kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=wanted)
    assert await managers("web") == expected | {"kubectl Apply"}
    other = wanted.replace("replicas: 2", "replicas: 3")
    refused = await kubectl.fails("apply", "--server-side", "--field-manager=other", "-f", "-", stdin=other)
    listed = 'conflicts with "kubectl":\n- .spec.replicas\n'
    listed += 'conflicts with "kubectl" with subresource "scale" using apps/v1:\n- .spec.replicas'
    assert f"Apply failed with 2 conflicts: {listed}" in refused


async def test_from_client_side_to_server_side_apply_and_back(api: Any) -> None:
    kubectl = Kubectl(api.home)
    maps = "{apiVersion: v1, kind: ConfigMap, metadata: {name: m}, data: {a: '1', b: '1'}}"
    shown = ("get", "configmap", "m", "-o", "json", "--show-managed-fields")
    await kubectl("apply", "-f", "-", stdin=maps)
    (entry,) = orjson.loads(await kubectl(*shown))["metadata"]["managedFields"]
    assert (entry["manager"], entry["operation"]) == ("kubectl-client-side-apply", "Update")
    assert "serverside-applied" in await kubectl(
        "apply", "--server-side", "-f", "-", stdin=maps.replace("a: '1', ", "")
    )
    value = orjson.loads(await kubectl(*shown))
    assert {(each["manager"], each["operation"]) for each in value["metadata"]["managedFields"]} == {
        ("kubectl", "Apply"),
        ("kubectl-last-applied", "Apply"),
    }
    assert value["data"] == {"b": "1"}, "what was applied client-side and is no longer stated goes away"
    await kubectl("apply", "-f", "-", stdin=maps.replace("b: '1'", "b: '2'"))
    assert orjson.loads(await kubectl(*shown))["data"] == {"a": "1", "b": "2"}
