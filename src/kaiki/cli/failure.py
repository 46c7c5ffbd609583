"""How commands end badly: one line of what failed and the way out, never a traceback for a user's mistake."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from kaiki.app.home import HomeError
from kaiki.app.machine import MachineError


@contextmanager
def explained() -> Iterator[None]:
    """Turn the errors that a user can act on into click's error output (exit code 1)."""
    from kaiki.kube.errors import KubeError

    try:
        yield
    except (HomeError, MachineError, KubeError) as error:
        raise click.ClickException(str(error)) from error
