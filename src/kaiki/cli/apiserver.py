"""`kaiki apiserver`: the embedded Kubernetes API and Kubernetes' own controllers, started by the node."""

from __future__ import annotations

import asyncio
import logging

import click

from kaiki.app.home import current_home


@click.command()
@click.option("--listen-fd", type=int, multiple=True, help="A listening socket inherited from the launcher.")
def command(listen_fd: tuple[int, ...]) -> None:
    """Run the embedded Kubernetes API."""
    from kaiki.apiserver.store import StoreDamaged
    from kaiki.app.kubernetes import run_kubernetes

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        asyncio.run(run_kubernetes(current_home(), listen_fd))
    except StoreDamaged as error:
        raise click.ClickException(str(error)) from error
