#!/usr/bin/env python3
"""Run all tests: first the many small ones in parallel, then the few that start a whole mesh, one after another.

Two groups because a whole mesh wants both cores of a small machine; the summary at the end counts both.

A test that fails is run once more, by itself: on a small machine that does two things at once, a real Envoy or browser
is now and then late. What passes only then is named at the end, so that nobody overlooks it; what fails again has
failed, and so has everything when many fail at once.
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
MOST_SECOND_CHANCES = 5


Outcome = tuple[int, dict[str, int], list[str]]


def run_pytest(arguments: list[str]) -> Outcome:
    """Run pytest, showing its output; answers the exit code, the counts of its closing line and what failed."""
    path = f"{os.environ.get('PATH', '')}:{UNPACKED_PROGRAMS}"
    environment = {**os.environ, "PATH": path}
    command = [PYTEST, "-rfEs", *arguments]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    last, failed = "", []
    for line in process.stdout:
        print(line, end="", flush=True)
        last = line if re.search(r"\d+ (passed|failed|error|skipped)", line) else last
        if match := re.match(r"(?:FAILED|ERROR) (\S+::.+?)(?: - |$)", line):
            failed.append(match[1])
    counts = {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|error|skipped)", last)}
    return process.wait(), counts, failed


def run_group(title: str, arguments: list[str], parallel: list[str]) -> Outcome:
    """Run a group, and what failed of it once more; the third part of the answer is what passed only then."""
    print(f"\n== {title}", flush=True)
    code, counts, failed = run_pytest([*parallel, *arguments])
    if code == 0 or not 0 < len(failed) <= MOST_SECOND_CHANCES:
        return code, counts, []
    print(f"\n== once more, by themselves: {len(failed)} of {title}", flush=True)
    again, second, still = run_pytest([*arguments, "--last-failed", "--last-failed-no-failures", "none"])
    if again not in (0, 1):
        return code, counts, []
    mended = [name for name in failed if name not in still] if second.get("passed") else []
    passed = counts.get("passed", 0) + second.get("passed", 0)
    return again, {**counts, "passed": passed, "failed": len(still), "error": 0}, mended


def main(arguments: list[str]) -> int:
    jobs = str(min(4, os.cpu_count() or 2))
    groups = [
        ("units, properties and golden cases", ["-m", "not e2e", *arguments], ["-n", jobs]),
        ("whole meshes", ["-m", "e2e", "--timeout", "900", "--durations", "12", *arguments], []),
    ]
    codes, late, totals = [], list[str](), {"passed": 0, "failed": 0, "error": 0, "skipped": 0}
    for title, group, parallel in groups:
        code, counts, mended = run_group(title, group, parallel)
        late += mended
        codes.append(0 if code == NO_TESTS_COLLECTED and arguments else code)
        for word, number in counts.items():
            totals[word] = totals.get(word, 0) + number
    for name in late:
        print(f"passed only the second time: {name}")
    print(f"\n{totals['passed']} passed, {totals['failed'] + totals['error']} failed, {totals['skipped']} skipped")
    return max(codes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
