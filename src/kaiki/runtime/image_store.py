"""Images that the image map does not know: unpacked, so that a container of the node's own can have one as its root.

    $KAIKI_HOME/images/*            archives and folders, as docker save, podman save and skopeo write them
    podman, docker                  where one is on the machine, it is asked for what is not there
    $KAIKI_HOME/images/.unpacked    the files, an image a folder

A container runs on a writable layer of its own over these files, in its pod's network, as any other container here.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from kaiki.runtime.images import Launch
from kaiki.runtime.processes import Command, ProcessKeeper
from kaiki.runtime.unpack import NAME_ANNOTATIONS, Source, UnpackError, full_name, same_image

Object = Mapping[str, Any]
Fetch: TypeAlias = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_UNPACK_SECONDS = 1800.0


class NoImage(Exception):
    """The image is not here. With `final`, trying again makes no sense before something changes."""

    def __init__(self, message: str, final: bool) -> None:
        super().__init__(message)
        self.final = final


@dataclass(frozen=True, slots=True)
class Unpacked:
    """An image as files: its root folder, and what its configuration says."""

    root: Path
    config: Mapping[str, Any]


class ImageStore:
    """Finds, fetches and unpacks. `engines` are the programs that can fetch; `fetch` asks one, outside."""

    def __init__(self, home: Path, processes: ProcessKeeper, engines: tuple[str, ...], fetch: Fetch) -> None:
        self.folder = home / "images"
        self._unpacked = self.folder / ".unpacked"
        self._processes = processes
        self._engines = engines
        self._fetch = fetch
        self._locks: dict[str, asyncio.Lock] = {}
        self._stamps: frozenset[tuple[str, int, int]] = frozenset()

    def changed(self) -> bool:
        """Whether the folder of archives has changed since the last call."""
        stamps = frozenset(_stamp(path) for path in self._archives())
        changed, self._stamps = stamps != self._stamps, stamps
        return changed

    async def find(self, container: Object, say: Callable[[str], object]) -> Launch:
        """What to run for a container; raises NoImage. `say` is told when something takes long."""
        image = str(container.get("image", ""))
        async with self._locks.setdefault(image, asyncio.Lock()):
            unpacked = await self._local(image)
            if unpacked is None:
                unpacked = await self._fetched(image, str(container.get("imagePullPolicy") or "IfNotPresent"), say)
        return compose(unpacked, container)

    def _archives(self) -> list[Path]:
        if not self.folder.is_dir():
            return []
        return sorted(path for path in self.folder.iterdir() if not path.name.startswith("."))

    async def _local(self, image: str) -> Unpacked | None:
        for path in self._archives():
            name, changed, size = _stamp(path)
            if await asyncio.to_thread(_holds, path, image):
                return await self._unpack(path, image, f"{full_name(image)} {name} {changed} {size}")
        return None

    async def _fetched(self, image: str, policy: str, say: Callable[[str], object]) -> Unpacked:
        if not self._engines:
            raise NoImage("", final=True)
        place = self._place(f"{full_name(image)} fetched")
        known = _read(place)
        if known is not None and policy != "Always":
            return known
        say(f'Pulling image "{image}"')
        self._unpacked.mkdir(parents=True, exist_ok=True)
        archive = place.with_suffix(".tar")
        archive.unlink(missing_ok=True)
        identity = place.with_suffix(".id")
        request = {"image": image, "path": str(archive), "policy": policy, "known": _text(identity) if known else ""}
        try:
            answer = await self._fetch(request)
            if "failure" in answer:
                if known is not None:
                    return known
                raise NoImage(answer["failure"], final=False)
            if known is not None and not archive.exists():
                return known
            unpacked = await self._unpack(archive, image, f"{full_name(image)} fetched", again=True)
            identity.write_text(answer["digest"])
        finally:
            archive.unlink(missing_ok=True)
        say(f'Successfully pulled image "{image}"')
        return unpacked

    def _place(self, key: str) -> Path:
        return self._unpacked / hashlib.sha256(key.encode()).hexdigest()[:24]

    async def _unpack(self, archive: Path, image: str, key: str, again: bool = False) -> Unpacked:
        place = self._place(key)
        if again:
            _forget(place)
        found = _read(place)
        if found is not None:
            return found
        self._unpacked.mkdir(parents=True, exist_ok=True)
        arguments = (sys.executable, "-m", "kaiki.runtime.unpack", str(archive), image, str(place))
        command = Command(arguments, dict(os.environ), isolated=False)
        try:
            code, text = await self._processes.run(command, _UNPACK_SECONDS)
        except TimeoutError:
            raise NoImage(f"{archive.name}: unpacking takes too long", final=True) from None
        found = _read(place)
        if code or found is None:
            raise NoImage(f"{archive.name}: {text.strip() or 'it could not be unpacked'}", final=True)
        return found


def _stamp(path: Path) -> tuple[str, int, int]:
    try:
        found = path.stat()
    except OSError:
        return path.name, 0, 0
    return path.name, found.st_mtime_ns, found.st_size


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def _forget(place: Path) -> None:
    """A container may still run on it: its files stay while they are open, its name goes."""
    shutil.rmtree(place, ignore_errors=True)


def _read(place: Path) -> Unpacked | None:
    try:
        return Unpacked(place / "root", json.loads((place / "image.json").read_text())["config"])
    except (OSError, ValueError, KeyError):
        return None


def _holds(path: Path, image: str) -> bool:
    """Whether an archive says that it has an image of that name; one that says nothing goes by its file's name."""
    try:
        with Source(path) as source:
            names = _names(source)
    except (UnpackError, OSError, ValueError, TypeError, KeyError):
        return False
    if not names:
        return path.name.removesuffix(".tar") in (image, image.replace("/", "_").replace(":", "_"))
    return any(same_image(image, name) or _is_its_tag(path, image, name) for name in names)


