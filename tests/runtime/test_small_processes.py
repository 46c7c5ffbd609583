"""What the small processes import decides what they weigh."""

import subprocess
import sys
from pathlib import Path

import kaiki

SOURCE = str(Path(kaiki.__file__).parent.parent)


def test_only_the_standard_library() -> None:
    """With -S there are no other libraries on the path; the child would fail to import them."""
    names = "enter, links, mounts, netlink, nft, nursery, relay, rules, sandbox, syscalls, probe"
    code = f"import sys; sys.path.insert(0, {SOURCE!r}); from kaiki.runtime import {names}"
    done = subprocess.run([sys.executable, "-S", "-E", "-I", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_entering_loads_little() -> None:
    code = (
        f"import sys; sys.path.insert(0, {SOURCE!r}); from kaiki.runtime import enter, nursery, relay; "
        "print([name for name in ('asyncio', 'typing_extensions', 'subprocess', 'ssl') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-S", "-E", "-I", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
