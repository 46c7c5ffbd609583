"""The root is made once, whoever starts first, and read by everybody else."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from kaiki.authority.authority import AuthorityError
from kaiki.authority.storage import load_or_create_root
from kaiki.kube.errors import AlreadyExists
from kaiki.kube.resource import ResourceType

NOW = datetime(2030, 1, 1, tzinfo=UTC)


class Secrets:
    """An API with nothing but Secrets, which lets others run between any two requests."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str | None, str], dict[str, Any]] = {}

    async def find(self, resource: ResourceType, name: str, namespace: str | None = None) -> dict[str, Any] | None:
        await asyncio.sleep(0)
        return self.objects.get((namespace, name))

    async def create(self, obj: dict[str, Any]) -> dict[str, Any]:
        await asyncio.sleep(0)
        key = obj["metadata"]["namespace"], obj["metadata"]["name"]
        if key in self.objects:
            raise AlreadyExists("taken")
        self.objects[key] = obj
        return obj


async def test_control_planes_that_start_together_share_one_root() -> None:
    secrets = Secrets()
    roots = await asyncio.gather(*(load_or_create_root(secrets, NOW) for _ in range(3)))
    assert len({root.bundle_pem for root in roots}) == 1
    assert len(secrets.objects) == 1


async def test_a_restart_reads_the_same_root() -> None:
    secrets = Secrets()
    first = await load_or_create_root(secrets, NOW)
    second = await load_or_create_root(secrets, NOW)
    assert first.bundle_pem == second.bundle_pem
    assert first.key.private_numbers() == second.key.private_numbers()


async def test_a_broken_secret_is_named_with_the_way_out() -> None:
    secrets = Secrets()
    await load_or_create_root(secrets, NOW)
    secrets.objects["istio-system", "istio-ca-secret"]["data"].pop("ca-key.pem")
    with pytest.raises(AuthorityError, match=r"istio-system/istio-ca-secret has no ca-key\.pem; add"):
        await load_or_create_root(secrets, NOW)
