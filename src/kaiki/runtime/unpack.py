"""An image's archive → a folder with its files, and how it wants to be run. Runs as a program of its own.

    python -m kaiki.runtime.unpack ARCHIVE_OR_LAYOUT NAME FOLDER
        FOLDER/root      the files of all layers
        FOLDER/image.json  {"name", "digest", "config": {Entrypoint, Cmd, Env, WorkingDir, User, …}}

Reads what `docker save`, `podman save` and `skopeo copy` write: archives and folders of Docker's form and of OCI's.
Everything belongs to who runs this. A layer cannot write outside its folder: links are followed inside of it only.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import platform
import shutil
import stat
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import IO, Any

from kaiki.runtime.mounts import resolve_inside

_WHITEOUT, _OPAQUE = ".wh.", ".wh..wh..opq"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
NAME_ANNOTATIONS = ("io.containerd.image.name", "org.opencontainers.image.ref.name")


class UnpackError(Exception):
    """The image cannot be used; the message says why."""


class Source:
    """An archive or a folder, read by the paths inside."""

    def __init__(self, path: Path) -> None:
        self._folder = path if path.is_dir() else None
        self._archive: tarfile.TarFile | None = None
        if self._folder is None:
            try:
                self._archive = tarfile.open(path)  # noqa: SIM115 - closed with this
            except (tarfile.TarError, OSError) as error:
                raise UnpackError(f"{path} is no archive of an image: {error}") from error

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        if self._archive is not None:
            self._archive.close()

    def open(self, name: str) -> IO[bytes]:
        """One file inside; raises UnpackError."""
        try:
            if self._folder is not None:
                return (self._folder / name).open("rb")
            assert self._archive is not None
            found = self._archive.extractfile(name)
        except (KeyError, OSError) as error:
            raise UnpackError(f"there is no {name} in the image: {error}") from error
        if found is None:
            raise UnpackError(f"{name} in the image is no file")
        return found

    def read_json(self, name: str) -> Any:
        """One file as JSON; raises UnpackError."""
        with self.open(name) as file:
            try:
                return json.load(file)
            except ValueError as error:
                raise UnpackError(f"{name} in the image: {error}") from error

    def has(self, name: str) -> bool:
        """Whether there is such a file."""
        try:
            self.open(name).close()
        except UnpackError:
            return False
        return True


def image_of(source: Source, name: str) -> tuple[dict[str, Any], list[str], str]:
    """The configuration of an image, the paths of its layers from the lowest up, and its digest."""
    if source.has("manifest.json"):  # Docker's form; newer archives have both
        return _docker_image(source, name)
    if source.has("index.json"):
        return _oci_image(source, source.read_json("index.json"), name)
    raise UnpackError("neither manifest.json nor index.json is in it: write it with `docker save` or `podman save`")


def _docker_image(source: Source, name: str) -> tuple[dict[str, Any], list[str], str]:
    entries = source.read_json("manifest.json")
    named = [one for one in entries if any(same_image(name, tag) for tag in one.get("RepoTags") or ())]
    chosen = (named or entries)[0]
    return source.read_json(chosen["Config"]), list(chosen["Layers"]), Path(chosen["Config"]).stem


def _oci_image(source: Source, index: Any, name: str) -> tuple[dict[str, Any], list[str], str]:
    entries = index.get("manifests") or []
    named = [one for one in entries if any(_names_it(one, key, name) for key in NAME_ANNOTATIONS)]
    fitting = [one for one in named or entries if _fits(one.get("platform") or {})]
    if not fitting:
        raise UnpackError(f"the image is not for this machine ({platform.machine()})")
    found = source.read_json(_blob(fitting[0]["digest"]))
    if "manifests" in found:
        return _oci_image(source, found, "")
    digest = str(fitting[0]["digest"]).partition(":")[2]
    return source.read_json(_blob(found["config"]["digest"])), [_blob(one["digest"]) for one in found["layers"]], digest


def _names_it(entry: dict[str, Any], key: str, name: str) -> bool:
    found = str((entry.get("annotations") or {}).get(key, ""))
    return bool(found and name) and (same_image(name, found) or name.rpartition(":")[2] == found)


def _fits(wanted: dict[str, Any]) -> bool:
    machine = _ARCHITECTURES.get(platform.machine(), platform.machine())
    return bool(wanted.get("architecture", machine) == machine and wanted.get("os", "linux") == "linux")


def _blob(digest: str) -> str:
    algorithm, _, text = str(digest).partition(":")
    if not (algorithm.isalnum() and text.isalnum()):
        raise UnpackError(f"{digest!r} is no digest")
    return f"blobs/{algorithm}/{text}"


def full_name(image: str) -> str:
    """`busybox` → `docker.io/library/busybox:latest`."""
    first, slash, _ = image.partition("/")
    if not slash:
        image = f"docker.io/library/{image}"
    elif not ("." in first or ":" in first or first == "localhost"):
        image = f"docker.io/{image}"
    if "@" in image or ":" in image.rpartition("/")[2]:
        return image
    return f"{image}:latest"


def same_image(one: str, other: str) -> bool:
    """Whether two names mean the same image. Podman puts what was built without a registry under localhost."""
    names = {full_name(one), full_name(other)}
    return len(names) == 1 or len({name.removeprefix("localhost/") for name in (one, other)}) == 1


class Tree:
    """The files of an image while its layers are put on each other."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def add(self, layer: IO[bytes]) -> None:
        """Put one more layer on; raises UnpackError."""
        with tarfile.open(fileobj=layer, mode="r|", errorlevel=1) as archive:
            folders: list[tuple[Path, int]] = []
            for member in archive:
                self._add(archive, member, folders)
            for folder, mode in reversed(folders):
                os.chmod(folder, mode)

    def _add(self, archive: tarfile.TarFile, member: tarfile.TarInfo, folders: list[tuple[Path, int]]) -> None:
        parts = [part for part in member.name.split("/") if part not in ("", ".")]
        if not parts:
            return
        if ".." in parts:
            raise UnpackError(f"the layer's file {member.name!r} lies outside of it")
        parent, name = self._resolve(parts[:-1]), parts[-1]
        if name == _OPAQUE:
            self._empty(parent)
        elif name.startswith(_WHITEOUT):
            _remove(parent / name.removeprefix(_WHITEOUT))
        else:
            parent.mkdir(parents=True, exist_ok=True)
            self._write(archive, member, parent / name, folders)

    def _write(
        self, archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path, folders: list[tuple[Path, int]]
    ) -> None:
        mode = stat.S_IMODE(member.mode) & ~(stat.S_ISUID | stat.S_ISGID)
        if member.isdir():
            if path.is_symlink() or not path.is_dir():
                _remove(path)
                path.mkdir()
            folders.append((path, mode | stat.S_IRWXU))
            return
        _remove(path)
        if member.issym():
            path.symlink_to(member.linkname)
        elif member.islnk():
            parts = [part for part in member.linkname.split("/") if part not in ("", ".")]
            if not parts or ".." in parts:
                raise UnpackError(f"the layer's link {member.linkname!r} leads outside of it")
            os.link(self._resolve(parts[:-1]) / parts[-1], path, follow_symlinks=False)
        elif member.isfile():
            content = archive.extractfile(member)
            assert content is not None
            with path.open("xb") as file:
                shutil.copyfileobj(content, file, 1 << 20)
            os.chmod(path, mode)
        # Devices come from the machine, and pipes nobody ships.

    def _empty(self, folder: Path) -> None:
        if folder.is_dir() and not folder.is_symlink():
            for entry in folder.iterdir():
                _remove(entry)

    def _resolve(self, parts: list[str]) -> Path:
        """Where a folder is when links are followed as inside of the image."""
        return Path(resolve_inside(str(self._root), "/".join(parts)))


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def open_layer(raw: IO[bytes]) -> IO[bytes]:
    """A layer's bytes, whatever it is packed with; raises UnpackError."""
    head = raw.read(4)
    raw.seek(0)
    if head[:2] == b"\x1f\x8b":
        return gzip.open(raw)  # type: ignore[return-value]
    if head == b"\x28\xb5\x2f\xfd":
        program = shutil.which("zstd")
        if program is None:
            raise UnpackError("a layer is packed with zstd, and there is no program zstd on this machine")
        done = subprocess.run([program, "-dc"], input=raw.read(), capture_output=True, check=False)
        if done.returncode:
            raise UnpackError(f"zstd: {done.stderr.decode(errors='replace').strip()}")
        return io.BytesIO(done.stdout)
    return raw


def unpack(archive: Path, name: str, folder: Path) -> None:
    """Unpack into `folder`, which appears as a whole or not at all; raises UnpackError or OSError."""
    working = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(working, ignore_errors=True)
    root = working / "root"
    root.mkdir(parents=True)
    try:
        with Source(archive) as source:
            config, layers, digest = image_of(source, name)
            for layer in layers:
                with source.open(layer) as raw, open_layer(raw) as opened:
                    Tree(root).add(opened)
        described = {"name": name, "digest": digest, "config": config.get("config") or {}}
        (working / "image.json").write_text(json.dumps(described))
        os.replace(working, folder)
    except (tarfile.TarError, EOFError, KeyError, TypeError, IndexError) as error:
        raise UnpackError(f"the image is damaged: {error!r}") from error
    finally:
        shutil.rmtree(working, ignore_errors=True)


def main(arguments: list[str]) -> int:
    """The exit code; what is wrong goes to standard output, which is the message of the pod's event."""
    archive, name, folder = arguments
    try:
        unpack(Path(archive), name, Path(folder))
    except (UnpackError, OSError) as error:
        print(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
