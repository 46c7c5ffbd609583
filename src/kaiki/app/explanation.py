"""Why a request goes where it goes: what the control plane would tell a proxy, worked out here and walked through."""

from __future__ import annotations

from kaiki.console.preview import read_inputs
from kaiki.interpret.assumed import assume_secrets
from kaiki.interpret.interpretation import Interpretation, interpret
from kaiki.kube.client import KubeClient


async def read_mesh(client: KubeClient) -> Interpretation:
    """The mesh as the API has it now. Secrets are not read: those that Gateways name count as good."""
    return interpret(assume_secrets(await read_inputs(client)))
