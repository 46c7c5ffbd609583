#!/usr/bin/env python3
"""Check the console's frontend: types, lint and its own tests, with the Node.js that setup found or fetched."""

from __future__ import annotations

import subprocess
import sys

from setup import UI, node_environment


def main() -> int:
    npm, env = node_environment()
    for script in ("typecheck", "lint", "test"):
        print(f"ui: npm run {script}", flush=True)
        code = subprocess.run([npm, "run", "--silent", script], cwd=UI, env=env, check=False).returncode
        if code:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
