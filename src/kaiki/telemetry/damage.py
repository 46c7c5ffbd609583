"""A damaged file of samples or traces is set aside: what is being measured now is worth more than a stop.

SQLite keeps its log beside the file. It goes along, or it would be played into the new file.
"""

from __future__ import annotations

import logging
from pathlib import Path

log = logging.getLogger(__name__)


def set_aside(path: Path, cause: Exception) -> Path:
    """Rename a database and its log to `<name>.broken…`, in place of one set aside before; answers the new path."""
    aside = path.with_name(f"{path.name}.broken")
    for suffix in ("-wal", "-shm", ""):
        log_file = path.with_name(path.name + suffix)
        target = aside.with_name(aside.name + suffix)
        target.unlink(missing_ok=True)
        if log_file.exists():
            log_file.replace(target)
    log.error(
        "%s cannot be read (%s): it was set aside as %s and a new one was begun. To keep what can be saved: "
        "`sqlite3 %s .recover | sqlite3 recovered.sqlite`; to forget it, delete it",
        path,
        cause,
        aside,
        aside,
    )
    return aside
