"""A pod's volumes while it lives: made, filled, kept up to date, tokens renewed before they end."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kaiki.runtime import resolver
from kaiki.runtime.cluster import ClusterUnavailable, Token
from kaiki.runtime.environment import MissingReference, PodFacts
from kaiki.runtime.mounts import Bind
from kaiki.runtime.node import Node
from kaiki.runtime.sandbox import MESH_NAMES
from kaiki.runtime.volumes import AtomicDirectory, Content, File, TokenFile, volume_content

Object = Mapping[str, Any]
logger = logging.getLogger(__name__)

_TOKEN_LIFE_SHARE = 0.8
_RETRY_SECONDS = 5.0


class PodVolumes:
    """The folders of one pod's volumes and of its /etc files."""

    def __init__(self, node: Node, pod: Object) -> None:
        self._node = node
        self._pod = pod
        self._folder = node.pod_folder(pod)
        self._directories: dict[str, AtomicDirectory] = {}
        self._tokens: dict[tuple[str, TokenFile], tuple[Token, float]] = {}

    async def prepare(self, pod: Object, facts: PodFacts) -> None:
        """Fill everything; raises MissingReference, ClusterUnavailable or OSError, and may be called again."""
        self._pod = pod
        self._write_etc(facts.pod_ip)
        for volume in (pod.get("spec") or {}).get("volumes") or ():
            content = volume_content(volume, facts, self._node.cluster, self._node.machine)
            path = self.path(volume)
            if content is None:
                _make_folder(volume, path)
            else:
                await self._fill(str(volume["name"]), path, content)

    async def keep_fresh(self) -> float:
        """Renew tokens that are due; how many seconds until the next is."""
        now = time.time()
        due = min((due for _, due in self._tokens.values()), default=now + 3600)
        return max(due - now, 1.0) if self._tokens else 3600.0

    async def _fill(self, name: str, path: Path, content: Content) -> None:
        files = dict(content.files)
        for wanted in content.tokens:
            token = await self._token(name, wanted)
            files[wanted.path] = File(token.text.encode(), wanted.mode)
        self._directories.setdefault(name, AtomicDirectory(path)).write(files)

    async def _token(self, volume: str, wanted: TokenFile) -> Token:
        now = time.time()
        held = self._tokens.get((volume, wanted))
        if held and held[1] > now:
            return held[0]
        try:
            token = await self._node.cluster.request_token(self._pod, wanted.audience, wanted.expiration_seconds)
        except ClusterUnavailable:
            if held and held[0].expires_at > now:
                self._tokens[volume, wanted] = (held[0], now + _RETRY_SECONDS)
                return held[0]
            raise
        self._tokens[volume, wanted] = (token, now + (token.expires_at - now) * _TOKEN_LIFE_SHARE)
        return token

    def path(self, volume: Object) -> Path:
        """The directory (or, with hostPath, the file) that is the volume."""
        if "hostPath" in volume:
            return Path(volume["hostPath"]["path"])
        return self._folder / "volumes" / str(volume["name"])

    def _write_etc(self, address: str) -> None:
        folder = self._folder / "etc"
        if folder.exists():
            return
        folder.mkdir(parents=True)
        (folder / "resolv.conf").write_text(resolver.resolv_conf(self._pod))
        if resolver.has_sidecar(self._pod):
            (folder / "mesh-resolv.conf").write_text(resolver.resolv_conf(self._pod, MESH_NAMES))
        (folder / "hosts").write_text(resolver.hosts_file(self._pod, address))
        (folder / "hostname").write_text(resolver.host_name(self._pod) + "\n")
        (folder / "nsswitch.conf").write_text(resolver.NSSWITCH)

    def binds(self, container: Object) -> list[Bind]:
        """The mounts of a container, outer before inner; raises MissingReference."""
        etc = self._folder / "etc"
        found: list[Bind] = [
            {"source": str(etc / self._etc_file(container, name)), "target": f"/etc/{name}", "read_only": True}
            for name in ("resolv.conf", "hosts", "hostname", "nsswitch.conf")
            if Path("/etc", name).exists() or name in ("resolv.conf", "hosts")
        ]
        volumes = {one["name"]: one for one in (self._pod.get("spec") or {}).get("volumes") or ()}
        mounts = sorted(container.get("volumeMounts") or (), key=lambda one: one["mountPath"].count("/"))
        for mount in mounts:
            volume = volumes.get(mount["name"])
            if volume is None:
                raise MissingReference(f"container {container['name']}: no volume is named {mount['name']!r}")
            source = self._source(volume, mount)
            content = not {"emptyDir", "hostPath"} & set(volume)
            read_only = bool(mount.get("readOnly")) or content
            found.append({"source": str(source), "target": mount["mountPath"], "read_only": read_only})
        return found

    def _etc_file(self, container: Object, name: str) -> str:
        """The proxy itself asks for names as they are outside: what it connects to is not to come back to it."""
        if name == "resolv.conf" and container.get("name") != "istio-proxy" and resolver.has_sidecar(self._pod):
            return "mesh-resolv.conf"
        return name

    def _source(self, volume: Object, mount: Object) -> Path:
        path = self.path(volume)
        inside = mount.get("subPath")
        if not inside:
            return path
        source = path / inside
        if ".." in Path(inside).parts or Path(inside).is_absolute():
            raise MissingReference(f"subPath {inside!r} must be relative and without '..'")
        if "emptyDir" in volume and not source.exists():
            source.mkdir(parents=True)
        return Path(os.path.realpath(source))

    def remove(self) -> None:
        """Forget everything."""
        shutil.rmtree(self._folder, ignore_errors=True)


def _make_folder(volume: Object, path: Path) -> None:
    if "emptyDir" in volume:
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o777)
        return
    kind = volume["hostPath"].get("type") or ""
    if kind == "DirectoryOrCreate":
        path.mkdir(parents=True, exist_ok=True)
    elif kind == "FileOrCreate":
        path.touch()
    elif not path.exists():
        raise MissingReference(f"hostPath {path} of volume {volume['name']!r} does not exist on this machine")


async def refresh_forever(volumes: PodVolumes, refill: asyncio.Event) -> None:
    """Set `refill` whenever a token is due."""
    while True:
        await asyncio.sleep(await volumes.keep_fresh())
        refill.set()
