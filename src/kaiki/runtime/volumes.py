"""What is in a pod's volumes, and how it gets there.

Content (ConfigMaps, Secrets, the downward API, tokens) is computed by pure functions; `AtomicDirectory` writes it as
the
kubelet does: a new directory, then one rename of the link `..data`, so that a reader sees all of the old or all of
the new.
"""

from __future__ import annotations

import os
import shutil
import time
from base64 import b64decode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from kaiki.runtime.environment import MissingReference, PodFacts, Reader, read_field, read_resource

Object = Mapping[str, Any]
_DEFAULT_MODE = 0o644


@dataclass(frozen=True, slots=True)
class File:
    """A file's bytes and mode."""

    data: bytes
    mode: int = _DEFAULT_MODE


@dataclass(frozen=True, slots=True)
class TokenFile:
    """A service account token to be asked for and written to `path`."""

    path: str
    audience: str
    expiration_seconds: int
    mode: int = _DEFAULT_MODE


@dataclass(frozen=True, slots=True)
class Content:
    """The files of a volume by relative path, and the tokens to be added."""

    files: Mapping[str, File] = field(default_factory=dict)
    tokens: tuple[TokenFile, ...] = ()


def _clean(path: str) -> str:
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or not pure.parts:
        raise MissingReference(f"volume path {path!r} must be relative and without '..'")
    return str(pure)


def _object_bytes(found: Object) -> dict[str, bytes]:
    binary = {key: b64decode(value) for key, value in (found.get("binaryData") or {}).items()}
    data = found.get("data") or {}
    if found.get("kind") == "Secret" or "type" in found:
        return binary | {key: b64decode(value) for key, value in data.items()}
    return binary | {key: str(value).encode() for key, value in data.items()}


def _keyed_files(
    kind: str, source: Object, name: str, namespace: str, reader: Reader, default_mode: int
) -> dict[str, File]:
    found = reader.config_map(namespace, name) if kind == "configmap" else reader.secret(namespace, name)
    if found is None:
        if source.get("optional"):
            return {}
        raise MissingReference(f'{kind} "{name}" not found')
    values = _object_bytes(found)
    items = source.get("items")
    if not items:
        return {key: File(value, default_mode) for key, value in values.items()}
    files = {}
    for item in items:
        if item["key"] in values:
            files[_clean(item["path"])] = File(values[item["key"]], int(item.get("mode") or default_mode))
        elif not source.get("optional"):
            raise MissingReference(f"{kind} {name!r} has no key {item['key']!r}")
    return files


def _downward_files(
    items: Iterable[Object], facts: PodFacts, machine: Mapping[str, str], default_mode: int
) -> dict[str, File]:
    files = {}
    for item in items:
        if "fieldRef" in item:
            value = read_field(facts, item["fieldRef"]["fieldPath"])
        else:
            value = read_resource(item["resourceFieldRef"], facts.pod, {}, machine)
        files[_clean(item["path"])] = File(value.encode(), int(item.get("mode") or default_mode))
    return files


def volume_content(volume: Object, facts: PodFacts, reader: Reader, machine: Mapping[str, str]) -> Content | None:
    """A volume's content; None for one that is only a directory (`emptyDir`, `hostPath`). Raises MissingReference."""
    namespace = str(facts.pod["metadata"].get("namespace", "default"))
    if (source := volume.get("configMap")) is not None:
        mode = int(source.get("defaultMode") or _DEFAULT_MODE)
        return Content(_keyed_files("configmap", source, source["name"], namespace, reader, mode))
    if (source := volume.get("secret")) is not None:
        mode = int(source.get("defaultMode") or _DEFAULT_MODE)
        return Content(_keyed_files("secret", source, source["secretName"], namespace, reader, mode))
    if (source := volume.get("downwardAPI")) is not None:
        mode = int(source.get("defaultMode") or _DEFAULT_MODE)
        return Content(_downward_files(source.get("items") or (), facts, machine, mode))
    if (source := volume.get("projected")) is not None:
        return _projected(source, facts, reader, machine)
    if "emptyDir" in volume or "hostPath" in volume:
        return None
    kinds = ", ".join(sorted(set(volume) - {"name"})) or "none"
    raise MissingReference(
        f"volume {volume['name']!r} is of kind {kinds}: this node knows emptyDir, hostPath, configMap, secret, "
        "downwardAPI and projected"
    )


def _projected(source: Object, facts: PodFacts, reader: Reader, machine: Mapping[str, str]) -> Content:
    namespace = str(facts.pod["metadata"].get("namespace", "default"))
    mode = int(source.get("defaultMode") or _DEFAULT_MODE)
    files: dict[str, File] = {}
    tokens: list[TokenFile] = []
    for one in source.get("sources") or ():
        if (part := one.get("configMap")) is not None:
            files |= _keyed_files("configmap", part, part["name"], namespace, reader, mode)
        elif (part := one.get("secret")) is not None:
            files |= _keyed_files("secret", part, part["name"], namespace, reader, mode)
        elif (part := one.get("downwardAPI")) is not None:
            files |= _downward_files(part.get("items") or (), facts, machine, mode)
        elif (part := one.get("serviceAccountToken")) is not None:
            seconds = int(part.get("expirationSeconds") or 3600)
            tokens.append(TokenFile(_clean(part["path"]), str(part.get("audience") or ""), seconds, mode))
    return Content(files, tuple(tokens))


class AtomicDirectory:
    """A directory whose content changes as a whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written: Mapping[str, File] | None = None
        self._count = 0

    def write(self, files: Mapping[str, File]) -> bool:
        """Make the directory hold exactly `files`; False when it does already."""
        if self._written == files:
            return False
        self._path.mkdir(parents=True, exist_ok=True)
        self._count += 1
        version = self._path / f"..{time.strftime('%Y_%m_%d_%H_%M_%S')}.{self._count}"
        version.mkdir()
        for name, file in files.items():
            target = version / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.data)
            target.chmod(file.mode)
        self._swap(version)
        self._link({PurePosixPath(name).parts[0] for name in files})
        self._written = dict(files)
        return True

    def _swap(self, version: Path) -> None:
        current = self._path / "..data"
        old = os.readlink(current) if current.is_symlink() else None
        temporary = self._path / "..data_tmp"
        os.symlink(version.name, temporary)
        os.replace(temporary, current)
        if old:
            shutil.rmtree(self._path / old, ignore_errors=True)

    def _link(self, names: set[str]) -> None:
        for entry in list(self._path.iterdir()):
            if not entry.name.startswith("..") and entry.name not in names:
                entry.unlink()
        for name in names:
            link = self._path / name
            if not link.is_symlink():
                link.symlink_to(f"..data/{name}")