def _is_its_tag(path: Path, image: str, name: str) -> bool:
    """`my-app.tar` for `registry.example/team/my-app:1`, whose layout names the tag alone."""
    is_tag = ":" not in name and "/" not in name and name == image.rpartition(":")[2]
    return is_tag and path.name.removesuffix(".tar") == image.rpartition("/")[2].partition(":")[0]


def _names(source: Source) -> list[str]:
    if source.has("manifest.json"):
        return [tag for one in source.read_json("manifest.json") for tag in one.get("RepoTags") or ()]
    entries = source.read_json("index.json").get("manifests") or ()
    found = ((one.get("annotations") or {}).get(key) for one in entries for key in NAME_ANNOTATIONS)
    return [str(name) for name in found if name]


def compose(image: Unpacked, container: Object) -> Launch:
    """Join an image and a container as Docker joins them: `command` drops the image's own arguments."""
    config = image.config
    own = tuple(container.get("command") or ())
    arguments = tuple(container.get("args") or ())
    if own:
        command = own + arguments
    else:
        command = tuple(config.get("Entrypoint") or ()) + (arguments or tuple(config.get("Cmd") or ()))
    user, home = _user(image.root, str(config.get("User") or ""))
    environment = {"PATH": _PATH, "HOME": home}
    environment |= dict(pair.partition("=")[::2] for pair in config.get("Env") or ())
    return Launch(command, environment, str(config.get("WorkingDir") or ""), root=str(image.root), user=user)


def _user(root: Path, text: str) -> tuple[tuple[int, int], str]:
    """The numbers of `name`, `name:group`, `uid` or `uid:gid`, and the home folder."""
    name, _, group = text.partition(":")
    users, groups = _table(root / "etc" / "passwd"), _table(root / "etc" / "group")
    row = next((row for row in users if name and name in (row[0], row[2])), None)
    if row is None and (not name or name == "root"):
        row = next((row for row in users if row[2] == "0"), None)
    uid = int(row[2]) if row else int(name) if name.isdecimal() else 0
    gid = int(row[3]) if row else 0
    if group:
        own = next((row for row in groups if group in (row[0], row[2])), None)
        gid = int(own[2]) if own else int(group) if group.isdecimal() else gid
    home = row[5] if row and len(row) > 5 and row[5] else "/root" if uid == 0 else "/"
    return (uid, gid), home


def _table(path: Path) -> list[list[str]]:
    if path.is_symlink() or path.parent.is_symlink() or not path.is_file():
        return []
    rows = (line.split(":") for line in path.read_text(errors="replace").splitlines())
    return [row for row in rows if len(row) > 3 - (path.name == "group") and row[2].isdecimal()]
