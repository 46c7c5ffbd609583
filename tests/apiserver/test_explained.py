"""Every served resource stands in its OpenAPI document, where `kubectl explain` and `kubectl apply` look for it."""

from __future__ import annotations

from typing import Any

from tests.apiserver.conftest import Client

from kaiki.resources.crds import custom_resource_definitions

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def explained(document: dict[str, Any]) -> set[str]:
    """The kinds that a schema of the document names as its own and gives properties."""
    found = set()
    for schema in document["components"]["schemas"].values():
        for identity in schema.get("x-kubernetes-group-version-kind", ()):
            if schema.get("properties"):
                found.add(f"{identity['group']}/{identity['version']}/{identity['kind']}")
    return found


async def lacking(api: Client, path: str) -> list[str]:
    """What discovery serves under `api/v1` or `apis/<group>/<version>` and the document lacks."""
    _, resources = await api.get(f"/{path}")
    status, document = await api.get(f"/openapi/v3/{path}")
    if status != 200:
        return [f"{path}: {status}"]
    group, version = (["", *path.split("/")[1:]])[-2:]
    kinds, missing = explained(document), []
    for each in resources["resources"]:
        if "/" in each["name"]:
            continue
        scope = "namespaces/{namespace}/" if each["namespaced"] else ""
        if f"/{path}/{scope}{each['name']}" not in document["paths"]:
            missing.append(f"{path}: no path of {each['name']}")
        if f"{group}/{version}/{each['kind']}" not in kinds:
            missing.append(f"{path}: no schema of {each['kind']}")
    return missing


async def test_every_served_resource_stands_in_its_document(api: Client) -> None:
    for definition in custom_resource_definitions():
        status, answer = await api.post(DEFINITIONS, definition)
        assert status == 201, answer
    _, index = await api.get("/openapi/v3")
    _, groups = await api.get("/apis")
    versions = [f"apis/{each['groupVersion']}" for group in groups["groups"] for each in group["versions"]]
    assert "apis/networking.istio.io/v1" in versions
    missing = [f"{path}: not in the index" for path in versions if path not in index["paths"]]
    for path in ["api/v1", *versions]:
        missing += await lacking(api, path)
    assert missing == []
