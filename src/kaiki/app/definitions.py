"""The resource definitions an installation brings: Istio's, generated from our types, and the Gateway API's own.

The Gateway API's are the project's (see NOTICE), packed by `tools/build_gateway_api.py`.
"""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

from kaiki.resources.crds import custom_resource_definitions

_GATEWAY_API = Path(__file__).parent / "data" / "gateway-api.json.gz"


def gateway_api_definitions() -> list[dict[str, Any]]:
    """The CRDs of the Gateway API's experimental channel, which serves every version."""
    import orjson

    found: list[dict[str, Any]] = orjson.loads(gzip.decompress(_GATEWAY_API.read_bytes()))
    return found


def definitions() -> list[dict[str, Any]]:
    """All CRDs that `kaiki install` applies; a new value every time."""
    return [*custom_resource_definitions(), *gateway_api_definitions()]
