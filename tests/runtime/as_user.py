"""Run a command as another user, who may reach this checkout and its Python wherever they lie. Started as root.

A checkout or an interpreter below a closed folder (`/root`, say) is out of a plain user's reach. In a mount namespace
of its own, made by `unshare --mount` around this program, each such closed folder gives way to an empty one that holds
only what is needed, so that nothing changes for anybody else and nothing is left behind.

Usage: `unshare --mount --propagation private python as_user.py UID COMMAND...`
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path


def closed_parent(path: Path) -> Path | None:
    """The outermost folder on the way to `path` that others may not pass, if there is one."""
    return next((folder for folder in reversed(path.parents) if not folder.stat().st_mode & 0o001), None)


def open_the_way(needed: list[Path]) -> None:
    """Replace closed folders on the way to `needed` by open ones. For this mount namespace only."""
    blocked = {path: closed for path in needed if (closed := closed_parent(path))}
    staging = {path: Path(tempfile.mkdtemp(prefix="kaiki-way-")) for path in blocked}
    for path, stage in staging.items():
        subprocess.run(["mount", "--bind", path, stage], check=True)
    for closed in set(blocked.values()):
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "none", closed], check=True)
    for path, stage in staging.items():
        path.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "--move", stage, path], check=True)
        stage.rmdir()


def main() -> None:
    """Open the way, become the user, become the command."""
    user, *command = sys.argv[1:]
    checkout = Path(__file__).resolve().parents[2]
    open_the_way(sorted({checkout, Path(sys.prefix).resolve(), Path(sys.base_prefix).resolve()}))
    os.setgroups([])
    os.setgid(int(user))
    os.setuid(int(user))
    os.chdir("/")
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
