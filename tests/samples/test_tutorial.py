"""The tutorial as text: both languages hold the same commands, which are valid bash and name files that exist.

That the commands do what the page says is the end-to-end test's part; this one is quick.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "docs" / "guides" / "tutorial.md", ROOT / "docs" / "ko" / "guides" / "tutorial.md"]
BLOCK = re.compile(
    r"^```bash\n(?P<code>.*?)^```\n(?P<expects>(?:<!-- expect: [^\n]* -->\n)*)", re.MULTILINE | re.DOTALL
)
EXPECT = re.compile(r"<!-- expect: (.*) -->")


def blocks(page: Path) -> list[tuple[str, list[str]]]:
    """Each block's commands and what their output has to match."""
    found = BLOCK.finditer(page.read_text() + "\n")
    return [(block["code"], EXPECT.findall(block["expects"])) for block in found]


def test_both_languages_hold_the_same_blocks() -> None:
    english, korean = (blocks(page) for page in PAGES)
    assert len(english) > 15
    assert english == korean


@pytest.mark.parametrize("page", PAGES, ids=["english", "korean"])
def test_commands_are_bash_and_files_exist(page: Path) -> None:
    script = "\n".join(code for code, _ in blocks(page))
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    named = set(re.findall(r"samples/[\w./-]+", script))
    assert named
    for name in named:
        assert (ROOT / name).is_file(), name


def test_expectations_are_regular_expressions() -> None:
    for _, expects in blocks(PAGES[0]):
        for expect in expects:
            re.compile(expect)


def test_every_expectation_is_seen() -> None:
    """A comment that does not stand directly below its block would silently be none."""
    text = PAGES[0].read_text()
    assert sum(len(expects) for _, expects in blocks(PAGES[0])) == text.count("<!-- expect: ")
