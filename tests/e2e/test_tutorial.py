"""The tutorial is a test: its very commands are run, in order, and what it promises is seen in a real browser."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from mesh import BINARIES, REPOSITORY, CommandError, Mesh, chromium, wait_until

pytestmark = pytest.mark.e2e

ENGLISH = REPOSITORY / "docs" / "guides" / "tutorial.md"
KOREAN = REPOSITORY / "docs" / "ko" / "guides" / "tutorial.md"
BLOCK = re.compile(
    r"^```bash\n(?P<commands>.*?)^```\n(?P<expected>(?:\s*<!-- expect: .*? -->)*)", re.MULTILINE | re.DOTALL
)
EXPECTATION = re.compile(r"<!-- expect: (.*?) -->")
BLOCK_TIMEOUT_SECONDS = 180


@dataclass(frozen=True, slots=True)
class Block:
    """One block of commands, and what its output must match."""

    commands: str
    expected: tuple[str, ...]


def blocks(document: Path) -> list[Block]:
    found = BLOCK.finditer(document.read_text())
    return [Block(block["commands"], tuple(EXPECTATION.findall(block["expected"]))) for block in found]


class Reader:
    """Somebody who types the tutorial's commands into one shell."""

    def __init__(self, mesh: Mesh) -> None:
        self._environment = mesh.environment | {"PATH": f"{BINARIES}:{os.environ['PATH']}"}

    def type(self, block: Block) -> str:
        """Run a block in a shell that knows what earlier blocks exported; answers all it printed."""
        script = f"set -e\n{block.commands}\nprintf '\\0'; env -0"
        done = subprocess.run(
            ["bash", "-c", script],
            env=self._environment,
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=BLOCK_TIMEOUT_SECONDS,
            check=False,
        )
        output, _, exported = done.stdout.partition(b"\0")
        text = output.decode(errors="replace")
        if done.returncode:
            raise CommandError(f"{block.commands}\nexit code {done.returncode}\n{text}")
        self._environment = dict(line.split("=", 1) for line in exported.decode().split("\0") if "=" in line)
        return text

    @property
    def environment(self) -> dict[str, str]:
        return self._environment


@pytest.fixture
def reader(home: Path) -> Reader:
    return Reader(Mesh(home))


def test_both_languages_have_the_same_commands() -> None:
    def commands(document: Path) -> list[str]:
        return [re.sub(r"\s*#.*", "", block.commands) for block in blocks(document)]

    assert commands(ENGLISH) == commands(KOREAN)
    assert len(blocks(ENGLISH)) > 10


def test_every_command_of_the_tutorial(reader: Reader) -> None:
    for block in blocks(ENGLISH):
        output = reader.type(block)
        for expected in block.expected:
            assert re.search(expected, output, re.MULTILINE), f"{block.commands}\nexpected {expected}\n{output}"


def test_the_browser_shows_the_page_and_the_graph(bookinfo: Mesh) -> None:
    program = chromium()
    if program is None:
        pytest.skip("this machine has no Chromium (apt-get install chromium)")
    for _ in range(30):
        bookinfo.get(f"{bookinfo.gateway}/productpage")
    wait_until(lambda: len(bookinfo.graph()["edges"]) >= 6, "the graph has edges", 30)
    link = bookinfo.kaiki("dashboard", "--no-open").strip()
    from playwright.sync_api import expect, sync_playwright

    flags = [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    ]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=flags)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(f"{bookinfo.gateway}/productpage")
        expect(page.get_by_text("The Comedy of Errors").first).to_be_visible()
        page.goto(link)
        page.get_by_role("radio", name="Table").or_(page.get_by_role("button", name="Table")).first.click()
        table = page.get_by_role("table")
        for workload in ("productpage", "details", "reviews", "ratings"):
            expect(table.get_by_text(workload).first).to_be_visible()
        browser.close()
        refused = playwright.chromium.launch(executable_path=program, args=flags)
        again = refused.new_page()
        again.goto(link)
        expect(again.get_by_role("table")).to_have_count(0)
        refused.close()
