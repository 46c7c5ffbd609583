"""Builds src/kaiki/app/data/gateway-api.json.gz from the Gateway API's resource definitions (Apache-2.0).

    python tools/build_gateway_api.py FOLDER

FOLDER is `config/crd/experimental` of the release to be built in: it serves every version a client may ask for. Only
the first sentence of each description is kept, which is what `kubectl explain` is read for; definitions are applied at
every start, and whole descriptions are two thirds of their size.
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import Any

import yaml

TARGET = Path(__file__).resolve().parents[1] / "src" / "kaiki" / "app" / "data" / "gateway-api.json.gz"
PLURALS = (
    "gatewayclasses",
    "gateways",
    "listenersets",
    "httproutes",
    "grpcroutes",
    "tlsroutes",
    "tcproutes",
    "referencegrants",
    "backendtlspolicies",
)


def main(folder: str) -> None:
    """Write the definitions of the kinds that are in force."""
    found = []
    for plural in PLURALS:
        path = Path(folder) / f"gateway.networking.k8s.io_{plural}.yaml"
        document = yaml.safe_load(path.read_text())
        document.pop("status", None)
        found.append(_shortened(document))
    TARGET.parent.mkdir(exist_ok=True)
    packed = json.dumps(found, separators=(",", ":")).encode()
    TARGET.write_bytes(gzip.compress(packed, 9, mtime=0))
    print(f"{TARGET.name}: {len(found)} definitions, {len(packed)} bytes, {TARGET.stat().st_size} packed")


def _shortened(value: Any) -> Any:
    if isinstance(value, list):
        return [_shortened(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _first_sentence(item) if key == "description" and isinstance(item, str) else _shortened(item)
        for key, item in value.items()
    }


def _first_sentence(text: str) -> str:
    paragraph = " ".join(text.split("\n\n")[0].split())
    sentence, dot, _ = paragraph.partition(". ")
    return sentence + dot.strip()


if __name__ == "__main__":
    main(sys.argv[1])
