"""Archives of images, made by tests: as `docker save` writes them, and as OCI's folders."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Content = bytes | str | None
"""Of a file in a layer: its bytes, the target of a link, or None for a folder."""


def make_layer(files: Mapping[str, Content]) -> bytes:
    """A layer with these files; all may be executed."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.mode = 0o755
            if content is None:
                member.type = tarfile.DIRTYPE
            elif isinstance(content, str):
                member.type, member.linkname = tarfile.SYMTYPE, content
            else:
                member.size = len(content)
            archive.addfile(member, io.BytesIO(content) if isinstance(content, bytes) else None)
    return packed.getvalue()


def write_docker_archive(path: Path, name: str, config: Mapping[str, Any], *layers: bytes) -> None:
    """As `docker save` writes it."""
    files = {f"{number}/layer.tar": layer for number, layer in enumerate(layers)}
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": list(files)}]
    files |= {"config.json": json.dumps({"config": config}).encode(), "manifest.json": json.dumps(manifest).encode()}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}")
    with tarfile.open(partial, "w") as archive:
        for file, content in files.items():
            member = tarfile.TarInfo(file)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    partial.rename(path)


def write_oci_layout(folder: Path, name: str, config: Mapping[str, Any], *layers: bytes) -> None:
    """As `skopeo copy … oci:` writes it, layers packed."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def add(content: bytes) -> dict[str, Any]:
        digest = hashlib.sha256(content).hexdigest()
        (blobs / digest).write_bytes(content)
        return {"digest": f"sha256:{digest}", "size": len(content)}

    manifest = {
        "schemaVersion": 2,
        "config": add(json.dumps({"config": config}).encode()),
        "layers": [add(gzip.compress(layer)) for layer in layers],
    }
    annotations = {"org.opencontainers.image.ref.name": name}
    index = {
        "schemaVersion": 2,
        "manifests": [{**add(json.dumps(manifest).encode()), "annotations": annotations}],
    }
    (folder / "index.json").write_text(json.dumps(index))
