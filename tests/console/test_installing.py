"""An installation whose console could not start is refused before anything is applied."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kaiki.app.installation import install
from kaiki.app.machine import MachineError
from kaiki.kube.resource import DEPLOYMENTS
from kaiki.manifests.settings import ConsoleOptions, OidcOptions


async def test_the_clients_secret_must_be_there(cluster: Any) -> None:
    oidc = OidcOptions("https://id.example.org", "kaiki", ca_key="ca.crt")
    settings = replace(cluster.settings, console=ConsoleOptions(oidc=oidc))
    wanted = r"Secret istio-system/kaiki-console-oidc has no ca.crt and no client-secret: .*create secret generic"
    with pytest.raises(MachineError, match=wanted):
        await install(cluster.admin, settings)
    metadata = {"name": "kaiki-console-oidc", "namespace": "istio-system"}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"client-secret": "a"}}
    await cluster.admin.apply(secret)
    with pytest.raises(MachineError, match=r"has no ca.crt: .*--from-file=ca.crt"):
        await install(cluster.admin, settings)
    await cluster.admin.apply(secret | {"stringData": {"client-secret": "a", "ca.crt": "b"}})
    await install(cluster.admin, settings)
    assert await cluster.admin.get(DEPLOYMENTS, "kiali", "istio-system")
