"""Scripts of what a task page tells its reader to type, and a reader who types it: see tasks/README.md for the form."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

PREFIX = re.compile(r"^(?P<kind>[$+])(?P<patient>~?) (?P<text>.*)$")
CHECK = re.compile(r"^(?P<kind>[>!=%]) (?P<text>.*)$")
COUNT = re.compile(r"^(\d+)\.\.(\d+) (.*)$")
HEREDOC = re.compile(r"<<-?\s*\\?['\"]?(\w+)")
COMMAND_SECONDS = 120
PATIENCE_SECONDS = 110.0


class TaskFailed(AssertionError):
    """A command did not do what the page says; the text has the place, the command and all it printed."""


@dataclass
class Step:
    """A command and what is expected of it. `own` marks what the page says in words and not as a command."""

    line: int
    command: str
    own: bool
    patient: bool
    found: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    counts: list[tuple[int, int, str]] = field(default_factory=list)
    code: str = "0"

    def problem(self, output: str, code: int) -> str:
        """What is wrong with an outcome; empty if nothing."""
        if self.code != "*" and str(code) != self.code:
            return f"exit code {code}, expected {self.code}"
        for pattern in self.found:
            if not re.search(pattern, output, re.MULTILINE):
                return f"nothing matches {pattern}"
        for pattern in self.absent:
            if re.search(pattern, output, re.MULTILINE):
                return f"something matches {pattern}"
        for low, high, pattern in self.counts:
            number = len(re.findall(pattern, output, re.MULTILINE))
            if not low <= number <= high:
                return f"{number} matches of {pattern}, expected {low} to {high}"
        return ""


def read_script(path: Path) -> list[Step]:
    """The steps of a file; raises ValueError that names the line."""
    steps: list[Step] = []
    lines = list(enumerate(path.read_text().splitlines(), 1))
    while lines:
        number, line = lines.pop(0)
        if start := PREFIX.match(line):
            command = "\n".join([start["text"], *_rest_of_command(start["text"], lines)])
            steps.append(Step(number, command, start["kind"] == "+", bool(start["patient"])))
        elif check := CHECK.match(line):
            if not steps:
                raise ValueError(f"{path.name}:{number}: a check before any command")
            _add_check(steps[-1], check["kind"], check["text"], f"{path.name}:{number}")
        elif line.strip() and not line.startswith(("#", "[")):
            raise ValueError(f"{path.name}:{number}: neither a command nor a check: {line}")
    return steps


def _rest_of_command(first: str, lines: list[tuple[int, str]]) -> Iterator[str]:
    """Lines up to the end of a here-document, or that begin with blanks or follow a backslash."""
    previous, ends = first, [match[1] for match in HEREDOC.finditer(first)]
    while lines and (ends or previous.endswith("\\") or lines[0][1].startswith(("  ", "done"))):
        previous = lines.pop(0)[1]
        yield previous
        if ends:
            ends = ends[1:] if previous == ends[0] else ends
        else:
            ends = [match[1] for match in HEREDOC.finditer(previous)]


def _add_check(step: Step, kind: str, text: str, place: str) -> None:
    if kind == ">":
        step.found.append(text)
    elif kind == "!":
        step.absent.append(text)
    elif kind == "=":
        step.code = text.strip()
    elif match := COUNT.match(text):
        step.counts.append((int(match[1]), int(match[2]), match[3]))
    else:
        raise ValueError(f"{place}: a count is LOW..HIGH PATTERN")


class Shell:
    """One shell with a folder of its own: what a command exports, the later ones have."""

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        self.environment = dict(environment)
        self._folder = folder

    def run(self, command: str) -> tuple[str, int]:
        """All it printed, and its exit code."""
        script = f"{command}\ncode=$?; printf '\\0'; env -0; exit $code"
        done = subprocess.run(
            ["bash", "-c", script],
            env=self.environment,
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        output, mark, exported = done.stdout.partition(b"\0")
        if mark:
            pairs = (line.split("=", 1) for line in exported.decode(errors="replace").split("\0") if "=" in line)
            self.environment = {name: value for name, value in pairs if name != "_"}
        return output.decode(errors="replace"), done.returncode

    def type(self, step: Step, name: str) -> None:
        """Run a step; a patient one again until it is as expected."""
        deadline = time.monotonic() + (PATIENCE_SECONDS if step.patient else 0.0)
        while True:
            output, code = self.run(step.command)
            problem = step.problem(output, code)
            if not problem:
                return
            if time.monotonic() > deadline:
                raise TaskFailed(f"{name}:{step.line}: {problem}\n{step.command}\n--- printed (code {code}):\n{output}")
            time.sleep(0.3)


def type_all(path: Path, environment: Mapping[str, str], folder: Path) -> None:
    """Type a whole script."""
    shell = Shell(environment, folder)
    trace = bool(os.environ.get("KAIKI_TRACE_TASKS"))
    for step in read_script(path):
        started = time.monotonic()
        shell.type(step, path.name)
        if trace:
            print(f"{time.monotonic() - started:6.2f} s  {path.stem}:{step.line}  {step.command.splitlines()[0][:100]}")
