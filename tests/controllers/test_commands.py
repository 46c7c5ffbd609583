"""The commands of task pages, line by line, with the real kubectl: `commands/*.commands` is the list.

    [7] what it shows           numbered from 1 in each file
    $ kubectl …                 a command for bash; lines up to the next mark belong to it (here-documents)
    > expression                found in what it prints (both streams)
    ! expression                not found in it
    = 1                         the exit code; 0 when nothing is said

Each file has a server, controllers and a folder of its own. KAIKI_KUBECTL_FOLDER names another kubectl's folder.
"""

import asyncio
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from kaiki.apiserver import credentials
from kaiki.kube.client import KubeClient

LISTS = sorted((Path(__file__).parent / "commands").glob("*.commands"))


@dataclass
class Command:
    """One command and what is expected of it."""

    title: str
    line: int
    text: str
    found: list[str] = field(default_factory=list)
    not_found: list[str] = field(default_factory=list)
    code: int = 0

    def complaints(self, code: int, output: str) -> Iterator[str]:
        """What is not as expected."""
        if code != self.code:
            yield f"exit code {code}, not {self.code}"
        yield from (f"not there: {each}" for each in self.found if not re.search(each, output, re.MULTILINE))
        yield from (f"there: {each}" for each in self.not_found if re.search(each, output, re.MULTILINE))


def read_commands(text: str) -> list[Command]:
    """The commands of a list, in order."""
    commands: list[Command] = []
    title, within = "", False
    for number, line in enumerate(text.splitlines(), 1):
        if within and line[:2] not in ("$ ", "> ", "! ", "= ") and line:
            commands[-1].text += "\n" + line
            continue
        within = line.startswith("$ ")
        match line[:2], line[2:]:
            case "$ ", command:
                commands.append(Command(title, number, command))
            case "> ", expression:
                commands[-1].found.append(expression)
            case "! ", expression:
                commands[-1].not_found.append(expression)
            case "= ", code:
                commands[-1].code = int(code)
            case _:
                title = line or title
    return commands


async def run(text: str, folder: Path, kubeconfig: Path) -> tuple[int, str]:
    """Run one command in bash; answers its exit code and all it printed."""
    folders = [os.environ.get("KAIKI_KUBECTL_FOLDER", ""), str(Path(sys.executable).parent), os.environ["PATH"]]
    path = ":".join(one for one in folders if one)
    environment = {"PATH": path, "HOME": str(folder), "KUBECONFIG": str(kubeconfig)}
    process = await asyncio.create_subprocess_exec(
        "bash", "-c", text, cwd=folder, env=environment, stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await asyncio.wait_for(process.communicate(), 120)
    return process.returncode or 0, output.decode()


@pytest.mark.parametrize("path", LISTS, ids=lambda path: path.stem)
async def test_commands(path: Path, client: KubeClient, cluster: Any, tmp_path: Path) -> None:
    folder = tmp_path / "user"
    folder.mkdir()
    kubeconfig = credentials.write_kubeconfig(tmp_path, client.config.server, folder / "config")
    complaints = []
    for command in read_commands(path.read_text()):
        code, output = await run(command.text, folder, kubeconfig)
        wrong = list(command.complaints(code, output))
        if wrong:
            told = "\n  ".join([f"{path.name}:{command.line}: {command.title}", f"$ {command.text}", *wrong, output])
            complaints.append(told)
    assert not complaints, "\n".join(complaints)


@pytest.mark.parametrize("path", LISTS, ids=lambda path: path.stem)
def test_numbers(path: Path) -> None:
    numbers = re.findall(r"^\[(\d+)\] ", path.read_text(), re.MULTILINE)
    assert numbers == [str(number + 1) for number in range(len(numbers))]
