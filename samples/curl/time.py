"""What guides use `time COMMAND` for, on machines that have none: run it, and say how long it took."""

from __future__ import annotations

import os
import subprocess
import sys
import time


def shown(seconds: float) -> str:
    return f"{int(seconds // 60)}m {seconds % 60:.2f}s"


def main() -> int:
    started = time.perf_counter()
    try:
        code = subprocess.call(sys.argv[1:])
    except OSError as error:
        print(f"time: {error}", file=sys.stderr)
        return 127
    times = os.times()
    for name, seconds in (
        ("real", time.perf_counter() - started),
        ("user", times.children_user),
        ("sys", times.children_system),
    ):
        print(f"{name}\t{shown(seconds)}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
