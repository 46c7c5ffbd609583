"""What a container sees of the file system: the host's, with the pod's own files laid over it.

    /                the host's, as it is
    $KAIKI_HOME      an empty tmpfs: no application sees the mesh's keys and store
    /run             an empty tmpfs (this also hides the host's name service cache)
    /etc/resolv.conf the pod's, and hosts, hostname, nsswitch.conf
    volumes          bind mounts

A mount point that does not exist on the host must not be made there. So the nearest directory that exists is replaced
by a tmpfs that holds binds of all its entries, and the mount point is made in that. For `/` itself this means a new
root.
Runs in the child that becomes the container, after it left the node's mount namespace: the standard library only.
"""

from __future__ import annotations

import os
import stat
from typing import TypedDict

from kaiki.runtime import syscalls
from kaiki.runtime.syscalls import MS_BIND, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_RDONLY, MS_REC, MS_REMOUNT


class Bind(TypedDict):
    """One bind mount; both paths are absolute."""

    source: str
    target: str
    read_only: bool


class Image(TypedDict):
    """A root of its own: the image's files below, the container's writes above, and the folder it starts in."""

    lower: str
    upper: str
    work: str
    directory: str


class View(TypedDict):
    """Everything laid over the host's file system: directories to hide, then binds in order.

    `staging` is an empty directory in one of the hidden ones, for a new root. With `image` nothing of the host's is
    seen but its devices, and `hidden` means nothing.
    """

    hidden: list[str]
    binds: list[Bind]
    staging: str
    image: Image | None


def lay_over(view: View) -> None:
    """Make this process's mount namespace show `view`; raises OSError that names the path.

    A new root comes first: descriptors of the old one would be of no use in it. Sources are opened before anything is
    hidden, because most of them lie in what is going to be hidden.
    """
    image = view.get("image")
    if image is not None:
        _enter_image(image, view)
        return
    layers = _Layers()
    if any(not os.path.lexists(_first_part(bind["target"])) for bind in view["binds"]):
        layers.make_root(view["staging"])
    sources = [os.open(bind["source"], os.O_PATH) for bind in view["binds"]]
    for path in view["hidden"]:
        layers.hide(path)
    for bind, source in zip(view["binds"], sources, strict=True):
        layers.bind(bind, source)
        os.close(source)


def _first_part(path: str) -> str:
    return "/" + path.strip("/").partition("/")[0]


class _Layers:
    """Remembers which directories are tmpfs of our own, in which mount points may be made."""

    def __init__(self) -> None:
        self._own: list[str] = []

    def hide(self, path: str) -> None:
        if os.path.isdir(path):
            _mount_tmpfs(path)
            self._own.append(os.path.realpath(path))

    def bind(self, bind: Bind, source: int) -> None:
        mode = os.fstat(source).st_mode
        target = self._prepare(bind["target"], stat.S_ISDIR(mode))
        # The descriptor was opened in this namespace, so its link leads to the source even when a tmpfs hides the path.
        syscalls.mount(f"/proc/self/fd/{source}", target, None, MS_BIND | MS_REC)
        if bind["read_only"]:
            syscalls.mount(None, target, None, MS_BIND | MS_REMOUNT | MS_RDONLY | _locked_flags(target))

    def _prepare(self, path: str, is_directory: bool) -> str:
        target = os.path.realpath(path)
        if not os.path.exists(target):
            ancestor = os.path.dirname(target)
            while not os.path.isdir(ancestor):
                ancestor = os.path.dirname(ancestor)
            if not self._is_own(ancestor):
                self._mirror(ancestor)
            _make(target, is_directory)
        return target

    def _is_own(self, path: str) -> bool:
        return path in self._own or any(
            path.startswith(own.rstrip("/") + "/") and _same_device(path, own) for own in self._own
        )

    def _mirror(self, directory: str) -> None:
        original = os.open(directory, os.O_PATH)
        _mount_tmpfs(directory)
        _copy_entries(f"/proc/self/fd/{original}", directory)
        os.close(original)
        self._own.append(directory)

    def make_root(self, staging: str) -> None:
        _mount_tmpfs(staging)
        _copy_entries("/", staging)
        _enter_root(staging)
        self._own.append("/")


