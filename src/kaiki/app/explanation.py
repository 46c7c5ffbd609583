"""Why a request goes where it goes: what the control plane would tell a proxy, worked out here and walked through."""

from __future__ import annotations

from typing import Any

from kaiki.interpret.assumed import assume_secrets
from kaiki.interpret.interpretation import KINDS, Interpretation, interpret
from kaiki.kube.client import KubeClient
from kaiki.kube.errors import NotFound
from kaiki.sources.collections import caches_of
from kaiki.translate.simulation.explanation import UnknownProxy, explain_request, proxy_of

__all__ = ["UnknownProxy", "explain_request", "proxy_of", "read_mesh"]


async def read_mesh(client: KubeClient) -> Interpretation:
    """The mesh as the API has it now. Secrets are not read: those that Gateways name count as good."""
    inputs: dict[tuple[str, str, str], Any] = {}
    for kind, cache in caches_of(client, KINDS).items():
        try:
            found = await client.list(cache.resource)
        except NotFound:
            continue
        for obj in found:
            metadata = obj["metadata"]
            # What a list holds does not say its kind.
            obj = {"kind": kind, "apiVersion": cache.resource.api_version, **obj}
            inputs[kind, str(metadata.get("namespace") or ""), str(metadata["name"])] = obj
    return interpret(assume_secrets(inputs))
