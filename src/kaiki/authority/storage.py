"""Where the root lives: the Secret `istio-ca-secret`, as Istio has it.

Several control planes may start at once, and only one may make the root: creating the Secret is what decides, and who
comes second reads what the first one made.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from kaiki.authority.authority import AuthorityError, load_root, new_root, pem_of_key
from kaiki.authority.issue import Root
from kaiki.kube.errors import AlreadyExists
from kaiki.kube.resource import SECRETS, ResourceType

CERTIFICATE_KEY = "ca-cert.pem"
PRIVATE_KEY = "ca-key.pem"
FURTHER_ROOTS_KEY = "root-cert.pem"


class SecretStore(Protocol):
    """The part of the Kubernetes client that keeping the root needs."""

    async def find(self, resource: ResourceType, name: str, namespace: str | None = None) -> dict[str, Any] | None: ...

    async def create(self, obj: dict[str, Any]) -> dict[str, Any]: ...


async def load_or_create_root(
    store: SecretStore, now: datetime, namespace: str = "istio-system", name: str = "istio-ca-secret"
) -> Root:
    """The mesh's root, made now if there is none. Raises AuthorityError when the Secret holds no usable root."""
    found = await store.find(SECRETS, name, namespace)
    if found is None:
        root = new_root(now)
        try:
            await store.create(_secret(root, namespace, name))
            return root
        except AlreadyExists:
            found = await store.find(SECRETS, name, namespace)
    if found is None:
        raise AuthorityError(f"Secret {namespace}/{name} was deleted while it was being read; start again")
    return _root_from(found, f"Secret {namespace}/{name}")


def _secret(root: Root, namespace: str, name: str) -> dict[str, Any]:
    data = {CERTIFICATE_KEY: root.bundle_pem, PRIVATE_KEY: pem_of_key(root.key)}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "istio.io/ca-root",
        "metadata": {"name": name, "namespace": namespace},
        "data": {key: base64.b64encode(value).decode() for key, value in data.items()},
    }


def _root_from(secret: Mapping[str, Any], where: str) -> Root:
    data = secret.get("data") or {}
    missing = [key for key in (CERTIFICATE_KEY, PRIVATE_KEY) if not data.get(key)]
    if missing:
        raise AuthorityError(
            f"{where} has no {' and no '.join(missing)}; add them, or delete the Secret to have a new root made"
        )
    try:
        values = [base64.b64decode(data.get(key) or "") for key in (CERTIFICATE_KEY, PRIVATE_KEY, FURTHER_ROOTS_KEY)]
        return load_root(*values)
    except (AuthorityError, binascii.Error) as error:
        raise AuthorityError(f"{where}: {error}") from error
