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

    def add(kind: str, content: bytes) -> dict[str, Any]:
        digest = hashlib.sha256(content).hexdigest()
        (blobs / digest).write_bytes(content)
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": len(content)}

    unpacked = [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers]
    rootfs = {"type": "layers", "diff_ids": unpacked}
    image = {"architecture": "amd64", "os": "linux", "config": config, "rootfs": rootfs}
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": add("config.v1+json", json.dumps(image).encode()),
        "layers": [add("layer.v1.tar+gzip", gzip.compress(layer)) for layer in layers],
    }
    annotations = {"org.opencontainers.image.ref.name": name}
    entry = add("manifest.v1+json", json.dumps(manifest).encode())
    index = {"schemaVersion": 2, "manifests": [{**entry, "annotations": annotations}]}
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (folder / "index.json").write_text(json.dumps(index))
