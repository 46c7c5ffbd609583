"""`kaiki node`: the launcher, started by `kaiki up` and `kaiki demo`."""

from __future__ import annotations

import asyncio
import logging

import click

from kaiki.app.home import current_home
from kaiki.cli.failure import explained


@click.command()
def command() -> None:
    """Run this home's machine until SIGTERM."""
    from kaiki.app.node import run_launcher

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    with explained():
        code = asyncio.run(run_launcher(current_home()))
    raise click.exceptions.Exit(code)
