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
GROUP, EXPERIMENTAL_GROUP = "gateway.networking.k8s.io", "gateway.networking.x-k8s.io"
NAMES = (
    f"{GROUP}_gatewayclasses",
    f"{GROUP}_gateways",
    f"{GROUP}_listenersets",
    f"{GROUP}_httproutes",
    f"{GROUP}_grpcroutes",
    f"{GROUP}_tlsroutes",
    f"{GROUP}_tcproutes",
    f"{GROUP}_udproutes",
    f"{GROUP}_referencegrants",
    f"{GROUP}_backendtlspolicies",
    f"{EXPERIMENTAL_GROUP}_xbackends",
    f"{EXPERIMENTAL_GROUP}_xbackendtrafficpolicies",
    f"{EXPERIMENTAL_GROUP}_xmeshes",
)


def main(folder: str) -> None:
    """Write the definitions of all kinds; whoever writes one that is not in force is told so."""
    found = []
    for name in NAMES:
        path = Path(folder) / f"{name}.yaml"
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
