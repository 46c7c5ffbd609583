"""A real API server with what `kaiki install` gives the console there: its account, its rights, the mesh's kinds."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from kaiki.apiserver import credentials
from kaiki.apiserver.server import ApiServer, ApiServerSettings
from kaiki.app.definitions import definitions
from kaiki.kube.client import KubeClient
from kaiki.kube.config import KubeConfig, read_kubeconfig
from kaiki.kube.resource import ROLES
from kaiki.manifests.base import base_manifests
from kaiki.manifests.observability import console_manifests
from kaiki.manifests.settings import ConsoleOptions, InstallSettings, OidcOptions, Platform

sys.path.insert(0, str(Path(__file__).parent))  # What tests share are modules beside them.

import fake_provider

SYSTEM = "istio-system"
RBAC = "rbac.authorization.k8s.io/v1"
TOKEN = "a-token-for-tests"


@dataclass
class Cluster:
    """`admin` may do everything; `console` is the configuration of the console's pod, with its mounted token."""

    admin: KubeClient
    console: KubeConfig
    settings: InstallSettings

    async def install(self, settings: InstallSettings) -> None:
        """What the console has: no Deployment, since nothing here would run it."""
        for obj in [*base_manifests(settings), *console_manifests(settings)]:
            if obj["kind"] != "Deployment":
                await self.admin.apply(obj)

    def impersonating(self) -> InstallSettings:
        """An installation whose console acts as whoever has logged in."""
        oidc = OidcOptions("https://id.example.org", "kaiki", acts_by="impersonate")
        return replace(self.settings, console=ConsoleOptions(oidc=oidc))

    async def grant(self, subject: dict[str, str], *rules: dict[str, Any], namespace: str = "") -> None:
        """A role of these rules for a user, a group or a service account: in one namespace, or everywhere."""
        name, prefix = f"{subject['name']}-rights".replace("@", "-"), "" if namespace else "Cluster"
        metadata: dict[str, Any] = {"name": name, **({"namespace": namespace} if namespace else {})}
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": f"{prefix}Role", "name": name}
        await self.admin.apply({"apiVersion": RBAC, "kind": f"{prefix}Role", "metadata": metadata, "rules": [*rules]})
        binding = {"apiVersion": RBAC, "kind": f"{prefix}RoleBinding", "metadata": metadata}
        await self.admin.apply(binding | {"roleRef": reference, "subjects": [subject]})

    async def role(self, name: str) -> dict[str, Any]:
        """A Role of the console's own namespace."""
        return await self.admin.get(ROLES, name, SYSTEM)

    async def account_token(self, name: str) -> str:
        """A token of a service account of the namespace default, made where it is missing."""
        metadata = {"name": name, "namespace": "default"}
        await self.admin.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
        return (await self.admin.request_token("default", name)).token


def rule(verbs: str, resources: str, group: str = "networking.istio.io", names: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {"verbs": verbs.split(), "apiGroups": [group], "resources": resources.split()}
    return found | ({"resourceNames": names.split()} if names else {})


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    api = ApiServerSettings(home=tmp_path / "api", listen_addresses=(("127.0.0.1", 0),))
    async with ApiServer(api) as server:
        credentials.write_kubeconfig(api.home, f"https://127.0.0.1:{server.ports[0]}")
        admin = read_kubeconfig(api.home / "kubeconfig")
        settings = InstallSettings("1.0.0", Platform.LOCAL, TOKEN, definitions=tuple(definitions()))
        async with KubeClient(admin) as client:
            token_file = tmp_path / "token"
            found = Cluster(client, replace(admin, token=None, token_file=token_file), settings)
            await found.install(settings)
            metadata = {"name": "kiali-1", "namespace": SYSTEM}
            container = {"name": "kiali", "image": "kaiki/kaiki:1.0.0"}
            spec = {"serviceAccountName": "kiali", "containers": [container]}
            pod = await client.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
            bound = pod["metadata"]["name"], pod["metadata"]["uid"]
            token_file.write_text((await client.request_token(SYSTEM, "kiali", bound_pod=bound)).token)
            yield found


@pytest.fixture
async def provider() -> AsyncIterator[Any]:
    """An OpenID provider."""
    found = fake_provider.FakeProvider()
    async with fake_provider.serving(found.application()) as found.url:
        yield found
