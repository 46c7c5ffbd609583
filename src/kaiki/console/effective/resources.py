"""What the control plane answered for one proxy, resource by resource."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ToldResource:
    """One xDS resource as the proxy was told it. `state` is acknowledged, waiting or refused."""

    type_url: str
    name: str
    version: str
    state: str
    touched: tuple[tuple[str, str, str], ...]
    body: bytes


def resources_of(told: Object) -> list[ToldResource]:
    """The resources of an answer of /debug/config_dump, in its order."""
    return [
        ToldResource(
            str(item["type"]),
            str(item["name"]),
            str(item.get("version", "")),
            str(item.get("state", "")),
            tuple((str(one[0]), str(one[1]), str(one[2])) for one in item.get("touched") or ()),
            base64.b64decode(item.get("body", "")),
        )
        for item in told.get("resources") or ()
    ]
