"""`kaiki down`: stop the mesh; what it stored stays in its home."""

from __future__ import annotations

import shutil

import click

from kaiki.app.home import current_home
from kaiki.app.machine import stop_node
from kaiki.cli.failure import explained


@click.command()
@click.option("--purge", is_flag=True, help="Also delete what the mesh stored: objects, metrics, logs, keys.")
def command(purge: bool) -> None:
    """Stop the mesh: applications first, then sidecars, then the rest. Objects and metrics are kept."""
    home = current_home()
    with explained():
        stopped = stop_node(home)
    click.echo("stopped" if stopped else f"no mesh runs from {home.path}")
    if purge and home.path.exists():
        shutil.rmtree(home.path)
        click.echo(f"deleted {home.path}")
