"""The processes of a mesh, seen from outside, for tests that kill some of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Process:
    """One process: its number in this namespace, its parent's, and its command line."""

    number: int
    parent: int
    command: str


def all_processes() -> list[Process]:
    """Every process of the machine that can be read."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            continue
        if fields[0] != "Z":
            found.append(Process(int(folder.name), int(fields[1]), command))
    return found


def descendants(root: int) -> list[Process]:
    """All processes below `root`, `root` itself not included."""
    children: dict[int, list[Process]] = {}
    for process in all_processes():
        children.setdefault(process.parent, []).append(process)
    found, waiting = [], [root]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += [process.number for process in below]
    return found


def mounts_below(folder: Path) -> list[str]:
    """Mount points of this namespace at or below a folder."""
    lines = Path("/proc/self/mounts").read_text().splitlines()
    return [line.split()[1] for line in lines if line.split()[1].startswith(str(folder))]
