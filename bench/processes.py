"""What processes use, from /proc: memory as PSS (pages shared by n processes count 1/n each) and processor time."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
TITLE_VARIABLE = "BENCH_TITLE"
"""A benchmark's own containers are called what this variable says."""
COMMANDS = ("demo", "node", "supervisor", "apiserver", "control-plane", "metrics", "console")


@dataclass(frozen=True, slots=True)
class Process:
    """One process: its number, its parent's, and its title in tables (`envoy reviews-v1`, `kaiki apiserver`)."""

    number: int
    parent: int
    title: str

    def pss_kilobytes(self) -> int:
        """Proportional set size now; 0 when the process is gone."""
        try:
            text = Path(f"/proc/{self.number}/smaps_rollup").read_text()
        except OSError:
            return 0
        return next((int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")), 0)

    def cpu_seconds(self) -> float:
        """User and system time used so far; 0 when the process is gone."""
        fields = _stat(self.number)
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND if fields else 0.0


def family(root: int) -> list[Process]:
    """The process `root` and everything below it, whatever namespaces those are in."""
    children: dict[int, list[Process]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and (fields := _stat(int(folder.name))) and fields[0] != "Z":
            number, parent = int(folder.name), int(fields[1])
            children.setdefault(parent, []).append(Process(number, parent, _title(number)))
    found = [Process(root, 0, _title(root))]
    for process in found:
        found += children.get(process.number, [])
    return found


def _stat(number: int) -> list[str]:
    """The fields of /proc/<number>/stat after the name (proc(5): field 3 is the first)."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _title(number: int) -> str:
    try:
        words = Path(f"/proc/{number}/cmdline").read_bytes().decode(errors="replace").split("\0")
        names = _environment(number)
    except OSError:
        return "(ended)"
    program = Path(words[0]).name
    if TITLE_VARIABLE in names:
        return names[TITLE_VARIABLE]
    pod = names.get("POD_NAME") or names.get("HOSTNAME", "")
    if program.startswith("envoy"):
        return f"envoy {workload(pod)}"
    if "kaiki" in words:
        return next((f"kaiki {word}" for word in words if word in COMMANDS), "kaiki")
    if any("kaiki.runtime" in word for word in words):
        return "kaiki (starts processes)"
    script = next((word for word in words if word.endswith(".py")), program)
    return f"{Path(script).stem} {workload(pod)}".strip()


def _environment(number: int) -> dict[str, str]:
    pairs = Path(f"/proc/{number}/environ").read_bytes().decode(errors="replace").split("\0")
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def workload(pod: str) -> str:
    """The Deployment's name in a pod's: without the ReplicaSet's hash and the pod's own suffix."""
    parts = pod.rsplit("-", 2)
    return parts[0] if len(parts) == 3 else pod
