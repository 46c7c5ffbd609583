"""`kaiki redirect`: what a pod's init container does."""

from __future__ import annotations

import click


@click.command(context_settings={"ignore_unknown_options": True, "help_option_names": []}, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...]) -> None:
    """Redirect this network namespace's traffic to its sidecar."""
    from kaiki.runtime.redirect import main

    raise click.exceptions.Exit(main(arguments))
