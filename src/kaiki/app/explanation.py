"""Why a request goes where it goes: what the control plane would tell a proxy, worked out here and walked through."""

from __future__ import annotations

from kaiki.console.preview import Inputs, read_inputs
from kaiki.interpret.assumed import assume_secrets
from kaiki.interpret.interpretation import interpret
from kaiki.kube.client import KubeClient
from kaiki.model.snapshot import MeshSnapshot


async def read_mesh(client: KubeClient) -> tuple[MeshSnapshot, Inputs]:
    """The mesh as the API has it now, and its objects. Secrets are not read: those that Gateways name count as good."""
    inputs = await read_inputs(client)
    return interpret(assume_secrets(inputs)).snapshot, inputs
