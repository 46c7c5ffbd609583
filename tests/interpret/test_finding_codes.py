"""The pages on findings name every code there is, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_CODE = re.compile(r"\"(KAI\d{4})\"")


@pytest.mark.parametrize("page", ["docs/guides/findings.md", "docs/ko/guides/findings.md"])
def test_every_code_is_on_the_page(page: str) -> None:
    used = {code for path in (ROOT / "src" / "kaiki").rglob("*.py") for code in _CODE.findall(path.read_text())}
    rows = re.findall(r"^\| (KAI\d{4}) \| (.+?) \| (.+?) \|$", (ROOT / page).read_text(), re.MULTILINE)
    named = [code for code, _, _ in rows]
    assert named == sorted(set(named))
    assert set(named) == used
