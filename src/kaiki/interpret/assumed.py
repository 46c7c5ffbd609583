"""The Secrets that Gateways name, counted as good: whoever only explains a mesh has no business reading them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kaiki.interpret.credentials import CREDENTIAL, wanted_credentials
from kaiki.interpret.interpretation import interpret


def assume_secrets(inputs: Mapping[tuple[str, str, str], Mapping[str, Any]]) -> dict[tuple[str, str, str], Any]:
    """The inputs with a stand-in for every credential they want."""
    result: dict[tuple[str, str, str], Any] = dict(inputs)
    for namespace, name in wanted_credentials(interpret(inputs).snapshot):
        result[CREDENTIAL, namespace, name] = {
            "metadata": {"namespace": namespace, "name": name},
            "version": "assumed",
            "pairProblem": "",
            "rootsProblem": "",
        }
    return result
