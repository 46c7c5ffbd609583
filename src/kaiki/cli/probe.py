"""`kaiki probe`: can this machine run a mesh?"""

from __future__ import annotations

import click


@click.command()
def command() -> None:
    """Try each thing the local runtime needs, and say what to do where one is refused. Exit code 1 when one is."""
    from kaiki.runtime.probe import probe

    refused = False
    for step in probe():
        refused |= not step.ok
        click.echo(f"{'✔' if step.ok else '✘'} {step.name}" + (f": {step.reason}" if step.reason else ""))
        if step.way_out:
            click.echo(f"  → {step.way_out}")
    raise click.exceptions.Exit(1 if refused else 0)
