#!/usr/bin/env python3
"""Run all tests: first the many small ones in parallel, then the few that start a whole mesh, one after another.

Two groups because a whole mesh wants both cores of a small machine; the summary at the end counts both.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTEST = str(ROOT / ".venv" / "bin" / "pytest")
UNPACKED_PROGRAMS = ROOT / ".tools" / "prometheus" / "usr" / "bin"
NO_TESTS_COLLECTED = 5


def run_group(title: str, arguments: list[str]) -> tuple[int, dict[str, int]]:
    """Run pytest once, showing its output; answers the exit code and the counts of its closing line."""
    print(f"\n== {title}", flush=True)
    path = f"{os.environ.get('PATH', '')}:{UNPACKED_PROGRAMS}"
    environment = {**os.environ, "PATH": path}
    process = subprocess.Popen([PYTEST, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    last = ""
    for line in process.stdout:
        print(line, end="", flush=True)
        last = line if re.search(r"\d+ (passed|failed|error|skipped)", line) else last
    counts = {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|error|skipped)", last)}
    return process.wait(), counts


def main(arguments: list[str]) -> int:
    jobs = str(min(4, os.cpu_count() or 2))
    groups = [
        ("units, properties and golden cases", ["-n", jobs, "-m", "not e2e", "-rs", *arguments]),
        ("whole meshes", ["-m", "e2e", "-rs", "--timeout", "900", *arguments]),
    ]
    codes, totals = [], {"passed": 0, "failed": 0, "error": 0, "skipped": 0}
    for title, group in groups:
        code, counts = run_group(title, group)
        codes.append(0 if code == NO_TESTS_COLLECTED and arguments else code)
        for word, number in counts.items():
            totals[word] = totals.get(word, 0) + number
    print(f"\n{totals['passed']} passed, {totals['failed'] + totals['error']} failed, {totals['skipped']} skipped")
    return max(codes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
