"""The sentences for the codes of explained steps, in both languages; the console's pages read the same file."""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.resources import files

from kaiki.translate.simulation import Step

_GAP = re.compile(r"\{(\w+)\}")


@cache
def step_texts() -> dict[str, dict[str, str]]:
    """By language, then by code."""
    found: dict[str, dict[str, str]] = json.loads(files("kaiki.console").joinpath("step_texts.json").read_text())
    return found


def tell_step(step: Step, language: str = "en") -> str:
    """What a step says."""
    return _GAP.sub(lambda gap: _plain(step.parameters[gap[1]]), step_texts()[language][step.code])


def _plain(value: str | int | float) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
