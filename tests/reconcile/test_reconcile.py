"""The mesh's certificates are where sidecars and the API server look for them, whoever changes what."""

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from kaiki.kube.client import KubeClient
from kaiki.kube.errors import NotFound
from kaiki.kube.resource import CONFIG_MAPS, MUTATING_WEBHOOKS, VALIDATING_WEBHOOKS
from kaiki.reconcile.root_certificate import CONFIG_MAP_NAME, is_served
from kaiki.reconcile.run import run_reconcilers
from kaiki.reconcile.webhook import INJECTOR_NAME, VALIDATOR_NAME, bundle_patch

Object = dict[str, Any]


class Authority:
    """Stands for the CA: its answers may change."""

    def __init__(self) -> None:
        self.certificates = "ROOT 1"
        self.renewed = asyncio.Event()


@asynccontextmanager
async def reconciling(client: KubeClient, authority: Authority, elect_in: str | None = None) -> AsyncIterator[None]:
    stop = asyncio.Event()
    work = run_reconcilers(
        client,
        lambda: authority.certificates,
        lambda: authority.certificates,
        stop,
        renewed=authority.renewed,
        elect_in=elect_in,
    )
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        stop.set()
        await task


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await condition():
            await asyncio.sleep(0.02)


def says(client: KubeClient, namespace: str, text: str) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        found = await client.find(CONFIG_MAPS, CONFIG_MAP_NAME, namespace)
        return found is not None and found["data"]["root-cert.pem"] == text

    return look


def webhook(kind: str, name: str) -> Object:
    service = {"name": "istiod", "namespace": "istio-system", "path": "/inject", "port": 443}
    hook = {
        "clientConfig": {"service": service},
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
        "failurePolicy": "Ignore",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    webhooks = [{"name": f"{prefix}.istio.io", **hook} for prefix in ("namespace", "object")]
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": name},
        "webhooks": webhooks,
    }


async def test_every_namespace_has_the_root_certificate(client: KubeClient) -> None:
    authority = Authority()
    async with reconciling(client, authority):
        await until(says(client, "default", "ROOT 1"))
        await client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
        await until(says(client, "shop", "ROOT 1"))
        await client.patch(CONFIG_MAPS, CONFIG_MAP_NAME, "shop", {"data": {"root-cert.pem": "forged"}})
        await until(says(client, "shop", "ROOT 1"))
        await client.delete(CONFIG_MAPS, CONFIG_MAP_NAME, "shop")
        await until(says(client, "shop", "ROOT 1"))
        authority.certificates = "ROOT 1\nROOT 2"
        authority.renewed.set()
        await until(says(client, "default", "ROOT 1\nROOT 2"))
        await until(says(client, "shop", "ROOT 1\nROOT 2"))
    with pytest.raises(NotFound):
        await client.get(CONFIG_MAPS, CONFIG_MAP_NAME, "kube-system")


def test_namespaces_that_end_are_left_alone() -> None:
    assert is_served({"metadata": {"name": "shop"}})
    assert not is_served({"metadata": {"name": "shop", "deletionTimestamp": "2030-01-01T00:00:00Z"}})
    assert not is_served({"metadata": {"name": "kube-system"}})
    assert not is_served(None)


@pytest.mark.parametrize("elect_in", [None, "default"])
async def test_webhooks_trust_the_authority(client: KubeClient, elect_in: str | None) -> None:
    authority = Authority()

    def trusted(resource: Any, name: str) -> Callable[[], Awaitable[bool]]:
        async def look() -> bool:
            found = await client.get(resource, name)
            bundles = {hook["clientConfig"].get("caBundle") for hook in found["webhooks"]}
            return bundles == {base64.b64encode(authority.certificates.encode()).decode()}

        return look

    await client.create(webhook("MutatingWebhookConfiguration", INJECTOR_NAME))
    async with reconciling(client, authority, elect_in):
        await until(trusted(MUTATING_WEBHOOKS, INJECTOR_NAME))
        await client.create(webhook("ValidatingWebhookConfiguration", VALIDATOR_NAME))
        await until(trusted(VALIDATING_WEBHOOKS, VALIDATOR_NAME))
        await client.apply(webhook("MutatingWebhookConfiguration", INJECTOR_NAME))
        authority.certificates = "ROOT 2"
        authority.renewed.set()
        await until(trusted(MUTATING_WEBHOOKS, INJECTOR_NAME))
        await until(trusted(VALIDATING_WEBHOOKS, VALIDATOR_NAME))


def test_what_is_right_is_not_written() -> None:
    configuration = webhook("MutatingWebhookConfiguration", INJECTOR_NAME)
    assert [step["op"] for step in bundle_patch(configuration, "CA")] == ["test", "add"] * 2
    for hook in configuration["webhooks"]:
        hook["clientConfig"] = {**hook["clientConfig"], "caBundle": base64.b64encode(b"CA").decode()}
    assert bundle_patch(configuration, "CA") == []
