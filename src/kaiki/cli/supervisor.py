"""`kaiki supervisor`: PID 1 inside the namespaces, started by the launcher."""

from __future__ import annotations

import click


@click.command()
def command() -> None:
    """Run pods; only of use when started by `kaiki node`."""
    from kaiki.runtime.supervisor import main

    raise click.exceptions.Exit(main())