def _enter_image(image: Image, view: View) -> None:
    """Everything is mounted below the new root first: what lies outside of it is gone afterwards."""
    root = view["staging"]
    _mount_layers(image, root)
    for name in ("dev", "proc", "sys"):
        target = resolve_inside(root, name)
        os.makedirs(target, exist_ok=True)
        syscalls.mount(f"/{name}", target, None, MS_BIND | MS_REC)
    for bind in view["binds"]:
        target = resolve_inside(root, bind["target"])
        if not os.path.exists(target):
            _make(target, os.path.isdir(bind["source"]))
        syscalls.mount(bind["source"], target, None, MS_BIND | MS_REC)
        if bind["read_only"]:
            syscalls.mount(None, target, None, MS_BIND | MS_REMOUNT | MS_RDONLY | _locked_flags(target))
    os.makedirs(resolve_inside(root, image["directory"]), exist_ok=True)
    _enter_root(root)


def _mount_layers(image: Image, root: str) -> None:
    """The container's own layer over the image; a copy of the image where the kernel refuses that."""
    os.makedirs(image["upper"], exist_ok=True)
    os.makedirs(image["work"], exist_ok=True)
    names = {"lowerdir": "lower", "upperdir": "upper", "workdir": "work"}
    options = ",".join(f"{option}={image[name]}" for option, name in names.items())  # type: ignore[literal-required]
    try:
        syscalls.mount("overlay", root, "overlay", MS_NOSUID | MS_NODEV, f"{options},userxattr")
    except OSError:
        import shutil

        shutil.copytree(image["lower"], image["upper"], symlinks=True, dirs_exist_ok=True)
        syscalls.mount(image["upper"], root, None, MS_BIND)


def resolve_inside(root: str, path: str) -> str:
    """Where a path is when `root` is the root: no link leads out of it. Raises OSError for links in a circle."""
    place: list[str] = []
    left, links = list(reversed(path.split("/"))), 0
    while left:
        part = left.pop()
        if part == "..":
            place = place[:-1]
        elif part not in ("", "."):
            here = os.path.join(root, *place, part)
            if os.path.islink(here):
                links += 1
                if links > 40:
                    raise OSError(f"too many links on the way to {path}")
                target = os.readlink(here)
                place = [] if target.startswith("/") else place
                left.extend(reversed(target.split("/")))
            else:
                place.append(part)
    return os.path.join(root, *place)


def _same_device(one: str, other: str) -> bool:
    return os.stat(one).st_dev == os.stat(other).st_dev


def _mount_tmpfs(path: str) -> None:
    syscalls.mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755")


def _make(target: str, is_directory: bool) -> None:
    if is_directory:
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))


def _copy_entries(source: str, target: str) -> None:
    with os.scandir(source) as entries:
        for entry in entries:
            path = os.path.join(target, entry.name)
            origin = os.path.join(source, entry.name)
            if entry.is_symlink():
                os.symlink(os.readlink(origin), path)
                continue
            _make(path, entry.is_dir(follow_symlinks=False))
            try:
                syscalls.mount(origin, path, None, MS_BIND | MS_REC)
            except OSError:
                continue  # an entry nobody may bind is an entry the container does without


def _enter_root(root: str) -> None:
    os.chdir(root)
    syscalls.pivot_root(".", ".")  # the old root is now stacked on the new one
    syscalls.unmount(".", syscalls.MNT_DETACH)
    os.chdir("/")


def _locked_flags(path: str) -> int:
    flags = os.statvfs(path).f_flag
    kept = 0
    for shown, flag in ((os.ST_NOSUID, MS_NOSUID), (os.ST_NODEV, MS_NODEV), (os.ST_NOEXEC, MS_NOEXEC)):
        kept |= flag if flags & shown else 0
    return kept
