"""Requests carry the right path, body and type, and failures name the object."""

from pathlib import Path
from typing import Any

import pytest

from kaiki.kube.client import KubeClient
from kaiki.kube.config import KubeConfig
from kaiki.kube.errors import AlreadyExists, Conflict, Invalid, NotFound, Unavailable
from kaiki.kube.resource import CONFIG_MAPS, NAMESPACES, PODS, resource_for


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "shop"}, "data": data}


async def test_an_object_lives_and_dies(fake: Any, client: KubeClient) -> None:
    created = await client.create(config_map("a", color="red"))
    assert created["metadata"]["resourceVersion"]
    assert (await client.get(CONFIG_MAPS, "a", "shop"))["data"] == {"color": "red"}
    with pytest.raises(AlreadyExists, match="create ConfigMap shop/a"):
        await client.create(config_map("a"))
    await client.update(config_map("a", color="blue"))
    assert [item["data"] for item in await client.list(CONFIG_MAPS, "shop")] == [{"color": "blue"}]
    await client.delete(CONFIG_MAPS, "a", "shop", uid="u1", propagation="Foreground")
    assert fake.requests[-1][3] == {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "propagationPolicy": "Foreground",
        "preconditions": {"uid": "u1"},
    }


async def test_find_answers_none_for_nothing(client: KubeClient) -> None:
    assert await client.find(CONFIG_MAPS, "x-missing", "shop") is None
    with pytest.raises(NotFound, match="get ConfigMap shop/x-missing"):
        await client.get(CONFIG_MAPS, "x-missing", "shop")


async def test_a_long_list_is_read_in_pages(fake: Any, client: KubeClient) -> None:
    for number in range(1203):
        fake.put(f"/api/v1/namespaces/shop/configmaps/c{number}", {})
    objects, version = await client.list_at(CONFIG_MAPS, "shop", label_selector="a=b")
    assert len({item["metadata"]["name"] for item in objects}) == 1203
    assert version == str(fake.version)
    assert all(item["kind"] == "ConfigMap" for item in objects)
    assert [request[2]["labelSelector"] for request in fake.requests] == ["a=b"] * 3


@pytest.mark.parametrize(("code", "kind"), [(409, Conflict), (422, Invalid), (500, Unavailable), (503, Unavailable)])
async def test_codes_become_errors(fake: Any, client: KubeClient, code: int, kind: type[Exception]) -> None:
    fake.refusals = [code]
    with pytest.raises(kind, match=r"get Namespace shop: refused by the test \(HTTP"):
        await client.get(NAMESPACES, "shop", "ignored")


async def test_no_server_is_unavailable() -> None:
    async with KubeClient(KubeConfig("http://127.0.0.1:9")) as client:
        with pytest.raises(Unavailable, match=r"get Pod a/b: .* cannot be reached"):
            await client.get(PODS, "b", "a")


async def test_a_closed_client_stays_closed(client: KubeClient) -> None:
    await client.close()
    with pytest.raises(Unavailable, match="the client is closed"):
        await client.list(PODS)


async def test_tokens_are_asked_for_and_reviewed(fake: Any, client: KubeClient) -> None:
    path = "/api/v1/namespaces/shop/serviceaccounts/web/token"
    fake.answers["POST", path] = {"status": {"token": "t", "expirationTimestamp": "2030-01-01T00:00:00Z"}}
    issued = await client.request_token("shop", "web", ("istio-ca",), 900, ("web-1", "uid-1"))
    assert issued.token == "t"
    assert fake.requests[-1][3]["spec"] == {
        "audiences": ["istio-ca"],
        "expirationSeconds": 900,
        "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": "web-1", "uid": "uid-1"},
    }
    fake.answers["POST", "/apis/authentication.k8s.io/v1/tokenreviews"] = {"status": {"authenticated": True}}
    assert (await client.review_token("t", ("istio-ca",)))["authenticated"] is True


async def test_unknown_kinds_are_discovered_once(fake: Any, client: KubeClient) -> None:
    fake.answers["GET", "/apis/example.org/v1"] = {
        "resources": [
            {"name": "boats", "kind": "Boat", "namespaced": True},
            {"name": "boats/status", "kind": "Boat", "namespaced": True},
        ]
    }
    boat = {"apiVersion": "example.org/v1", "kind": "Boat", "metadata": {"name": "kaiki"}}
    with pytest.raises(LookupError, match="Boat"):
        resource_for(boat)
    await client.apply(boat)
    await client.apply(boat, namespace="sea")
    assert [request[1] for request in fake.requests] == [
        "/apis/example.org/v1",
        "/apis/example.org/v1/namespaces/default/boats/kaiki",
        "/apis/example.org/v1/namespaces/sea/boats/kaiki",
    ]
    with pytest.raises(NotFound, match="is its CRD installed"):
        await client.discover("example.org/v1", "Plane")


async def test_apply_sends_the_manager(fake: Any, client: KubeClient) -> None:
    await client.apply(config_map("a"), field_manager="me", force=False)
    method, path, query, _ = fake.requests[-1]
    assert (method, path) == ("PATCH", "/api/v1/namespaces/shop/configmaps/a")
    assert query == {"fieldManager": "me", "force": "false"}


async def test_a_renewed_token_file_is_read_again(fake: Any, tmp_path: Path) -> None:
    token_file = tmp_path / "token"
    token_file.write_text("old")
    async with KubeClient(KubeConfig(fake.url, token_file=token_file)) as client:
        await client.list(PODS)
        renewed = tmp_path / "renewed"
        renewed.write_text("new\n")
        renewed.rename(token_file)
        fake.refusals = [401]
        await client.list(PODS)
        assert await client._transport._credential.token() == "new"


async def test_logs_come_in_pieces(fake: Any, client: KubeClient) -> None:
    path = "/api/v1/namespaces/shop/pods/web/log"
    fake.answers["GET", path] = {"line": 1}
    pieces = [piece async for piece in client.logs("web", "shop", "app", tail_lines=5, timestamps=True)]
    assert b"".join(pieces) == b'{"line": 1}'
    assert fake.requests[-1][2] == {"container": "app", "tailLines": "5", "timestamps": "true"}
