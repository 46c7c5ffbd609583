"""The image map: what stands for a container image on a machine that pulls no images.

Files are asked in order, the user's first; in a file the first entry that matches decides. They are read again when
they change, so that a pod waiting for its image starts as soon as an entry is there.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import msgspec
import yaml

BUILT_IN = Path(__file__).with_name("images.yaml")
PROGRAMS_FOLDER = "/run/kaiki/bin"
"""Where a container finds its image's programs; the first folder of its PATH."""
_PROGRAM_FOLDERS = ("/bin", "/usr/bin", "/usr/local/bin", "/sbin", "/usr/sbin")
_REGISTRY_PREFIXES = ("docker.io/library/", "docker.io/", "index.docker.io/")


class ImageEntry(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """One entry of an image map file; the fields are explained at the top of the built-in one."""

    image: str
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    ignore_command: bool = False
    ignore_args: bool = False
    env: dict[str, str] = msgspec.field(default_factory=dict)
    working_dir: str = ""
    privileged: bool = False
    builtin: str = ""
    builtins: tuple[str, ...] = ()
    programs: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict)


class ImageMapError(ValueError):
    """An image map file cannot be used; the message names the file, the entry and the cause."""


@dataclass(frozen=True, slots=True)
class Launch:
    """What to execute for a container: its command line before `$(VAR)` expansion, and what its image would bring.

    `root` is the folder with a real image's files, and `user` what that image runs as.
    """

    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    directory: str = ""
    privileged: bool = False
    builtin: str = ""
    programs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    root: str = ""
    user: tuple[int, int] | None = None


def read_image_map(path: Path) -> tuple[ImageEntry, ...]:
    """The entries of one file; none when there is no such file. Raises ImageMapError."""
    try:
        entries = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        return ()
    except (OSError, yaml.YAMLError) as error:
        raise ImageMapError(f"{path}: {error}") from error
    try:
        return msgspec.convert(entries or [], tuple[ImageEntry, ...])
    except msgspec.ValidationError as error:
        raise ImageMapError(f"{path}: {error}") from error


def _names(image: str) -> tuple[str, ...]:
    """The forms an image's name is matched in: as written, without the default registry, with the default tag."""
    short = next((image.removeprefix(prefix) for prefix in _REGISTRY_PREFIXES if image.startswith(prefix)), image)
    names = {image: None, short: None}
    if ":" not in short.rpartition("/")[2]:
        names[f"{short}:latest"] = None
    return tuple(names)


def find_entry(entries: tuple[ImageEntry, ...], image: str) -> ImageEntry | None:
    """The first entry whose pattern matches."""
    names = _names(image)
    return next((entry for entry in entries if any(fnmatchcase(name, entry.image) for name in names)), None)


def fill(value: str, places: Mapping[str, str]) -> str:
    """Fill `{python}` and the like in; other braces stay as they are."""
    for name, replacement in places.items():
        value = value.replace("{" + name + "}", replacement)
    return value


def compose(entry: ImageEntry, container: Mapping[str, Any], places: Mapping[str, str]) -> Launch:
    """Join an entry and a container as Docker joins an image and a container: `command` drops the image's arguments."""
    own_command = () if entry.ignore_command else tuple(container.get("command") or ())
    own_arguments = () if entry.ignore_args else tuple(container.get("args") or ())
    programs = {name: tuple(fill(word, places) for word in words) for name, words in entry.programs.items()}
    image_command = tuple(fill(word, places) for word in entry.command)
    image_arguments = tuple(fill(word, places) for word in entry.args)
    if own_command:
        command = find_program(programs, own_command + own_arguments)
    else:
        command = image_command + (own_arguments or image_arguments)
    builtin = entry.builtin
    if own_arguments and own_arguments[0] in entry.builtins:
        builtin, command = own_arguments[0], own_arguments[1:]
    environment = {name: fill(value, places) for name, value in entry.env.items()}
    return Launch(command, environment, fill(entry.working_dir, places), entry.privileged, builtin, programs)


def find_program(programs: Mapping[str, tuple[str, ...]], command: Sequence[str]) -> tuple[str, ...]:
    """A command line whose program may be one of the image's: called by its name, or by its path in a `bin` folder."""
    first, *rest = command or ("",)
    folder, _, name = first.rpartition("/")
    if name in programs and (not folder or folder in _PROGRAM_FOLDERS):
        return (*programs[name], *rest)
    return tuple(command)


def program_script(command: Sequence[str]) -> str:
    """A program of an image as a file, for shells inside the container."""
    return f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n'


class ImageMap:
    """The entries of several files, kept up to date."""

    def __init__(self, paths: tuple[Path, ...], places: Mapping[str, str]) -> None:
        self._paths = paths
        self._places = places
        self._stamps: tuple[tuple[int, int], ...] | None = None
        self._entries: tuple[ImageEntry, ...] = ()
        self.errors: tuple[str, ...] = ()

    def reload(self) -> bool:
        """Read the files again if any has changed; whether one had. A broken file is left out and named in `errors`."""
        stamps = tuple(_stamp(path) for path in self._paths)
        if stamps == self._stamps:
            return False
        self._stamps = stamps
        entries: list[ImageEntry] = []
        errors: list[str] = []
        for path in self._paths:
            try:
                entries.extend(read_image_map(path))
            except ImageMapError as error:
                errors.append(str(error))
        self._entries, self.errors = tuple(entries), tuple(errors)
        return True

    def find(self, container: Mapping[str, Any]) -> Launch | None:
        """What to execute for a container; None when no entry matches its image and it names no command of its own."""
        entry = find_entry(self._entries, str(container.get("image", "")))
        return compose(entry, container, self._places) if entry else None

    def explain_missing(self, image: str, why: str = "") -> str:
        """Why an image cannot be started, and what to write where; `why` is what was tried beside the map."""
        example = f'- image: "{image}"\n  command: ["python3", "app.py"]\n  workingDir: {Path.home()}/my-app'
        broken = "".join(f" A file could not be read: {error}." for error in self.errors)
        return (
            f"no command on this machine stands for the image {image!r}, and "
            f"{why or 'without podman or docker none is pulled'}. "
            f"Add an entry to {self._paths[0]}, for example:\n{example}\n"
            f"or put an archive of the image (docker save) into {self._paths[0].with_name('images')}.{broken}"
        )


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = os.stat(path)
    except OSError:
        return (0, 0)
    return (found.st_mtime_ns, found.st_size)
